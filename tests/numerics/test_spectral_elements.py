"""Spectral elements: exact for polynomials, on elements of any lengths."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.numerics.spectral_elements import Elements, gauss_lobatto

DEGREES = st.integers(2, 20)
SEEDS = st.integers(0, 2**32)


def row(degree, seed, elements=3):
    lengths = np.random.default_rng(seed).uniform(0.3, 2.0, elements)
    return Elements(np.concatenate([[-1.0], -1.0 + np.cumsum(lengths)]), degree)


def polynomial(degree, seed):
    return np.polynomial.Polynomial(np.random.default_rng(seed).standard_normal(degree + 1))


@pytest.mark.parametrize("degree", range(2, 33))
def test_quadrature_is_exact_to_degree_2p_less_1(degree):
    nodes, weights = gauss_lobatto(degree)
    assert nodes[0] == -1.0
    assert nodes[-1] == 1.0
    assert np.all(np.diff(nodes) > 0)
    for power in range(2 * degree):
        exact = 0.0 if power % 2 else 2.0 / (power + 1)
        assert weights @ nodes**power == pytest.approx(exact, abs=1e-13)


@given(degree=DEGREES, seed=SEEDS)
def test_polynomials_are_gathered_evaluated_and_differentiated(degree, seed):
    elements = row(degree, seed)
    p = polynomial(min(degree, 8), seed)
    values = p(elements.nodes)
    size = np.abs(values).max() + np.abs(p.deriv()(elements.nodes)).max()
    assert np.array_equal(elements.gather @ values, p(elements.points))
    assert np.abs(elements.gradient @ values - p.deriv()(elements.points)).max() < 1e-10 * size
    anywhere = np.linspace(*elements.edges[[0, -1]], 23)
    assert np.abs(elements.values_at(anywhere) @ values - p(anywhere)).max() < 1e-10 * size
    assert np.abs(elements.slopes_at(anywhere) @ values - p.deriv()(anywhere)).max() < 1e-10 * size
    integral = p.integ()
    exact = integral(elements.edges[-1]) - integral(elements.edges[0])
    assert elements.weights @ p(elements.points) == pytest.approx(exact, abs=1e-11 * size)


def test_a_kink_between_elements_is_no_error():
    elements = Elements(np.array([0.0, 0.3, 1.0]), 4)
    values = np.abs(elements.nodes - 0.3)
    assert elements.values_at(np.array([0.1, 0.3, 0.9])) @ values == pytest.approx([0.2, 0.0, 0.6])
    assert elements.slopes_at(np.array([0.2, 0.3, 0.9])) @ values == pytest.approx([-1, 1, 1])
