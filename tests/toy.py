"""A small simulation that has everything the contract knows: what its tests run on."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
import scipy.fft

from simulations.compilation import kernel
from simulations.grid import Axis, Grid
from simulations.inputs import Distribution, GaussianRandomField, Thresholded
from simulations.simulation import (
    Array,
    Field,
    FieldInput,
    Inputs,
    Parameter,
    Simulation,
    SimulationDiverged,
    Solution,
    check_setting,
)

# Directions of the wind and of the belt it blows on: all components of flux and load differ
WIND = np.array([0.6, -0.8])
BELT = np.array([1.0, 3.0])


@kernel
def mean_square(frames, out):
    for t in range(frames.shape[0]):
        total = 0.0
        for value in frames[t].flat:
            total += value * value
        out[t] = total / frames[t].size


@dataclass(frozen=True)
class Toy(Simulation):
    """Heat with a source between two insulated walls, periodic along them, solved exactly.

        ∂θ/∂t = κ Δθ + s

    Args:
        n: points along the walls; there are half as many across.
        t_end: last stored time.
        n_times: stored times.
        runaway: conductivities above this one blow up at half time.
        silent: whether a blow-up shows as NaN instead of an exception.
        pause: seconds that each run sleeps.
        initial: distribution of the initial temperature.
    """

    n: int = 12
    t_end: float = 0.5
    n_times: int = 5
    runaway: float = 1e9
    silent: bool = False
    pause: float = 0.0
    initial: Distribution = GaussianRandomField(alpha=3.0, tau=5.0, scale=40.0)

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "kappa": Parameter("conductivity", "m2 s-1", (1e-4, 10.0), (1e-3, 0.1), "log"),
        "offset": Parameter("added temperature", "K", (-math.inf, math.inf), (-1.0, 1.0)),
    }
    fields: ClassVar[Mapping[str, Field]] = {
        "theta": Field("temperature", "K"),
        "flux": Field("heat carried by the wind", "K m s-1", order=1),
        "load": Field("heat carried by the wind onto the belt", "K m2 s-2", order=2),
        "power": Field("mean square temperature", "K2", spatial=False),
    }

    def __post_init__(self) -> None:
        check_setting("n", self.n, 6, 4096, integer=True)
        check_setting("t_end", self.t_end, 1e-9, 1e9)
        check_setting("n_times", self.n_times, 1, 1000, integer=True)
        check_setting("runaway", self.runaway, 0.0)
        check_setting("pause", self.pause, 0.0, 60.0)

    @property
    def field_inputs(self) -> Mapping[str, FieldInput]:
        source = Thresholded(GaussianRandomField(alpha=2.0, tau=3.0), low=-1.0, high=2.0)
        return {
            "theta0": FieldInput("initial temperature", "K", self.initial, initial_of="theta"),
            "source": FieldInput(
                "heat source", "K s-1", source, admissible=(-10.0, 10.0), piecewise_constant=True
            ),
        }

    @cached_property
    def grid(self) -> Grid:
        along = Axis.periodic("x", self.n, 2.0, "m")
        across = Axis.cells("y", self.n // 2, (0.0, 1.0), "m", ("wall", "open"))
        return Grid((along, across))

    @cached_property
    def times(self) -> Array:
        return np.linspace(0.0, self.t_end, self.n_times)

    def solve(self, inputs: Inputs) -> Solution:
        time.sleep(self.pause)
        kappa = inputs["kappa"]
        if kappa > self.runaway and not self.silent:
            raise SimulationDiverged(self.t_end / 2, "the heat runs away")
        kx = 2 * np.pi * scipy.fft.fftfreq(self.n, 1 / self.n) / 2.0
        ky = np.pi * np.arange(self.n // 2)
        rate = kappa * (kx[:, None] ** 2 + ky**2)
        t = self.times[:, None, None]
        decay = np.exp(-rate * t)
        gain = np.where(rate > 0, -np.expm1(-rate * t) / np.where(rate > 0, rate, 1.0), t)
        spectrum = decay * _spectrum(inputs["theta0"]) + gain * _spectrum(inputs["source"])
        theta = scipy.fft.idct(scipy.fft.ifft(spectrum, axis=1).real, axis=2) + inputs["offset"]
        if kappa > self.runaway:
            theta[self.times > self.t_end / 2] = np.nan
        power = np.empty(self.n_times)
        mean_square(theta, power)
        flux = theta[..., None] * WIND
        return {"theta": theta, "flux": flux, "load": flux[..., None] * BELT, "power": power}

    def rescaled(self, factor: float) -> Self:
        return replace(self, n=round(self.n * factor))


def _spectrum(values: Array) -> Array:
    return scipy.fft.fft(scipy.fft.dct(values, axis=1), axis=0)
