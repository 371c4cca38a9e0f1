"""Sound in a medium of variable density and stiffness, in one to three dimensions."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import scipy.ndimage

from simulations.grid import Axis, Boundary, Grid
from simulations.inputs import Bounded, Distribution, GaussianRandomField, Uniform
from simulations.numerics import staggered
from simulations.simulation import (
    NO_INPUTS,
    Array,
    Field,
    FieldInput,
    Inputs,
    InvalidInput,
    Showcase,
    Simulation,
    Solution,
    check_setting,
)

ENDS = {"periodic": staggered.PERIODIC, "wall": staggered.EVEN, "open": staggered.LAYER}


def _check(name: str, value: float, low: float) -> None:
    is_number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not is_number or not low <= value < math.inf:
        raise ValueError(f"{name}={value!r}: must be a number in [{low:g}, inf)")


@dataclass(frozen=True)
class PressureRings(Distribution):
    """Rings of raised pressure: ``a + cos(π(r − R)/w)`` where ``|r − R| ≤ w``, zero elsewhere.

    Args:
        most: largest number of rings; the smallest is one.
        amplitude: range of a.
        width: range of w, in units of the coordinate.
        radius: range of R; it exceeds w by a hundredth at least if ``is_hollow``.
        margin: share of each axis at its ends in which no ring has its centre.
        is_hollow: whether no ring reaches its own centre.

    References:
        Ohana et al., The Well (2024): the initial pressure of its acoustic data sets.
    """

    most: int = 3
    amplitude: tuple[float, float] = (0.5, 2.0)
    width: tuple[float, float] = (0.05, 0.15)
    radius: tuple[float, float] = (0.06, 0.3)
    margin: float = 0.025
    is_hollow: bool = True

    def __post_init__(self) -> None:
        _check("most", self.most, 1)
        _check("margin", self.margin, 0.0)
        for name in ("amplitude", "width", "radius"):
            pair = tuple(getattr(self, name))  # JSON knows no tuples
            object.__setattr__(self, name, pair)
            if len(pair) != 2 or not 0.0 <= pair[0] <= pair[1]:
                raise ValueError(f"{name}={pair!r}: must be two numbers that ascend from 0")

    def sample(self, rng: np.random.Generator, grid: Grid) -> Array:
        return self.placed(rng, grid, np.ones(grid.shape, dtype=bool))

    def placed(self, rng: np.random.Generator, grid: Grid, allowed: np.ndarray) -> Array:
        """A draw with the centres where ``allowed``, if a few attempts find such a place."""
        own = np.random.default_rng(rng.integers(2**63))
        low, high = np.array([axis.bounds for axis in grid.axes]).T
        field = np.zeros(grid.shape)
        for _ in range(own.integers(1, self.most + 1)):
            candidates = own.uniform(self.margin, 1.0 - self.margin, (64, grid.ndim))
            cells = tuple((candidates * grid.shape).astype(int).T)
            centre = low + (high - low) * candidates[np.argmax(allowed[cells])]
            w = own.uniform(*self.width)
            smallest = max(self.radius[0], w + 0.01) if self.is_hollow else self.radius[0]
            r0 = own.uniform(smallest, max(smallest, self.radius[1]))
            a = own.uniform(*self.amplitude)
            offsets = [axis.points - c for axis, c in zip(grid.axes, centre, strict=True)]
            squares = np.meshgrid(*[x**2 for x in offsets], indexing="ij", sparse=True)
            off = np.sqrt(sum(squares)) - r0
            field += np.where(np.abs(off) <= w, a + np.cos(np.pi * off / w), 0.0)
        return field


@dataclass(frozen=True)
class SmoothNoise(Distribution):
    """Stationary Gaussian noise, mean zero, with covariance ``deviation² exp(−r²/2ℓ²)``.

    Args:
        deviation: standard deviation.
        length: correlation length ℓ, in units of the coordinate.
        waves: number of random plane waves that it is made of.
    """

    deviation: float = 1.0
    length: float = 0.1
    waves: int = 200

    def __post_init__(self) -> None:
        _check("deviation", self.deviation, 0.0)
        _check("length", self.length, 1e-9)
        _check("waves", self.waves, 1)

    def sample(self, rng: np.random.Generator, grid: Grid) -> Array:
        own = np.random.default_rng(rng.integers(2**63))
        k = own.standard_normal((self.waves, grid.ndim)) / self.length
        phase = np.exp(2j * np.pi * own.random(self.waves))
        # e^(ik·x) is a product over the axes
        waves = [np.exp(1j * np.outer(k[:, a], axis.points)) for a, axis in enumerate(grid.axes)]
        letters = "xyz"[: grid.ndim]
        recipe = "k," + ",".join(f"k{letter}" for letter in letters) + "->" + letters
        total = np.einsum(recipe, phase, *waves, optimize=True).real
        return self.deviation * math.sqrt(2.0 / self.waves) * np.ascontiguousarray(total)


@dataclass(frozen=True)
class Patchwork(Distribution):
    """Two halves of different background, and ellipses of far lower or higher values in them.

    Each half is, with equal probability, a Gaussian bump, a multilinear function of the position,
    a constant, or a constant with a little smooth noise. Where they meet is random.

    Args:
        low: smallest value of a background.
        high: largest value of a background.
        most: largest number of ellipses; there may be none.
        log_low: smallest natural logarithm of the value in an ellipse.
        log_high: the largest one.

    References:
        Ohana et al., The Well (2024): the densities of its acoustic data sets.
    """

    low: float = 1.0
    high: float = 7.0
    most: int = 0
    log_low: float = -1.0
    log_high: float = 10.0

    def __post_init__(self) -> None:
        _check("low", self.low, 1e-9)
        _check("high", self.high, self.low)
        _check("most", self.most, 0)
        if not self.log_low <= self.log_high:
            raise ValueError(f"log_high={self.log_high!r}: must be at least {self.log_low!r}")

    def sample(self, rng: np.random.Generator, grid: Grid) -> Array:
        own = np.random.default_rng(rng.integers(2**63))
        points = np.meshgrid(*[axis.points for axis in grid.axes], indexing="ij")
        low, high = np.array([axis.bounds for axis in grid.axes]).T
        share = [(x - a) / (b - a) for x, a, b in zip(points, low, high, strict=True)]
        axis, cut = own.integers(grid.ndim), own.uniform(0.1, 0.9)
        halves = [self._background(own, grid, points) for _ in range(2)]
        field = np.where(share[axis] < cut, *halves)
        for _ in range(own.integers(0, self.most + 1)):
            centre = low + (high - low) * own.uniform(0.025, 0.975, grid.ndim)
            # Diameters from 1/40 to 3/10 of the axis, turned by any angle
            radii = 0.25 * (high - low) * own.uniform(0.05, 0.6, grid.ndim)
            turn, _ = np.linalg.qr(own.standard_normal((grid.ndim, grid.ndim)))
            offset = np.stack(points, axis=-1) - centre
            inside = (((offset @ turn) / radii) ** 2).sum(axis=-1) <= 1.0
            field[inside] = math.exp(own.uniform(self.log_low, self.log_high))
        return field

    def _background(self, own: np.random.Generator, grid: Grid, points: tuple[Array, ...]) -> Array:
        kind = own.integers(4)
        corners = own.uniform(self.low, self.high, (2,) * grid.ndim)
        base, top = corners.flat[0], corners.flat[-1]
        low, high = np.array([axis.bounds for axis in grid.axes]).T
        if kind == 0:
            centre, spread = own.uniform(low, high), own.uniform(0.1, 5.0)
            squared = sum((x - c) ** 2 for x, c in zip(points, centre, strict=True))
            return base + (top - base) * np.exp(-squared / spread)
        if kind == 1:
            share = [(x - a) / (b - a) for x, a, b in zip(points, low, high, strict=True)]
            return scipy.ndimage.map_coordinates(corners, share, order=1)
        if kind == 2:
            return np.full(grid.shape, base)
        return base + SmoothNoise(0.04, own.uniform(0.055, 0.11)).sample(own, grid)


@dataclass(frozen=True)
class Maze(Distribution):
    """A maze: ways of one value between walls of another, with an entrance and an exit.

    All places are connected by exactly one way, found by walking at random and going back where
    there is no way on.

    Args:
        fewest: smallest number of places along an axis.
        most: the largest one.
        way: value along the ways.
        wall: value in the walls, which are as thick as the ways are wide.

    References:
        Ohana et al., The Well (2024): the densities of its data set of sound in mazes.
    """

    fewest: int = 3
    most: int = 8
    way: float = 3.0
    wall: float = 1e6

    def __post_init__(self) -> None:
        _check("fewest", self.fewest, 1)
        _check("most", self.most, self.fewest)
        _check("way", self.way, 1e-12)
        _check("wall", self.wall, 1e-12)

    def sample(self, rng: np.random.Generator, grid: Grid) -> Array:
        own = np.random.default_rng(rng.integers(2**63))
        size = int(own.integers(self.fewest, self.most + 1))
        is_wall = np.ones((2 * size + 1,) * grid.ndim, dtype=bool)
        directions = np.concatenate([np.eye(grid.ndim, dtype=int), -np.eye(grid.ndim, dtype=int)])
        path = [np.zeros(grid.ndim, dtype=int)]
        is_wall[tuple(2 * path[0] + 1)] = False
        while path:
            here = path[-1]
            for step in own.permutation(directions):
                there = here + step
                if np.all((there >= 0) & (there < size)) and is_wall[tuple(2 * there + 1)]:
                    is_wall[tuple(2 * there + 1)] = is_wall[tuple(2 * here + 1 + step)] = False
                    path.append(there)
                    break
            else:
                path.pop()
        is_wall[(1,) * (grid.ndim - 1) + (0,)] = False
        is_wall[(-2,) * (grid.ndim - 1) + (-1,)] = False
        places = []
        for axis in grid.axes:
            low, high = axis.bounds
            share = (axis.points - low) / (high - low)
            places.append(np.floor(share * (2 * size + 1)).astype(int))
        return np.where(is_wall[np.ix_(*places)], self.wall, self.way)


WELL: dict[str, Any] = {
    "ndim": 2,
    "n": 256,
    "length": 2.0,
    "lower": "wall",
    "upper": "open",
    "t_end": 2.0,
    "n_times": 102,
    "stiffness": Uniform(4.0, 4.0),
}


@dataclass(frozen=True)
class Acoustics(Simulation):
    """Sound in a fluid at rest whose density and stiffness vary.

        ∂p/∂t + K(x) ∇·u = 0,    ρ(x) ∂u/∂t + ∇p = 0

    Leapfrog on a staggered grid, of second order: pressure at the centres of cells, velocity
    across their faces, where ρ is the mean of the two cells. This holds for any jump of ρ, and
    jumps on faces do not lower the order. The velocity is given at the centres; it starts from
    zero. The step follows from the largest speed √(K/ρ).

    Without open ends the energy ∫ (p²/K + ρu²)/2 is conserved. What is reported is its discrete
    form, which the scheme conserves to round-off. Walls are rigid (u·n = 0). Beyond open ends the
    medium goes on unchanged for a layer of cells that absorbs and counts as part of the energy.

    The presets ``the_well_discontinuous``, ``the_well_inclusions`` and ``the_well_maze`` have the
    grid, the stored times, the distributions and the boundaries of the code that made The Well's
    ``acoustic_scattering`` data: walls at the lower and open ends at the upper sides of both axes,
    while their description says walls along x and open ends along y. No ring of pressure is
    centred in, or reaches into, what is denser than the background; theirs may be centred there.

    Args:
        ndim: dimensions, 1 to 3.
        n: cells along each side.
        length: side of the domain in m; the origin is its centre.
        lower: ``periodic``, ``wall`` or ``open``: the lower ends of all axes.
        upper: the upper ends; periodic if the lower ones are.
        t_end: last stored time in s.
        n_times: stored times, the initial one included.
        silent_above: density in kg/m³ above which there is no initial pressure, when drawn.
        pressure: distribution of the initial pressure.
        medium: distribution of the density.
        stiffness: distribution of the bulk modulus.

    References:
        Virieux, Geophysics 49 (1984) 1933: the scheme in media that vary.
        Ohana et al., The Well (2024): the data sets of the presets.
    """

    ndim: int = 2
    n: int = 128
    length: float = 2.0
    lower: Boundary = "wall"
    upper: Boundary = "wall"
    t_end: float = 1.0
    n_times: int = 21
    silent_above: float = 1e12
    pressure: Distribution = PressureRings()
    medium: Distribution = Bounded(GaussianRandomField(alpha=4.0, tau=5.0, scale=3e3), 1.0, 7.0)
    stiffness: Distribution = Uniform(2.0, 4.0)

    fields: ClassVar[Mapping[str, Field]] = {
        "pressure": Field("pressure", "Pa"),
        "velocity": Field("velocity of the fluid", "m s-1", order=1),
        "energy": Field("mean density of energy", "J m-3", spatial=False),
    }
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "the_well_discontinuous": WELL | {"medium": Patchwork()},
        "the_well_inclusions": WELL | {"medium": Patchwork(most=14), "silent_above": 8.0},
        "the_well_maze": WELL
        | {
            "t_end": 4.0,
            "n_times": 202,
            "medium": Maze(),
            "silent_above": 100.0,
            "pressure": PressureRings(5, (3.0, 5.0), (0.01, 0.02), (0.01, 0.04), 0.0, False),
        },
    }
    showcase: ClassVar[Showcase] = Showcase(
        preset="the_well_maze", settings={"n": 128, "n_times": 3}
    )

    def __post_init__(self) -> None:
        check_setting("ndim", self.ndim, 1, 3, integer=True)
        check_setting("n", self.n, 8, 2**20, integer=True)
        check_setting("length", self.length, 1e-6, 1e6)
        check_setting("t_end", self.t_end, 1e-9, 1e9)
        check_setting("n_times", self.n_times, 2, 1e6, integer=True)
        check_setting("silent_above", self.silent_above, 0.0, 1e300)
        for name, end in (("lower", self.lower), ("upper", self.upper)):
            if end not in ENDS:
                raise InvalidInput(f"{name}={end!r}: must be one of {list(ENDS)}")
        if (self.lower == "periodic") != (self.upper == "periodic"):
            raise InvalidInput(f"upper={self.upper!r}: must be periodic if lower is, and only then")

    @property
    def field_inputs(self) -> Mapping[str, FieldInput]:
        positive = (1e-9, 1e12)
        return {
            "pressure0": FieldInput("initial pressure", "Pa", self.pressure, initial_of="pressure"),
            "density": FieldInput("density", "kg m-3", self.medium, positive, None, True),
            "bulk_modulus": FieldInput("bulk modulus", "Pa", self.stiffness, positive, None, True),
        }

    @cached_property
    def grid(self) -> Grid:
        bounds, ends = (-0.5 * self.length, 0.5 * self.length), (self.lower, self.upper)
        names = "xyz"[: self.ndim]
        if self.lower == "periodic":
            points = bounds[0] + np.arange(self.n) * (self.length / self.n)
            return Grid(tuple(Axis(n, points, bounds, "m", ends, "fourier") for n in names))
        return Grid(tuple(Axis.cells(name, self.n, bounds, "m", ends) for name in names))

    @cached_property
    def times(self) -> Array:
        return np.linspace(0.0, self.t_end, self.n_times)

    def sample(
        self, rng: np.random.Generator, given: Inputs = NO_INPUTS
    ) -> dict[str, float | Array]:
        """Draw one set of inputs; no pressure where the medium is denser than ``silent_above``."""
        drawn = super().sample(rng, given)
        allowed = np.asarray(drawn["density"]) <= self.silent_above
        if isinstance(self.pressure, PressureRings):
            drawn["pressure0"] = self.pressure.placed(rng, self.grid, allowed)
        drawn["pressure0"] = np.where(allowed, drawn["pressure0"], 0.0)
        return {**drawn, **given}

    def solve(self, inputs: Inputs) -> Solution:
        pressure, velocity, energy = staggered.integrate(
            inputs["pressure0"],
            inputs["bulk_modulus"],
            inputs["density"],
            self.length / self.n,
            [(ENDS[self.lower], ENDS[self.upper])] * self.ndim,
            self.times,
        )
        velocity[0] = 0.0
        return {
            "pressure": pressure,
            "velocity": velocity,
            "energy": energy / self.length**self.ndim,
        }

    def rescaled(self, factor: float) -> Self:
        return replace(self, n=round(self.n * factor))

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """Energy, which is conserved; with open ends it decays."""
        return {"energy": solution["energy"]}

    @property
    def conserved(self) -> Mapping[str, float]:
        return {} if "open" in (self.lower, self.upper) else {"energy": 0.0}
