"""What a system in a square or cube owes to itself on an interval."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from simulations.grid import Array
from simulations.systems.periodic_scalar import IsotropicScalar
from simulations.verification.check import Finding, at_most


def diagonal_waves(
    simulation: IsotropicScalar, parameters: Mapping[str, float], profile: Callable[[Array], Array]
) -> Iterator[Finding]:
    """A field that varies along the diagonal alone is that of an interval, √ndim shorter.

    Args:
        simulation: the box, but for its dimensions; the interval has twice as many points, which
            it needs for as many modes free of aliasing.
        parameters: of the equation.
        profile: initial field as a function of the phase, 0 to 2π along the interval.
    """
    settings = {**simulation.settings, "initial": simulation.initial}
    for ndim in (2, 3):
        shorter = {"length": simulation.length / np.sqrt(ndim), "n": 2 * simulation.n}
        line = type(simulation)(**settings | shorter)
        box = type(simulation)(**settings | {"ndim": ndim})
        index = np.arange(simulation.n)
        along = np.asarray(sum(np.ix_(*[index] * ndim))) % simulation.n
        u0 = profile(np.pi * np.arange(2 * simulation.n) / simulation.n)
        expected = line.solve({**parameters, "u0": u0})["u"][-1, ::2][along]
        found = box.solve({**parameters, "u0": u0[::2][along]})["u"][-1]
        error = np.linalg.norm(found - expected) / np.linalg.norm(expected)
        yield at_most(f"relative L2 distance, {ndim}-D", error, 1e-6, "1-D")
