"""Markov chains in the unit cube: of the surrogate alone, and corrected by the solver."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from simulations.simulation import Array, SimulationDiverged

#: Log density, up to a constant, at coordinates ``(n, d)``: ``(n,)``
LogDensity = Callable[[Array], Array]

ENSEMBLES, WALKERS = 2, 32
# Chains that the solver corrects
CORRECTED = 4
# Steps of the surrogate's chain between two runs of the solver
SUBCHAIN = 10


class Chains(NamedTuple):
    """Coordinates ``(chain, draw, d)`` and the share of accepted proposals by stage.

    Chains of one ensemble stand together; of the ensembles none knows of the others.
    """

    samples: Array
    ensembles: int
    acceptance: dict[str, float]


def ensembles(density: LogDensity, starts: Array, draws: int, seed: int) -> Chains:
    """Ensembles by differential evolution; each walker is a chain.

    Args:
        starts: first coordinates ``(ENSEMBLES, walkers, d)``.
        draws: of each walker; as many again are made before and thrown away.

    References:
        Ter Braak and Vrugt, Statistics and Computing 18 (2008) 435: the moves.
        Foreman-Mackey et al., Publications of the ASP 125 (2013) 306: emcee.
    """
    import emcee

    made, accepted = [], []
    for number, start in enumerate(starts):
        moves = [(emcee.moves.DEMove(), 0.8), (emcee.moves.DESnookerMove(), 0.2)]
        sampler = emcee.EnsembleSampler(*start.shape, density, moves=moves, vectorize=True)
        state = np.random.RandomState(np.random.SeedSequence((seed, number)).generate_state(4))
        sampler.random_state = state.get_state()
        sampler.run_mcmc(start, 2 * draws, skip_initial_state_check=True)
        made.append(sampler.get_chain(discard=draws).swapaxes(0, 1))
        accepted.append(sampler.acceptance_fraction.mean())
    shares = {"surrogate": float(np.mean(accepted))}
    return Chains(np.concatenate(made), len(starts), shares)


def delayed_acceptance(
    density: LogDensity,
    surrogate: LogDensity,
    solver: Callable[[Array], float],
    starts: Array,
    covariance: Array,
    draws: int,
    seed: int,
) -> Chains:
    """Chains whose stationary law is the posterior of the solver, whatever the surrogate.

    From x, `SUBCHAIN` Metropolis steps that leave the posterior of the surrogate π* unchanged lead
    to y, which is accepted with probability

        min(1, π(y) π*(x) / (π(x) π*(y))),

    so that the solver runs only for what the surrogate thinks likely.

    Args:
        density: log π* with the prior.
        surrogate: log likelihood of the surrogate ``(n,)``.
        solver: log likelihood of the solver at one point; a run that diverges is impossible.
        starts: ``(chain, d)``.
        covariance: of the steps, before they are scaled.
        draws: of each chain, and the most runs of the solver that it makes after the first.

    References:
        Christen and Fox, Journal of Computational and Graphical Statistics 14 (2005) 795.
        Lykkegaard et al., SIAM/ASA Journal on Uncertainty Quantification 11 (2023) 1: subchains.
    """
    rng = np.random.default_rng(np.random.SeedSequence((seed, ENSEMBLES)))
    chains, d = starts.shape
    root = np.linalg.cholesky(covariance) * 2.38 / np.sqrt(d)

    def excess(z: Array) -> float:
        """log π − log π*, in which the prior cancels."""
        try:
            return solver(z) - float(surrogate(z[None])[0])
        except SimulationDiverged:
            return -np.inf

    x = starts.copy()
    gap = np.array([excess(z) for z in x])
    samples = np.empty((chains, draws, d))
    inner, outer, asked = 0.0, 0, 0
    for draw in range(draws):
        y, at_y = x.copy(), density(x)
        for _ in range(SUBCHAIN):
            proposal = y + rng.standard_normal((chains, d)) @ root.T
            at_proposal = density(proposal)
            is_taken = np.log(rng.random(chains)) < at_proposal - at_y
            y[is_taken], at_y = proposal[is_taken], np.where(is_taken, at_proposal, at_y)
            inner += is_taken.mean() / SUBCHAIN
        for chain in np.flatnonzero((y != x).any(axis=1)):
            proposed = excess(y[chain])
            asked += 1
            # Of a start that is impossible anything leads away
            if gap[chain] == -np.inf or np.log(rng.random()) < proposed - gap[chain]:
                x[chain], gap[chain] = y[chain], proposed
                outer += 1
        samples[:, draw] = x
    shares = {"surrogate": inner / draws, "solver": outer / max(asked, 1)}
    return Chains(samples, chains, shares)
