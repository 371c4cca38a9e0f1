"""Convolutions between neighbours, and the networks that are made of them."""

import itertools

import pytest
import torch

from surrogate.networks import DilatedResNet, Signature, UNet
from surrogate.networks.convolution import Convolution
from surrogate.networks.geometry import resampling


def moved(u: torch.Tensor, shift: int, axis: int, wraps: bool) -> torch.Tensor:
    """``u`` at ``i + shift``, which is 0 beyond the end of an axis that does not wrap."""
    result = u.roll(-shift, dims=axis)
    if not wraps and shift:
        n = u.shape[axis]
        beyond = torch.tensor([not 0 <= i + shift < n for i in range(n)])
        result = result.movedim(axis, -1).masked_fill(beyond, 0).movedim(-1, axis)
    return result


@pytest.mark.parametrize("depthwise", [True, False])
@pytest.mark.parametrize(
    ("grid", "periodic", "dilation"),
    [
        ((9,), (True,), 2),
        ((9,), (False,), 2),
        ((3,), (True,), 5),
        ((6, 5), (True, False), 1),
        ((6, 7), (True, True), 3),
        ((4, 5, 6), (False, True, False), 1),
    ],
)
def test_a_convolution_is_the_sum_over_neighbours(grid, periodic, dilation, depthwise):
    torch.manual_seed(0)
    outputs = 3 if depthwise else 2
    layer = Convolution(3, outputs, 3, periodic, dilation, depthwise).double()
    torch.nn.init.normal_(layer.inside)
    u = torch.randn(2, *grid, 3, dtype=torch.float64)
    expected = torch.zeros(2, *grid, outputs, dtype=torch.float64)
    for tap in itertools.product(range(3), repeat=len(grid)):
        field, inside = u, torch.ones(1, *grid, 1, dtype=torch.float64)
        for axis, (position, wraps) in enumerate(zip(tap, periodic, strict=True)):
            shift = dilation * (position - 1)
            field = moved(field, shift, axis + 1, wraps)
            inside = moved(inside, shift, axis + 1, wraps)
        weight = layer.weight[:, :, *tap]
        expected += field * weight[:, 0] if depthwise else field @ weight.T
        if not all(periodic):
            expected += inside * layer.inside[:, 0, *tap]
    if all(periodic):
        expected += layer.inside.flatten()
    torch.testing.assert_close(layer(u), expected, rtol=1e-12, atol=1e-12)


class TestDilatedResNet:
    def test_reaches_as_far_as_its_dilations_add_up(self):
        signature = Signature((40,), (True,), 1, 0, 1)
        torch.manual_seed(0)
        network = DilatedResNet(width=16, layers=1, dilations=(1, 8, 4)).build(signature)
        fields, none = torch.randn(1, 40, 1), torch.zeros(1, 0)
        poked = fields.clone()
        poked[0, 0] += 1
        change = (network(poked, none)[0] - network(fields, none)[0])[0, :, 0] != 0
        distance = torch.minimum(torch.arange(40), 40 - torch.arange(40))
        assert int(distance[change].max()) == 1 + 8 + 4

    def test_no_dilation_wraps_around(self):
        network = DilatedResNet(width=4, layers=1).build(Signature((12,), (True,), 1, 0, 1))
        found = [convolution.dilation for convolution in network.blocks[0].convolutions]
        assert found == [1, 2, 4, 4, 4, 2, 1]


class TestUNet:
    @pytest.mark.parametrize("grid", [(16,), (15,), (13, 9), (5, 6, 7)])
    def test_periodic_axes_have_no_seam_whatever_their_size(self, grid):
        """Nothing tells the points of a uniform field apart."""
        signature = Signature(grid, (True,) * len(grid), 1, 1, 2)
        torch.manual_seed(0)
        network = UNet(width=4, levels=3, kernel=3).build(signature).double()
        fields = torch.full((1, *grid, 1), 0.7, dtype=torch.float64)
        answer = network(fields, torch.tensor([[0.2]], dtype=torch.float64))[0].flatten(0, -2)
        torch.testing.assert_close(answer, answer[:1].expand_as(answer), rtol=1e-9, atol=1e-9)

    @pytest.mark.parametrize(("n", "m"), [(32, 16), (33, 17)])
    def test_a_wave_passes_the_seam_on_its_way_down_and_up(self, n, m):
        down, up = resampling(n, m, periodic=True)
        wave = torch.cos(2 * torch.pi * (torch.arange(n, dtype=torch.float64) + 0.5) / n + 1)
        error = (up @ (down @ wave) - wave).abs()
        assert float(error.max()) < 0.04

    def test_every_point_sees_every_other_through_the_levels(self):
        signature = Signature((33,), (False,), 1, 0, 1)
        torch.manual_seed(0)
        network = UNet(width=4, levels=4, kernel=3).build(signature).double()
        fields = torch.randn(1, 33, 1, dtype=torch.float64, requires_grad=True)
        network(fields, torch.zeros(1, 0).double())[0][0, -1, 0].backward()
        assert fields.grad.abs().min() > 0

    def test_has_as_many_levels_as_there_are_points_to_halve(self):
        network = UNet(width=4, levels=9).build(Signature((9, 3), (True, False), 1, 0, 1))
        assert network.levels == 2  # 9, 5, 3
