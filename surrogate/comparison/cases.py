"""The suite: of each system the problem that is compared, and the networks that are tried.

Settings are chosen so that reference, ladder and data fit into a minute of one core; with more
minutes there are more trajectories, longer trainings and more held-out inputs, of the same problem.
A system without an entry takes part with its default settings.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import simulations
from simulations.simulation import Sampling, Simulation
from surrogate.comparison.methods import Method
from surrogate.networks import FNO, PODLinear, PODNet, PODPolynomial
from surrogate.networks.choice import default_network
from surrogate.networks.network import Network, Signature

#: More values than this at the inputs or outputs are too many for a dense basis
LARGEST_BASIS = 300_000


@dataclass(frozen=True)
class Way:
    """A network with its recipe.

    Args:
        network: makes it, unbuilt.
        recipe: what it does not recommend itself.
    """

    network: Callable[[], Network]
    recipe: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """One system of the suite.

    Args:
        simulation: with the settings of the problem.
        trajectories: at most, whatever the budget.
        ways: networks by name; by default what `default_ways` says. The best on the validation
            split is the surrogate, the others count as tuning.
        methods: rivals that solve the problem otherwise.
    """

    simulation: Simulation
    trajectories: int = 2000
    ways: Mapping[str, Way] = field(default_factory=dict)
    methods: Mapping[str, Method] = field(default_factory=dict)


#: Settings where the default ones would not fit, by system
SETTINGS: dict[str, dict[str, Any]] = {
    "Acoustics": {"n": 48, "n_times": 6},
    "Advection": {"n": 48, "n_times": 6},
    "AdvectionDiffusion": {"n": 48, "n_times": 6},
    "AllenCahn": {"n": 128, "n_times": 11},
    "Burgers": {"n": 128},
    "CahnHilliard": {"n": 128, "n_times": 11, "tolerance": 1e-6},
    "CompressibleNavierStokes": {"n": 32, "n_times": 6},
    "CylinderWake": {"n": 8, "n_times": 3},
    "DarcyFlow": {"n": 64},
    "DiffusionSorption": {"n": 128, "n_times": 11},
    "DoublePendulum": {"t_end": 2.0, "n_times": 51},
    "Euler": {"n": 32, "n_times": 6, "t_end": 0.25},
    "FisherKPP": {"n": 128, "n_times": 11},
    "FitzHughNagumo": {"n": 32, "n_times": 6},
    "GrayScott": {"n": 32, "n_times": 6},
    "Heat": {"n": 48, "n_times": 6},
    "Helmholtz": {"n": 32},
    "Ising": {"n": 32, "n_times": 11},
    "KortewegDeVries": {"n": 128, "t_end": 5.0, "n_times": 11, "tolerance": 1e-6},
    "KuramotoSivashinsky": {"n": 128, "t_end": 20.0, "n_times": 11, "tolerance": 1e-6},
    "LennardJones": {"cells": 3, "t_end": 0.5, "n_times": 6},
    "LidDrivenCavity": {"n": 48, "tolerance": 1e-6, "lid": "regularised"},
    "LinearElasticity": {"n": 16, "degree": 12},
    "Lorenz63": {"t_end": 2.0, "n_times": 51},
    "Lorenz96": {"t_end": 2.0, "n_times": 21},
    "MHD": {"n": 32, "n_times": 6, "t_end": 0.25},
    "Maxwell": {"n": 48, "n_times": 6},
    "NBody": {"t_end": 1.0, "n_times": 11},
    "NaturalConvection": {"tolerance": 1e-5},
    "NavierStokes": {"n": 48, "n_times": 6},
    "NavierStokes3D": {"n": 16, "t_end": 2.0, "n_times": 5},
    "Poisson": {"n": 64},
    "RadiativeLayer": {"n": 16, "n_times": 5},
    "RayleighBenard": {"nx": 32, "ny": 20, "t_end": 5.0, "n_times": 6, "tolerance": 1e-4},
    "Schrodinger": {"n": 128, "t_end": 2.0, "n_times": 11},
    "ShallowWater": {"n": 48, "n_times": 6},
    "ShearFlow": {"nx": 32, "ny": 64, "t_end": 5.0, "n_times": 6},
    "SwiftHohenberg": {"n": 128, "n_times": 11, "tolerance": 1e-6},
    "Wave": {"n": 48, "n_times": 6},
}

#: Ranges that are drawn from, where the default ones are those of an easy problem
SAMPLING: dict[str, Sampling] = {
    "LidDrivenCavity": Sampling({"reynolds": (500.0, 2500.0)}),
    "NaturalConvection": Sampling({"rayleigh": (1e5, 1e6)}),
}

#: The settings with which PDEBench trains its FNO, as its paper gives them
PDEBENCH = Way(
    lambda: FNO(modes=12, width=20),
    {"schedule": "step", "halve_every": 100, "learning_rate": 1e-3, "epochs": 500},
)

#: The networks that are tried where the default ones are not the strongest known. Where the solver
#: is slow even on coarse grids a small network is accurate enough, and leads by most.
WAYS: dict[str, dict[str, Way]] = {
    "CylinderWake": {"PODPolynomial": Way(lambda: PODPolynomial(modes=20))},
    "LidDrivenCavity": {"PODPolynomial": Way(lambda: PODPolynomial(modes=24))},
    "LinearElasticity": {"PODPolynomial": Way(lambda: PODPolynomial(modes=32))},
    "Burgers": {
        "FNO": Way(lambda: FNO(modes=16, width=32)),
        "FNO, PDEBench's settings": PDEBENCH,
    },
    "DarcyFlow": {
        "FNO": Way(lambda: FNO(modes=12, width=32)),
        "FNO, PDEBench's settings": PDEBENCH,
    },
    "Helmholtz": {
        "FNO": Way(lambda: FNO(modes=8, width=24)),
        "PODNet": Way(PODNet),
    },
    "RayleighBenard": {
        "FNO": Way(lambda: FNO(modes=6, width=24)),
        "PODNet": Way(PODNet),
        "PODLinear": Way(PODLinear),
    },
    "GrayScott": {
        "FNO": Way(lambda: FNO(modes=8, width=24)),
        "PODNet": Way(PODNet),
    },
    "ShearFlow": {
        "FNO": Way(lambda: FNO(modes=8, width=24)),
        "PODLinear": Way(PODLinear),
    },
}

#: Rivals other than the simulation's own versions
METHODS: dict[str, dict[str, Method]] = {}


def cases() -> dict[str, Case]:
    """Every system of the catalogue, by name."""
    return {name: case_of(system) for name, system in simulations.catalogue().items()}


def case_of(system: type[Simulation]) -> Case:
    """The problem that stands for a system."""
    name = system.__name__
    settings: dict[str, Any] = dict(SETTINGS.get(name, {}))
    if name in SAMPLING:
        settings["sampling"] = SAMPLING[name]
    return Case(
        system(**settings),
        ways=WAYS.get(name, {}),
        methods=METHODS.get(name, {}),
    )


def default_ways(signature: Signature, simulation: Simulation) -> dict[str, Way]:
    """What is tried for a problem of this kind: the default network, and a cheap alternative.

    Bases of snapshots are dense, and left out where they would be large.
    """
    first = default_network(signature, simulation.grid)
    ways = {type(first).__name__: Way(lambda: default_network(signature, simulation.grid))}
    points = 1
    for n in signature.grid:
        points *= n
    values = max(points * signature.out_channels + signature.out_scalars, 1)
    if values > LARGEST_BASIS or points * signature.in_channels > LARGEST_BASIS:
        return ways
    second: type[Network]
    if signature.in_channels:
        second = PODLinear
    elif isinstance(first, PODPolynomial):
        second = PODNet
    else:
        second = PODPolynomial
    return {**ways, second.__name__: Way(second)}
