"""Exponential time differencing: coefficients, order, exact solutions, step and mode control."""

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.numerics import semilinear


def wavenumbers(n, length, powers=1):
    """Those whose products are free of aliasing."""
    return 2 * np.pi / length * np.arange((n - 1) // (powers + 2) + 1)


def solve(u0, linear, multipliers, times, tolerance):
    """Frames, accepted and rejected steps."""
    frames = np.empty((len(times), u0.size))
    status, reached, accepted, rejected = semilinear.integrate(
        u0, linear, np.atleast_2d(multipliers).astype(complex), np.array(times), tolerance, frames
    )
    assert (status, reached) == (semilinear.COMPLETED, times[-1])
    return frames, accepted, rejected


def march(u0, linear, multipliers, t_end, steps):
    """The field after equal steps, without any control."""
    multipliers = np.atleast_2d(multipliers).astype(complex)
    modes = linear.size
    table = np.empty((semilinear.TABLE_ROWS, modes), linear.dtype)
    semilinear.tabulate(linear, t_end / steps, modes, table)
    v = np.fft.rfft(u0, norm="forward")[:modes]
    new, rates = np.empty_like(v), np.empty((semilinear.STAGES, modes), complex)
    for _ in range(steps):
        semilinear._nonlinear(v, multipliers, modes, u0.size, rates[0])
        semilinear.advance(v, rates, table, multipliers, modes, u0.size, new)
        v, new = new, v
    return np.fft.irfft(v, u0.size, norm="forward")


def relative_error(u, exact):
    return np.linalg.norm(u - exact) / np.linalg.norm(exact)


def burgers(n=128):
    x, k = np.arange(n) / n, wavenumbers(n, 1.0)
    return np.sin(2 * np.pi * x) + 0.3 * np.cos(4 * np.pi * x), -0.05 * k**2, -0.5j * k, 0.3


def kuramoto_sivashinsky(n=128):
    length = 32 * np.pi
    x, k = length * np.arange(n) / n, wavenumbers(n, length)
    return np.cos(x / 16) * (1 + np.sin(x / 16)), k**2 - k**4, -0.5j * k, 20.0


def korteweg_de_vries(n=128):
    x, k = 20 * np.arange(n) / n, wavenumbers(n, 20.0)
    return 0.3 * np.cos(0.1 * np.pi * x), 1j * k**3, -3j * k, 2.0


def bistable(n=128):
    """Both powers at once: u_t = D u_xx + u (1 − u)(u − a)."""
    x, k = np.arange(n) / n, wavenumbers(n, 1.0, powers=2)
    one = np.ones_like(k)
    return 0.5 + 0.4 * np.sin(2 * np.pi * x), -0.3 - 1e-3 * k**2, [1.3 * one, -one], 8.0


EQUATIONS = [burgers, kuramoto_sivashinsky, korteweg_de_vries, bistable]


def integrals_of_exponential(z, c):
    """∫ e^((c−s)z) (1, s, s²/2) ds over 0 < s < c, to 30 digits."""
    with mpmath.workdps(60):
        z = mpmath.mpmathify(z) * c
        if abs(z) < 1:
            terms = [[z**m / mpmath.factorial(m + j) for m in range(50)] for j in (1, 2, 3)]
            phi = [mpmath.fsum(series) for series in terms]
        else:
            phi = [mpmath.expm1(z) / z]
            phi.append((phi[0] - 1) / z)
            phi.append((phi[1] - mpmath.mpf(1) / 2) / z)
        return [complex(c**j * value) for j, value in enumerate(phi, start=1)]


REAL = [0.0, 1e-14, 1e-8, 1e-3, 0.1, 0.9, 1.0, 2.0, 3.999, 4.001, 9.0, 50.0, 300.0]
ARGUMENTS = np.array([*REAL, *(-x for x in REAL), -1e3, -1e6, -1e12])
DIRECTIONS = np.exp(1j * np.pi * np.array([0.5, -0.5, 0.55, 0.75, 1.0]))
COMPLEX_ARGUMENTS = np.concatenate(
    [np.outer([*REAL, 1e4, 1e6], DIRECTIONS).ravel(), 2j * np.pi * np.array([1, 2, 3, 4, -8])]
)


@pytest.mark.parametrize("arguments", [ARGUMENTS, COMPLEX_ARGUMENTS], ids=["real", "complex"])
@pytest.mark.parametrize("step", [1.0, 0.03])
def test_coefficients_against_sixty_digits(arguments, step):
    table = np.full((semilinear.TABLE_ROWS, arguments.size), np.nan, arguments.dtype)
    semilinear.tabulate(arguments / step, step, arguments.size, table)
    for z, column in zip(arguments / step * step, table.T, strict=True):
        # An integral over an oscillation may vanish: then the size of its integrand counts
        floor = 0.0 if z.imag == 0 else 4e-16 / (1 + abs(z))
        for c, row in ((0.25, 0), (0.5, 3), (0.75, 6), (1.0, 9)):
            exponential, *integrals = column[row : row + 3 + (c == 1)]
            exact = complex(mpmath.exp(c * mpmath.mpmathify(z)))
            assert abs(exponential - exact) <= 5e-14 * abs(exact)
            expected = integrals_of_exponential(z, c)[: len(integrals)]
            for value, exact in zip(integrals, expected, strict=True):
                assert abs(value / step - exact) <= 1e-14 * abs(exact) + floor, (z, c)


@given(
    n=st.integers(16, 130),
    powers=st.integers(1, 3),
    seed=st.integers(0, 2**32),
)
def test_products_are_free_of_aliasing(n, powers, seed):
    rng = np.random.default_rng(seed)
    modes = wavenumbers(n, 1.0, powers).size
    v, *multipliers = rng.standard_normal((powers + 1, modes)) + 1j * rng.standard_normal(
        (powers + 1, modes)
    )
    v[0] = v[0].real
    spectrum = np.concatenate([v[:0:-1].conj(), v])
    power, expected = spectrum, 0
    for g in multipliers:
        power = np.convolve(power, spectrum)
        middle = power.size // 2
        expected = expected + g * power[middle : middle + modes]
    rate = np.empty_like(v)
    length = semilinear._transform_length(modes, powers, n)
    assert length <= n
    semilinear._nonlinear(v, np.array(multipliers), modes, length, rate)
    assert np.abs(rate - expected).max() <= 1e-13 * np.abs(expected).max()


@pytest.mark.parametrize("equation", EQUATIONS)
def test_order_five(equation):
    u0, linear, multipliers, t_end = equation(32)
    reference = march(u0, linear, multipliers, t_end, 2560)
    steps = np.array([20, 40, 80])
    errors = [relative_error(march(u0, linear, multipliers, t_end, s), reference) for s in steps]
    rates = np.log2(np.array(errors[:-1]) / errors[1:])
    assert rates.min() > 4.7, (errors, rates)


@pytest.mark.parametrize(
    "symbol",
    [
        lambda k: -0.01 * k**2,
        lambda k: -3j * k,
        lambda k: 1e-5j * k**3,
        lambda k: k**2 - 1e-2 * k**4,
    ],
    ids=["heat", "advection", "dispersion", "fourth order"],
)
def test_linear_equations_are_solved_to_round_off(symbol):
    n, k = 96, wavenumbers(96, 2.0)
    u0 = np.fft.irfft(np.random.default_rng(1).standard_normal(k.size) / (1 + k), n)
    linear, times = symbol(k), [0.0, 0.3, 0.7]
    frames, accepted, _ = solve(u0, linear, np.zeros(k.size), times, 1e-10)
    exact = np.fft.irfft(np.fft.rfft(u0)[: k.size] * np.exp(linear * 0.7), n)
    assert relative_error(frames[-1], exact) < 1e-12
    assert accepted < 20
    one_step = march(u0, linear, np.zeros(k.size), 0.7, 1)
    assert relative_error(one_step, exact) < 1e-13


def two_solitons(x, t, k1, k2, x1, x2):
    """2 ∂²/∂x² ln τ, Hirota, Physical Review Letters 27 (1971) 1192; u_t + 6 u u_x + u_xxx = 0."""
    e1 = np.exp(2 * k1 * (x - 4 * k1**2 * t - x1))
    e2 = np.exp(2 * k2 * (x - 4 * k2**2 * t - x2))
    a = ((k1 - k2) / (k1 + k2)) ** 2
    tau = 1 + e1 + e2 + a * e1 * e2
    tau_x = 2 * k1 * e1 + 2 * k2 * e2 + 2 * (k1 + k2) * a * e1 * e2
    tau_xx = 4 * k1**2 * e1 + 4 * k2**2 * e2 + 4 * (k1 + k2) ** 2 * a * e1 * e2
    return 2 * (tau_xx / tau - (tau_x / tau) ** 2)


@pytest.fixture(scope="module")
def collision():
    """A fast and a slow soliton, before and after the fast one has overtaken."""
    n, length = 1000, 100.0
    x, k = length * np.arange(n) / n - 30, wavenumbers(1000, 100.0)
    before = two_solitons(x, 0.0, 1.0, 0.5, -10.0, 10.0)
    times = np.linspace(0.0, 14.0, 3)
    frames, *_ = solve(before, 1j * k**3, -3j * k, times, 1e-8)
    return x, times, frames


def test_two_solitons_collide_exactly(collision):
    x, times, frames = collision
    for t, u in zip(times, frames, strict=True):
        assert relative_error(u, two_solitons(x, t, 1.0, 0.5, -10.0, 10.0)) < 1e-6


def test_phase_shift_of_colliding_solitons(collision):
    """± ln((k1 + k2)/(k1 − k2)) over k1 and k2: +1.0986123 and −2.1972246 for k = 1 and ½."""
    x, times, frames = collision
    places = []
    for u in frames[[0, -1]]:
        v, q = np.fft.rfft(u), 2j * np.pi * np.fft.rfftfreq(x.size, x[1] - x[0])
        crests = np.flatnonzero((u > np.roll(u, 1)) & (u > np.roll(u, -1)) & (u > 0.1))
        heights = u[crests]
        for crest in crests[np.argsort(-heights)]:
            where = x[crest]
            for _ in range(6):  # Newton's method on the slope of the Fourier series
                phase = np.exp(q * (where - x[0]))
                where -= (q * v @ phase).real / (q**2 * v @ phase).real
            places.append(where)
    fast_before, slow_before, fast_after, slow_after = places
    assert fast_after - fast_before - 4.0 * times[-1] == pytest.approx(1.0986123, abs=2e-6)
    assert slow_after - slow_before - 1.0 * times[-1] == pytest.approx(-2.1972246, abs=2e-6)


@pytest.mark.parametrize("equation", EQUATIONS)
def test_error_follows_the_tolerance(equation):
    u0, linear, multipliers, t_end = equation()
    times = np.linspace(0.0, t_end, 4)
    reference, *_ = solve(u0, linear, multipliers, times, 1e-12)
    tolerances = 10.0 ** -np.arange(2, 11, 2)
    errors, steps = [], []
    for tolerance in tolerances:
        frames, accepted, _ = solve(u0, linear, multipliers, times, tolerance)
        errors.append(max(map(relative_error, frames, reference)))
        steps.append(accepted)
    assert (np.array(errors) < 20 * tolerances).all(), errors
    assert np.exp(np.log(errors / tolerances).mean()) > 5e-3, errors  # no waste either
    assert (np.diff(np.log(errors)) < 0).all()
    assert (np.diff(steps) > 0).all()


@given(seed=st.integers(0, 2**32), viscosity=st.floats(0.003, 0.1))
def test_error_of_rough_data_follows_the_tolerance(seed, viscosity):
    """Coefficients that fall as k⁻¹ do not converge: the first steps pass through a transient."""
    n, k, rng = 96, wavenumbers(96, 1.0), np.random.default_rng(seed)
    v = (rng.standard_normal(k.size) + 1j * rng.standard_normal(k.size)) / (1 + np.arange(k.size))
    v[0] = 0.0
    arguments = np.fft.irfft(v, n) * n / 10, -viscosity * k**2, -0.5j * k, [0.0, 0.02, 0.2, 1.0]
    reference, *_ = solve(*arguments, 1e-11)
    for tolerance in (1e-3, 1e-5, 1e-7):
        frames, *_ = solve(*arguments, tolerance)
        assert max(map(relative_error, frames, reference)) < 20 * tolerance


def test_a_transient_within_the_first_step_is_noticed():
    """Swift–Hohenberg from rough data: the damped modes drive the others before they are gone."""
    n, k = 256, wavenumbers(256, 50.0, powers=2)
    v = np.random.default_rng(0).standard_normal(k.size) / (1 + k**2)
    arguments = np.fft.irfft(v, n) * n / 20, 0.3 - (1 - k**2) ** 2, [0 * k, -1 + 0 * k], [0.0, 3.0]
    reference, *_ = solve(*arguments, 1e-12)
    for tolerance in (1e-5, 1e-7, 1e-9):
        frames, *_ = solve(*arguments, tolerance)
        assert relative_error(frames[-1], reference[-1]) < 10 * tolerance


def test_errors_that_are_damped_away_cost_no_steps():
    """Cahn–Hilliard: 107 steps; 174 if the strongly damped modes had to be as accurate."""
    n, k = 128, wavenumbers(128, 1.0, powers=2)
    x = np.arange(n) / n
    u0 = 0.3 * np.sin(2 * np.pi * x) + 0.1 * np.cos(6 * np.pi * x)
    arguments = u0, 1e-2 * (k**2 - 4e-4 * k**4), [0 * k, -1e-2 * k**2], [0.0, 2.0]
    reference, *_ = solve(*arguments, 1e-11)
    frames, accepted, _ = solve(*arguments, 1e-6)
    assert relative_error(frames[-1], reference[-1]) < 1e-5
    assert accepted < 140


def test_a_finer_grid_costs_no_more_steps_and_changes_nothing():
    coarse = burgers(128)
    frames, accepted, _ = solve(*coarse[:3], [0.0, coarse[3]], 1e-8)
    fine = burgers(2048)
    finer, accepted_finer, _ = solve(*fine[:3], [0.0, fine[3]], 1e-8)
    assert relative_error(finer[-1][::16], frames[-1]) < 1e-8
    assert accepted_finer < 1.2 * accepted


def test_a_mode_that_grows_matters_however_small_it_is():
    n, k = 256, wavenumbers(256, 2 * np.pi)
    x = 2 * np.pi * np.arange(n) / n
    growth = np.where(k == 60, 3.0, -1e-3 * k**2)
    frames, *_ = solve(np.cos(x) + 1e-13 * np.cos(60 * x), growth, 0 * k, [0.0, 9.0], 1e-4)
    amplitude = 2 * np.abs(np.fft.rfft(frames[-1], norm="forward"))[60]
    assert amplitude == pytest.approx(1e-13 * np.exp(27.0), rel=1e-2)


@pytest.mark.parametrize(("power", "blow_up"), [(2, 1 / 1.3), (3, 1 / (2 * 1.3**2))])
def test_blow_up_is_returned_with_its_time(power, blow_up):
    """u_t = u^p becomes infinite at 1/((p − 1) max(u0)^(p−1)), where u0 is largest."""
    n, modes = 128, wavenumbers(128, 1.0, power - 1).size
    u0 = 1 + 0.3 * np.cos(2 * np.pi * np.arange(n) / n)
    multipliers = np.zeros((power - 1, modes), complex)
    multipliers[-1] = 1.0
    frames = np.full((3, n), np.nan)
    times = np.array([0.0, 0.5 * blow_up, 2.0])
    status, reached, *_ = semilinear.integrate(
        u0, np.zeros(modes), multipliers, times, 1e-8, frames
    )
    assert status == semilinear.STEP_UNDERFLOW
    assert reached == pytest.approx(blow_up, rel=0.02)
    exact = u0 / (1 - (power - 1) * u0 ** (power - 1) * times[1]) ** (1 / (power - 1))
    assert relative_error(frames[1], exact) < 1e-6


def test_many_steps_end_exactly_at_the_stored_times():
    """Rounding of the time does not add up to a spurious last step."""
    u0, linear, multipliers, _ = korteweg_de_vries()
    times = np.linspace(0.0, 20.0, 8)
    frames, accepted, rejected = solve(u0, linear, multipliers, times, 1e-11)
    assert accepted > 2000
    assert rejected < 20
    assert np.isfinite(frames).all()


def test_size_is_the_norm_of_the_field():
    u = 3 + np.random.default_rng(0).standard_normal(63)
    v = np.fft.rfft(u, norm="forward")
    assert semilinear._size(v, 0, v.size) == pytest.approx(np.sqrt((u**2).mean()), rel=1e-14)


def test_modes_are_dropped_down_to_the_fewest():
    v = 10.0 ** -np.arange(30) * (1 + 1j)
    for fewest, negligible, expected in [(8, 1e-3, 8), (8, 1e-12, 20), (25, 1e-3, 25), (8, 0, 30)]:
        kept = v.copy()
        assert semilinear._drop_modes(kept, 30, fewest, negligible) == expected
        assert np.array_equal(kept, np.where(np.arange(30) < expected, v, 0))


def test_nothing_stays_nothing():
    _, linear, multipliers, t_end = burgers()
    frames, accepted, rejected = solve(np.zeros(128), linear, multipliers, [0.0, t_end], 1e-8)
    assert not frames.any()
    assert accepted < 10
    assert rejected == 0
