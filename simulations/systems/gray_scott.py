"""Gray–Scott model: two chemicals that make spots, worms and mazes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import scipy.fft

from simulations.differential import Derivatives, Equations
from simulations.grid import Axis, Grid
from simulations.inputs import Distribution, GaussianBlobs
from simulations.numerics import exponential
from simulations.simulation import (
    Array,
    Field,
    FieldInput,
    Inputs,
    Parameter,
    Sampling,
    Showcase,
    Simulation,
    SimulationDiverged,
    Solution,
    check_setting,
)

#: Feed and kill rates of the patterns of The Well: gliders, bubbles, maze, worms, spirals, spots
PATTERNS = (
    {"feed": 0.014, "kill": 0.054},
    {"feed": 0.098, "kill": 0.057},
    {"feed": 0.029, "kill": 0.057},
    {"feed": 0.058, "kill": 0.065},
    {"feed": 0.018, "kill": 0.051},
    {"feed": 0.03, "kill": 0.062},
)


@dataclass(frozen=True)
class GrayScott(Simulation):
    """Gray–Scott reaction and diffusion in a periodic box of one to three dimensions.

        ∂A/∂t = δ_A ΔA − A B² + f (1 − A)
        ∂B/∂t = δ_B ΔB + A B² − (f + k) B

    Fourier pseudo-spectral; fifth-order exponential time differencing with controlled steps. All
    modes are kept: diffusion damps what the cubic term aliases, and leaving modes out to be free of
    aliasing costs far more accuracy (a pattern on 64² points is 0.6 % from the converged one, with
    the 2/3 rule 9 %, with the 1/2 rule 24 %).

    The preset ``the_well`` has their domain, grid, stored times, diffusivities and the six pairs of
    feed and kill rates, starting from their random Gaussians.

    Args:
        ndim: dimensions of the box, 1 to 3.
        n: grid points along each side.
        length: side of the box in m.
        t_end: last stored time in s.
        n_times: stored times, the initial one included.
        diffusivity_a: δ_A in m²/s.
        diffusivity_b: δ_B in m²/s.
        tolerance: admissible relative L2 error of a time step.
        initial_a: distribution of the initial concentration of A.
        initial_b: distribution of the initial concentration of B.

    References:
        Pearson, Science 261 (1993) 189: the patterns.
        Ohana et al., The Well (2024): the preset.
    """

    ndim: int = 2
    n: int = 96
    length: float = 1.0
    t_end: float = 1000.0
    n_times: int = 21
    diffusivity_a: float = 2e-5
    diffusivity_b: float = 1e-5
    tolerance: float = 1e-5
    initial_a: Distribution = GaussianBlobs(fewest=5, most=20, low=1.0, high=0.0)
    initial_b: Distribution = GaussianBlobs(fewest=5, most=20, low=0.0, high=1.0)

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "feed": Parameter("feed rate", "s-1", (0.0, 1.0), (0.025, 0.04)),
        "kill": Parameter("kill rate", "s-1", (0.0, 1.0), (0.057, 0.062)),
    }
    fields: ClassVar[Mapping[str, Field]] = {
        "A": Field("concentration of the substrate", "1"),
        "B": Field("concentration of the catalyst", "1"),
    }
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "the_well": {
            "n": 128,
            "length": 2.0,
            "t_end": 10000.0,
            "n_times": 1001,
            "initial_a": GaussianBlobs(fewest=10, most=100, low=1.0, high=0.0),
            "initial_b": GaussianBlobs(fewest=10, most=100, low=0.0, high=1.0),
            "sampling": Sampling(cases=PATTERNS),
        }
    }
    showcase: ClassVar[Showcase] = Showcase(
        settings={"n": 192, "length": 2.0, "t_end": 5000.0, "n_times": 11},
        inputs={"feed": 0.029, "kill": 0.057},
        field="B",
    )

    def __post_init__(self) -> None:
        check_setting("ndim", self.ndim, 1, 3, integer=True)
        check_setting("n", self.n, 8, 2**20, integer=True)
        check_setting("length", self.length, 1e-6, 1e6)
        check_setting("t_end", self.t_end, 1e-9, 1e9)
        check_setting("n_times", self.n_times, 2, 1e6, integer=True)
        check_setting("diffusivity_a", self.diffusivity_a, 0.0, 1e6)
        check_setting("diffusivity_b", self.diffusivity_b, 0.0, 1e6)
        check_setting("tolerance", self.tolerance, 1e-13, 1e-1)

    @property
    def field_inputs(self) -> Mapping[str, FieldInput]:
        admissible = (-0.1, 10.0)  # a little below zero is what interpolation makes of zero
        a, b = "initial concentration of the substrate", "initial concentration of the catalyst"
        return {
            "A0": FieldInput(a, "1", self.initial_a, admissible, initial_of="A"),
            "B0": FieldInput(b, "1", self.initial_b, admissible, initial_of="B"),
        }

    @cached_property
    def grid(self) -> Grid:
        names = ("x", "y", "z")[: self.ndim]
        return Grid(tuple(Axis.periodic(name, self.n, self.length, "m") for name in names))

    @cached_property
    def times(self) -> Array:
        return np.linspace(0.0, self.t_end, self.n_times)

    @cached_property
    def _modes(self) -> tuple[Array, np.ndarray]:
        """|k|² of all modes, and which of them are kept: all but the sawtooth."""
        highest = (self.n - 1) // 2
        squared, is_kept = np.zeros((1,) * self.ndim), np.ones((1,) * self.ndim, dtype=bool)
        for axis in range(self.ndim):
            is_last = axis == self.ndim - 1
            modes = (scipy.fft.rfftfreq if is_last else scipy.fft.fftfreq)(self.n, 1 / self.n)
            shape = [1] * self.ndim
            shape[axis] = modes.size
            squared = squared + ((2 * np.pi / self.length * modes) ** 2).reshape(shape)
            is_kept = is_kept & (np.abs(modes) <= highest).reshape(shape)
        return squared, is_kept

    def solve(self, inputs: Inputs) -> Solution:
        feed, kill = inputs["feed"], inputs["kill"]
        squared, is_kept = self._modes
        axes = tuple(range(1, 1 + self.ndim))
        start = np.stack([inputs["A0"], inputs["B0"]])
        linear = -np.stack(
            [self.diffusivity_a * squared + feed, self.diffusivity_b * squared + feed + kill]
        )
        supply = feed * self.n**self.ndim

        def nonlinear(spectra: np.ndarray) -> np.ndarray:
            a, b = scipy.fft.irfftn(spectra, self.grid.shape, axes)
            reaction = scipy.fft.rfftn(a * b * b) * is_kept
            rate = np.stack([-reaction, reaction])
            rate[0].flat[0] += supply
            return rate

        frames = np.empty((self.n_times, *start.shape))
        frames[0] = start
        spectra = scipy.fft.rfftn(start, axes=axes) * is_kept
        march = exponential.march(spectra, linear, nonlinear, self.times, self.tolerance)
        try:
            for frame, reached in enumerate(march, start=1):
                frames[frame] = scipy.fft.irfftn(reached, self.grid.shape, axes)
        except exponential.StepUnderflow as error:
            raise SimulationDiverged(error.time, "no time step meets the tolerance") from None
        return {"A": frames[:, 0], "B": frames[:, 1]}

    def rescaled(self, factor: float) -> Self:
        return replace(self, n=round(self.n * factor))

    def coarsened(self) -> Iterator[Self]:
        """Fewer points and looser steps."""
        return self.coarser_and_looser((1e-4, 1e-3, 1e-2))

    def equations(self, fields: Mapping[str, Any], inputs: Inputs, d: Derivatives) -> Equations:
        a, b, feed = fields["A"], fields["B"], inputs["feed"]
        reaction = a * b * b
        return {
            "substrate": {
                "rate": d.time(a),
                "diffusion": -self.diffusivity_a * d.laplacian(a),
                "reaction": reaction,
                "feed": -feed * (1 - a),
            },
            "catalyst": {
                "rate": d.time(b),
                "diffusion": -self.diffusivity_b * d.laplacian(b),
                "reaction": -reaction,
                "loss": (feed + inputs["kill"]) * b,
            },
        }

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """Mean of A + B, which is conserved without feed and kill."""
        total = solution["A"] + solution["B"]
        return {"total": total.reshape(self.n_times, -1).mean(axis=1)}
