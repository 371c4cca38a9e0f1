"""Turbulent radiative layer: hot gas that streams over cold gas, mixes with it and cools."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from simulations.grid import Axis, Grid
from simulations.inputs import Distribution, RandomWaves
from simulations.numerics import muscl_hancock
from simulations.numerics.radiative_gas import RadiativeGas
from simulations.simulation import (
    NO_INPUTS,
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
class Interface(Distribution):
    """Two values on both sides of a smooth interface across the last axis, at zero but for waves.

        below + (above − below)(1 + tanh((y − d(x))/thickness))/2

    Args:
        below: value at negative coordinates.
        above: value at positive coordinates.
        thickness: thickness in m.
        displacement: standard deviation of d in m.
        highest: largest number of waves of d along an axis.
    """

    below: float = 100.0
    above: float = 1.0
    thickness: float = 0.05
    displacement: float = 0.01
    highest: int = 4

    def __post_init__(self) -> None:
        check_setting("below", self.below, -1e9, 1e9)
        check_setting("above", self.above, -1e9, 1e9)
        check_setting("thickness", self.thickness, 1e-9, 1e9)
        check_setting("displacement", self.displacement, 0.0, 1e9)
        RandomWaves(highest=self.highest)

    def sample(self, rng: np.random.Generator, grid: Grid) -> Array:
        waves = RandomWaves(0.0, 0.0, self.displacement, self.highest, 0.0, positive=False)
        place = waves.sample(rng, Grid(grid.axes[:-1]))
        height = (grid.axes[-1].points - place[..., None]) / self.thickness
        return self.below + (self.above - self.below) * 0.5 * (1.0 + np.tanh(height))


@dataclass(frozen=True)
class RadiativeLayer(Simulation):
    """Shear layer between hot, dilute gas above and cold, dense gas below, with radiative cooling.

        ∂ρ/∂t + ∇·(ρv) = 0
        ∂(ρv)/∂t + ∇·(ρvv) + ∇p = 0
        ∂E/∂t + ∇·((E + p)v) = −p/((γ−1) t_cool) · exp(−ln²(T/T_peak)/2w²)

    with E = p/(γ−1) + ρv²/2 and T = p/ρ. The gas cools between T_cold and T_hot only, fastest in
    units of its heat at T_peak = √(T_cold T_hot). On one side of the interface ρ = T = 1, on the
    other ρ is the contrast and T its reciprocal; the pressure is 1 everywhere at first. The domain
    is one unit wide and periodic, and reaches from y = −1 to 2, with zero gradients at both ends.

    Finite volumes: the transport is that of `Euler` (MUSCL-Hancock, HLLC), second order. Cooling
    acts between its steps, integrated in every cell to six digits at any step length.

    The preset ``the_well`` has the grid, the extent, the boundaries, the stored times and the
    cooling times of The Well's ``turbulent_radiative_layer_2D``, and its contrast of densities.
    This library's own are the cooling function (log-normal in T, as in the published work; its
    width and its place are not those), the relative velocity, the thickness of the interface and
    the perturbations: cooling layers of the same kind, not the same data.

    Args:
        n: cells across; there are three times as many along y.
        t_end: last stored time in s.
        n_times: stored times, the initial one included.
        gamma: ratio of specific heats.
        contrast: density of the cold gas over that of the hot gas.
        speed: velocity of the hot gas relative to the cold gas in m s⁻¹.
        thickness: thickness of the interface in m.
        displacement: standard deviation of the place of the initial interface in m.
        width: width w of the cooling function, in e-foldings of the temperature.
        perturbation: distribution of the components of the velocity's noise, of which nothing
            is left 0.3 m away from the interface.

    References:
        Fielding, Ostriker, Bryan, Jermyn, Astrophysical Journal Letters 894 (2020) L24: the layer.
        Ohana et al., The Well (2024): the data set of the preset.
    """

    n: int = 32
    t_end: float = 4.0
    n_times: int = 17
    gamma: float = 5 / 3
    contrast: float = 100.0
    speed: float = 1.0
    thickness: float = 0.05
    displacement: float = 0.02
    width: float = 0.5
    perturbation: Distribution = RandomWaves(0.0, 0.0, 0.05, 4, 0.0, positive=False)

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "t_cool": Parameter("cooling time at the peak", "s", (1e-4, 1e9), (0.03, 3.16), "log")
    }
    fields: ClassVar[Mapping[str, Field]] = {
        "density": Field("density", "kg m-3"),
        "pressure": Field("pressure", "Pa"),
        "velocity": Field("velocity", "m s-1", order=1),
    }
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "the_well": {
            "n": 128,
            "t_end": 159.7,
            "n_times": 101,
            "sampling": Sampling(
                cases=[
                    {"t_cool": time}
                    for time in (0.03, 0.06, 0.1, 0.18, 0.32, 0.56, 1.0, 1.78, 3.16)
                ]
            ),
        }
    }
    showcase: ClassVar[Showcase] = Showcase(
        settings={"n": 64, "t_end": 16.0}, inputs={"t_cool": 0.1}
    )

    def __post_init__(self) -> None:
        check_setting("n", self.n, 8, 2**16, integer=True)
        check_setting("t_end", self.t_end, 1e-9, 1e9)
        check_setting("n_times", self.n_times, 2, 1e6, integer=True)
        check_setting("gamma", self.gamma, 1.01, 5.0)
        check_setting("contrast", self.contrast, 1.0, 1e6)
        check_setting("speed", self.speed, -1e3, 1e3)
        check_setting("thickness", self.thickness, 1e-6, 1.0)
        check_setting("displacement", self.displacement, 0.0, 0.2)
        check_setting("width", self.width, 0.01, 100.0)

    @property
    def field_inputs(self) -> Mapping[str, FieldInput]:
        interface = Interface(self.contrast, 1.0, self.thickness, self.displacement)
        return {
            "density0": FieldInput(
                "initial density", "kg m-3", interface, (1e-6, 1e9), "density", True
            ),
            "velocity0": FieldInput(
                "initial velocity", "m s-1", self.perturbation, (-1e6, 1e6), "velocity", True, 1
            ),
        }

    @cached_property
    def grid(self) -> Grid:
        x = Axis.cells("x", self.n, (-0.5, 0.5), "m", ("periodic", "periodic"))
        return Grid((x, Axis.cells("y", 3 * self.n, (-1.0, 2.0), "m", ("open", "open"))))

    @cached_property
    def times(self) -> Array:
        return np.linspace(0.0, self.t_end, self.n_times)

    def sample(
        self, rng: np.random.Generator, given: Inputs = NO_INPUTS
    ) -> dict[str, float | Array]:
        """Draw inputs with noise about a shear layer."""
        drawn = super().sample(rng, given)
        y = self.grid.axes[1].points
        velocity = np.asarray(drawn["velocity0"]) * np.exp(-((y / 0.1) ** 2))[:, None]
        velocity[..., 0] += 0.5 * self.speed * np.tanh(y / self.thickness)
        return {**drawn, "velocity0": velocity, **given}

    def solve(self, inputs: Inputs) -> Solution:
        gas = RadiativeGas(
            self.gamma, float(inputs["t_cool"]), 1.0 / self.contrast, 1.0, self.width
        )
        density0 = np.asarray(inputs["density0"])
        status, reached, (density, pressure), velocity = muscl_hancock.evolve(
            gas,
            [density0, np.ones_like(density0)],
            np.asarray(inputs["velocity0"]),
            self.times,
            [1.0 / self.n] * 2,
            [muscl_hancock.PERIODIC, muscl_hancock.OPEN],
        )
        if status != muscl_hancock.COMPLETED:
            raise SimulationDiverged(reached, "density or pressure does not stay positive")
        return {"density": density, "pressure": pressure, "velocity": velocity}

    def rescaled(self, factor: float) -> Self:
        return replace(self, n=round(self.n * factor))

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """Mass, momentum along the layer and energy; the last one is lost where the gas cools."""
        area = 1.0 / self.n**2
        density, velocity = solution["density"], solution["velocity"]
        kinetic = 0.5 * density * (velocity**2).sum(axis=-1)
        energy = solution["pressure"] / (self.gamma - 1.0) + kinetic
        return {
            "mass": density.sum(axis=(1, 2)) * area,
            "momentum_x": (density * velocity[..., 0]).sum(axis=(1, 2)) * area,
            "energy": energy.sum(axis=(1, 2)) * area,
        }
