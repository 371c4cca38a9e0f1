"""Cheaper forms of the Fourier layer against the full one."""

import pytest
import torch

from surrogate.networks import FNO, FactorizedFNO, Signature, TuckerFNO
from surrogate.networks.factorized_fno import FactorizedConv
from surrogate.networks.fourier import SpectralConv, fourier_transforms
from surrogate.networks.tucker_fno import TuckerConv

SIZES = [((16,), (5,)), ((9, 12), (4, 3)), ((6, 5, 8), (2, 3, 4))]


@pytest.mark.parametrize(("grid", "modes"), SIZES)
def test_a_factorized_convolution_is_a_sum_of_one_dimensional_ones(grid, modes):
    torch.manual_seed(0)
    layer = FactorizedConv(3, modes).double()
    u = torch.randn(2, *grid, 3, dtype=torch.float64)
    transforms, expected = [], torch.zeros_like(u)
    for axis, (n, kept) in enumerate(zip(grid, modes, strict=True)):
        transforms += fourier_transforms((n,), (kept,), (True,), dtype=torch.float64)
        c = torch.fft.rfft(u.movedim(axis + 1, -2), dim=-2, norm="forward")[..., :kept, :]
        c = torch.einsum("...ki,kio->...ko", c, torch.complex(*layer.weights[axis]))
        expected += torch.fft.irfft(c, n=n, dim=-2, norm="forward").movedim(-2, axis + 1)
    torch.testing.assert_close(layer(u, transforms), expected, rtol=1e-12, atol=1e-12)


def test_shared_weights_are_there_once():
    signature = Signature((16,), (True,), 1, 0, 1)
    count = {
        shared: sum(
            p.numel()
            for name, p in FactorizedFNO(modes=8, width=4, layers=3, shared=shared)
            .build(signature)
            .named_parameters()
            if "spectral" in name
        )
        for shared in (True, False)
    }
    assert count == {True: 2 * 8 * 4 * 4, False: 3 * 2 * 8 * 4 * 4}


@pytest.mark.parametrize(("grid", "modes"), SIZES)
def test_a_tucker_convolution_is_the_spectral_one_with_the_product_as_its_weight(grid, modes):
    torch.manual_seed(0)
    tucker, full = TuckerConv(6, modes, 0.5).double(), SpectralConv(6, 6, modes).double()
    channels = tucker.reduce.weight, tucker.expand.weight
    weight = torch.einsum("c...pq,pi,oq->c...io", tucker.core, *channels)
    for axis, factor in enumerate(tucker.factors):
        weight = torch.tensordot(factor, weight, dims=([1], [axis + 1])).movedim(0, axis + 1)
    with torch.no_grad():
        full.weight.copy_(weight.reshape(full.weight.shape))
    u, onto = torch.randn(2, 2, *grid, 6, dtype=torch.float64)
    transforms = fourier_transforms(grid, modes, (True,) * len(grid), dtype=torch.float64)
    ours, theirs = tucker(u, transforms, onto), full(u, transforms, onto)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    # A fresh one is as nearly local as the full one
    torch.manual_seed(0)
    tucker, fresh = TuckerConv(64, (8, 8), 0.5).weight, SpectralConv(32, 32, (8, 8)).weight
    assert float((tucker.std() / fresh.std()).detach()) == pytest.approx(1, rel=0.05)


def test_a_tucker_network_has_fewer_weights():
    signature = Signature((32, 32), (True, True), 1, 0, 1)
    small, large = (make(modes=8, width=32).build(signature) for make in (TuckerFNO, FNO))
    count = [sum(p.numel() for p in network.parameters()) for network in (small, large)]
    assert count[0] < count[1] / 5
