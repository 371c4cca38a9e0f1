"""Training losses against their formulas in loops, exact cases and finite differences."""

import cmath
import itertools
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from simulations.grid import Axis, Grid
from surrogate import losses

UNEVEN = Axis("y", np.array([0.1, 0.2, 0.45, 0.7, 1.3]), (0.0, 1.5))
GRIDS = {
    "periodic": Grid((Axis.periodic("x", 8, 3.0),)),
    "walls": Grid((UNEVEN,)),
    "channel": Grid((Axis.periodic("x", 6, 2.0), UNEVEN)),
    "odd": Grid((Axis.periodic("x", 5, 2.0), Axis.periodic("y", 4, 1.0))),
    "box": Grid((Axis.periodic("x", 4), UNEVEN, Axis.periodic("z", 3))),
}
PERIODIC = [name for name in GRIDS if name != "walls"]


def fields(grid, channels=2, seed=0):
    rng = np.random.default_rng(seed)
    shape = (2, *grid.shape, channels)
    return torch.as_tensor(rng.normal(size=shape)), torch.as_tensor(rng.normal(size=shape))


def weights_of(grid):
    return torch.as_tensor(grid.weights)[..., None]


def slope(values, axis):
    """Derivative of one line of values: of each wave, or of a parabola through three points."""
    n = len(values)
    if axis.is_periodic:
        length, result = axis.bounds[1] - axis.bounds[0], np.zeros(n)
        for k in range(-((n - 1) // 2), (n - 1) // 2 + 1):
            c = sum(v * cmath.exp(-2j * np.pi * k * j / n) for j, v in enumerate(values)) / n
            for j in range(n):
                wave = 2j * np.pi * k / length * c * cmath.exp(2j * np.pi * k * j / n)
                result[j] += wave.real
        return result
    result = []
    for i, x in enumerate(axis.points):
        first = min(max(i - 1, 0), n - 3)
        three = slice(first, first + 3)
        result.append(np.polyval(np.polyder(np.polyfit(axis.points[three], values[three], 2)), x))
    return np.array(result)


@pytest.mark.parametrize("name", GRIDS)
def test_h1_by_hand(name):
    grid = GRIDS[name]
    prediction, target = fields(grid)
    found = losses.h1(prediction, target, weights_of(grid), grid=grid, length=0.3)
    equal = losses.h1(prediction, target, grid=grid, length=0.3)
    for b in range(2):
        for result, w in ((found, grid.weights), (equal, np.ones(grid.shape))):
            norms = []
            for u in (prediction[b] - target[b], target[b]):
                norm = 0.0
                for c in range(2):
                    v = u[..., c].numpy()
                    norm += (w * v**2).sum()
                    for i, axis in enumerate(grid.axes):
                        dv = np.apply_along_axis(slope, i, v, axis)
                        norm += 0.3**2 * (w * dv**2).sum()
                norms.append(norm**0.5)
            assert result[b].item() == pytest.approx(norms[0] / norms[1], rel=1e-8)


@pytest.mark.parametrize("k", [1, 3, 7])
def test_h1_of_a_sine_is_exact(k):
    """``‖sin kx‖² = (1 + k²)/2``, against a target of 1: the root of it."""
    grid = Grid((Axis.periodic("x", 16, 2 * np.pi),))
    x = torch.as_tensor(grid.axes[0].points)
    one = torch.ones(1, 16, dtype=torch.float64)
    found = losses.h1(one + torch.sin(k * x), one, grid=grid)
    assert found.item() == pytest.approx(((1 + k**2) / 2) ** 0.5, rel=1e-12)


def test_h1_between_walls_has_the_exact_slope_of_a_parabola():
    grid = Grid((UNEVEN,))
    x = torch.as_tensor(UNEVEN.points)
    one = torch.ones(1, 5, dtype=torch.float64)
    found = losses.h1(one + x**2, one, grid=grid, length=2.0)
    expected = ((x**4 + 4 * (2 * x) ** 2).sum() / 5) ** 0.5
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)


@pytest.mark.parametrize("name", PERIODIC)
def test_spectral_power_by_hand(name):
    grid = GRIDS[name]
    prediction, target = fields(grid)
    found = losses.spectral_power(prediction, target, weights_of(grid), grid=grid)
    dims = [i for i, axis in enumerate(grid.axes) if axis.is_periodic]
    lengths = [axis.bounds[1] - axis.bounds[0] for axis in grid.axes]
    longest = max(lengths[i] for i in dims)
    last = min(grid.shape[i] // 2 * longest / lengths[i] for i in dims)

    def energies(u):
        """Energy of each shell, ``Σ w |F u|²``, wave by wave."""
        shells = {}
        ranges = [range(-((n - 1) // 2), n // 2 + 1) for n in (grid.shape[i] for i in dims)]
        for m in itertools.product(*ranges):
            size = sum((k * longest / lengths[i]) ** 2 for k, i in zip(m, dims, strict=True)) ** 0.5
            if int(size + 1e-9) > last:
                continue
            lines = {}
            for p in np.ndindex(grid.shape):
                angle = sum(k * p[i] / grid.shape[i] for k, i in zip(m, dims, strict=True))
                across = tuple(p[i] for i in range(grid.ndim) if i not in dims)
                wave = u[p].item() * cmath.exp(-2j * np.pi * angle)
                lines.setdefault(across, []).append((wave, grid.weights[p]))
            energy = 0.0
            for line in lines.values():
                coefficient = sum(wave for wave, _ in line) / len(line)
                energy += line[0][1] * abs(coefficient) ** 2
            shells[int(size + 1e-9)] = shells.get(int(size + 1e-9), 0.0) + energy
        return [shells[k] for k in sorted(shells)]

    for b in range(2):
        errors = []
        for c in range(2):
            ours, truth = energies(prediction[b, ..., c]), energies(target[b, ..., c])
            floor = 1e-7 * sum(truth)
            errors += [
                (1 - (e + floor) / (t + floor)) ** 2 for e, t in zip(ours, truth, strict=True)
            ]
        assert found[b].item() == pytest.approx(np.mean(errors), rel=1e-6)


def test_spectral_power_of_one_wave_too_strong():
    """Twice the amplitude, four times the energy, in one of nine shells: 3²/9."""
    grid = Grid((Axis.periodic("x", 16, 2 * np.pi),))
    x = torch.as_tensor(grid.axes[0].points)
    target = sum(torch.cos(k * x) for k in range(9))[None]
    found = losses.spectral_power(target + torch.cos(3 * x), target, grid=grid)
    assert found.item() == pytest.approx(9 / 9, rel=1e-5)
    shifted = torch.roll(target, 3, dims=1)
    assert losses.spectral_power(shifted, target, grid=grid).item() < 1e-20


def all_losses(grid):
    yield losses.relative_l2
    yield partial(losses.h1, grid=grid)
    if any(grid.periodic):
        yield partial(losses.spectral_power, grid=grid)


@pytest.mark.parametrize("name", GRIDS)
def test_gradients(name):
    grid = GRIDS[name]
    prediction, target = fields(grid, channels=1)
    for loss in all_losses(grid):
        prediction.requires_grad_(True)
        assert torch.autograd.gradcheck(
            lambda p, f=loss: f(p, target, weights_of(grid)), prediction
        )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", GRIDS)
def test_zero_with_a_finite_gradient_at_equality(name, dtype):
    grid = GRIDS[name]
    target = fields(grid)[1].to(dtype)
    for field in (target, torch.ones_like(target)):
        for loss in all_losses(grid):
            same = field.clone().requires_grad_(True)
            value = loss(same, field, weights_of(grid).to(dtype))
            assert value.shape == (2,)
            assert (value.abs() < 1e-10).all()
            value.sum().backward()
            assert torch.isfinite(same.grad).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [0.0, 1e-16, 1e-25])
def test_nothing_predicted_as_nothing_is_right_and_has_no_slope(dtype, size):
    target = torch.full((2, 3), size, dtype=dtype)
    prediction = target.clone().requires_grad_(True)
    target.requires_grad_(True)
    error = losses.relative_l2(prediction, target)
    assert (error < 1e-11).all()
    error.sum().backward()
    assert (prediction.grad.abs() < 1e-3).all()
    assert torch.isfinite(target.grad).all()


def test_a_zero_among_others_takes_nothing_from_them():
    target = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
    prediction = torch.tensor([[0.0, 0.0], [3.0, 9.0]], requires_grad=True)
    error = losses.relative_l2(prediction, target)
    error.sum().backward()
    assert error.tolist() == pytest.approx([0.0, 1.0])
    assert prediction.grad.flatten().tolist() == pytest.approx([0.0, 0.0, 0.0, 0.2])


def test_combined_is_the_weighted_sum():
    grid = GRIDS["channel"]
    prediction, target = fields(grid)
    w = weights_of(grid)
    found = losses.combined({"relative_l2": 2.0, "h1": 3.0, "spectral_power": 0.5}, grid)
    expected = (
        2.0 * losses.relative_l2(prediction, target, w)
        + 3.0 * losses.h1(prediction, target, w, grid=grid, length=1.5 / (2 * np.pi))
        + 0.5 * losses.spectral_power(prediction, target, w, grid=grid)
    )
    torch.testing.assert_close(found(prediction, target, w), expected)


def test_values_and_slopes_of_the_longest_wave_weigh_the_same_in_any_unit():
    for length in (1e-9, 1.0, 1e6):
        grid = Grid((Axis.periodic("x", 16, length),))
        x = torch.as_tensor(grid.axes[0].points) / length
        one = torch.ones(1, 16, 1, dtype=torch.float64)
        wave = one + torch.sin(2 * np.pi * x)[:, None]
        found = losses.combined({"h1": 1.0}, grid)(wave, one, None)
        assert found.item() == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "grid", "message"),
    [
        ("h1", Grid(()), "loss='h1': needs an axis of space, there is none"),
        ("h1", Grid((Axis.members("body", 4),)), "loss='h1': there is no slope along body"),
        ("h1", Grid((Axis.cells("x", 2),)), "loss='h1': axis x needs 3 points"),
        ("spectral_power", GRIDS["walls"], "loss='spectral_power': needs a periodic axis"),
        ("l1", GRIDS["walls"], r"loss='l1': must be one of \['relative_l2', "),
    ],
)
def test_a_loss_that_a_grid_cannot_have_is_refused(name, grid, message):
    with pytest.raises(ValueError, match=message):
        losses.combined({name: 1.0}, grid)


@given(st.floats(1e-3, 1e3), st.integers(0, 1000))
def test_a_change_of_unit_changes_no_loss(factor, seed):
    grid = GRIDS["channel"]
    prediction, target = fields(grid, seed=seed)
    for loss in all_losses(grid):
        scaled = loss(factor * prediction, factor * target, weights_of(grid))
        torch.testing.assert_close(scaled, loss(prediction, target, weights_of(grid)))


def test_a_spectrum_needs_a_periodic_axis():
    grid = GRIDS["walls"]
    with pytest.raises(ValueError, match="grid: a spectrum needs a periodic axis"):
        losses.spectral_power(*fields(grid), grid=grid)
