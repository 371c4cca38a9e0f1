"""A surrogate of the toy system that has much to err about, fitted in a moment."""

import numpy as np
import pytest

import surrogate
from simulations.inputs import GaussianRandomField
from simulations.simulation import Sampling
from surrogate.trust.bounds import calibrate, with_calibration
from surrogate.trust.unseen import Solved, training_inputs
from tests.toy import Toy

# Without an offset, which its first frame has and its initial condition has not
TOY = Toy(
    n=6,
    n_times=4,
    initial=GaussianRandomField(alpha=4.0, tau=2.0, scale=40.0),
    sampling=Sampling({"offset": (0.0, 0.0)}),
)


@pytest.fixture(scope="session")
def toy_data(tmp_path_factory, generate_here):
    return generate_here(TOY, 250, tmp_path_factory.mktemp("trust") / "toy", seed=1)


@pytest.fixture(scope="session")
def emulator(toy_data):
    return surrogate.train(toy_data, surrogate.PODLinear(modes=30), progress=False)


@pytest.fixture(scope="session")
def pool():
    """Truths that nothing was fitted to."""
    return Solved.fresh(TOY, 400, seed=5)


@pytest.fixture(scope="session")
def known(emulator):
    return training_inputs(emulator)


@pytest.fixture(scope="session")
def calibrated(emulator, pool, known):
    return with_calibration(emulator, calibrate(emulator, pool[:180], known, 0.9))


@pytest.fixture
def rng():
    return np.random.default_rng(0)
