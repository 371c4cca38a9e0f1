"""What all tests share."""

import importlib
import warnings

import pytest
from hypothesis import settings

import simulations

# The first call of a kernel compiles it: no single example can promise to be quick
settings.register_profile("physurrogate", deadline=None, max_examples=30)
settings.load_profile("physurrogate")


@pytest.fixture(scope="session")
def generate_here():
    """`simulations.generate` without worker processes, which take seconds to start."""
    # The package exports a function of the same name
    generation = importlib.import_module("simulations.generate")

    def generate(simulation, n, path, **options):
        with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
            patch.setattr(generation, "_is_out_of_reach", lambda _: True)
            warnings.filterwarnings("ignore", ".*generating in one process")
            return simulations.generate(simulation, n, path, progress=False, **options)

    return generate
