"""The flux HLLD beside its formulas, case by case, and what a flux has to be."""

import numpy as np
import pytest

from simulations.numerics import magnetised_gas

GAMMA = 1.4


def conserved(state, bn):
    rho, u, v, w, p, b, c = state
    energy = p / (GAMMA - 1) + 0.5 * (rho * (u * u + v * v + w * w) + bn * bn + b * b + c * c)
    return np.array([rho, rho * u, rho * v, rho * w, energy, b, c])


def exact_flux(state, bn):
    rho, u, v, w, p, b, c = state
    total = p + 0.5 * (bn * bn + b * b + c * c)
    energy = (conserved(state, bn)[4] + total) * u - bn * (u * bn + v * b + w * c)
    flux = [rho * u, rho * u * u + total - bn * bn, rho * u * v - bn * b, rho * u * w - bn * c]
    return np.array([*flux, energy, b * u - bn * v, c * u - bn * w])


def hlld(left, right, bn):
    """Miyoshi and Kusano (2005), equations 38 to 67, for states ρ, u, v, w, p, b, c."""

    def fast(state):
        rho, *_, p, b, c = state
        both = GAMMA * p + bn * bn + b * b + c * c
        return np.sqrt((both + np.sqrt(both**2 - 4 * GAMMA * p * bn * bn)) / (2 * rho))

    def total(state):
        return state[4] + 0.5 * (bn * bn + state[5] ** 2 + state[6] ** 2)

    c = max(fast(left), fast(right))
    outer = (min(left[1], right[1]) - c, max(left[1], right[1]) + c)
    (ml, mr), (pl, pr) = (
        [s[0] * (speed - s[1]) for s, speed in zip((left, right), outer, strict=True)],
        (total(left), total(right)),
    )
    sm = (mr * right[1] - ml * left[1] - pr + pl) / (mr - ml)
    pt = (mr * pl - ml * pr + ml * mr * (right[1] - left[1])) / (mr - ml)
    stars, inner = [], []
    for state, speed, sign in zip((left, right), outer, (-1, 1), strict=True):
        rho, u, v, w, _, b, c = state
        m = rho * (speed - u)
        rs = m / (speed - sm)
        divisor = m * (speed - sm) - bn * bn
        vs, ws = (q - bn * f * (sm - u) / divisor for q, f in ((v, b), (w, c)))
        bs, cs = (f * (m * (speed - u) - bn * bn) / divisor for f in (b, c))
        work = u * bn + v * b + w * c - sm * bn - vs * bs - ws * cs
        energy = (speed - u) * conserved(state, bn)[4] - total(state) * u + pt * sm + bn * work
        stars.append((rs, vs, ws, bs, cs, energy / (speed - sm)))
        inner.append(sm + sign * abs(bn) / np.sqrt(rs))
    (rl, vl, wl, bl, cl, _), (rr, vr, wr, br, cr, _) = stars
    root_l, root_r, sign = np.sqrt(rl), np.sqrt(rr), np.sign(bn)
    v, w = (
        (root_l * x + root_r * y + (g - f) * sign) / (root_l + root_r)
        for x, y, f, g in ((vl, vr, bl, br), (wl, wr, cl, cr))
    )
    b, c = (
        (root_l * g + root_r * f + root_l * root_r * (y - x) * sign) / (root_l + root_r)
        for x, y, f, g in ((vl, vr, bl, br), (wl, wr, cl, cr))
    )
    if outer[0] > 0:
        return exact_flux(left, bn)
    if outer[1] < 0:
        return exact_flux(right, bn)
    side = 0 if sm >= 0 else 1
    state, speed, turn = (left, right)[side], outer[side], (-1, 1)[side] * sign
    rs, vs, ws, bs, cs, es = stars[side]
    star = np.array([rs, rs * sm, rs * vs, rs * ws, es, bs, cs])
    flux = exact_flux(state, bn) + speed * (star - conserved(state, bn))
    if (inner[0] < 0 and side == 0) or (inner[1] > 0 and side == 1):
        ess = es + turn * np.sqrt(rs) * (vs * bs + ws * cs - v * b - w * c)
        flux += inner[side] * (np.array([rs, rs * sm, rs * v, rs * w, ess, b, c]) - star)
    return flux


def rows(states, axis):
    """From ρ, normal, transverse, w, p, transverse, B_z to the order of rows along an axis."""
    rho, u, v, w, p, b, c = states
    nothing = np.zeros_like(rho)
    plane, field = ((u, v), (nothing, b)) if axis == 0 else ((v, u), (b, nothing))
    return np.array([rho, *plane, w, p, c, *field])


@pytest.mark.parametrize("axis", [0, 1])
def test_flux_is_that_of_the_paper(axis):
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(2, 7, 400))
    for state in (left, right):
        state[0], state[4] = np.exp(0.5 * state[0]), np.exp(0.5 * state[4])
        state[1] *= 2.0  # all cases occur
    bn = rng.normal(size=400)
    found = np.zeros((8, 400))
    magnetised_gas.flux(GAMMA, rows(left, axis), rows(right, axis), bn, axis, found)
    normal, across = (1, 2) if axis == 0 else (2, 1)
    found = found[[0, normal, across, 3, 4, 7 - axis, 5]]
    expected = [hlld(a, b, n) for a, b, n in zip(left.T, right.T, bn, strict=True)]
    np.testing.assert_allclose(found.T, expected, rtol=1e-9, atol=1e-9)


def test_flux_without_transverse_field_does_not_divide_by_zero():
    """A switch-on wave: the Alfvén speed is the fast speed."""
    state = np.array([1.0, 0.3, 0.2, 0.1, 0.5, 0.0, 0.0])[:, None] * np.ones(8)
    bn, found = np.full(8, 1.5), np.zeros((8, 8))
    magnetised_gas.flux(GAMMA, rows(state, 0), rows(state, 0), bn, 0, found)
    expected = exact_flux(state[:, 0], 1.5)
    np.testing.assert_allclose(found[[0, 1, 2, 3, 4, 7, 5], 0], expected, atol=1e-14)
