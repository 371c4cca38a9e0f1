"""Hard constraints: they hold to round-off whatever the weights, and are what they say."""

import dataclasses
import json
import math

import numpy as np
import pytest
import safetensors.torch
import torch
import xarray

import simulations
import surrogate
from surrogate import networks
from surrogate.losses import relative_l2
from surrogate.networks import FNO, MLP, Constrained, PODNet, Signature
from surrogate.networks.constraints import Scope, constraints_of
from surrogate.networks.geometry import weights
from surrogate.networks.network import Scaling
from surrogate.propagation import Propagator
from tests.toy import Toy

FRAMES = 3
GRIDS = {
    "1-D": ((10,), (True,), ("nodes",)),
    "1-D walls": ((9,), (False,), ("chebyshev",)),
    "2-D": ((8, 7), (True, True), ("nodes", "nodes")),
    "2-D walls": ((6, 7), (True, False), ("cells", "nodes")),
    "3-D": ((6, 5, 4), (True, True, True), ("cells", "nodes", "nodes")),
    "3-D walls": ((4, 5, 6), (False, True, False), ("nodes", "cells", "chebyshev")),
}
PERIODIC = [name for name, (grid, periodic, _) in GRIDS.items() if all(periodic) and len(grid) > 1]
WALLED = [name for name, (_, periodic, _) in GRIDS.items() if not all(periodic)]
LENGTHS = torch.tensor([2 * math.pi, 0.7, 3.0], dtype=torch.float64)


def signature(name: str) -> Signature:
    """A vector ``v`` between scalars ``u`` and ``w``; the first frames of ``u, v`` are given."""
    grid, periodic, placement = GRIDS[name]
    axes = len(grid)
    return Signature(
        grid,
        periodic,
        in_channels=1 + 1 + axes,
        in_scalars=2,
        out_channels=FRAMES * (2 + axes),
        out_scalars=1,
        field_channels=(FRAMES, FRAMES * axes, FRAMES),
        placement=placement,
        frames=(FRAMES,) * 3,
        initial=(1, 2, -1),
        names=("u", "v", "w"),
    )


class Case:
    """A built network with random weights, its inputs, and its answers in physical units."""

    def __init__(
        self, name: str, residual: bool = False, network=None, level=0.0, **constraints
    ) -> None:
        torch.manual_seed(0)
        self.signature = signature(name)
        inner = FNO(modes=3, width=6, layers=1) if network is None else network
        self.network = Constrained(inner, **constraints).build(self.signature).double().eval()
        out = self.signature.out_channels
        is_state = torch.tensor([1.0 * (c >= 0) for c in self.signature.first_frames])
        self.scaling = Scaling(
            mean=level + self.by_component(torch.randn),
            std=self.by_component(lambda n: 0.2 + torch.rand(n)),
            change=torch.where(is_state > 0, 0.1, 1.0) if residual else torch.ones(out),
            from_first=is_state if residual else torch.zeros(out),
            lengths=LENGTHS[: len(self.signature.grid)],
        )
        self.network.calibrate(self.scaling)
        with torch.no_grad():
            for parameter in self.network.parameters():
                parameter += 0.3 * torch.randn_like(parameter)
        self.fields = torch.randn(2, *self.signature.grid, self.signature.in_channels).double()
        self.scalars = torch.rand(2, self.signature.in_scalars).double()

    def by_component(self, draw) -> torch.Tensor:
        """The same for all frames of a field, as moments are."""
        parts = [draw(count).double().repeat(FRAMES) for count in self.signature.components]
        return torch.cat(parts)

    def physical(self, answer: torch.Tensor) -> dict[str, torch.Tensor]:
        """Of each field values ``(batch, *grid, time, component)``."""
        sources = torch.tensor(self.signature.first_frames)
        first = torch.where(sources >= 0, self.fields[..., sources.clamp_min(0)], 0.0)
        s = self.scaling
        values = s.mean + s.std * (s.from_first * first + s.change * answer)
        parts = values.split(self.signature.field_channels, dim=-1)
        return {
            field: part.unflatten(-1, (FRAMES, -1))
            for field, part in zip(self.signature.names, parts, strict=True)
        }

    def answers(self) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """What the network inside says, and what is made of it."""
        with torch.no_grad():
            raw = self.network.network(self.fields, self.scalars)[0]
            return self.physical(raw), self.physical(self.network(self.fields, self.scalars)[0])

    def first(self, field: str) -> torch.Tensor:
        """The given first frame in physical units, ``(batch, *grid, component)``."""
        i = self.signature.names.index(field)
        start, count = self.signature.initial[i], self.signature.components[i]
        at = sum(self.signature.field_channels[:i])
        mean, std = self.scaling.mean[at : at + count], self.scaling.std[at : at + count]
        return mean + std * self.fields[..., start : start + count]

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        s = self.signature
        share = weights(s.grid, s.periodic, s.placement)
        return torch.einsum("p,bp...->b...", share, values.flatten(1, len(s.grid)))


def divergence(v: torch.Tensor) -> torch.Tensor:
    """Of ``(batch, *grid, time, component)``, by one spectral derivative after another."""
    total = torch.zeros_like(v[..., 0], dtype=torch.complex128)
    for axis in range(v.shape[-1]):
        n = v.shape[1 + axis]
        k = np.fft.fftfreq(n, float(LENGTHS[axis]) / n)
        if n % 2 == 0:
            k[n // 2] = 0.0
        shape = [1] * (v.ndim - 1)
        shape[1 + axis] = n
        spectrum = torch.fft.fft(v[..., axis], dim=1 + axis)
        slope = 2j * math.pi * torch.tensor(k).reshape(shape) * spectrum
        total += torch.fft.ifft(slope, dim=1 + axis)
    return total


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("name", GRIDS)
class TestEveryFrame:
    def test_zero_mean(self, name, residual):
        case = Case(name, residual, v="zero_mean", w="zero_mean")
        raw, kept = case.answers()
        for field in ("v", "w"):
            assert float(case.mean(raw[field]).abs().min()) > 1e-3
            assert float(case.mean(kept[field]).abs().max()) < 1e-13
            # Nothing but the mean has changed
            shift = (raw[field] - kept[field]).flatten(1, len(case.signature.grid))
            torch.testing.assert_close(shift, shift[:, :1].expand_as(shift), rtol=0, atol=1e-13)
        torch.testing.assert_close(raw["u"], kept["u"], rtol=0, atol=0)

    def test_conserved_mean(self, name, residual):
        case = Case(name, residual, u="conserved_mean", v="conserved_mean")
        for field, values in list(case.answers()[1].items())[:2]:
            expected = case.mean(case.first(field))[:, None].expand(-1, FRAMES, -1)
            torch.testing.assert_close(case.mean(values), expected, rtol=0, atol=1e-13)

    def test_positive(self, name, residual):
        case = Case(name, residual, level=-3.0, u="positive", w="positive")
        raw, kept = case.answers()
        for field in ("u", "w"):
            assert float(raw[field].min()) < 0 < float(kept[field].min())
            order = raw[field][..., 0, 0].flatten().argsort()
            assert (kept[field][..., 0, 0].flatten()[order].diff() >= 0).all()


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("name", WALLED)
def test_walls(name, residual):
    grid, periodic, _ = GRIDS[name]
    axis = max(i for i, wraps in enumerate(periodic) if not wraps)
    lid = [0.5 + i for i in range(len(grid))]
    sides = [None] * axis + [[None, lid]] + [None] * (len(grid) - axis - 1)
    case = Case(name, residual, w={"walls": 2.5}, v={"walls": sides})
    raw, kept = case.answers()
    for wall_axis, wraps in enumerate(periodic):
        for side in (0, -1):
            if not wraps:
                error = kept["w"].select(1 + wall_axis, side) - 2.5
                assert float(error.abs().max()) < 1e-14
    top = kept["v"].select(1 + axis, -1)
    assert float((top - torch.tensor(lid)).abs().max()) < 1e-14
    below = (slice(None),) * (1 + axis) + (slice(0, -1),)
    torch.testing.assert_close(kept["v"][below], raw["v"][below], rtol=0, atol=1e-13)


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("name", PERIODIC)
def test_divergence_free(name, residual):
    case = Case(name, residual, v=["divergence_free", "conserved_mean"])
    raw, kept = case.answers()
    assert float(divergence(raw["v"]).abs().max()) > 0.1
    assert float(divergence(kept["v"]).abs().max()) < 1e-12
    expected = case.mean(case.first("v"))[:, None].expand(-1, FRAMES, -1)
    torch.testing.assert_close(case.mean(kept["v"]), expected, rtol=0, atol=1e-13)
    # A projection takes the shortest way: what is taken away is orthogonal to what is left
    case = Case(name, residual, v="divergence_free")
    raw, kept = case.answers()
    taken = raw["v"] - kept["v"]
    assert float(taken.abs().max()) > 1e-2
    assert float((taken * kept["v"]).sum().abs()) < 1e-11


def test_the_projection_keeps_a_solenoidal_flow_and_removes_a_gradient():
    grid, lengths = (12, 9), LENGTHS[:2]
    x, y = (2 * math.pi * torch.arange(n).double() / n for n in grid)
    a, b = 2 * math.pi / lengths
    phase = 2 * x[:, None] + y[None] + 0.3
    # From the stream function and the potential cos(phase); the mean is a flow too
    flow = torch.stack([-b * phase.sin(), 2 * a * phase.sin()], -1) + torch.tensor([1.0, -2.0])
    gradient = torch.stack([-2 * a * phase.sin(), -b * phase.sin()], -1)
    sizes = Signature(grid, (True, True), 1, 0, 2, names=("v",))
    one = torch.ones(2).double()
    scope = Scope(sizes, 0, 0 * flow[None], 0 * one, one, lengths)
    (project,) = constraints_of("v", "divergence_free")
    torch.testing.assert_close(project((flow + gradient)[None], scope)[0], flow)


@pytest.mark.parametrize(
    ("name", "declared"),
    [
        ("1-D walls", "zero_mean"),
        ("2-D walls", "conserved_mean"),
        ("3-D", "divergence_free"),
        ("2-D", ["zero_mean", "divergence_free"]),
        ("3-D walls", {"walls": 0}),
    ],
)
def test_twice_is_once(name, declared):
    sizes = signature(name)
    shape = (2, *sizes.grid, sizes.field_channels[1])
    torch.manual_seed(1)
    first, z = torch.randn(2, *shape).double()
    mean, std = torch.randn(shape[-1]).double(), 0.2 + torch.rand(shape[-1]).double()
    scope = Scope(sizes, 1, first, mean, std, LENGTHS[: len(sizes.grid)])

    def project(values):
        for constraint in constraints_of("v", declared):
            values = constraint(values, scope)
        return values

    once = project(z)
    assert float((once - z).abs().max()) > 1e-2
    torch.testing.assert_close(project(once), once, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("name", "constraints"),
    [
        ("2-D", {"u": "positive", "v": ["divergence_free", "zero_mean"], "w": "zero_mean"}),
        ("2-D walls", {"u": "conserved_mean", "v": {"walls": [0.5, -1]}}),
    ],
)
@pytest.mark.parametrize("residual", [False, True])
def test_gradients_are_those_of_finite_differences(name, constraints, residual):
    case = Case(name, residual, **constraints)
    direction = torch.randn(case.signature.out_channels).double()
    weight = torch.randn_like(case.fields[..., :1])

    def total(scale):
        fields, _ = case.network(case.fields * scale, case.scalars * scale)
        return (weight * fields * direction).sum() + (fields**2).mean()

    scale = torch.ones((), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(total, (scale,), eps=1e-6, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("level", [0.0, 1e4, -1e4])
def test_positive_survives_single_precision(level):
    """Far below zero, softplus is 0 and rounding must not lead across it."""
    case = Case("1-D", residual=True, u="positive", w="positive")
    network = case.network.float()
    network.mean.fill_(level)
    fields = 100 * case.fields.float()
    sources = torch.tensor(case.signature.first_frames)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter *= 20
        answer = network(fields, case.scalars.float())[0]
    first = fields[..., sources.clamp_min(0)] * (sources >= 0)
    normalised = network.from_first * first + network.change * answer
    physical = torch.addcmul(network.mean, normalised, network.std)
    assert float(physical[..., [0, 1, 2, -3, -2, -1]].min()) > 0


@pytest.mark.parametrize("name", GRIDS)
def test_name_settings_signature_and_weights_rebuild_a_network(name):
    case = Case(name, residual=True, u="positive", v="conserved_mean", w="zero_mean")
    network = case.network
    config = json.loads(json.dumps(network.config))
    described = json.loads(json.dumps(dataclasses.asdict(case.signature)))
    again = networks.by_name("Constrained")(**config).build(Signature(**described)).double()
    again.load_state_dict(safetensors.torch.load(safetensors.torch.save(network.state_dict())))
    for ours, theirs in zip(
        network(case.fields, case.scalars), again(case.fields, case.scalars), strict=True
    ):
        assert torch.equal(ours, theirs)


def test_export_with_a_dynamic_batch():
    case = Case("2-D", u="positive", v=["divergence_free", "zero_mean"], w="zero_mean")
    network, inputs = case.network.float(), (case.fields.float(), case.scalars.float())
    size = torch.export.Dim("batch", min=2, max=512)
    exported = torch.export.export(network, inputs, dynamic_shapes=({0: size}, {0: size})).module()
    other = tuple(torch.cat([x, 2 * x, -x]) for x in inputs)
    for ours, theirs in zip(network(*other), exported(*other), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_a_network_that_is_fitted_learns_what_its_constraint_turns_into_the_data():
    case = Case("1-D", u="positive", network=PODNet(modes=2, width=8, layers=1))
    seen = []
    case.network.network.prepare = lambda fields, scalars, out, out_scalars: seen.append(out)
    zero = -case.scaling.mean / case.scaling.std
    targets = zero + 0.05 + torch.rand(2, 10, case.signature.out_channels).double()
    case.network.prepare(case.fields, case.scalars, targets, torch.zeros(2, 1).double())
    case.network.network.forward = lambda fields, scalars: (seen[0], scalars[:, :1])
    torch.testing.assert_close(case.network(case.fields, case.scalars)[0], targets)


@pytest.mark.parametrize(
    ("name", "constraints", "message"),
    [
        ("2-D", {"p": "zero_mean"}, "p='zero_mean': no such field on the grid; there are u, v, w"),
        ("2-D", {"u": "sum"}, "u='sum': a constraint must be one of zero_mean"),
        ("2-D", {"u": {"wall": 0}}, "u=.*must be one of"),
        ("2-D", {"u": ["zero_mean", "positive"]}, "u=.*must be one constraint, or divergence_free"),
        ("2-D", {"u": []}, "u=.*must be one constraint"),
        ("2-D", {}, "at least one field"),
        ("2-D", {"w": "conserved_mean"}, "w=.*whose first frame is given"),
        ("2-D", {"u": "divergence_free"}, "u=.*vector of 2 components, not 1"),
        ("1-D", {"v": "divergence_free"}, "v=.*two or three axes"),
        ("2-D walls", {"v": "divergence_free"}, "v=.*all periodic"),
        ("2-D", {"u": {"walls": 0}}, "u=.*needs an axis that is not periodic"),
        ("2-D walls", {"u": {"walls": [[0, 1], None]}}, "u=.*axis 0 has none"),
        ("2-D walls", {"v": {"walls": [1, 2, 3]}}, "v=.*must be a number or one for each of 2"),
        ("2-D walls", {"v": {"walls": [None, 3]}}, "v=.*must be a number"),
        ("2-D walls", {"v": {"walls": [None, [0, "x"]]}}, "v=.*must be a number"),
    ],
)
def test_what_cannot_be_kept_is_refused(name, constraints, message):
    with pytest.raises(ValueError, match=message):
        Constrained(MLP(width=8), **constraints).build(signature(name))


@pytest.mark.parametrize("network", [torch.nn.Linear(1, 1), "Nothing", {"config": {}}, 3])
def test_what_is_no_network_is_refused(network):
    with pytest.raises(ValueError, match="network"):
        Constrained(network, u="zero_mean")


def test_a_conserved_mean_is_right_where_no_sample_has_been():
    """Diffusion on a ring: means in [−1, 1] are learnt from, and up to three times that asked."""
    sizes = Signature((16,), (True,), 1, 0, 1, initial=(0,), names=("u",))
    x = 2 * math.pi * torch.arange(16)[:, None] / 16

    def data(samples: int, reach: float, generator: torch.Generator):
        mean = reach * (2 * torch.rand(samples, 1, 1, generator=generator) - 1)
        phase = 6.28 * torch.rand(samples, 1, 2, generator=generator)
        waves = torch.cos(torch.tensor([1.0, 2.0]) * x + phase)
        decay = torch.exp(-0.2 * torch.tensor([1.0, 4.0]))
        return mean + waves.sum(-1, keepdim=True), mean + (decay * waves).sum(-1, keepdim=True)

    def error(network: networks.Network) -> float:
        network.build(sizes)
        generator = torch.Generator().manual_seed(0)
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
        fields, truth = data(16, 1.0, generator)
        for _ in range(60):
            optimizer.zero_grad()
            relative_l2(network(fields, torch.zeros(16, 0))[0], truth).mean().backward()
            optimizer.step()
        fields, truth = data(64, 3.0, generator)
        with torch.no_grad():
            return float(relative_l2(network(fields, torch.zeros(64, 0))[0], truth).mean())

    torch.manual_seed(0)
    free = error(FNO(modes=4, width=8, layers=1))
    torch.manual_seed(0)
    kept = error(Constrained(FNO(modes=4, width=8, layers=1), u="conserved_mean"))
    assert kept < 0.7 * free


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    path = tmp_path_factory.mktemp("constrained") / "toy"
    return simulations.generate(Toy(n_times=3), 20, path, workers=1, progress=False)


@pytest.mark.parametrize("problem", [None, Propagator(), Propagator(residual=False, history=2)])
def test_a_surrogate_keeps_them_in_physical_units_and_from_file(dataset, problem, tmp_path):
    network = Constrained(
        FNO(modes=3, width=6, layers=1), theta="conserved_mean", flux="positive", load="zero_mean"
    )
    emulator = surrogate.train(
        dataset, network, problem=problem, epochs=2, batch_size=4, progress=False
    )
    emulator.save(tmp_path / "model")
    again = surrogate.load(tmp_path / "model")
    answer = emulator(seed=3)
    xarray.testing.assert_equal(answer.drop_attrs(deep=False), again(seed=3).drop_attrs(deep=False))
    share = dataset.simulation.grid.weights
    share = share / share.sum()
    totals = np.einsum("xy,txy->t", share, answer["theta"].values.astype(np.float64))
    np.testing.assert_allclose(totals, totals[0], rtol=0, atol=2e-5)
    loads = np.einsum("xy,txy...->t...", share, answer["load"].values.astype(np.float64))
    assert abs(loads).max() < 2e-5 * abs(answer["load"].values).max()
    assert answer["flux"].values.min() > 0
