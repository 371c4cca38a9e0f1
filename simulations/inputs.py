"""Random initial conditions and coefficients.

A distribution is a small frozen dataclass with one method, ``sample(rng, grid)``. A draw depends on
the generator alone and describes the same function on every grid: refining the grid adds modes and
changes none of those that the coarser one had.
"""

import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from simulations.grid import Array, Axis, Grid


@dataclass(frozen=True)
class Distribution(ABC):
    """A random field on a grid."""

    @abstractmethod
    def sample(self, rng: np.random.Generator, grid: Grid) -> Array:
        """Draw one field, shape ``grid.shape``."""

    def to_json(self) -> dict[str, Any]:
        """``{"distribution": class name, **arguments}``; inverse of `distribution_from_json`."""
        arguments = {f.name: getattr(self, f.name) for f in fields(self)}
        for name, value in arguments.items():
            if isinstance(value, Distribution):
                arguments[name] = value.to_json()
            elif isinstance(value, np.generic):
                arguments[name] = value.item()
        return {"distribution": type(self).__name__, **arguments}


def distribution_from_json(description: dict[str, Any]) -> Distribution:
    """Rebuild a distribution from `Distribution.to_json`.

    Raises:
        ValueError: there is no such distribution, or no such argument of it.
    """
    arguments = dict(description)
    name = arguments.pop("distribution", None)
    known: dict[str, type[Distribution]] = {}
    waiting = Distribution.__subclasses__()
    while waiting:
        cls = waiting.pop()
        known[cls.__name__] = cls
        waiting.extend(cls.__subclasses__())
    if not isinstance(name, str) or name not in known:
        raise ValueError(f"distribution={name!r}: must be one of {sorted(known)}")
    expected = [f.name for f in fields(known[name])]
    for key, value in arguments.items():
        if key not in expected:
            raise ValueError(f"{key}: {name} has no such argument; it has {expected}")
        if isinstance(value, dict):
            arguments[key] = distribution_from_json(value)
    try:
        return known[name](**arguments)
    except TypeError as error:  # one is missing
        raise ValueError(str(error)) from None


def _check_number(name: str, value: Any, low: float, *, integer: bool = False) -> None:
    """Refuse an argument of a distribution that is not a finite number of at least ``low``."""
    kinds = (int, np.integer) if integer else (int, float, np.integer, np.floating)
    is_number = isinstance(value, kinds) and not isinstance(value, bool)
    if not is_number or not (low <= value < math.inf and math.isfinite(value)):
        kind = "an integer" if integer else "a number"
        raise ValueError(f"{name}={value!r}: must be {kind} in [{low:g}, inf)")


@dataclass(frozen=True)
class GaussianRandomField(Distribution):
    """Gaussian random field with covariance ``scale² (−Δ + tau²)^(−alpha)``.

    On periodic axes Δ is the periodic Laplacian, elsewhere the one with zero normal derivative
    (values at cell centres, or from side to side). The constant mode is left out: every draw has
    mean zero.

    Args:
        alpha: smoothness; larger is smoother.
        tau: inverse correlation length, in inverse units of the coordinate.
        scale: amplitude of the square root of the covariance operator.

    Raises:
        ValueError: of `sample`, on axes whose points are not equidistant.

    References:
        Li et al., Fourier neural operator for parametric PDEs (2021), appendix A.3.
    """

    alpha: float = 2.0
    tau: float = 5.0
    scale: float = 25.0

    def __post_init__(self) -> None:
        for name, value in (("alpha", self.alpha), ("tau", self.tau), ("scale", self.scale)):
            _check_number(name, value, 0.0)

    def sample(self, rng: np.random.Generator, grid: Grid) -> Array:
        squared = np.zeros(grid.shape)
        bases = [_basis(axis) for axis in grid.axes]
        for position, axis in enumerate(grid.axes):
            length, n = axis.bounds[1] - axis.bounds[0], axis.points.size
            k = _signed_modes(n) * 2 if axis.is_periodic else np.arange(n)
            shape = [1] * grid.ndim
            shape[position] = n
            squared = squared + ((np.pi * k / length) ** 2).reshape(shape)
        squared.flat[0] = 1.0  # of the constant mode, which is left out even if tau is 0
        deviation = self.scale * (squared + self.tau**2) ** (-self.alpha / 2)
        deviation.flat[0] = 0.0
        # A generator of its own, so that what is drawn next does not depend on the grid either
        own = np.random.default_rng(rng.integers(2**63))
        order = _shell_order(grid.shape, grid.periodic)
        coefficients: Array = deviation * own.standard_normal(order.max() + 1)[order]
        for position, evaluate in enumerate(bases):
            coefficients = evaluate(coefficients, position)
        volume = np.prod([axis.bounds[1] - axis.bounds[0] for axis in grid.axes])
        return np.ascontiguousarray(coefficients / np.sqrt(volume))


@dataclass(frozen=True)
class Thresholded(Distribution):
    """Two-valued field: ``high`` where the underlying field is ≥ 0, ``low`` elsewhere."""

    field: Distribution
    low: float
    high: float

    def sample(self, rng: np.random.Generator, grid: Grid) -> Array:
        return np.where(self.field.sample(rng, grid) >= 0.0, self.high, self.low)


@dataclass(frozen=True)
class SineWaves(Distribution):
    """Sum of sines ``A sin(2πm·x/L + φ)`` along random low modes of a periodic box.

    Amplitudes are uniform in [0, 1], phases uniform, modes uniform in 1 … ``highest`` along each
    axis. Some draws become their absolute value, then some change their sign, then some are kept
    in a window only, times ½ tanh (s − a)/0.01 − ½ tanh (s − b)/0.01 along each axis, with the
    share s = x/L of the box and edges a uniform in [0.1, 0.45] and b in [0.55, 0.9].

    Args:
        waves: number of sines.
        highest: largest number of periods in the box.
        absolute: probability of the absolute value.
        negative: probability of the opposite sign.
        windowed: probability of a window.

    References:
        Takamoto et al., PDEBench (2022), appendix: the initial conditions in one dimension.
    """

    waves: int = 2
    highest: int = 4
    absolute: float = 0.0
    negative: float = 0.0
    windowed: float = 0.0

    def __post_init__(self) -> None:
        for name in ("absolute", "negative", "windowed"):
            if not 0.0 <= (value := getattr(self, name)) <= 1.0:
                raise ValueError(f"{name}={value!r}: must be a probability in [0, 1]")

    def sample(self, rng: np.random.Generator, grid: Grid) -> Array:
        own = np.random.default_rng(rng.integers(2**63))
        field = np.zeros(grid.shape)
        for _ in range(self.waves):
            modes = own.integers(1, self.highest + 1, grid.ndim)
            amplitude, phase = own.random(), 2 * np.pi * own.random()
            angle = np.full((1,) * grid.ndim, phase)
            for position, (axis, mode) in enumerate(zip(grid.axes, modes, strict=True)):
                low, high = axis.bounds
                shape = [1] * grid.ndim
                shape[position] = -1
                angle = angle + 2 * np.pi * mode * ((axis.points - low) / (high - low)).reshape(
                    shape
                )
            field += amplitude * np.sin(angle)
        if own.random() < self.absolute:
            field = np.abs(field)
        if own.random() < self.negative:
            field = -field
        if own.random() < self.windowed:
            for position, axis in enumerate(grid.axes):
                low, high = axis.bounds
                share = (axis.points - low) / (high - low)
                first, last = own.uniform(0.1, 0.45), own.uniform(0.55, 0.9)
                window = 0.5 * (np.tanh((share - first) / 0.01) - np.tanh((share - last) / 0.01))
                field *= window.reshape([-1 if p == position else 1 for p in range(grid.ndim)])
        return field


@dataclass(frozen=True)
class RandomWaves(Distribution):
    """Smooth periodic field of random waves about a random mean.

    Args:
        low: smallest mean.
        high: largest mean.
        deviation: standard deviation about the mean; of the logarithm if ``positive``.
        highest: largest number of waves along an axis.
        exponent: amplitudes go as this power of the wavenumber.
        positive: whether the field is the mean times the exponential of the waves.
    """

    low: float = 1.0
    high: float = 1.0
    deviation: float = 0.2
    highest: int = 3
    exponent: float = -1.0
    positive: bool = True

    def __post_init__(self) -> None:
        low = 0.0 if self.positive else -math.inf
        _check_number("low", self.low, low)
        _check_number("high", self.high, self.low)
        _check_number("deviation", self.deviation, 0.0)
        _check_number("highest", self.highest, 1, integer=True)
        _check_number("exponent", self.exponent, -math.inf)
        if not isinstance(self.positive, bool):
            raise ValueError(f"positive={self.positive!r}: must be true or false")

    def sample(self, rng: np.random.Generator, grid: Grid) -> Array:
        own = np.random.default_rng(rng.integers(2**63))
        mean = own.uniform(self.low, self.high)
        wavenumbers = np.arange(-self.highest, self.highest + 1)
        mesh = np.meshgrid(*[wavenumbers] * grid.ndim, indexing="ij")
        size = np.sqrt(np.sum(np.square(mesh), axis=0))
        amplitude = np.where(size > 0.0, np.maximum(size, 1.0) ** self.exponent, 0.0)
        real, imaginary = own.standard_normal((2, *size.shape))
        field = amplitude * (real + 1j * imaginary)
        field *= self.deviation / np.sqrt(np.sum(amplitude**2))
        for axis in grid.axes:
            low, high = axis.bounds
            phase = 2j * np.pi * np.outer(wavenumbers, (axis.points - low) / (high - low))
            field = np.tensordot(field, np.exp(phase), axes=(0, 0))
        waves = np.ascontiguousarray(field.real)
        return mean * np.exp(waves) if self.positive else mean + waves


@dataclass(frozen=True)
class RiemannStates(Distribution):
    """Constant states in equal parts of the domain: quadrants, if there are two along each axis.

    Args:
        low: smallest value.
        high: largest value.
        parts: parts along each axis.
        log: whether the logarithm is uniform, not the value.
    """

    low: float = 0.1
    high: float = 1.0
    parts: int = 2
    log: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.log, bool):
            raise ValueError(f"log={self.log!r}: must be true or false")
        _check_number("low", self.low, sys.float_info.min if self.log else -math.inf)
        _check_number("high", self.high, self.low)
        _check_number("parts", self.parts, 1, integer=True)

    def sample(self, rng: np.random.Generator, grid: Grid) -> Array:
        own = np.random.default_rng(rng.integers(2**63))
        draw = own.uniform(size=(self.parts,) * grid.ndim)
        if self.log:
            values = self.low * (self.high / self.low) ** draw
        else:
            values = self.low + (self.high - self.low) * draw
        places = []
        for axis in grid.axes:
            low, high = axis.bounds
            places.append(np.floor((axis.points - low) / (high - low) * self.parts).astype(int))
        return np.ascontiguousarray(values[np.ix_(*places)])


@dataclass(frozen=True)
class GaussianBlobs(Distribution):
    """Sum of Gaussians in a periodic box, stretched to fill a range.

        Σ a exp(−s |x − c|²)    with a uniform in [1, 3] and s in [150, 300], in m⁻²

    Args:
        fewest: smallest number of Gaussians.
        most: largest number of Gaussians.
        low: value far from all of them.
        high: value at the highest point, which may be below ``low``.

    References:
        Ohana et al., The Well (2024): the initial conditions of its Gray–Scott dataset.
    """

    fewest: int = 10
    most: int = 100
    low: float = 0.0
    high: float = 1.0

    def sample(self, rng: np.random.Generator, grid: Grid) -> Array:
        own = np.random.default_rng(rng.integers(2**63))
        field = np.zeros(grid.shape)
        for _ in range(own.integers(self.fewest, self.most + 1)):
            centre = own.random(grid.ndim)
            blob = np.asarray(own.uniform(1.0, 3.0))
            sharpness = own.uniform(150.0, 300.0)
            for axis, c in zip(grid.axes, centre, strict=True):
                low, high = axis.bounds
                share = (axis.points - low) / (high - low) - c
                distance = (high - low) * (share - np.round(share))  # to the nearest image
                blob = np.multiply.outer(blob, np.exp(-sharpness * distance**2))
            field += blob
        height = (field - field.min()) / (field.max() - field.min())
        return self.low + (self.high - self.low) * height


@dataclass(frozen=True)
class Bounded(Distribution):
    """Smooth field between two values: ``low + (high − low)(1 + tanh field)/2``."""

    field: Distribution
    low: float
    high: float

    def sample(self, rng: np.random.Generator, grid: Grid) -> Array:
        share = 0.5 + 0.5 * np.tanh(self.field.sample(rng, grid))
        return self.low + (self.high - self.low) * share


@dataclass(frozen=True)
class Stretched(Distribution):
    """Field stretched to fill a range: its lowest value becomes ``low``, its highest ``high``."""

    field: Distribution
    low: float = 0.0
    high: float = 1.0

    def sample(self, rng: np.random.Generator, grid: Grid) -> Array:
        values = self.field.sample(rng, grid)
        share = (values - values.min()) / (values.max() - values.min())
        return self.low + (self.high - self.low) * share


@dataclass(frozen=True)
class WhiteNoise(Distribution):
    """Independent normal numbers at all points: for particles and noise, not for functions."""

    mean: float = 0.0
    deviation: float = 1.0

    def sample(self, rng: np.random.Generator, grid: Grid) -> Array:
        own = np.random.default_rng(rng.integers(2**63))
        return self.mean + self.deviation * own.standard_normal(grid.shape)


@dataclass(frozen=True)
class Uniform(Distribution):
    """The same value everywhere, drawn uniformly from a range; ``low = high`` fixes it."""

    low: float = 0.0
    high: float = 1.0

    def sample(self, rng: np.random.Generator, grid: Grid) -> Array:
        return np.full(grid.shape, rng.uniform(self.low, self.high))


def _signed_modes(n: int) -> NDArray[np.int64]:
    """Wavenumbers in the order of the FFT, ``0, 1, …, −2, −1``."""
    return np.rint(np.fft.fftfreq(n, 1.0 / n)).astype(np.int64)


@cache
def _shell_order(shape: tuple[int, ...], periodic: tuple[bool, ...]) -> NDArray[np.int64]:
    """Position of each mode of the grid among all modes of all grids, long waves first.

    Modes are counted in shells, surfaces of ever larger cubes, so that the position of a mode does
    not depend on how many there are along any axis.
    """
    ranks = []
    for n, is_periodic in zip(shape, periodic, strict=True):
        if is_periodic:
            k = _signed_modes(n)
            ranks.append(np.minimum(np.where(k > 0, 2 * k - 1, -2 * k), n - 1))
        else:
            ranks.append(np.arange(n))
    mesh = np.meshgrid(*ranks, indexing="ij")
    shell = np.max(mesh, axis=0)
    # Row-major position in the cube of this shell, less the modes before it in the cube inside
    position = shell ** len(shape)
    is_inside = np.ones(shape, dtype=bool)
    for power, rank in reversed(list(enumerate(mesh))):
        position += rank * (shell + 1) ** power - is_inside * rank * shell**power
        is_inside &= rank < shell
    return position


def _basis(axis: Axis) -> Callable[[Array, int], Array]:
    """What evaluates a series at the points of this axis, or `ValueError`."""
    low, high = axis.bounds
    share, n = (axis.points - low) / (high - low), axis.points.size
    layouts = [(_hartley, np.arange(n) / n)]
    if not axis.is_periodic:
        nodes = np.linspace(0.0, 1.0, n)
        layouts = [(_cosine, (np.arange(n) + 0.5) / n), (_cosine_at_nodes, nodes)]
    for evaluate, expected in layouts:
        if np.allclose(share, expected, rtol=0.0, atol=1e-9):
            return evaluate
    raise ValueError(
        f"axis {axis.name}: a Gaussian random field needs equidistant points, at cell centres or "
        "from side to side unless the axis is periodic"
    )


def _hartley(coefficients: Array, axis: int) -> Array:
    """``Σ_k c_k cas(2πkj/n)``, with ``cas = cos + sin``: an orthonormal real Fourier basis."""
    transformed = scipy.fft.fft(coefficients, axis=axis)
    return transformed.real - transformed.imag


def _cosine(coefficients: Array, axis: int) -> Array:
    """``c_0 + Σ_k c_k √2 cos(πk(j + ½)/n)``: the orthonormal cosine basis at cell centres."""
    n = coefficients.shape[axis]
    return scipy.fft.idct(coefficients, axis=axis, norm="ortho") * np.sqrt(n)


def _cosine_at_nodes(coefficients: Array, axis: int) -> Array:
    """The same basis at equidistant points that include both sides."""
    along = np.moveaxis(coefficients / np.sqrt(2), axis, 0)  # a view of a new array
    along[0] *= np.sqrt(2)
    along[-1] *= 2
    return scipy.fft.dct(np.moveaxis(along, 0, axis), type=1, axis=axis)
