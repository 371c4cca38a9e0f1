"""What all tests share."""

import warnings

import pytest
from hypothesis import settings

import simulations
from simulations.generation import execution

# The first call of a kernel compiles it: no single example can promise to be quick
settings.register_profile("physurrogate", deadline=None, max_examples=30)
settings.load_profile("physurrogate")


def pytest_collection_modifyitems(items):
    """Keep what compiles the same kernels on one worker of ``pytest -n 2 --dist loadgroup``."""
    for item in items:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        if "system" in parameters:
            group = getattr(parameters["system"], "__name__", parameters["system"])
        elif "check" in parameters:
            group = parameters["check"].system.__name__
        else:
            group = item.path.stem
        item.add_marker(pytest.mark.xdist_group(str(group)))


@pytest.fixture(scope="session")
def generate_here():
    """`simulations.generate` without worker processes, which take seconds to start."""

    def generate(simulation, n, path, **options):
        with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
            patch.setattr(execution, "is_out_of_reach", lambda _: True)
            warnings.filterwarnings("ignore", ".*generating in one process")
            return simulations.generate(simulation, n, path, progress=False, **options)

    return generate
