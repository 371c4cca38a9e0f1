"""Which parameters explain observations: `calibrate`."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
import xarray
from scipy.optimize import minimize
from scipy.stats import qmc

from simulations.simulation import Array, InvalidInput, check_setting
from surrogate.emulator import Surrogate
from surrogate.inverse import sampling
from surrogate.inverse.box import Box
from surrogate.inverse.likelihood import Likelihood, ModelError, measure_model_error
from surrogate.inverse.observations import Observations
from surrogate.inverse.posterior import Posterior

# Points of a low-discrepancy sequence among which optimisations start
SCAN = 256
# Optima that are less probable than the best by this factor's logarithm get no walkers
NEGLIGIBLE = 15.0


class _Problem:
    """Log densities over the unit cube, and where they are highest."""

    def __init__(self, likelihood: Likelihood, prior: Mapping[str, Any]) -> None:
        self.likelihood, self.box = likelihood, likelihood.box
        self.prior = prior

    def log_likelihood(self, z: Array) -> Array:
        with torch.no_grad():
            return self.likelihood.of_surrogate(torch.from_numpy(z)).numpy()

    def log_prior(self, z: Array) -> Array:
        """Of the physical parameters; where none is given it is uniform in the coordinate."""
        values = self.box.values(z)
        total = np.zeros(z.shape[:-1])
        given = np.zeros(z.shape[-1], bool)
        for name, distribution in self.prior.items():
            i = self.box.names.index(name)
            given[i] = True
            total = total + distribution.logpdf(values[..., i])
        return total + self.box.stretch(z, given)

    def density(self, z: Array) -> Array:
        """Log posterior density of the coordinates; −∞ outside the cube."""
        inside = ((z >= 0) & (z <= 1)).all(axis=-1)
        found = np.full(len(z), -np.inf)
        if inside.any():
            found[inside] = self.log_likelihood(z[inside]) + self.log_prior(z[inside])
        return found

    def optima(self, starts: int) -> tuple[Array, Array]:
        """Coordinates ``(starts, d)`` of local maxima of the posterior, the best first."""
        d = len(self.box.names)
        scan = qmc.Sobol(d, scramble=True, rng=0).random(SCAN)
        best = scan[np.argsort(-self.density(scan))[:starts]]
        step = 1e-6 * np.eye(d)

        def lost(z: Array) -> tuple[float, Array]:
            point = torch.from_numpy(z.copy())[None].requires_grad_()
            value = self.likelihood.of_surrogate(point)
            (slope,) = torch.autograd.grad(value.sum(), point)
            near = [np.clip(z + s * step, 0, 1) for s in (1, -1)]
            length = (near[0] - near[1]).sum(axis=1)
            prior = (self.log_prior(near[0]) - self.log_prior(near[1])) / length
            total = -(value.item() + self.log_prior(z[None])[0])
            return (total, -(slope[0].numpy() + prior)) if np.isfinite(total) else (1e30, 0 * z)

        found = [minimize(lost, z, jac=True, bounds=[(0, 1)] * d, method="L-BFGS-B") for z in best]
        found.sort(key=lambda result: result.fun)
        return np.stack([r.x for r in found]), np.array([-r.fun for r in found])

    def walkers(self, optima: Array, heights: Array, rng: np.random.Generator) -> Array:
        """First coordinates of all ensembles, around the optima that matter."""
        d = optima.shape[1]
        count = max(sampling.WALKERS, 4 * d)
        kept = optima[heights > heights[0] - NEGLIGIBLE]
        roots = [np.linalg.cholesky(self.likelihood.spread(z)) for z in kept]
        starts = np.empty((sampling.ENSEMBLES, count, d))
        for place in np.ndindex(starts.shape[:2]):
            mode = int(rng.integers(len(kept)))
            # Reflected at the faces, so that no two walkers meet in a corner
            z = (kept[mode] + 1.5 * roots[mode] @ rng.standard_normal(d)) % 2
            starts[place] = np.where(z > 1, 2 - z, z)
        return starts


def calibrate(
    emulator: Surrogate,
    observations: Observations | xarray.Dataset,
    *,
    noise: float | Mapping[str, float] | None = None,
    prior: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Any] | None = None,
    model_error: float | Mapping[str, float] | ModelError | None = None,
    measured_error: int = 0,
    method: Literal["surrogate", "delayed"] = "surrogate",
    draws: int = 200,
    starts: int = 8,
    seed: int = 0,
) -> Posterior:
    """Draw the parameters that explain observations, by a surrogate and, if wanted, the solver.

        posterior = surrogate.calibrate(emulator, truth[["u"]].sel(time=0.5), noise=0.01)
        posterior.summary(), posterior.predict()

    The observations are normal around what the model says of them. A surrogate's error enters as
    a covariance of its own beside the noise; without it a posterior is too narrow and in the wrong
    place. ``method="delayed"`` needs no such assumption: every draw is checked by the solver, so
    that the draws are of the solver's posterior, and the surrogate only saves runs.

    Args:
        emulator: the surrogate.
        observations: `Observations`, or a dataset as the simulation answers with, or part of it.
        noise: standard deviation of the measurements, or one by field; `Observations` have it.
        prior: by parameter a frozen distribution of `scipy.stats`. It ends where the training data
            end. By default uniform over those, in the scale of the parameter.
        inputs: all other inputs: fields, and parameters that are known.
        model_error: relative L2 error of the surrogate's answers, or one by field, or a
            `ModelError`. By default the conformal bound of the surrogate, where it has one, or its
            error on the test split. ``0`` is a perfect surrogate.
        measured_error: runs of the solver, at draws of the prior, from which the surrogate's error
            at the observations is estimated instead (`measure_model_error`).
        method: ``surrogate``, or ``delayed`` for delayed acceptance.
        draws: of each chain. By the surrogate 2 ensembles of at least 32 chains run, and as many
            draws again are thrown away first; by delayed acceptance 4 chains, in which each draw
            costs at most one run of the solver.
        starts: optimisations that look for the most probable parameters.
        seed: of all random numbers.

    Raises:
        InvalidInput: naming the argument and what is allowed.
        ModuleNotFoundError: emcee is not installed (``pip install 'physurrogate[inverse]'``).
    """
    if method not in ("surrogate", "delayed"):
        raise InvalidInput(f"method={method!r}: must be 'surrogate' or 'delayed'")
    check_setting("draws", draws, 10, integer=True)
    check_setting("starts", starts, 1, SCAN, integer=True)
    check_setting("measured_error", measured_error, 0, integer=True)
    if 0 < measured_error < 8:
        raise InvalidInput(f"measured_error={measured_error}: must be 0 or at least 8 runs")
    prior = dict(prior or {})
    box = Box.of(emulator, _supports(emulator, prior, inputs), inputs)
    if isinstance(observations, xarray.Dataset):
        observations = Observations.of_dataset(emulator.simulation, observations, noise)
    elif noise is not None:
        raise InvalidInput(f"noise={noise!r}: the observations have theirs")
    rng = np.random.default_rng(np.random.SeedSequence((seed, 0)))
    if measured_error:
        error = measure_model_error(
            box, observations, _prior_draws(box, prior, measured_error, rng)
        )
    elif isinstance(model_error, ModelError):
        error = model_error
    else:
        error = _relative_error(box, observations, prior, model_error)
    likelihood = Likelihood(box, observations, error)
    problem = _Problem(likelihood, prior)
    optima, heights = problem.optima(starts)
    if not np.isfinite(heights[0]) or heights[0] <= -1e29:
        raise InvalidInput("observations: nowhere in the training range are they possible")
    first = problem.walkers(optima, heights, rng)
    most = first.shape[1]
    pilot = sampling.ensembles(
        problem.density, first, draws if method == "surrogate" else 100 + 400 // most, seed
    )
    chains, described = pilot, "ensemble sampling of the surrogate"
    if method == "delayed":
        flat = pilot.samples.reshape(-1, len(box.names))
        spread = np.atleast_2d(np.cov(flat.T)) + 1e-12 * np.eye(len(box.names))
        chains = sampling.delayed_acceptance(
            problem.density,
            problem.log_likelihood,
            likelihood.of_solver,
            rng.choice(flat, sampling.CORRECTED, replace=False),
            spread,
            draws,
            seed,
        )
        described = "delayed acceptance by the solver"
    return Posterior(
        samples=box.values(chains.samples),
        names=tuple(box.names),
        map=dict(zip(box.names, map(float, box.values(optima[0])), strict=True)),
        method=described,
        model_error=error.source,
        solver_calls=box.solver_calls,
        acceptance=chains.acceptance,
        ensembles=chains.ensembles,
        box=box,
    )


def _supports(
    emulator: Surrogate, prior: Mapping[str, Any], inputs: Mapping[str, Any] | None
) -> dict[str, tuple[float, float]]:
    """Where the training range and the support of each prior overlap."""
    bounds = {}
    for name, distribution in prior.items():
        if name not in emulator.simulation.parameters or name in (inputs or {}):
            raise InvalidInput(f"prior={name}: no such unknown parameter")
        if not hasattr(distribution, "logpdf") or not hasattr(distribution, "support"):
            raise InvalidInput(
                f"prior of {name}={distribution!r}: must be a frozen distribution of scipy.stats"
            )
        low, high = emulator.encoding.ranges[name]
        least, most = distribution.support()
        bounds[name] = (max(low, least), min(high, most))
        if not bounds[name][0] < bounds[name][1]:
            raise InvalidInput(
                f"prior of {name}: between {least:g} and {most:g}, outside the training range "
                f"[{low:g}, {high:g}]"
            )
    return bounds


def _prior_draws(box: Box, prior: Mapping[str, Any], n: int, rng: np.random.Generator) -> Array:
    """Coordinates ``(n, d)`` from the prior, as far as it is within the box."""
    z = rng.random((n, len(box.names)))
    for name, distribution in prior.items():
        i = box.names.index(name)
        low, high = distribution.cdf([box.low[name], box.high[name]])
        values = box.values(z)
        values[:, i] = distribution.ppf(low + (high - low) * z[:, i])
        z[:, i] = box.coordinates(values)[:, i]
    return np.clip(z, 0, 1)


def _relative_error(
    box: Box, observations: Observations, prior: Mapping[str, Any], given: Any
) -> ModelError:
    """A relative error of each field as it is where the surrogate fits best without one."""
    m = len(observations)
    calibration = box.emulator.calibration
    measured = box.emulator.training.get("test_relative_l2")
    if given is not None:
        source = f"relative error {given}"
    elif calibration is not None:
        given = calibration.error_bound
        source = f"conformal bound at {calibration.coverage:g} coverage"
    elif measured:
        given, source = measured, "error on the test split"
    else:
        raise InvalidInput("model_error: must be given, as the surrogate's error was not measured")
    fields = dict.fromkeys(observations.fields)
    if not isinstance(given, Mapping):
        given = dict.fromkeys(fields, given)
    relative = {}
    for name in fields:
        try:
            relative[name] = float(given[name])
        except (KeyError, TypeError, ValueError):
            relative[name] = np.nan
        if not 0 <= relative[name] < np.inf:
            raise InvalidInput(f"model_error={given!r}: must be a number >= 0 for {name}")
    if not any(relative.values()):
        return ModelError.none(m)
    exact = Likelihood(box, observations, ModelError.none(m))
    best, _ = _Problem(exact, prior).optima(4)
    with torch.no_grad():
        answer = box.answers(torch.from_numpy(best[:1]))
    size = {name: float(answer[name].double().square().mean().sqrt()) for name in fields}
    scale = np.array([size[name] for name in observations.fields])
    return ModelError.of_size(observations, relative, scale, source)
