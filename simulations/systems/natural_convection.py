"""Natural convection in a cavity heated from the side: two numbers in, a steady flow out."""

import contextlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from itertools import count
from typing import ClassVar, NamedTuple, Self

import numpy as np
from scipy.linalg import lapack

from simulations.grid import Axis, Grid
from simulations.numerics import chebyshev
from simulations.numerics.chebyshev import Matrix
from simulations.numerics.chebyshev_square import (
    EVEN,
    ODD,
    ClampedGradients,
    evaluate,
    half_square,
    transfer,
)
from simulations.numerics.krylov import gmres
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

# Nodes along an axis; where these grow by `GROWTH`, the error falls at least by `GAIN`
RESOLUTIONS = (8, 10, 12, 14, 16, 18, 20, 22, 26, 30, 38, 48, 62, 80, 104)
GROWTH, GAIN = 1.25, 4.0
# Up to so many nodes factorising a Jacobian is cheaper than iterating
DIRECT_UP_TO = 22
LARGEST = 128
# Relative error of the first resolution, without and with a first guess
STARTING_ERROR, GUESS_ERROR = 0.1, 1e-3
# A guess from which the first step is longer than this share of the solution is given up
NEAR = 0.5
# Newton's method converges from the conduction state up to here, then over such strides
EASY_RAYLEIGH, STRIDE = 3e3, 5.0
NEWTON_STEPS = 12
LINEAR_TOLERANCE, LINEAR_PRODUCTS = 0.02, 150


class State(NamedTuple):
    """Streamfunction ψ (u = ∂ψ/∂y, v = −∂ψ/∂x) and deviation θ = T − (½ − x) from conduction."""

    psi: Matrix
    theta: Matrix

    @property
    def n(self) -> int:
        return self.psi.shape[1] + 2


@dataclass(frozen=True)
class NaturalConvection(Simulation):
    """Steady natural convection in a square cavity, hot on the left and cold on the right.

        u·∇u = −∇p + Pr ∇²u + Ra Pr T e_y,    ∇·u = 0,    u·∇T = ∇²T

    Boussinesq fluid, gravity along −y. Lengths in units of the side L, velocities in units of κ/L
    with the thermal diffusivity κ, temperature as (T − mean)/(difference between the walls):
    T = ½ at x = 0, T = −½ at x = 1, no heat through y = 0 and y = 1, no slip. Ra = gβΔT L³/(νκ),
    Pr = ν/κ. The Nusselt number is the mean of −∂T/∂x over the hot wall.

    Chebyshev collocation of streamfunction and temperature, Newton's method. A half turn maps the
    flow to itself, which halves the unknowns; for all admissible inputs this flow is linearly
    stable to disturbances with and without that symmetry. The coarsest resolution that holds the
    boundary layers is solved by continuation in Ra, with factorised Jacobians. Each finer one
    starts from the one below and finds the Newton step by GMRES, preconditioned by the inverses of
    the Laplacian and the biharmonic operator. The resolution rises until that changes the solution
    no more, or until it is that of the grid.

    Args:
        n: Gauss-Lobatto nodes of the grid along each axis, even: the highest resolution used.
        tolerance: admissible relative L2 error of temperature and of velocity.

    References:
        de Vahl Davis, International Journal for Numerical Methods in Fluids 3 (1983) 249;
        Le Quéré, Computers & Fluids 20 (1991) 29: the benchmarks this is verified against.
        Tuckerman and Barkley, in Numerical Methods for Bifurcation Problems (2000) 453: Newton
        steps preconditioned by the inverse of the linear operator.
    """

    n: int = 48
    tolerance: float = 1e-4

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "rayleigh": Parameter("Rayleigh number", "1", (1.0, 1e6), (1e3, 1e6), "log"),
        "prandtl": Parameter("Prandtl number", "1", (0.1, 1e3), (0.1, 10.0), "log"),
    }
    fields: ClassVar[Mapping[str, Field]] = {
        "temperature": Field("temperature", "1"),
        "velocity": Field("velocity", "1", order=1),
        "nusselt": Field("mean Nusselt number of the hot wall", "1", spatial=False),
    }
    guess_fields: ClassVar[tuple[str, ...]] = ("temperature", "velocity")
    showcase: ClassVar[Showcase] = Showcase(
        settings={"n": 96}, inputs={"rayleigh": 1e6, "prandtl": 0.71}
    )
    time_unit: ClassVar[str] = "1"

    def __post_init__(self) -> None:
        check_setting("n", self.n, RESOLUTIONS[0], LARGEST, integer=True)
        if self.n % 2:
            raise InvalidInput(f"n={self.n}: must be even")
        check_setting("tolerance", self.tolerance, 1e-9, 0.3)

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
        """Iterations are the steps of Newton's method, at whatever resolution.

        A guess is followed if the first step from it is small.
        """
        problem = Problem(float(inputs["rayleigh"]), float(inputs["prandtl"]), self.n)
        # A lost step shows in its size
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            state = None if guess is None else self._followed(problem, guess)
            if state is None:
                state = _climb(problem, max(self.tolerance, STARTING_ERROR))
                if self.tolerance < STARTING_ERROR:
                    state = _refine(problem, state, self.tolerance)
        return _fields(state, self.n), next(problem.steps)

    def _followed(self, problem: "Problem", guess: Solution) -> State | None:
        """The solution from a guess of the fields on this grid, None if it leads nowhere."""
        n = problem.starting_nodes(max(self.tolerance, GUESS_ERROR))
        start = State(*transfer(*_state_of(guess), n))
        with contextlib.suppress(SimulationDiverged):
            state, change = _newton_step(problem, start)
            if change <= NEAR:
                return _refine(problem, state, self.tolerance)
        return None

    def rescaled(self, factor: float) -> Self:
        return replace(self, n=2 * round(self.n * factor / 2))

    def coarsened(self) -> Iterator[Self]:
        """Looser tolerances: the resolution follows, for each input its own."""
        for tolerance in (1e-5, 1e-4, 3e-4, 1e-3, 1e-2, 0.1, 0.3):
            if tolerance > self.tolerance:
                yield replace(self, tolerance=tolerance)

    def warm_up(self) -> None:
        """Prepare the matrices of all resolutions, which belong to the process."""
        for n in {min(n, self.n) for n in RESOLUTIONS}:
            space = half_square(n)
            if n <= DIRECT_UP_TO:
                _ = space.operators
        super().warm_up()

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """Nusselt number through either wall and averaged over the cavity: all three are equal."""
        temperature, u = solution["temperature"], solution["velocity"][..., 0]
        hot, cold = _wall_fluxes(temperature[0])[:, None]
        weights = chebyshev.quadrature(self.n)
        mean = 1.0 + np.einsum("txy,x,y->t", u * temperature, weights, weights)
        return {"nusselt_hot": hot, "nusselt_cold": cold, "nusselt_mean": mean}


@dataclass(frozen=True)
class Problem:
    """What is to be solved, with at most ``n_max`` nodes along an axis.

    ``next(steps)`` is the number of Newton steps so far.
    """

    rayleigh: float
    prandtl: float
    n_max: int
    steps: Iterator[int] = field(default_factory=count, compare=False)

    def resolution(self, nodes: float) -> int:
        """The lowest resolution with so many nodes."""
        return min(self.n_max, next((n for n in RESOLUTIONS if n >= nodes), self.n_max))

    def starting_nodes(self, error: float, safety: float = 1.0) -> int:
        """A resolution with about this error, by a fit to runs over all admissible inputs.

        The layers thin out as Ra grows, and below Pr = 1 with the Grashof number Ra/Pr.
        """
        grashof = self.rayleigh * max(1.0, 1.0 / self.prandtl)
        return self.resolution(safety * 9.65 * error**-0.22 * (grashof / 1e6) ** 0.15)


def _climb(problem: Problem, error: float) -> State:
    """The steady state at the starting resolution, from conduction by continuation in Ra.

    Where Newton's method fails, strides become shorter and the resolution higher.
    """
    reached, stride, safety = 0.0, STRIDE, 1.0
    stage = replace(problem, rayleigh=min(problem.rayleigh, EASY_RAYLEIGH))
    found = State(*np.zeros((2, *half_square(stage.starting_nodes(error)).shape)))
    while True:
        last = stage.rayleigh == problem.rayleigh
        # A boundary layer carries a flux that grows as Ra^(1/4)
        growth = (stage.rayleigh / reached) ** 0.25 if reached else 1.0
        n = stage.starting_nodes(error, safety)
        start = State(*transfer(growth * found.psi, found.theta, n))
        state = _converged(stage, start, 0.05 if last else 0.3)
        if state is None:
            stride, safety = math.sqrt(stride), 1.2 * safety
        elif last:
            return state
        else:
            found, reached = state, stage.rayleigh
        if not reached or stride < 1.05:
            raise SimulationDiverged(0.0, f"no steady state found beyond Ra={reached:g}, n={n}")
        stages = math.ceil(math.log(problem.rayleigh / reached) / math.log(stride))
        next_rayleigh = reached * (problem.rayleigh / reached) ** (1 / stages)
        stage = replace(stage, rayleigh=next_rayleigh) if stages > 1 else problem


def _converged(problem: Problem, state: State, accuracy: float) -> State | None:
    """Newton's method at one resolution; None if its steps do not become small."""
    for _ in range(NEWTON_STEPS):
        state, change = _newton_step(problem, state)
        if change <= accuracy:
            return state
        if not change < 1e3:
            break
    return None


def _refine(problem: Problem, state: State, tolerance: float) -> State:
    """Raise the resolution, one Newton step for each, until the solution changes little.

    What a resolution changes is the error of the one before; its own is `GAIN` times smaller.
    """
    for _ in range(2 * NEWTON_STEPS):
        n = problem.resolution(GROWTH * state.n)
        state, change = _newton_step(problem, State(*transfer(*state, n)))
        if change <= GAIN * tolerance:
            return state
        if not change < 1e3:
            break
    raise SimulationDiverged(0.0, f"Newton's method does not converge with n={n}")


def _newton_step(problem: Problem, state: State) -> tuple[State, float]:
    """The next iterate and the relative size of the step."""
    next(problem.steps)
    take_step = _direct_step if state.n <= DIRECT_UP_TO else _krylov_step
    step = take_step(problem, state)
    state = State(state.psi + step.psi, state.theta + step.theta)
    velocity = half_square(state.n).clamped_velocity
    change = np.linalg.norm(velocity(step.psi)) / np.linalg.norm(velocity(state.psi))
    conduction = math.sqrt(step.theta.size / 12)  # norm of ½ − x
    return state, float(max(change, np.linalg.norm(step.theta) / conduction))


def _advection(flow: ClampedGradients, x: Array, y: Array) -> Array:
    """u·∇f from the streamfunction and the derivatives of f."""
    return flow.y * x - flow.x * y


def _krylov_step(problem: Problem, state: State) -> State:
    """Newton step of the equations solved for their highest derivatives.

    θ = Δ⁻¹(u·∇T),    ψ = Δ⁻²(u·∇(Δψ)/Pr + Ra ∂T/∂x)
    """
    space = half_square(state.n)
    flow, heat = space.clamped_gradients(state.psi), space.held_gradients(state.theta)
    slope = heat.x - 1.0
    # Both halves of the unknown are made of the same size.
    scale = np.linalg.norm(state.psi) / np.linalg.norm(state.theta)
    size = state.psi.size

    def stokes(inertia: Array, convection: Array, source: float) -> State:
        theta = space.solve_laplace(convection)
        buoyancy = problem.rayleigh * (space.held_x(theta) - source)
        return State(space.solve_biharmonic(inertia / problem.prandtl + buoyancy), theta)

    def packed(psi: Array, theta: Array) -> Array:
        return np.concatenate([psi.ravel() / scale, theta.ravel()])

    def unpacked(vector: Array) -> State:
        return State(vector[:size].reshape(space.shape) * scale, vector[size:].reshape(space.shape))

    def linearised(vector: Array) -> Array:
        change = unpacked(vector)
        dflow = space.clamped_gradients(change.psi)
        dheat = space.held_gradients(change.theta)
        inertia = _advection(flow, dflow.laplacian_x, dflow.laplacian_y) + _advection(
            dflow, flow.laplacian_x, flow.laplacian_y
        )
        convection = _advection(flow, dheat.x, dheat.y) + _advection(dflow, slope, heat.y)
        return vector - packed(*stokes(inertia, convection, 0.0))

    image = stokes(
        _advection(flow, flow.laplacian_x, flow.laplacian_y),
        _advection(flow, slope, heat.y),
        1.0,
    )
    residual = packed(image.psi - state.psi, image.theta - state.theta)
    step, *_ = gmres(linearised, residual, LINEAR_TOLERANCE, LINEAR_PRODUCTS)
    return unpacked(step)


def _direct_step(problem: Problem, state: State) -> State:
    """The same Newton step with the Jacobian as a matrix.

    Δ²ψ − u·∇(Δψ)/Pr − Ra ∂T/∂x = 0,    Δθ − u·∇T = 0
    """
    space = half_square(state.n)
    flow, heat = space.clamped_gradients(state.psi), space.held_gradients(state.theta)
    slope = heat.x - 1.0
    clamped, biharmonic, held, laplacian = space.operators
    size = state.psi.size
    vx, vy, wx, wy, tx, ty = (g.reshape(-1, 1) for g in (*flow, slope, heat.y))
    jacobian = np.empty((2 * size, 2 * size), order="F")
    jacobian[:size, :size] = (
        biharmonic
        - (vy * clamped.laplacian_x + wx * clamped.y - vx * clamped.laplacian_y - wy * clamped.x)
        / problem.prandtl
    )
    jacobian[:size, size:] = -problem.rayleigh * held.x
    jacobian[size:, :size] = ty * clamped.x - tx * clamped.y
    jacobian[size:, size:] = laplacian - (vy * held.x - vx * held.y)
    inertia = _advection(flow, flow.laplacian_x, flow.laplacian_y) / problem.prandtl
    momentum = biharmonic @ state.psi.ravel() - (inertia + problem.rayleigh * slope).ravel()
    energy = laplacian @ state.theta.ravel() - _advection(flow, slope, heat.y).ravel()
    *_, step, failed = lapack.dgesv(jacobian, -np.concatenate([momentum, energy]), 1, 1)
    if failed:
        step[:] = np.nan
    return State(step[:size].reshape(space.shape), step[size:].reshape(space.shape))


def _fields(state: State, n: int) -> Solution:
    """Temperature, velocity and Nusselt number on the grid with ``n`` nodes."""
    psi_x, psi_y, theta = evaluate(*state, n)
    temperature = 0.5 - chebyshev.nodes(n)[:, None] + theta
    return {
        "temperature": temperature[None],
        "velocity": np.stack([psi_y, -psi_x], axis=-1)[None],
        "nusselt": _wall_fluxes(temperature)[:1],
    }


@cache
def _wall_rule(n: int) -> tuple[Matrix, Matrix]:
    return chebyshev.differentiation(n)[[0, -1]], chebyshev.quadrature(n)


def _wall_fluxes(temperature: Array) -> Array:
    """Mean of −∂T/∂x over the hot and over the cold wall, shape ``(2,)``."""
    slope, weights = _wall_rule(temperature.shape[0])
    return -slope @ temperature @ weights


def _state_of(solution: Mapping[str, Array]) -> State:
    """The state whose fields come closest to given ones, which need not be a solution."""
    temperature, velocity = solution["temperature"][0], solution["velocity"][0]
    n = temperature.shape[0]
    slope = chebyshev.differentiation(n)
    curvature = slope @ slope
    vorticity = slope @ velocity[..., 1] - velocity[..., 0] @ slope.T
    source = -(curvature @ vorticity + vorticity @ curvature.T)
    deviation = temperature - 0.5 + chebyshev.nodes(n)[:, None]
    left = slice(1, n // 2)
    even, odd = (
        (0.5 * (field + parity * field[::-1, ::-1]))[left, 1:-1]
        for field, parity in ((source, EVEN), (deviation, ODD))
    )
    return State(half_square(n).solve_biharmonic(even), odd)
