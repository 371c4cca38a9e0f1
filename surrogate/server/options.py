"""What an operator decides about a service."""

from dataclasses import dataclass

from simulations.simulation import InvalidInput, check_setting


@dataclass(frozen=True)
class Options:
    """Limits and switches of a service.

    Args:
        api_keys: a request must bear one of them; none are needed if there are none.
        guard: let the simulation answer where the surrogate is not to be trusted.
        tolerance: the guard's: largest bound on the relative L2 error of a field.
        significance: the guard's: inputs with a smaller p-value are unlike the training data.
        max_body: bytes of a request.
        max_batch: samples of a request, and of a call of the network.
        gather: seconds that a request waits for others to share a call of the network with.
        queue: samples that may wait.
        timeout: seconds that a request may wait for the surrogate.
        solve: whether the simulation can be asked for.
        solve_timeout: seconds that it may take; its process is then killed.
        solve_queue: runs that may wait.
        solves_per_minute: runs that are begun, guarded answers among them.
        page: whether the page is served.

    Raises:
        InvalidInput: an option outside its range, or a tolerance without a guard.
    """

    api_keys: tuple[str, ...] = ()
    guard: bool = False
    tolerance: float | None = None
    significance: float = 0.01
    max_body: int = 8 << 20
    max_batch: int = 256
    gather: float = 0.0002
    queue: int = 1024
    timeout: float = 10.0
    solve: bool = True
    solve_timeout: float = 60.0
    solve_queue: int = 4
    solves_per_minute: float = 60.0
    page: bool = True

    def __post_init__(self) -> None:
        check_setting("significance", self.significance, 0.0, 1.0)
        check_setting("max_body", self.max_body, 1024, 1 << 32, integer=True)
        check_setting("max_batch", self.max_batch, 1, 1 << 16, integer=True)
        check_setting("gather", self.gather, 0.0, 1.0)
        check_setting("queue", self.queue, 1, 1 << 20, integer=True)
        check_setting("timeout", self.timeout, 0.01, 3600.0)
        check_setting("solve_timeout", self.solve_timeout, 0.01, 86400.0)
        check_setting("solve_queue", self.solve_queue, 0, 1024, integer=True)
        check_setting("solves_per_minute", self.solves_per_minute, 0.01, 1e6)
        if self.tolerance is not None:
            check_setting("tolerance", self.tolerance, 0.0)
            if not self.guard:
                raise InvalidInput(f"tolerance={self.tolerance!r}: needs the guard, which is off")
        if self.guard and not self.solve:
            raise InvalidInput("guard: needs the simulation, which is switched off")
        if any(not key for key in self.api_keys):
            raise InvalidInput("api_keys: a key must not be empty")


DEFAULTS = Options()
