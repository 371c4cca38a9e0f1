"""The spectral layer learns linear problems on periodic grids to rounding, from data alone."""

import math

import pytest
import torch

from surrogate.networks.fourier import SpectralConv, fourier_transforms

MODES = 6
TIME = 0.1


def heat(k):
    """Multiplier of ``∂u/∂t = ν Δu``."""
    return torch.exp(-0.02 * (2 * math.pi) ** 2 * (k**2).sum(-1) * TIME) + 0j


def advection(k):
    """Multiplier of ``∂u/∂t + c·∇u = 0``."""
    velocity = torch.tensor([0.7, -1.3], dtype=torch.float64)[: k.shape[-1]]
    return torch.exp(-2j * math.pi * (k * velocity).sum(-1) * TIME)


def pairs(multiplier, points, axes, count, seed):
    """Random band-limited fields and what the equation makes of them, by FFT."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, *(points,) * axes, generator=generator, dtype=torch.float64)
    k = torch.fft.fftfreq(points, 1 / points, dtype=torch.float64)
    k = torch.stack(torch.meshgrid(*(k,) * axes, indexing="ij"), -1)
    dimensions = tuple(range(1, axes + 1))
    spectrum = torch.fft.fftn(noise, dim=dimensions) * (k.abs() < MODES).all(-1)
    return [
        torch.fft.ifftn(values, dim=dimensions).real[..., None]
        for values in (spectrum, spectrum * multiplier(k))
    ]


@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize("multiplier", [heat, advection])
def test_a_spectral_layer_learns_a_linear_equation(multiplier, axes):
    torch.manual_seed(0)
    layer = SpectralConv(1, 1, [MODES] * axes).double()

    def transforms(points):
        return fourier_transforms(
            [points] * axes, [MODES] * axes, [True] * axes, dtype=torch.float64
        )

    u, v = pairs(multiplier, 16, axes, 40, seed=1)
    known = transforms(16)
    optimizer = torch.optim.LBFGS(
        layer.parameters(),
        max_iter=300,
        tolerance_grad=1e-14,
        tolerance_change=0.0,
        line_search_fn="strong_wolfe",
    )

    def loss():
        optimizer.zero_grad()
        error = (layer(u, known) - v).square().sum() / v.square().sum()
        error.backward()
        return error

    optimizer.step(loss)
    # On inputs it has not seen, and on a grid it has not seen
    for points in (16, 27):
        unseen, answer = pairs(multiplier, points, axes, 5, seed=2)
        error = (layer(unseen, transforms(points)) - answer).norm() / answer.norm()
        assert error < 1e-6
