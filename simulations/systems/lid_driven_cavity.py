"""Lid-driven cavity: one number in, a steady flow out."""

import contextlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from itertools import count
from typing import ClassVar, NamedTuple, Self

import numpy as np

from simulations.grid import Axis, Grid
from simulations.numerics import chebyshev
from simulations.numerics.krylov import gmres
from simulations.numerics.legendre import Matrix, clamped_basis
from simulations.numerics.legendre_square import Derivatives, clamped_square, with_modes
from simulations.numerics.sliding_corner import (
    Stream,
    confined,
    corner_flow,
    mirrored,
)
from simulations.simulation import (
    Array,
    Field,
    Inputs,
    InvalidInput,
    Parameter,
    Showcase,
    Simulation,
    SimulationDiverged,
    Solution,
    check_setting,
)

LIDS = ("uniform", "regularised")
#: Nodes of the grid that the degree of the polynomials leaves over
NODES_LESS_MODES = 4
LARGEST = 128
# Modes along an axis; where they grow by `GROWTH`, the error falls at least by `GAIN`
GROWTH, GAIN = 1.25, 2.0
# Newton's method converges from rest up to here, then over such strides
EASY_REYNOLDS, STRIDE = 150.0, 1.8
NEWTON_STEPS = 12
LINEAR_TOLERANCE, LINEAR_PRODUCTS = 0.005, 250
# A guess is taken at so many modes, and given up if the first step is longer than this share of it
GUESS_MODES, NEAR = 32, 0.5


@dataclass(frozen=True)
class LidDrivenCavity(Simulation):
    """Steady flow in a square cavity whose upper side slides to the right.

        u·∇u = −∇p + ∇²u/Re,    ∇·u = 0,    u = ∂ψ/∂y,  v = −∂ψ/∂x

    Lengths in units of the side, velocities in units of that of the lid, which owns the corners;
    the fluid sticks to all sides. The vortex is where ψ is lowest.

    Legendre–Galerkin method for ψ, Newton's method. The flow in the corners under the lid, where
    the velocity jumps and the vorticity is infinite, is subtracted to second order in the distance
    from them. A few modes are solved by continuation in Re; each finer resolution starts from the
    one below and finds the Newton step by GMRES, preconditioned by the inverse of the biharmonic
    operator and, for the few modes, of the Jacobian. The resolution rises until that changes the
    flow no more, or until it is that of the grid. In the admissible range the flow is
    linearly stable; it starts to oscillate near Re = 8000.

    Args:
        n: Gauss–Lobatto nodes of the grid along each axis: the highest resolution used.
        tolerance: admissible relative L2 error of the velocity.
        lid: speed of the lid, ``uniform`` 1 or ``regularised`` 16 x²(1 − x)².

    References:
        Botella and Peyret, Computers & Fluids 27 (1998) 421: the benchmark this is verified
        against, and the subtraction of the corners.
        Shen, Journal of Computational Physics 95 (1991) 228: the regularised lid.
    """

    n: int = 64
    tolerance: float = 1e-4
    lid: str = "uniform"

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "reynolds": Parameter("Reynolds number", "1", (1.0, 5000.0), (100.0, 1000.0), "log")
    }
    fields: ClassVar[Mapping[str, Field]] = {
        "streamfunction": Field("streamfunction", "1"),
        "velocity": Field("velocity", "1", order=1),
        "vortex_x": Field("x of the centre of the vortex", "1", spatial=False),
        "vortex_y": Field("y of the centre of the vortex", "1", spatial=False),
        "vortex_streamfunction": Field("streamfunction there", "1", spatial=False),
        "vortex_vorticity": Field("vorticity there", "1", spatial=False),
        "kinetic_energy": Field("integral of half the squared velocity", "1", spatial=False),
    }
    guess_fields: ClassVar[tuple[str, ...]] = ("streamfunction",)
    showcase: ClassVar[Showcase] = Showcase(inputs={"reynolds": 1000.0})
    time_unit: ClassVar[str] = "1"

    def __post_init__(self) -> None:
        check_setting("n", self.n, 8, LARGEST, integer=True)
        check_setting("tolerance", self.tolerance, 1e-9, 0.3)
        if self.lid not in LIDS:
            raise InvalidInput(f"lid={self.lid!r}: must be one of {', '.join(LIDS)}")

    @cached_property
    def grid(self) -> Grid:
        points = chebyshev.nodes(self.n)
        return Grid(
            tuple(Axis(name, points, (0.0, 1.0), interpolation="polynomial") for name in "xy")
        )

    @cached_property
    def times(self) -> Array:
        return np.zeros(1)

    def solve(self, inputs: Inputs) -> Solution:
        return self.iterate(inputs, None)[0]

    def iterate(self, inputs: Inputs, guess: Solution | None) -> tuple[Solution, int]:
        """Iterations are the steps of Newton's method, with however many modes.

        A guess is followed if the first step from it is small.
        """
        problem = Problem(float(inputs["reynolds"]), self.lid, self.n - NODES_LESS_MODES)
        # A lost step shows in its size
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            c = None if guess is None else self._followed(problem, guess["streamfunction"][0])
            if c is None:
                c = _refine(problem, _climb(problem), self.tolerance)
        return _outputs(problem, c, self.n), next(problem.steps)

    def _followed(self, problem: "Problem", psi: Array) -> Matrix | None:
        """The solution from a guess of the streamfunction, None if it leads nowhere."""
        modes = min(problem.most_modes, GUESS_MODES)
        base = _driving_at_nodes(self.lid, self.n).stream(problem.reynolds)
        fit = _fit(self.n, modes)
        c: Matrix = fit @ np.asarray(psi[1:-1, 1:-1] - base.psi, np.float64) @ fit.T
        with contextlib.suppress(SimulationDiverged, np.linalg.LinAlgError):
            few = _inverse_jacobian(problem, with_modes(c, problem.few_modes))
            c, change = _newton_step(problem, c, few)
            if change <= NEAR:
                return _refine(problem, c, self.tolerance)
        return None

    def rescaled(self, factor: float) -> Self:
        return replace(self, n=round(self.n * factor))

    def coarsened(self) -> Iterator[Self]:
        """Looser tolerances: the resolution follows, for each input its own."""
        for tolerance in (1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 0.1):
            if tolerance > self.tolerance:
                yield replace(self, tolerance=tolerance)

    def warm_up(self) -> None:
        """Prepare the matrices of all resolutions, which belong to the process."""
        self.run({"reynolds": self.drawn_parameters["reynolds"].quantile(1.0)})

    def transfer_solution(self, solution: Mapping[str, Array], target: Simulation) -> Solution:
        """The jumps in the corners, which no interpolant follows, move as the flow known there."""
        smooth = solution["velocity"] - _corner_velocity(self.n, self.lid)
        moved = super().transfer_solution({**solution, "velocity": smooth}, target)
        moved["velocity"] += _corner_velocity(target.grid.shape[0], self.lid)
        return moved

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """Fluid that crosses the middle of the cavity, along x and along y: none."""
        weights = chebyshev.quadrature(self.n)
        middle = chebyshev.interpolation(self.n, np.array([0.5]))[0]
        u, v = np.moveaxis(solution["velocity"], -1, 0)
        return {
            "flow_along_x": np.einsum("txy,x,y->t", u, middle, weights),
            "flow_along_y": np.einsum("txy,x,y->t", v, weights, middle),
        }


@dataclass(frozen=True)
class Problem:
    """What is to be solved, with at most so many modes along an axis.

    ``next(steps)`` is the number of Newton steps so far.
    """

    reynolds: float
    lid: str
    most_modes: int
    steps: Iterator[int] = field(default_factory=count, compare=False)

    @property
    def few_modes(self) -> int:
        return min(self.most_modes, 16 if self.reynolds <= 1500.0 else 20)


class Driving(NamedTuple):
    """A flow that moves with the lid: ψ is ``first + Re second`` plus a clamped field.

    Its corners are flows whose biharmonic is known, −∇·flux: what is left of the Laplacian without
    them is smooth.
    """

    first: Stream
    second: Stream
    smooth_laplacians: tuple[Array, Array]
    flux: tuple[Array, Array]

    def stream(self, reynolds: float) -> Stream:
        return Stream(*(a + reynolds * b for a, b in zip(self.first, self.second, strict=True)))


def _driving(lid: str, x: Array, y: Array) -> Driving:
    if lid == "regularised":
        zero = np.zeros_like(x)
        along, across = (4 * x * (1 - x)) ** 2, y * y * (y - 1)
        slope, curvature = 32 * x * (1 - x) * (1 - 2 * x), 32 * (1 - 6 * x + 6 * x * x)
        laplacian = curvature * across + along * (6 * y - 2)
        first = Stream(along * across, slope * across, along * y * (3 * y - 2), laplacian)
        return Driving(first, Stream(zero, zero, zero, zero), (laplacian, zero), (zero, zero))
    # Turned over, u·∇Δψ changes its sign
    (left, right), first = _corner_pair(1, 1, x, y)
    (left2, right2), second = _corner_pair(2, -1, x, y)
    smooth = first.laplacian - left.laplacian - right.laplacian
    smooth2 = second.laplacian - left2.laplacian - right2.laplacian
    (left_x, left_y), (right_x, right_y) = map(_vorticity_flux, (left, right))
    return Driving(first, second, (smooth, smooth2), (left_x + right_x, left_y + right_y))


def _corner_pair(
    term: int, parity: int, x: Array, y: Array
) -> tuple[tuple[Stream, Stream], Stream]:
    """The flows in the left and in the right corner, and their sum when both are confined."""
    left, right = corner_flow(term, x, y), corner_flow(term, 1 - x, y)
    near = confined(left, x, y), mirrored(confined(right, 1 - x, y), parity)
    return (left, mirrored(right, parity)), Stream(*map(np.add, *near))


def _vorticity_flux(flow: Stream | Derivatives) -> tuple[Array, Array]:
    """u Δψ and v Δψ."""
    return flow.laplacian * flow.y, -flow.laplacian * flow.x


@cache
def _driving_at_points(lid: str, modes: int) -> Driving:
    points = clamped_square(modes).points
    return _driving(lid, *np.meshgrid(points, points, indexing="ij"))


@cache
def _driving_at_nodes(lid: str, n: int) -> Driving:
    inner = chebyshev.nodes(n)[1:-1]
    return _driving(lid, *np.meshgrid(inner, inner, indexing="ij"))


def _climb(problem: Problem) -> Matrix:
    """The steady flow with few modes, from rest by continuation in Re."""
    modes, reached, stride = problem.few_modes, 0.0, STRIDE
    space, driving = clamped_square(modes), _driving_at_points(problem.lid, modes)
    push = space.solve_biharmonic(space.against_laplacian(driving.second.laplacian))
    stage, found = replace(problem, reynolds=min(problem.reynolds, EASY_REYNOLDS)), None
    while True:
        last = stage.reynolds == problem.reynolds
        # The whole flow is carried over, not the part of it that is no corner flow
        start = (0.0 if found is None else found) - (stage.reynolds - reached) * push
        c = _converged(stage, start, 0.05 if last else 0.1)
        if c is None:
            stride = math.sqrt(stride)
        elif last:
            return c
        else:
            found, reached = c, stage.reynolds
        if found is None or stride < 1.05:
            raise SimulationDiverged(0.0, f"no steady flow found beyond Re={reached:g}, n={modes}")
        stage = replace(problem, reynolds=min(problem.reynolds, reached * stride))


def _converged(problem: Problem, c: Matrix, accuracy: float) -> Matrix | None:
    """Newton's method at one resolution; None if its steps do not become small."""
    for _ in range(NEWTON_STEPS):
        c, change = _newton_step(problem, c)
        if change <= accuracy:
            return c
        if not change < 1e3:
            break
    return None


def _refine(problem: Problem, c: Matrix, tolerance: float) -> Matrix:
    """Raise the resolution, one Newton step for each, until the flow changes little."""
    few = _inverse_jacobian(problem, with_modes(c, min(len(c), problem.few_modes)))
    for _ in range(2 * NEWTON_STEPS):
        modes = min(problem.most_modes, math.ceil(GROWTH * len(c)))
        c, change = _newton_step(problem, with_modes(c, modes), few)
        if change <= GAIN * tolerance:
            return c
        if not change < 1e3:
            break
    raise SimulationDiverged(0.0, f"Newton's method does not converge with {modes} modes")


def _newton_step(problem: Problem, c: Matrix, few: Matrix | None = None) -> tuple[Matrix, float]:
    """The next iterate and the step relative to the flow, in velocity.

    In weak form, for every clamped v: ∫ Δψ Δv + Re ∫ Δψ u·∇v = 0.

    Args:
        c: coefficients of the clamped part of ψ.
        few: inverse of the Jacobian of the lowest modes.
    """
    next(problem.steps)
    space, driving = clamped_square(len(c)), _driving_at_points(problem.lid, len(c))
    reynolds, shape = problem.reynolds, c.shape
    base, part = driving.stream(reynolds), space.derivatives(c)
    flow = Derivatives(*(a + b for a, b in zip(part, base[1:], strict=True)))

    def preconditioned(right: Matrix) -> Array:
        step = space.solve_biharmonic(right)
        if few is not None:
            k = math.isqrt(len(few))
            step[:k, :k] = (few @ right[:k, :k].ravel()).reshape(k, k)
        return step.ravel()

    def linearised(vector: Array) -> Array:
        change = vector.reshape(shape)
        d = space.derivatives(change)
        inertia = space.against_gradient(
            flow.laplacian * d.y + d.laplacian * flow.y,
            -flow.laplacian * d.x - d.laplacian * flow.x,
        )
        return preconditioned(space.biharmonic(change) + reynolds * inertia)

    smooth, smooth_push = driving.smooth_laplacians
    carried = (f - g for f, g in zip(_vorticity_flux(flow), driving.flux, strict=True))
    residual = (
        space.biharmonic(c)
        + space.against_laplacian(smooth + reynolds * smooth_push)
        + reynolds * space.against_gradient(*carried)
    )
    vector, *_ = gmres(linearised, preconditioned(-residual), LINEAR_TOLERANCE, LINEAR_PRODUCTS)
    step = vector.reshape(shape)
    d = space.derivatives(step)
    change, size = (math.sqrt(np.sum(space.weights * (f.x**2 + f.y**2))) for f in (d, flow))
    return c + step, change / size


def _inverse_jacobian(problem: Problem, c: Matrix) -> Matrix:
    space, driving = clamped_square(len(c)), _driving_at_points(problem.lid, len(c))
    base = driving.stream(problem.reynolds)
    x, y, omega = (
        (space.weights * (a + b)).reshape(-1, 1)
        for a, b in zip(space.derivatives(c), base[1:], strict=True)
    )
    d, biharmonic = space.operators
    inertia = d.x.T @ (omega * d.y + y * d.laplacian) - d.y.T @ (omega * d.x + x * d.laplacian)
    return np.linalg.inv(biharmonic + problem.reynolds * inertia)


@cache
def _fit(n: int, modes: int) -> Matrix:
    """Coefficients, along one axis, of the clamped field closest to values at the inner nodes."""
    return np.linalg.pinv(clamped_basis(modes, chebyshev.nodes(n)[1:-1])[0])


@cache
def _corner_velocity(n: int, lid: str) -> Array:
    """Velocity ``(n, n, 2)`` of the first corner flows on the grid."""
    first = _driving_at_nodes(lid, n).first
    return _with_walls(np.stack([first.y, -first.x], axis=-1), lid)


def _with_walls(inner: Array, lid: str) -> Array:
    """Velocity on the whole grid."""
    velocity = np.pad(inner, ((1, 1), (1, 1), (0, 0)))
    x = chebyshev.nodes(len(velocity))
    velocity[:, -1, 0] = 1.0 if lid == "uniform" else (4 * x * (1 - x)) ** 2
    return velocity


def _outputs(problem: Problem, c: Matrix, n: int) -> Solution:
    inner = chebyshev.nodes(n)[1:-1]
    psi, velocity = _flow(_driving_at_nodes(problem.lid, n), problem.reynolds, c, inner, inner)
    x, y = (inner[k] for k in np.unravel_index(psi.argmin(), psi.shape))
    vortex = _vortex(problem, c, x, y)
    space, driving = clamped_square(len(c)), _driving_at_points(problem.lid, len(c))
    _, moving = _flow(driving, problem.reynolds, c, space.points, space.points)
    energy = 0.5 * np.einsum("xy,xyc->", space.weights, moving**2)
    return {
        "streamfunction": np.pad(psi, 1)[None],
        "velocity": _with_walls(velocity, problem.lid)[None],
        **{f"vortex_{name}": np.array([value]) for name, value in vortex.items()},
        "kinetic_energy": np.array([energy]),
    }


def _flow(driving: Driving, reynolds: float, c: Matrix, x: Array, y: Array) -> tuple[Array, Array]:
    """ψ ``(x, y)`` and velocity ``(x, y, 2)`` at a product of points inside the cavity."""
    base = driving.stream(reynolds)
    (bx, sx, _), (by, sy, _) = (clamped_basis(len(c), points) for points in (x, y))
    psi = base.psi + bx @ c @ by.T
    return psi, np.stack([base.y + bx @ c @ sy.T, -(base.x + sx @ c @ by.T)], axis=-1)


def _vortex(problem: Problem, c: Matrix, x: float, y: float) -> dict[str, float]:
    """The point where ψ is lowest, by Newton's method for u = 0 from one nearby."""
    spread = 1e-4 * np.array([-1.0, 0.0, 1.0])
    for _ in range(NEWTON_STEPS):
        points = x + spread, y + spread
        driving = _driving(problem.lid, *np.meshgrid(*points, indexing="ij"))
        psi, velocity = _flow(driving, problem.reynolds, c, *points)
        along_x, along_y = velocity[2, 1] - velocity[0, 1], velocity[1, 2] - velocity[1, 0]
        gradient = np.stack([along_x, along_y], axis=1) / (spread[2] - spread[0])
        dx, dy = np.linalg.solve(gradient, -velocity[1, 1])
        x, y = min(max(x + dx, 0.01), 0.99), min(max(y + dy, 0.01), 0.99)
        if math.hypot(dx, dy) < 1e-8:
            break
    vorticity = gradient[1, 0] - gradient[0, 1]
    return {"x": x, "y": y, "streamfunction": psi[1, 1], "vorticity": vorticity}
