"""Finite volumes: what a law adds to transport, boundaries by axis, repeated steps, the cache."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from numba.core.errors import TypingError

from simulations.numerics import muscl_hancock
from simulations.numerics.ideal_gas import IdealGas
from simulations.numerics.muscl_hancock import OPEN, PERIODIC, WALL


def test_what_a_law_has_besides_transport(tmp_path):
    """In a process with a disk cache of its own: nobody else can import the law of this test."""
    environment = {**os.environ, "PHYSURROGATE_CACHE": str(tmp_path)}
    code = "from tests.numerics.falling_water import report; print(report())"
    printed = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout
    found = json.loads(printed)
    assert found["uniform"] < 1e-12
    sizes, errors = zip(*found["errors"], strict=True)
    assert np.polyfit(np.log(sizes), np.log(errors), 1)[0] < -1.75


def test_a_law_of_a_script_is_refused():
    class Scripted(IdealGas):
        pass

    Scripted.__module__ = "__main__"
    with pytest.raises(TypingError, match="Scripted: a law must be defined in a module"):
        muscl_hancock.evolve(
            Scripted(1.4),
            [np.ones(8), np.ones(8)],
            np.zeros((8, 1)),
            np.array([0.0, 1.0]),
            [1.0],
            [PERIODIC],
        )


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_each_axis_has_its_own_boundary_size_and_spacing(axis):
    """A tube closed at its ends along one axis of a box: the other axes change nothing."""
    shape, spacing, boundary = [5, 4, 6], [0.7, 0.9, 1.1], [PERIODIC, OPEN, PERIODIC]
    shape[axis], spacing[axis], boundary[axis] = 32, 1 / 32, WALL
    tube = np.where(np.arange(32) < 16, 1.0, 0.2)
    along = [1, 1, 1]
    along[axis] = 32
    gas = np.broadcast_to(tube.reshape(along), shape).copy()
    arguments = (IdealGas(1.4), [gas, gas], np.zeros((*shape, 3)), np.array([0.0, 0.5]))
    status, _, (density, _), velocity = muscl_hancock.evolve(*arguments, spacing, boundary)
    assert status == muscl_hancock.COMPLETED
    _, _, (alone, _), _ = muscl_hancock.evolve(
        IdealGas(1.4),
        [tube, tube],
        np.zeros((32, 1)),
        np.array([0.0, 0.5]),
        [1 / 32],
        [WALL],
    )
    profiles = np.moveaxis(density[-1], axis, 0).reshape(32, -1)
    assert np.ptp(profiles, axis=1).max() < 1e-12
    assert np.abs(profiles[:, 0] - alone[-1]).mean() < 4e-3  # the steps are shorter in the box
    assert profiles.mean() == pytest.approx(0.6, abs=1e-14)
    others = [a for a in range(3) if a != axis]
    assert np.abs(velocity[..., others]).max() < 1e-12


@pytest.mark.parametrize("boundary", [PERIODIC, WALL])
def test_a_step_that_fails_is_repeated_and_keeps_what_is_conserved(boundary):
    rng = np.random.default_rng(0)
    n = 24
    density = 10 ** rng.uniform(-6, 0, (n, n))
    pressure = 10 ** rng.uniform(-8, 0, (n, n))
    velocity = rng.normal(size=(n, n, 2))
    status, _, (rho, p), _ = muscl_hancock.evolve(
        IdealGas(1.4),
        [density, pressure],
        velocity,
        np.array([0.0, 0.01, 0.2]),
        [1 / n] * 2,
        [boundary] * 2,
    )
    assert status == muscl_hancock.COMPLETED
    assert min(rho.min(), p.min()) > 0.0
    assert np.ptp(rho.mean(axis=(1, 2))) < 1e-14


def test_a_state_without_an_admissible_step_is_reported():
    gas = np.ones(16)
    velocity = np.where(np.arange(16) < 8, -1e200, 1e200)[:, None]
    status, reached, *_ = muscl_hancock.evolve(
        IdealGas(1.4), [gas, gas], velocity, np.array([0.0, 1.0]), [1 / 16], [OPEN]
    )
    assert status == muscl_hancock.STEP_UNDERFLOW
    assert reached < 1.0


@pytest.mark.parametrize("law", ["ideal_gas.IdealGas", "shallow_water.ShallowWaterLaw"])
def test_another_process_finds_the_integrator_on_disk(law):
    module, name = law.split(".")
    count = "2" if name == "IdealGas" else "1"
    code = (
        "import numpy as np\n"
        "from simulations.numerics import muscl_hancock\n"
        f"from simulations.numerics.{module} import {name}\n"
        f"muscl_hancock.evolve({name}(1.4), [np.ones(8)] * {count}, np.zeros((8, 1)),"
        " np.array([0.0, 1.0]), [1.0], [0])\n"
        "stats = muscl_hancock.integrate.stats\n"
        "print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))"
    )
    for _ in range(2):
        printed = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
    assert printed.split() == ["1", "0"]
