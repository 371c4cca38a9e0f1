"""Which parameters are best: found on the surrogate, verified and corrected by the solver."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.stats import qmc
from torch import Tensor

from simulations.simulation import Array, InvalidInput, check_setting
from surrogate.emulator import Surrogate
from surrogate.inverse.box import Box

#: A number from an answer, fields ``(time, *space, *component)``, and the parameters it is for
Quantity = Callable[[Mapping[str, Tensor], Mapping[str, Tensor]], Tensor]

SCAN = 256
# Of the first trust region, and of the smallest, in coordinates of the unit cube
RADIUS, SMALLEST = 0.2, 1e-3
# Step of a difference quotient of the solver, as a share of the radius
STEP = 0.1
# What a violated constraint costs, in spreads of the objective over spreads of the constraint
PENALTY = 10.0


@dataclass(frozen=True)
class Optimum:
    """The best parameters that were found, and what solver and surrogate say of them.

    Args:
        inputs: the parameters.
        value: the objective, by the solver.
        predicted: the same by the surrogate.
        constraints: their values by the solver; feasible where not negative.
        discrepancy: between both, as a share of the objective's range over the box.
        first_discrepancy: the same at the optimum of the surrogate alone.
        solver_calls: runs of the solver.
        steps: accepted steps of the trust region that followed.
        converged: whether the surrogate was right, or the trust region ended by itself; False where
            the budget of solver runs did.
    """

    inputs: dict[str, float]
    value: float
    predicted: float
    constraints: tuple[float, ...]
    discrepancy: float
    first_discrepancy: float
    solver_calls: int
    steps: int
    converged: bool

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class _Design:
    """Objective and constraints as one vector ``(1 + constraints)`` of coordinates ``(d,)``."""

    def __init__(self, box: Box, quantities: Sequence[Quantity], sign: float) -> None:
        self.box, self.quantities, self.sign = box, quantities, sign

    def _of(self, answer: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> Tensor:
        values = [quantity(answer, inputs) for quantity in self.quantities]
        for value in values:
            if not isinstance(value, Tensor) or value.numel() != 1:
                raise InvalidInput(f"objective or constraint is {value!r}: must be one number")
        signs = torch.tensor([self.sign] + [1.0] * (len(values) - 1), dtype=torch.float64)
        return signs * torch.stack([value.double().reshape(()) for value in values])

    def predicted(self, z: Tensor) -> Tensor:
        answer = {name: values[0] for name, values in self.box.answers(z[None]).items()}
        return self._of(answer, {n: v[0] for n, v in self.box.inputs(z[None]).items()})

    def value(self, z: Array) -> Array:
        with torch.no_grad():
            return self.predicted(torch.from_numpy(z)).numpy()

    def with_slopes(self, z: Array) -> tuple[Array, Array]:
        """Values ``(k,)`` and slopes ``(k, d)``."""
        point = torch.from_numpy(z.copy()).requires_grad_()
        values = self.predicted(point)
        slopes = [torch.autograd.grad(v, point, retain_graph=True)[0].numpy() for v in values]
        return values.detach().numpy(), np.stack(slopes)

    def solved(self, z: Array) -> Array:
        answer = {name: torch.from_numpy(v) for name, v in self.box.solved(z).items()}
        with torch.no_grad():
            inputs = self.box.inputs(torch.from_numpy(z)[None])
            return self._of(answer, {name: value[0] for name, value in inputs.items()}).numpy()

    def best(self, starts: Array, spread: Array, low: Array, high: Array, correction: Any) -> Array:
        """The best of local minima of the corrected surrogate between two corners, ``(d,)``."""
        offset, slope, centre = correction
        cached: dict[bytes, tuple[Array, Array]] = {}

        def model(z: Array) -> tuple[Array, Array]:
            z = np.clip(z, low, high)
            if z.tobytes() not in cached:
                values, slopes = self.with_slopes(z)
                corrected = (values + offset + slope @ (z - centre)) / spread
                cached[z.tobytes()] = corrected, (slopes + slope) / spread[:, None]
            return cached[z.tobytes()]

        constraints = [
            {"type": "ineq", "fun": lambda z: model(z)[0][1:], "jac": lambda z: model(z)[1][1:]}
        ]
        found = []
        for start in starts:
            result = minimize(
                lambda z: (model(z)[0][0], model(z)[1][0]),
                np.clip(start, low, high),
                jac=True,
                bounds=list(zip(low, high, strict=True)),
                constraints=constraints if len(spread) > 1 else [],
                method="SLSQP",
                options={"ftol": 1e-9},
            )
            z = np.clip(result.x, low, high)
            found.append((merit(model(z)[0]), z))
        return min(found, key=lambda pair: pair[0])[1]


def merit(values: Array) -> float:
    """Objective and what is violated of the constraints, all in units of their spread."""
    merit = values[0] + PENALTY * np.maximum(-values[1:], 0).sum()
    return float(merit) if np.isfinite(merit) else np.inf


def optimise(
    emulator: Surrogate,
    objective: str | Quantity,
    *,
    maximise: bool = False,
    constraints: Sequence[Quantity] = (),
    bounds: Mapping[str, tuple[float, float]] | None = None,
    inputs: Mapping[str, Any] | None = None,
    tolerance: float = 0.01,
    solver_runs: int = 60,
    starts: int = 6,
    seed: int = 0,
) -> Optimum:
    """Minimise a quantity over the parameters of a surrogate, within its training range.

        optimum = surrogate.optimise(emulator, "nusselt", bounds={"prandtl": (0.5, 2)})
        optimum = surrogate.optimise(
            emulator,
            lambda answer, inputs: answer["velocity"].square().mean(),
            constraints=[lambda answer, inputs: answer["nusselt"][-1] - 2],
        )

    The surrogate is minimised by sequential quadratic programming with its gradients, from several
    starts. The solver then runs at the optimum. If it disagrees by more than the tolerance, the
    search goes on in trust regions, where the surrogate is corrected to have the values and slopes
    of the solver at the centre; that converges to an optimum of the solver.

    Args:
        emulator: the surrogate.
        objective: a field without space, of which the mean over time counts; or a function of the
            answer, fields ``(time, *space, *component)``, and the inputs, both tensors by name,
            that returns one number and is differentiable.
        maximise: instead of minimise.
        constraints: such functions, of which none may become negative.
        bounds: ``(low, high)`` by parameter, within the training range, which they are by default.
        inputs: all other inputs: fields, and parameters that are not to be chosen.
        tolerance: admissible difference between solver and surrogate at the optimum, as a share of
            the range that the quantity has over the box.
        solver_runs: budget, at least 1.
        starts: of the search on the surrogate, the best of a scan.
        seed: of the scan.

    Raises:
        InvalidInput: naming the argument and what is allowed.
        SimulationDiverged: the solver has no answer at the optimum of the surrogate.

    References:
        Alexandrov, Lewis, Gumbert, Green and Newman, Journal of Aircraft 38 (2001) 1093:
        first-order model management.
    """
    check_setting("solver_runs", solver_runs, 1, integer=True)
    check_setting("starts", starts, 1, SCAN, integer=True)
    check_setting("tolerance", tolerance, 0)
    box = Box.of(emulator, bounds, inputs)
    chosen = [_quantity(emulator, objective), *constraints]
    design = _Design(box, chosen, -1.0 if maximise else 1.0)
    d = len(box.names)
    scan = qmc.Sobol(d, scramble=True, rng=seed).random(SCAN)
    scanned = np.stack([design.value(z) for z in scan])
    spread = np.ptp(scanned, axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    order = np.argsort([merit(values / spread) for values in scanned])
    low, high = np.zeros(d), np.ones(d)
    none = np.zeros(len(chosen)), np.zeros((len(chosen), d)), np.zeros(d)
    z = design.best(scan[order[:starts]], spread, low, high, none)
    value = design.solved(z)
    first = float(np.max(np.abs(value - design.value(z)) / spread))
    steps, converged, radius = 0, first <= tolerance, RADIUS
    while not converged and box.solver_calls + d + 1 <= solver_runs:
        error, at = value - design.value(z), STEP * radius
        slopes = np.empty((len(chosen), d))
        for i in range(d):
            near = z.copy()
            near[i] += at if z[i] + at <= 1 else -at
            slopes[:, i] = (design.solved(near) - design.value(near) - error) / (near[i] - z[i])
        floor, roof = np.maximum(z - radius, low), np.minimum(z + radius, high)
        tried = design.best(z[None], spread, floor, roof, (error, slopes, z))
        hoped = design.value(tried) + error + slopes @ (tried - z)
        now, expected = merit(value / spread), merit(hoped / spread)
        if now - expected <= 1e-3 * tolerance or np.abs(tried - z).max() < SMALLEST:
            converged = True
            break
        found = design.solved(tried)
        ratio = (now - merit(found / spread)) / (now - expected)
        if ratio > 0:
            z, value, steps = tried, found, steps + 1
        radius = min(2 * radius, 0.5) if ratio > 0.75 else radius if ratio > 0.25 else radius / 2
        converged = radius < SMALLEST
    predicted = design.value(z)
    return Optimum(
        inputs=dict(zip(box.names, map(float, box.values(z)), strict=True)),
        value=float(design.sign * value[0]),
        predicted=float(design.sign * predicted[0]),
        constraints=tuple(map(float, value[1:])),
        discrepancy=float(np.max(np.abs(value - predicted) / spread)),
        first_discrepancy=first,
        solver_calls=box.solver_calls,
        steps=steps,
        converged=bool(converged),
    )


def _quantity(emulator: Surrogate, objective: str | Quantity) -> Quantity:
    if not isinstance(objective, str):
        return objective
    fields = emulator.simulation.fields
    numbers = [name for name, field in fields.items() if not field.spatial and field.order == 0]
    if objective not in numbers:
        raise InvalidInput(
            f"objective={objective!r}: must be a function, or one of the fields without space, "
            f"{numbers}"
        )
    return lambda answer, inputs: answer[objective].mean()
