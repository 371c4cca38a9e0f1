"""Steady flow through a porous medium, the elliptic benchmark of operator learning."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse
from scipy.sparse.linalg import splu

from simulations.compilation import kernel
from simulations.differential import Derivatives, Equations
from simulations.grid import Axis, Grid
from simulations.inputs import Distribution, GaussianRandomField, Thresholded
from simulations.numerics import multigrid
from simulations.simulation import (
    Array,
    Field,
    FieldInput,
    Inputs,
    Simulation,
    SimulationDiverged,
    Solution,
    check_setting,
)

#: Multigrid takes 10 to 20 iterations; a medium that needs more than these is solved directly.
MAX_ITERATIONS = 100


@dataclass(frozen=True)
class DarcyFlow(Simulation):
    """Pressure of a fluid that seeps through a porous square and leaves at its sides.

        −∇·(a ∇u) = f on the unit square,   u = 0 on the boundary

    Finite volumes on n × n cells of constant mobility a. Conductances are harmonic means, which
    makes the flux between two cells exact in a layered medium; the sides are half a cell away from
    the outermost values. Second order: for the default medium and n = 128 the pressure is 0.3 % (in
    the L2 norm) from that of the same medium on a finer grid. The linear system is solved by
    conjugate gradients with black-box multigrid.

    The defaults are the medium of the Fourier neural operator benchmark, and the preset
    ``fno_paper`` is its resolution, 421 cells. Its problems with 85, 141 or 211 points are every
    fifth, third or second value of a solution on 421, as ``solution.isel(x=slice(None, None, 5),
    y=slice(None, None, 5))`` takes them here: (421 − 1)/5 + 1 = 85 points that are not the centres
    of 85 cells, so that no ``n`` of this grid stands for them. ``pdebench`` has the mobilities 0.1
    and 1 of PDEBench (in patches of the default medium, not of theirs) and its load β = 1;
    ``DarcyFlow.preset("pdebench", source=0.01)`` is β = 0.01, and likewise for 0.1, 10 and 100. As
    u is proportional to f, the source is a setting and not an input.

    Args:
        n: cells along each side.
        source: f, volume injected per volume and time in s⁻¹.
        tolerance: admissible residual of the linear system relative to its right-hand side.
        medium: distribution of the mobility.

    References:
        Li et al., Fourier neural operator for parametric PDEs (2021), section 5.2, appendix
        A.3: the default medium. Their mobility and pressure are given at cell centres as well, but
        solved for on nodes between which a is a spline, which blurs its jumps.
        Aziz and Settari, Petroleum reservoir simulation (1979): the two-point flux.
    """

    n: int = 128
    source: float = 1.0
    tolerance: float = 1e-8
    medium: Distribution = Thresholded(
        GaussianRandomField(alpha=2.0, tau=3.0, scale=1.0), low=3.0, high=12.0
    )

    fields: ClassVar[Mapping[str, Field]] = {"u": Field("pressure", "Pa")}
    guess_fields: ClassVar[tuple[str, ...]] = ("u",)
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "fno_paper": {"n": 421},
        "pdebench": {
            "n": 128,
            "medium": Thresholded(
                GaussianRandomField(alpha=2.0, tau=3.0, scale=1.0), low=0.1, high=1.0
            ),
        },
    }

    def __post_init__(self) -> None:
        check_setting("n", self.n, 4, 8192, integer=True)
        check_setting("source", self.source, -1e12, 1e12)
        check_setting("tolerance", self.tolerance, 1e-13, 0.5)

    @property
    def field_inputs(self) -> Mapping[str, FieldInput]:
        return {
            "a": FieldInput(
                "mobility, permeability over viscosity",
                "m2 Pa-1 s-1",
                self.medium,
                admissible=(1e-15, 1e15),
                piecewise_constant=True,
            )
        }

    @cached_property
    def grid(self) -> Grid:
        return Grid((Axis.cells("x", self.n, unit="m"), Axis.cells("y", self.n, unit="m")))

    @cached_property
    def times(self) -> Array:
        return np.zeros(1)

    @cached_property
    def _load(self) -> Array:
        return np.full((self.n, self.n), self.source / self.n**2)

    def solve(self, inputs: Inputs) -> Solution:
        return self.iterate(inputs, None)[0]

    def iterate(self, inputs: Inputs, guess: Solution | None) -> tuple[Solution, int]:
        """Iterations are those of the conjugate gradients."""
        east, south, sides = conductances_of_cells(inputs["a"])
        start = None if guess is None else guess["u"][0]
        u, iterations, residual = multigrid.solve(
            east, south, sides, self._load, self.tolerance, MAX_ITERATIONS, start
        )
        if not residual <= self.tolerance:
            u, residual = _solve_directly(east, south, sides, self._load)
        if not residual <= self.tolerance:
            raise SimulationDiverged(0.0, f"the residual of the pressure stays at {residual:.1e}")
        return {"u": u[None]}, iterations

    def rescaled(self, factor: float) -> Self:
        return replace(self, n=round(self.n * factor))

    def coarsened(self) -> Iterator[Self]:
        """Fewer cells and looser solves."""
        return self.coarser_and_looser((1e-2, 1e-1))

    def equations(self, fields: Mapping[str, Any], inputs: Inputs, d: Derivatives) -> Equations:
        """The discrete equation: between cells of different mobility there are no derivatives.

        It is free of the error of the discretisation, and shows that of the linear system alone.
        """
        u, a = fields["u"], inputs["a"]
        terms = {"injection": -self.source + 0.0 * u}
        for axis in (-2, -1):
            terms[f"flux along {d.grid.names[axis]}"] = _outflow(a, u, axis, self.n, d)
        return {"mass": terms}

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """Power f ∫u, which equals the dissipation ∫a|∇u|², and the least pressure: 0 ≤ u/f."""
        u = solution["u"]
        return {"power": self.source * u.mean(axis=(1, 2)), "minimum": u.min(axis=(1, 2))}


def _outflow(a: Any, u: Any, axis: int, n: int, d: Derivatives) -> Any:
    """Flux per area out of each cell along one axis, with harmonic means and u = 0 at the sides."""
    behind = (slice(None),) * (-1 - axis)
    a = a + 0.0 * u
    low, high, first, last = (
        (..., part, *behind) for part in (slice(-1), slice(1, None), slice(1), slice(-1, None))
    )
    between = 2 * a[low] * a[high] / (a[low] + a[high]) * (u[high] - u[low])
    into, out_of = 2 * a[first] * u[first], -2 * a[last] * u[last]
    flux = d.namespace.concatenate([into, between, out_of], axis)
    return -(flux[high] - flux[low]) * n**2


@kernel
def conductances_of_cells(a):
    """Flux per pressure difference between neighbouring cells, and from each cell to the sides.

    Args:
        a: mobility of square cells, shape ``(n, m)``.

    Returns:
        Conductances between (i, j) and (i, j+1), ``(n, m − 1)``; between (i, j) and (i+1, j),
        ``(n − 1, m)``; and to the boundary, ``(n, m)``. The size of a cell cancels in 2-D.
    """
    n, m = a.shape
    east, south, sides = np.empty((n, m - 1)), np.empty((n - 1, m)), np.zeros((n, m))
    for i in range(n):
        for j in range(m - 1):
            east[i, j] = 2 * a[i, j] * a[i, j + 1] / (a[i, j] + a[i, j + 1])
        sides[i, 0] += 2 * a[i, 0]
        sides[i, m - 1] += 2 * a[i, m - 1]
    for i in range(n - 1):
        for j in range(m):
            south[i, j] = 2 * a[i, j] * a[i + 1, j] / (a[i, j] + a[i + 1, j])
    for j in range(m):
        sides[0, j] += 2 * a[0, j]
        sides[n - 1, j] += 2 * a[n - 1, j]
    return east, south, sides


def assemble(east: Array, south: Array, ground: Array) -> scipy.sparse.csc_array:
    """The matrix of a network of conductances (see `multigrid.solve`), points in rows."""
    points = np.arange(ground.size).reshape(ground.shape)
    first = np.concatenate([points[:, :-1].ravel(), points[:-1].ravel()])
    second = np.concatenate([points[:, 1:].ravel(), points[1:].ravel()])
    conductance = np.concatenate([east.ravel(), south.ravel()])
    diagonal = ground.ravel() + sum(
        np.bincount(ends, conductance, ground.size) for ends in (first, second)
    )
    rows = np.concatenate([points.ravel(), first, second])
    columns = np.concatenate([points.ravel(), second, first])
    values = np.concatenate([diagonal, -conductance, -conductance])
    return scipy.sparse.csc_array((values, (rows, columns)), shape=(ground.size, ground.size))


def _solve_directly(east: Array, south: Array, sides: Array, load: Array) -> tuple[Array, float]:
    """Sparse factorisation: for media of fine layers or clusters at contrasts of thousands."""
    matrix = assemble(east, south, sides)
    u = splu(matrix, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}).solve(
        load.ravel()
    )
    residual = np.linalg.norm(matrix @ u - load.ravel()) / np.linalg.norm(load)
    return u.reshape(load.shape), float(residual)
