"""Helmholtz equation: sound of one frequency in a medium of varying speed."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Literal, Self

import numpy as np
import scipy.sparse
from scipy.sparse.linalg import splu

from simulations.differential import Derivatives, Equations
from simulations.grid import Axis, Boundary, Grid
from simulations.inputs import Bounded, Distribution, GaussianRandomField
from simulations.numerics.spectral_elements import Elements
from simulations.simulation import (
    Array,
    Field,
    FieldInput,
    Inputs,
    InvalidInput,
    Parameter,
    Showcase,
    Simulation,
    SimulationDiverged,
    Solution,
    check_setting,
)

Walls = Literal["absorbing", "rigid", "soft"]
BOUNDARIES: tuple[Walls, ...] = ("absorbing", "rigid", "soft")
#: Degree of the elements.
DEGREE = 8
#: Nodes per wavelength and elements in the layer as the tolerance asks, by a fit to the error
#: of the field of a point source.
PER_WAVELENGTH, PER_DIGIT, LAYERS_PER_DIGIT = 4.0, 1.2, 0.5
#: Nodes along an axis beyond which a factorisation takes minutes and gigabytes.
MOST_NODES = 1000


@dataclass(frozen=True)
class GaussianSource(Distribution):
    """Gaussian of integral 1 at a random place: ``exp(−|x − x₀|²/w²) / (πw²)^(d/2)``.

    Args:
        width: w, in the unit of the axes.
        margin: least distance of x₀ to the sides, as a share of the axis.
    """

    width: float = 0.04
    margin: float = 0.15

    def __post_init__(self) -> None:
        if not 0.0 < self.width < math.inf:
            raise ValueError(f"width={self.width!r}: must be a number above 0")
        if not 0.0 <= self.margin <= 0.5:
            raise ValueError(f"margin={self.margin!r}: must be a number in [0, 0.5]")

    def sample(self, rng: np.random.Generator, grid: Grid) -> Array:
        own = np.random.default_rng(rng.integers(2**63))
        field = np.ones(())
        for axis in grid.axes:
            low, high = axis.bounds
            centre = low + (high - low) * own.uniform(self.margin, 1.0 - self.margin)
            along = np.exp(-(((axis.points - centre) / self.width) ** 2))
            field = np.multiply.outer(field, along / (math.sqrt(math.pi) * self.width))
        return field


@dataclass(frozen=True)
class Helmholtz(Simulation):
    """Helmholtz equation on a square, with or without walls.

        Δp + (2πf/c)² p = −s,    p(x, t) = Re p(x) e^(−2πift)

    for a pressure p = ``pressure_re`` + i ``pressure_im`` and a speed of sound c(x). With the
    boundary ``absorbing`` the square is a window on a space that goes on with the values of c at
    its sides, and waves only leave it; ``rigid`` is ∂p/∂n = 0, ``soft`` is p = 0. Between such
    walls nothing is absorbed and p is real: near a resonance it is large, at one there is none.

    Spectral elements of degree 8, in the absorbing case surrounded by a perfectly matched layer
    that is not part of the grid; sparse LU factorisation. A scheme of low order adds up phase
    errors on the way (pollution): with the second, kL (kh)²/24 asks for 300 points per wavelength
    to be within 1e-3 at ten wavelengths; degree 8 takes eight, for any number of waves. Points per
    wavelength, thickness and strength of the layer follow from the tolerance: the layer reflects
    less than a tenth of it at normal incidence. Elements are at least so small that they have the
    points of the grid. Between these, c and s are cubic splines: a source needs a width of three
    intervals.

    The geometry of The Well's ``helmholtz_staircase`` (a staircase of rigid walls in open space)
    cannot be made with this system, so that there is no preset.

    Args:
        n: intervals of the grid along each axis, whose points have the sides.
        length: side of the square in m.
        boundary: ``absorbing``, ``rigid`` or ``soft``.
        tolerance: admissible relative L2 error of the pressure in open space.
        medium: distribution of the speed of sound.
        source: distribution of s.

    References:
        Ihlenburg and Babuška, SIAM Journal on Numerical Analysis 34 (1997) 315: pollution, and what
        high degrees do about it.
        Berenger, Journal of Computational Physics 114 (1994) 185: the layer.
    """

    n: int = 64
    length: float = 1.0
    boundary: Walls = "absorbing"
    tolerance: float = 1e-3
    medium: Distribution = Bounded(GaussianRandomField(alpha=2.0, tau=8.0, scale=60.0), 0.8, 1.25)
    source: Distribution = GaussianSource()

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "frequency": Parameter("frequency", "Hz", (1e-3, 1e6), (2.0, 6.0))
    }
    fields: ClassVar[Mapping[str, Field]] = {
        "pressure_re": Field("real part of the pressure", "Pa"),
        "pressure_im": Field("imaginary part of the pressure", "Pa"),
    }
    showcase: ClassVar[Showcase] = Showcase(settings={"n": 128}, inputs={"frequency": 8.0})

    def __post_init__(self) -> None:
        check_setting("n", self.n, 8, 1000, integer=True)
        check_setting("length", self.length, 1e-6, 1e6)
        check_setting("tolerance", self.tolerance, 1e-6, 0.5)
        if self.boundary not in BOUNDARIES:
            raise InvalidInput(f"boundary={self.boundary!r}: must be one of {list(BOUNDARIES)}")

    @property
    def field_inputs(self) -> Mapping[str, FieldInput]:
        return {
            "c": FieldInput("speed of sound", "m s-1", self.medium, (1e-3, 1e6)),
            "s": FieldInput("source", "Pa m-2", self.source),
        }

    @cached_property
    def grid(self) -> Grid:
        points = np.linspace(0.0, self.length, self.n + 1)
        side: Boundary = "open" if self.boundary == "absorbing" else "wall"
        return Grid(
            tuple(Axis(name, points, (0.0, self.length), "m", (side, side)) for name in "xy")
        )

    @cached_property
    def times(self) -> Array:
        return np.zeros(1)

    def _elements(self, wavelength: float) -> tuple[Elements, float]:
        """Elements along an axis, and how far the layer reaches beyond either side."""
        digits = -math.log10(self.tolerance)
        waves = self.length / wavelength
        nodes = max(self.n, (PER_WAVELENGTH + PER_DIGIT * digits) * waves)
        inside = math.ceil(nodes / DEGREE)
        layers = math.ceil(LAYERS_PER_DIGIT * digits) if self.boundary == "absorbing" else 0
        size = self.length / inside
        edges = size * np.arange(-layers, inside + layers + 1)
        return Elements(edges, DEGREE), layers * size

    def solve(self, inputs: Inputs) -> Solution:
        speed, source = np.asarray(inputs["c"]), np.asarray(inputs["s"])
        omega = 2 * np.pi * float(inputs["frequency"])
        row, depth = self._elements(2 * np.pi * float(speed.min()) / omega)
        if row.nodes.size > MOST_NODES:
            raise SimulationDiverged(0.0, f"{row.nodes.size} nodes a side; at most {MOST_NODES}")
        # In the layer x is continued to complex values: dx becomes (1 + iσ) dx
        stretch = np.ones(row.points.size)
        if depth:
            beyond = np.maximum(np.maximum(-row.points, row.points - self.length), 0.0) / depth
            decay = 0.5 * math.log(10 / self.tolerance)  # ∫ σ ω/c dx
            stretch = 1.0 + 3j * decay * beyond**2 / (depth * omega / speed.max())
        stiffness = row.gradient.T @ scipy.sparse.diags_array(row.weights / stretch) @ row.gradient
        mass = row.gather.T @ (row.weights * stretch)
        inner = slice(1, -1) if self.boundary == "soft" else slice(None)
        stiffness, mass, nodes = stiffness[inner, inner], mass[inner], row.nodes[inner]

        # The medium goes on beyond the sides, the sources do not
        to_nodes = self.grid.axes[0].interpolation_matrix(np.clip(nodes, 0.0, self.length))
        slowness = 1.0 / (to_nodes @ speed @ to_nodes.T)
        to_nodes[(nodes < 0.0) | (nodes > self.length)] = 0.0
        area = np.outer(mass, mass)
        load = (area * (to_nodes @ source @ to_nodes.T)).ravel()
        diagonal = scipy.sparse.diags_array(mass)
        matrix = (
            scipy.sparse.kron(stiffness, diagonal)
            + scipy.sparse.kron(diagonal, stiffness)
            - scipy.sparse.diags_array((area * (omega * slowness) ** 2).ravel())
        ).tocsc()
        p = np.zeros((row.nodes.size,) * 2, matrix.dtype)
        p[inner, inner] = _solve(matrix, load).reshape(area.shape)
        to_grid = row.values_at(self.grid.axes[0].points)
        p = (to_grid @ p @ to_grid.T)[None]
        return {"pressure_re": np.ascontiguousarray(p.real), "pressure_im": p.imag.copy()}

    def rescaled(self, factor: float) -> Self:
        return replace(self, n=round(self.n * factor))

    def coarsened(self) -> Iterator[Self]:
        """Fewer points and looser tolerances."""
        return self.coarser_and_looser((1e-2, 1e-1))

    def equations(self, fields: Mapping[str, Any], inputs: Inputs, d: Derivatives) -> Equations:
        wavenumber = 2 * np.pi * inputs["frequency"] / inputs["c"]
        equations = {}
        for name, source in (("pressure_re", inputs["s"]), ("pressure_im", 0.0 * inputs["s"])):
            pressure = fields[name]
            inertia = wavenumber**2 * pressure
            terms = {"curvature": d.laplacian(pressure), "inertia": inertia, "source": source}
            equations[name] = terms
        return equations

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """Mean square of the pressure over the square and over a period."""
        square = solution["pressure_re"] ** 2 + solution["pressure_im"] ** 2
        return {"mean_square": 0.5 * np.einsum("txy,xy->t", square, self.grid.weights)}


def _solve(matrix: scipy.sparse.csc_array, load: Array) -> Array:
    """Sparse LU factorisation of a symmetric, indefinite matrix."""
    options = {"SymmetricMode": True}
    try:
        factors = splu(matrix, "MMD_AT_PLUS_A", diag_pivot_thresh=0.01, options=options)
        p: Array = factors.solve(load.astype(matrix.dtype))
    except RuntimeError:  # exactly singular
        p = np.full(load.shape, np.nan)
    residual = np.linalg.norm(matrix @ p - load)
    if not residual <= 1e-6 * np.linalg.norm(load):
        raise SimulationDiverged(0.0, "the frequency is that of a resonance")
    return p
