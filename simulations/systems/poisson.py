"""Poisson's equation: the potential of given charges, by fast transforms."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Literal, Self

import numpy as np
import scipy.fft

from simulations.differential import Derivatives, Equations
from simulations.grid import Axis, Grid
from simulations.inputs import Distribution, GaussianRandomField
from simulations.simulation import (
    Array,
    Field,
    FieldInput,
    Inputs,
    InvalidInput,
    Simulation,
    Solution,
    check_setting,
)

Walls = Literal["dirichlet", "neumann", "periodic"]
BOUNDARIES: tuple[Walls, ...] = ("dirichlet", "neumann", "periodic")


@dataclass(frozen=True)
class Poisson(Simulation):
    """Poisson's equation on a line, a square or a cube.

        −Δu = f,    u = 0 or ∂u/∂n = 0 on the boundary, or u periodic

    Only ``dirichlet`` has a solution for every f. With the other two, f is replaced by f less its
    mean, and of all solutions that differ by a constant the one with mean zero is returned.

    On a periodic box Fourier series, exact for every mode of the grid. Elsewhere the compact scheme
    of Collatz (Mehrstellen: 3, 9 or 19 points), of fourth order, diagonalised by sine or cosine
    transforms: n^d log n operations and no iteration. Series of sines or cosines would be of second
    order only where f does not vanish at the walls (or its slope, for Neumann's). Where f does not
    vanish in a corner of a Dirichlet problem, u has a weak singularity (r² log r) there, and the
    error away from it is O(h⁴ log h).

    Args:
        ndim: number of axes, 1 to 3.
        n: intervals along each axis; the grid has their ends, walls included.
        length: side of the domain in m.
        boundary: ``dirichlet``, ``neumann`` or ``periodic``, on all sides.
        source: distribution of f.

    References:
        Collatz, The Numerical Treatment of Differential Equations (1960): the compact scheme.
        Buzbee, Golub and Nielson, SIAM Journal on Numerical Analysis 7 (1970) 627: direct solution
        by transforms.
    """

    ndim: int = 2
    n: int = 128
    length: float = 1.0
    boundary: Walls = "dirichlet"
    source: Distribution = GaussianRandomField(alpha=2.0, tau=5.0, scale=25.0)

    fields: ClassVar[Mapping[str, Field]] = {"u": Field("potential", "V")}

    def __post_init__(self) -> None:
        check_setting("ndim", self.ndim, 1, 3, integer=True)
        check_setting("n", self.n, 4, 2**20, integer=True)
        check_setting("length", self.length, 1e-6, 1e6)
        if self.boundary not in BOUNDARIES:
            raise InvalidInput(f"boundary={self.boundary!r}: must be one of {list(BOUNDARIES)}")

    @property
    def field_inputs(self) -> Mapping[str, FieldInput]:
        return {"f": FieldInput("charge density over permittivity", "V m-2", self.source)}

    @cached_property
    def grid(self) -> Grid:
        names = "xyz"[: self.ndim]
        if self.boundary == "periodic":
            return Grid(tuple(Axis.periodic(name, self.n, self.length, "m") for name in names))
        points = np.linspace(0.0, self.length, self.n + 1)
        return Grid(tuple(Axis(name, points, (0.0, self.length), "m") for name in names))

    @cached_property
    def times(self) -> Array:
        return np.zeros(1)

    @cached_property
    def _inverse(self) -> Array:
        """Inverse of the operator, mode by mode; 0 for a mean that is left out."""
        n, h = self.n, self.length / self.n
        if self.boundary == "periodic":
            modes = [scipy.fft.fftfreq(n, 1 / n)] * (self.ndim - 1) + [scipy.fft.rfftfreq(n, 1 / n)]
            symbols = [(2 * np.pi / self.length * k) ** 2 for k in modes]
        else:
            k = np.arange(1, n) if self.boundary == "dirichlet" else np.arange(n + 1)
            symbols = [(2 / h * np.sin(np.pi * k / (2 * n))) ** 2] * self.ndim
        mesh = np.meshgrid(*symbols, indexing="ij", sparse=True)
        total: Array = np.sum(np.broadcast_arrays(*mesh), axis=0)
        if self.boundary != "periodic":
            for one, other in itertools.combinations(mesh, 2):
                total = total - h**2 / 6 * one * other
        inverse: Array = np.divide(1.0, total, out=np.zeros(total.shape), where=total > 0)
        return inverse

    def solve(self, inputs: Inputs) -> Solution:
        f = np.asarray(inputs["f"])
        u = np.zeros((1, *f.shape))
        if self.boundary == "periodic":
            u[0] = scipy.fft.irfftn(self._inverse * scipy.fft.rfftn(f), f.shape)
        elif self.boundary == "dirichlet":
            inner = (slice(1, -1),) * self.ndim
            modes = scipy.fft.dstn(averaged(f)[inner], type=1, overwrite_x=True)
            modes *= self._inverse
            u[0][inner] = scipy.fft.idstn(modes, type=1, overwrite_x=True)
        else:
            modes = scipy.fft.dctn(averaged(f) + wall_slopes(f), type=1, overwrite_x=True)
            modes *= self._inverse
            u[0] = scipy.fft.idctn(modes, type=1, overwrite_x=True)
        return {"u": u}

    def rescaled(self, factor: float) -> Self:
        return replace(self, n=round(self.n * factor))

    def equations(self, fields: Mapping[str, Any], inputs: Inputs, d: Derivatives) -> Equations:
        u, f = fields["u"], inputs["f"]
        if self.boundary != "dirichlet":
            weights = d.constant(self.grid.weights, u)
            f = f - (f * weights).sum(tuple(range(-self.ndim, 0)), keepdims=True)
        inner = d.away_from_ends(u)  # in a corner of Dirichlet's problem u is r² log r
        return {"potential": {"curvature": -inner * d.laplacian(u), "charge": -inner * f}}

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """Mean potential, zero unless the boundary is Dirichlet's."""
        return {"mean": np.array([np.sum(solution["u"][0] * self.grid.weights)])}


def averaged(f: Array) -> Array:
    """``f + Σ δ²f/12``, the right-hand side of the compact scheme; f is reflected at the walls."""
    padded = np.pad(f, 1, "reflect")
    inner = (slice(1, -1),) * f.ndim
    average: Array = (1 - f.ndim / 6) * f
    for axis in range(f.ndim):
        for shifted in (slice(0, -2), slice(2, None)):
            neighbours = (*inner[:axis], shifted, *inner[axis + 1 :])
            average += padded[neighbours] / 12
    return average


def wall_slopes(f: Array) -> Array:
    """What the reflection of f and u at Neumann walls leaves out: h/6 times the slope of f there.

    From u_nnn = −f_n at the wall; it also makes the mean of f one of fourth order (Gregory).
    """
    correction: Any = np.zeros(f.shape)
    for axis in range(f.ndim):
        along, slope = np.moveaxis(f, axis, 0), np.moveaxis(correction, axis, 0)
        slope[0] += (4 * along[1] - 3 * along[0] - along[2]) / 12
        slope[-1] += (4 * along[-2] - 3 * along[-1] - along[-3]) / 12
    return correction
