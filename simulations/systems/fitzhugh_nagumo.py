"""FitzHugh–Nagumo model: an activator and its inhibitor in a closed box."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import scipy.fft

from simulations.differential import Derivatives, Equations
from simulations.grid import Axis, Grid
from simulations.inputs import Distribution, GaussianRandomField
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


@dataclass(frozen=True)
class FitzHughNagumo(Simulation):
    """FitzHugh–Nagumo reaction and diffusion in a closed box of one to three dimensions.

        ∂u/∂t = D_u Δu + u − u³ − k − v
        ∂v/∂t = D_v Δv + u − v
        ∂u/∂n = ∂v/∂n = 0 on all sides

    Cosine series in space, whose every term has no flow through the sides; fifth-order exponential
    time differencing with controlled steps. All terms are kept: diffusion damps what the cubic
    term aliases.

    The preset ``pdebench`` has the coefficients, domain, grid and stored times of PDEBench's
    ``2D_diff-react``. Initial values are, as there, independent normal numbers of unit variance,
    less their mean, which is zero here. Their scheme takes differences of second order, which
    treats noise from point to point differently during the first hundredths of a second.

    Args:
        ndim: dimensions of the box, 1 to 3.
        n: cells along each side.
        length: side of the box in m; it is centred about the origin.
        t_end: last stored time in s.
        n_times: stored times, the initial one included.
        tolerance: admissible relative L2 error of a time step.
        initial_u: distribution of the initial activator.
        initial_v: distribution of the initial inhibitor.

    References:
        FitzHugh, Biophysical Journal 1 (1961) 445; Nagumo, Arimoto, Yoshizawa, Proceedings of the
        IRE 50 (1962) 2061.
        Takamoto et al., PDEBench (2022): the preset.
    """

    ndim: int = 2
    n: int = 96
    length: float = 2.0
    t_end: float = 5.0
    n_times: int = 11
    tolerance: float = 1e-4
    initial_u: Distribution = GaussianRandomField(alpha=2.0, tau=8.0, scale=30.0)
    initial_v: Distribution = GaussianRandomField(alpha=2.0, tau=8.0, scale=30.0)

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "diffusivity_u": Parameter(
            "diffusivity of the activator", "m2 s-1", (0.0, 1e3), (5e-4, 2e-3), "log"
        ),
        "diffusivity_v": Parameter(
            "diffusivity of the inhibitor", "m2 s-1", (0.0, 1e3), (2.5e-3, 1e-2), "log"
        ),
        "k": Parameter("loss of the activator", "1", (-10.0, 10.0), (0.0, 0.1)),
    }
    fields: ClassVar[Mapping[str, Field]] = {
        "u": Field("activator", "1"),
        "v": Field("inhibitor", "1"),
    }
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "pdebench": {
            "n": 128,
            "n_times": 101,
            "initial_u": GaussianRandomField(alpha=0.0, tau=0.0, scale=2.0 / 128),
            "initial_v": GaussianRandomField(alpha=0.0, tau=0.0, scale=2.0 / 128),
            "sampling": Sampling(cases=[{"diffusivity_u": 1e-3, "diffusivity_v": 5e-3, "k": 5e-3}]),
        }
    }
    showcase: ClassVar[Showcase] = Showcase(
        settings={"n": 128, "t_end": 20.0},
        inputs={"diffusivity_u": 1e-3, "diffusivity_v": 5e-3, "k": 5e-3},
    )

    def __post_init__(self) -> None:
        check_setting("ndim", self.ndim, 1, 3, integer=True)
        check_setting("n", self.n, 8, 2**20, integer=True)
        check_setting("length", self.length, 1e-6, 1e6)
        check_setting("t_end", self.t_end, 1e-9, 1e9)
        check_setting("n_times", self.n_times, 2, 1e6, integer=True)
        check_setting("tolerance", self.tolerance, 1e-13, 1e-1)

    @property
    def field_inputs(self) -> Mapping[str, FieldInput]:
        admissible = (-1e3, 1e3)
        return {
            "u0": FieldInput("initial activator", "1", self.initial_u, admissible, "u"),
            "v0": FieldInput("initial inhibitor", "1", self.initial_v, admissible, "v"),
        }

    @cached_property
    def grid(self) -> Grid:
        bounds = (-self.length / 2, self.length / 2)
        names = ("x", "y", "z")[: self.ndim]
        return Grid(tuple(Axis.cells(name, self.n, bounds, "m") for name in names))

    @cached_property
    def times(self) -> Array:
        return np.linspace(0.0, self.t_end, self.n_times)

    @cached_property
    def _squared(self) -> Array:
        """|k|² of the cosines."""
        k2 = (np.pi / self.length * np.arange(self.n)) ** 2
        total = np.zeros((1,) * self.ndim)
        for axis in range(self.ndim):
            shape = [1] * self.ndim
            shape[axis] = self.n
            total = total + k2.reshape(shape)
        return total

    def solve(self, inputs: Inputs) -> Solution:
        axes = tuple(range(1, 1 + self.ndim))
        # The whole linear part is exact but for the coupling of u and v
        linear = np.stack(
            [
                1.0 - inputs["diffusivity_u"] * self._squared,
                -1.0 - inputs["diffusivity_v"] * self._squared,
            ]
        )
        loss = inputs["k"] * self.n ** (self.ndim / 2)

        def nonlinear(spectra: np.ndarray) -> np.ndarray:
            u = scipy.fft.idctn(spectra[0], norm="ortho")
            rate = np.empty_like(spectra)
            # A third power by numpy takes longer than the transforms
            rate[0] = scipy.fft.dctn(-u * u * u, norm="ortho", overwrite_x=True)
            rate[0] -= spectra[1]
            rate[0].flat[0] -= loss
            rate[1] = spectra[0]
            return rate

        frames = np.empty((self.n_times, 2, *self.grid.shape))
        frames[0, 0], frames[0, 1] = inputs["u0"], inputs["v0"]
        spectra = scipy.fft.dctn(frames[0], axes=axes, norm="ortho")
        march = exponential.march(
            spectra, linear, nonlinear, self.times, self.tolerance, pass_over=True
        )
        try:
            for frame, reached in enumerate(march, start=1):
                frames[frame] = scipy.fft.idctn(reached, axes=axes, norm="ortho")
        except exponential.StepUnderflow as error:
            raise SimulationDiverged(error.time, "no time step meets the tolerance") from None
        return {"u": frames[:, 0], "v": frames[:, 1]}

    def rescaled(self, factor: float) -> Self:
        return replace(self, n=round(self.n * factor))

    def coarsened(self) -> Iterator[Self]:
        """Fewer points and looser steps."""
        return self.coarser_and_looser((1e-4, 1e-3, 1e-2))

    def equations(self, fields: Mapping[str, Any], inputs: Inputs, d: Derivatives) -> Equations:
        u, v = fields["u"], fields["v"]
        return {
            "activator": {
                "rate": d.time(u),
                "diffusion": -inputs["diffusivity_u"] * d.laplacian(u),
                "reaction": u * u * u - u,
                "loss": inputs["k"] + v,
            },
            "inhibitor": {
                "rate": d.time(v),
                "diffusion": -inputs["diffusivity_v"] * d.laplacian(v),
                "reaction": v - u,
            },
        }

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """Means of both; that of v follows that of u."""
        means = {name: solution[name].reshape(self.n_times, -1).mean(axis=1) for name in "uv"}
        return {f"mean_{name}": values for name, values in means.items()}
