"""Ising model: spins on a square lattice at a temperature."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Self

import numpy as np

from simulations.compilation import kernel
from simulations.grid import Axis, Grid
from simulations.inputs import Distribution, Thresholded, WhiteNoise
from simulations.simulation import (
    Array,
    Field,
    FieldInput,
    Inputs,
    InvalidInput,
    Parameter,
    Showcase,
    Simulation,
    Solution,
    check_setting,
)


@kernel
def sweep(rng, spins, acceptance):
    """One attempt to flip each spin: first the black, then the white squares of a chessboard.

    Args:
        rng: source of uniform numbers.
        spins: ±1, shape ``(n, n)`` with n even; changed in place.
        acceptance: probability of a flip, by spin (down, up) and by the sum of its neighbours plus
            four, shape ``(2, 9)``.
    """
    n = spins.shape[0]
    for colour in range(2):
        for i in range(n):
            above = spins[i - 1 if i > 0 else n - 1]
            below = spins[i + 1 if i < n - 1 else 0]
            row = spins[i]
            for j in range((i + colour) % 2, n, 2):
                left = row[j - 1 if j > 0 else n - 1]
                right = row[j + 1 if j < n - 1 else 0]
                neighbours = above[j] + below[j] + left + right
                probability = acceptance[(row[j] + 1) // 2, neighbours + 4]
                if probability >= 1.0 or rng.random() < probability:
                    row[j] = -row[j]


@kernel
def run(rng, spins, acceptance, sweeps, frames):
    """Store the spins after every so many sweeps; the first frame is left alone."""
    for frame in range(1, frames.shape[0]):
        for _ in range(sweeps):
            sweep(rng, spins, acceptance)
        frames[frame] = spins


@dataclass(frozen=True)
class Ising(Simulation):
    """Ising model on a periodic square lattice in contact with a heat bath.

        E = −Σ_⟨ij⟩ s_i s_j − h Σ_i s_i,   s_i = ±1

    in units of the coupling, at the temperature T. Metropolis's dynamics on a chessboard: a flip
    that raises the energy by ΔE is accepted with the probability exp(−ΔE/T), all squares of one
    colour after those of the other. Without a field, spins order below T = 2/ln(1 + √2) = 2.269.

    The run is a function of its inputs: the random numbers are a stream chosen by the parameter
    ``stream``. Lattice and temperature are the problem; what makes a run cheaper is fewer sweeps
    between stored states, which are then less independent of each other.

    Args:
        n: spins along each side, an even number.
        sweeps: attempted flips of each spin from one stored state to the next.
        n_times: stored states, the initial one included.
        initial: distribution of the initial spins, values −1 and 1.

    References:
        Metropolis et al., Journal of Chemical Physics 21 (1953) 1087.
        Onsager, Physical Review 65 (1944) 117: energy; Yang, Physical Review 85 (1952) 808:
        magnetisation.
    """

    n: int = 64
    sweeps: int = 20
    n_times: int = 51
    initial: Distribution = Thresholded(WhiteNoise(), -1.0, 1.0)

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "temperature": Parameter("temperature over coupling", "1", (1e-3, 1e6), (1.5, 3.5)),
        "field": Parameter("external field over coupling", "1", (-1e3, 1e3), (-0.1, 0.1)),
        "stream": Parameter("choice of random numbers", "1", (0.0, 1e15), (0.0, 1e9)),
    }
    fields: ClassVar[Mapping[str, Field]] = {
        "spin": Field("spin", "1"),
        "magnetisation": Field("mean spin", "1", spatial=False),
        "energy": Field("energy per spin over coupling", "1", spatial=False),
    }
    showcase: ClassVar[Showcase] = Showcase(
        settings={"n": 192, "n_times": 11}, inputs={"temperature": 2.269, "field": 0.0}
    )
    time_unit: ClassVar[str] = "1"

    def __post_init__(self) -> None:
        check_setting("n", self.n, 2, 2**15, integer=True)
        check_setting("sweeps", self.sweeps, 1, 1e9, integer=True)
        check_setting("n_times", self.n_times, 2, 1e7, integer=True)
        if self.n % 2:
            raise InvalidInput(f"n={self.n}: must be even, so that a chessboard closes")

    @property
    def field_inputs(self) -> Mapping[str, FieldInput]:
        described = "initial spins, −1 or 1 each,"
        return {"spin0": FieldInput(described, "1", self.initial, (-1.0, 1.0), "spin", True)}

    @cached_property
    def grid(self) -> Grid:
        return Grid((Axis.members("x", self.n), Axis.members("y", self.n)))

    @cached_property
    def times(self) -> Array:
        return np.arange(float(self.n_times))

    def solve(self, inputs: Inputs) -> Solution:
        start = np.asarray(inputs["spin0"])
        if not np.all(np.abs(start) == 1.0):
            raise InvalidInput("spin0: every initial spin must be −1 or 1")
        temperature, field = float(inputs["temperature"]), float(inputs["field"])
        own, around = np.array([[-1.0], [1.0]]), np.arange(-4.0, 5.0)
        cost = 2 * own * (around + field)
        acceptance = np.exp(-np.maximum(cost, 0.0) / temperature)
        rng = np.random.Generator(np.random.SFC64(int(np.float64(inputs["stream"]).view(np.int64))))
        frames = np.empty((self.n_times, self.n, self.n), dtype=np.int8)
        frames[0] = start
        run(rng, frames[0].copy(), acceptance, self.sweeps, frames)
        spin = frames.astype(np.float64)
        magnetisation = spin.mean(axis=(1, 2))
        bonds = spin * (np.roll(spin, 1, axis=1) + np.roll(spin, 1, axis=2))
        energy = -bonds.mean(axis=(1, 2)) - field * magnetisation
        return {"spin": spin, "magnetisation": magnetisation, "energy": energy}

    def rescaled(self, factor: float) -> Self:
        """The same: spins belong to the problem."""
        return self

    def coarsened(self) -> Iterator[Self]:
        """Fewer sweeps between stored states."""
        sweeps = self.sweeps // 2
        while sweeps > 0:
            yield replace(self, sweeps=sweeps)
            sweeps //= 2
