"""A rival that solves the problem otherwise than the simulation does."""

from collections.abc import Callable
from dataclasses import dataclass

from simulations.simulation import Inputs, Simulation, Solution


@dataclass(frozen=True)
class Method:
    """Another numerical method for the problem of a simulation, on its grid.

    Args:
        solve: all declared fields from a simulation and its checked inputs. It may raise
            `SimulationDiverged`.
        rationale: why it is a rival worth having: what it is, and where it is known to be strong.

    Raises:
        ValueError: there is no rationale.
    """

    solve: Callable[[Simulation, Inputs], Solution]
    rationale: str

    def __post_init__(self) -> None:
        if not self.rationale.strip():
            raise ValueError(f"rationale={self.rationale!r}: must say why this method is a rival")
