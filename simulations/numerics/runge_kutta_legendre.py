"""Stabilised explicit steps for diffusion: Runge-Kutta-Legendre of second order, RKL2.

A step of ``stages`` evaluations is stable as long as ``stages²/2`` steps of Euler, so that
diffusion over a time costs the root of what its own step limit asks for.

For a linear right-hand side, y' = L y, the scheme is written in its mean over the step,

    y(Δt) = y(0) + Δt L z,    z = z_stages

    z_j = μ z_{j−1} + ν z_{j−2} + α y(0) + β Δt L z_{j−1},    z_{−1} = z_0 = 0

so that what the step has moved is known as one flux, that of z: conserved quantities that are
quadratic in y can be balanced exactly.

References:
    Meyer, Balsara, Aslam, Journal of Computational Physics 257 (2014) 594.
"""

import numpy as np

from simulations.compilation import kernel


@kernel
def stages(rate):
    """Number of evaluations for a step, ``rate`` being Δt times the largest eigenvalue of −L.

    Odd numbers damp the highest modes; two stages are the midpoint rule, for steps so short that
    they damp as well.
    """
    if rate <= 1.0:
        return 2
    return 2 * int(np.ceil(0.25 * (np.sqrt(9.0 + 8.0 * rate) - 3.0))) + 1


@kernel
def coefficients(stage, count):
    """μ, ν, α and β of a stage, counted from 1."""
    width = 4.0 / (count * count + count - 2.0)
    if stage == 1:
        return 0.0, 0.0, width / 3.0, 0.0
    b, before, second = _weight(stage), _weight(stage - 1), _weight(stage - 2)
    mu = (2.0 * stage - 1.0) / stage * b / before
    nu = (1.0 - stage) / stage * b / second
    return mu, nu, mu * width * before, mu * width


@kernel
def _weight(stage):
    if stage < 2:
        return 1.0 / 3.0
    return (stage * stage + stage - 2.0) / (2.0 * stage * (stage + 1.0))
