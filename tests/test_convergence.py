"""Estimated discretisation errors against those that exact solutions show."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
import pytest

import simulations
from simulations.convergence import DiscretisationError, discretisation_errors, worst
from simulations.grid import Axis, Grid
from simulations.simulation import Field, InvalidInput, Parameter, Simulation


@dataclass(frozen=True)
class Differentiated(Simulation):
    """The derivative of a sine by finite differences.

    Its error is known: h²/6 k² relative to the derivative, or h⁴/30 k⁴.
    """

    n: int = 64
    order: int = 2

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "k": Parameter("wavenumber", "m-1", (0.0, 10.0), (1.0, 2.0))
    }
    fields: ClassVar[Mapping[str, Field]] = {"slope": Field("slope", "m-1")}
    times = np.zeros(1)

    @cached_property
    def grid(self):
        return Grid((Axis.periodic("x", self.n, 2 * np.pi, "m"),))

    def solve(self, inputs):
        if self.n < 8:
            raise InvalidInput("n: too few")
        u, h = np.sin(inputs["k"] * self.grid.axes[0].points), 2 * np.pi / self.n
        d1, d2 = np.roll(u, -1) - np.roll(u, 1), np.roll(u, -2) - np.roll(u, 2)
        slope = d1 / (2 * h) if self.order == 2 else (8 * d1 - d2) / (12 * h)
        return {"slope": slope[None]}

    def rescaled(self, factor):
        return replace(self, n=round(self.n * factor))


@pytest.mark.parametrize(("order", "constant"), [(2, 1 / 6), (4, 1 / 30)])
def test_the_estimate_is_the_error_with_its_safety_factor(order, constant):
    simulation = Differentiated(n=128, order=order)
    found = discretisation_errors(simulation, {"k": 2.0})["slope"]
    true = constant * (2.0 * 2 * np.pi / 128) ** order
    assert found.order == pytest.approx(order, abs=0.1)
    assert found.space == pytest.approx(1.25 * true, rel=0.15)
    assert math.isnan(found.time)
    assert found.total == found.space


def test_without_coarser_grids_nothing_is_claimed():
    found = discretisation_errors(Differentiated(n=16), {"k": 1.0})["slope"]
    assert math.isnan(found.space)
    assert math.isnan(found.order)


def test_a_tolerance_shows_in_time():
    simulation = simulations.Burgers(n=128, tolerance=1e-5)
    inputs = simulation.sample(np.random.default_rng(0))
    found = discretisation_errors(simulation, inputs)
    exact = replace(simulation, tolerance=1e-11).run(inputs)["u"]
    true = np.linalg.norm(simulation.run(inputs)["u"] - exact) / np.linalg.norm(exact)
    assert true < found["u"].time < 1e-3
    assert worst(found) == found["u"].total


def test_the_total_is_what_is_known():
    assert DiscretisationError(math.nan, math.nan, 0.5).total == 0.5
    assert DiscretisationError(0.25, 2.0, 0.5).total == 0.75
