"""What every network keeps: shapes, gradients, determinism, files, export. One list, all tests."""

import dataclasses
import json
from collections.abc import Callable

import pytest
import torch

from surrogate import networks
from surrogate.networks import FNO, Network, PODNet, PODPolynomial, Signature
from surrogate.networks.fno import SpectralConv, fourier_transforms

SIGNATURES = {
    "1-D fields": Signature((24,), (True,), 2, 1, 3),
    "1-D walls": Signature((17,), (False,), 1, 0, 2, 1),
    "2-D fields": Signature((12, 10), (True, False), 1, 2, 3, 2, (2, 1)),
    "2-D parameters": Signature((9, 9), (False, False), 0, 2, 3, 1, (1, 2)),
    "3-D fields": Signature((8, 6, 10), (True, True, False), 1, 1, 1),
}
MAKERS: dict[str, Callable[[], Network]] = {
    "FNO": lambda: FNO(modes=4, width=8, layers=2),
    "FNO with channel MLP": lambda: FNO(modes=3, width=8, layers=2, lifting=16, channel_mlp=0.5),
    "PODNet": lambda: PODNet(modes=5, width=16, layers=2),
    "PODPolynomial": lambda: PODPolynomial(modes=5, max_terms=30),
}


def cases():
    for name, make in MAKERS.items():
        for problem, signature in SIGNATURES.items():
            if name == "PODPolynomial" and signature.in_channels:
                continue
            yield pytest.param(make, signature, id=f"{name}, {problem}")


def batch(signature: Signature, n: int = 4, dtype=torch.float32, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    fields = torch.randn(n, *signature.grid, signature.in_channels, generator=generator).to(dtype)
    scalars = torch.rand(n, signature.in_scalars, generator=generator).to(dtype) * 2 - 1
    return fields, scalars


def built(make, signature, dtype=torch.float32, seed: int = 0) -> Network:
    torch.manual_seed(seed)
    network = make().build(signature).to(dtype)
    fields, scalars = batch(signature, 16, dtype, seed=1)
    generator = torch.Generator().manual_seed(2)
    shape = (16, *signature.grid, signature.out_channels)
    out_fields = torch.randn(*shape, generator=generator).to(dtype)
    out_scalars = torch.randn(16, signature.out_scalars, generator=generator).to(dtype)
    network.prepare(fields, scalars, out_fields, out_scalars)
    return network.eval()


@pytest.mark.parametrize(("make", "signature"), list(cases()))
def test_shapes_and_determinism(make, signature):
    network, inputs = built(make, signature), batch(signature)
    fields, scalars = network(*inputs)
    assert fields.shape == (4, *signature.grid, signature.out_channels)
    assert scalars.shape == (4, signature.out_scalars)
    assert torch.isfinite(fields).all()
    again = built(make, signature)(*inputs)
    assert torch.equal(fields, again[0])
    assert torch.equal(scalars, again[1])


@pytest.mark.parametrize(("make", "signature"), list(cases()))
def test_samples_of_a_batch_do_not_see_each_other(make, signature):
    network, (fields, scalars) = (
        built(make, signature, torch.float64),
        batch(signature, dtype=torch.float64),
    )
    together = network(fields, scalars)[0]
    alone = torch.cat([network(fields[i : i + 1], scalars[i : i + 1])[0] for i in range(4)])
    torch.testing.assert_close(together, alone, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("make", "signature"), list(cases()))
def test_every_input_matters(make, signature):
    network, (fields, scalars) = (
        built(make, signature, torch.float64),
        batch(signature, dtype=torch.float64),
    )
    before = network(fields, scalars)[0]
    for position in range(signature.in_scalars):
        moved = scalars.clone()
        moved[:, position] += 0.1 * torch.sign(0.5 - moved[:, position])
        assert not torch.allclose(network(fields, moved)[0], before, rtol=1e-6, atol=1e-9)
    for position in range(signature.in_channels):
        moved = fields.clone()
        moved[..., position] *= 1.5
        assert not torch.allclose(network(moved, scalars)[0], before, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("make", "signature"), list(cases()))
def test_gradients_are_those_of_finite_differences(make, signature):
    network = built(make, signature, torch.float64)
    fields, scalars = batch(signature, 2, torch.float64)
    weights = [p for p in network.parameters() if p.requires_grad]
    scalars.requires_grad_(bool(signature.in_scalars))

    def total(scale: torch.Tensor) -> torch.Tensor:
        out_fields, out_scalars = network(fields * scale, scalars * scale)
        return (out_fields**2).mean() + (out_scalars**2).sum()

    scale = torch.ones((), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(total, (scale,), eps=1e-6, atol=1e-4, rtol=1e-4)
    if weights:
        loss = total(torch.ones((), dtype=torch.float64))
        gradient = torch.autograd.grad(loss, weights)
        direction = [torch.randn_like(w) for w in weights]
        expected = sum((g * d).sum() for g, d in zip(gradient, direction, strict=True))
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                for w, d in zip(weights, direction, strict=True):
                    w += sign * 1e-6 * d
                values.append(total(torch.ones((), dtype=torch.float64)))
                for w, d in zip(weights, direction, strict=True):
                    w -= sign * 1e-6 * d
        torch.testing.assert_close((values[0] - values[1]) / 2e-6, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("make", "signature"), list(cases()))
def test_name_settings_signature_and_weights_rebuild_a_network(make, signature):
    network, inputs = built(make, signature), batch(signature)
    config = json.loads(json.dumps(network.config))
    described = json.loads(json.dumps(dataclasses.asdict(signature)))
    again = networks.by_name(type(network).__name__)(**config).build(Signature(**described))
    again.load_state_dict(network.state_dict())
    for ours, theirs in zip(network(*inputs), again.eval()(*inputs), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(("make", "signature"), list(cases()))
def test_single_and_double_precision_agree(make, signature):
    network = built(make, signature, torch.float64)
    inputs = batch(signature, dtype=torch.float64)
    double = network(*inputs)[0]
    single = network.float()(*(x.float() for x in inputs))[0]
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), double, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("make", "signature"), list(cases()))
def test_export_with_a_dynamic_batch(make, signature):
    network, inputs = built(make, signature), batch(signature)
    size = torch.export.Dim("batch", min=2, max=512)
    exported = torch.export.export(network, inputs, dynamic_shapes=({0: size}, {0: size})).module()
    other = batch(signature, 7, seed=5)
    for ours, theirs in zip(network(*other), exported(*other), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_misuse_is_refused_by_name(make):
    signature = SIGNATURES["2-D parameters"]
    fields, scalars = batch(signature)
    with pytest.raises(RuntimeError, match="build"):
        make()(fields, scalars)
    network = make().build(signature)
    with pytest.raises(RuntimeError, match="already built"):
        network.build(signature)
    with pytest.raises(ValueError, match="scalars of shape"):
        network(fields, scalars[:, :1])
    with pytest.raises(ValueError, match="fields of shape"):
        network(fields[..., None, :], scalars)


def test_unknown_names_and_abstract_classes_are_refused():
    for name in ("Nothing", "Network", "PODDecoder", "Signature", "inspect"):
        with pytest.raises(ValueError, match=name):
            networks.by_name(name)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grid": (0,)}, "grid"),
        ({"periodic": (True, True)}, "periodic"),
        ({"in_channels": -1}, "in_channels=-1"),
        ({"field_channels": (1, 1)}, "field_channels"),
        ({"in_channels": 0, "in_scalars": 0}, "needs an input"),
    ],
)
def test_impossible_signatures_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SIGNATURES["1-D fields"], **changes)


class TestSpectralConv:
    """The matrices against torch.fft, and linear equations that the layer solves exactly."""

    def test_equals_the_truncated_fft(self):
        torch.manual_seed(0)
        layer = SpectralConv(3, 2, (5, 4)).double()
        u = torch.randn(2, 16, 12, 3, dtype=torch.float64)
        ours = layer(u, fourier_transforms((16, 12), (5, 4), (True, True), dtype=torch.float64))
        weight = torch.complex(*layer.weight).reshape(9, 4, 3, 2)
        c = torch.fft.rfft2(u, dim=(1, 2), norm="forward")
        kept = torch.cat([c[:, -4:, :4], c[:, :5, :4]], dim=1)
        out = torch.zeros(2, 16, 7, 2, dtype=torch.complex128)
        product = torch.einsum("bxyi,xyio->bxyo", kept, weight)
        out[:, -4:, :4], out[:, :5, :4] = product[:, :4], product[:, 4:]
        theirs = torch.fft.ifft(out, dim=1, norm="forward")
        theirs = torch.fft.irfft(theirs, n=12, dim=2, norm="forward")
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)

    @pytest.mark.parametrize("n", [32, 33])
    def test_solves_advection_and_diffusion_exactly(self, n):
        """u(x, t) = e^(−νk²t) cos(k(x − ct)) mode by mode, to round-off."""
        nu, c, t, modes = 0.01, 0.7, 0.9, 8
        k = 2 * torch.pi * torch.arange(modes, dtype=torch.float64)
        symbol = torch.exp(-nu * k**2 * t) * torch.exp(-1j * k * c * t)
        layer = SpectralConv(1, 1, (modes,)).double()
        with torch.no_grad():
            layer.weight.copy_(torch.stack([symbol.real, symbol.imag]).reshape(2, modes, 1, 1))
        x = torch.arange(n, dtype=torch.float64) / n
        amplitude = torch.randn(modes, dtype=torch.float64)
        shift = torch.rand(modes, dtype=torch.float64)

        def solution(time: float) -> torch.Tensor:
            decay = amplitude * torch.exp(-nu * k**2 * time)
            return (decay * torch.cos(k * (x[:, None] - c * time - shift))).sum(dim=1)

        u = layer(
            solution(0.0)[None, :, None],
            fourier_transforms((n,), (modes,), (True,), dtype=torch.float64),
        )
        torch.testing.assert_close(u[0, :, 0], solution(t), rtol=1e-12, atol=1e-12)


class TestFNO:
    def test_is_the_same_function_on_a_finer_grid(self):
        signature = Signature((32, 24), (True, False), 1, 1, 2)
        network = built(lambda: FNO(modes=4, width=8, layers=1), signature, torch.float64)

        def field(n: int, m: int) -> torch.Tensor:
            x = torch.arange(n, dtype=torch.float64) / n
            y = (torch.arange(m, dtype=torch.float64) + 0.5) / m
            wave = torch.cos(2 * torch.pi * x)[:, None] * torch.cos(torch.pi * y)
            return wave[None, ..., None]

        scalars = torch.full((1, 1), 0.3, dtype=torch.float64)
        with torch.no_grad():
            coarse = network(field(32, 24), scalars)[0]
            fine = network(field(96, 72), scalars)[0][:, ::3, 1::3]
        # Cell sums of the padded axis converge with the grid, the periodic one is exact
        assert float((fine - coarse).norm() / coarse.norm()) < 5e-3

    def test_commutes_with_translations_of_a_periodic_grid(self):
        signature = Signature((16, 12), (True, True), 1, 1, 2)
        network = built(lambda: FNO(modes=4, width=8, layers=2), signature, torch.float64)
        fields, scalars = batch(signature, dtype=torch.float64)
        moved = network(fields.roll((3, 5), dims=(1, 2)), scalars)[0]
        expected = network(fields, scalars)[0].roll((3, 5), dims=(1, 2))
        torch.testing.assert_close(moved, expected, rtol=1e-10, atol=1e-12)

    def test_bfloat16_autocast_runs_and_agrees_loosely(self):
        signature = SIGNATURES["2-D fields"]
        network, inputs = built(MAKERS["FNO"], signature), batch(signature)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = network(*inputs)[0].detach()
        full = network(*inputs)[0].detach()
        assert float((half.float() - full).norm() / full.norm()) < 0.05


class TestPODPolynomial:
    def test_an_analytic_map_is_learnt_far_below_a_percent(self):
        """u(x; a, b) = 1/(2 + a + x b): its polynomial coefficients fall exponentially."""
        x = torch.linspace(0, 1, 40, dtype=torch.float64)

        def data(n: int, seed: int):
            torch.manual_seed(seed)
            scalars = torch.rand(n, 2, dtype=torch.float64) * 2 - 1
            u = 1 / (3.5 + scalars[:, :1] + x * scalars[:, 1:])
            return torch.zeros(n, 40, 0).double(), scalars, u[..., None], u[:, :1]

        signature = Signature((40,), (False,), 0, 2, 1, 1)
        network = PODPolynomial(modes=20).build(signature).double()
        network.prepare(*data(200, 0))
        fields, scalars, truth, first = data(50, 1)
        predicted, value = network(fields, scalars)
        assert float((predicted - truth).norm() / truth.norm()) < 1e-6
        torch.testing.assert_close(value, first, rtol=1e-5, atol=0)

    def test_few_samples_do_not_overfit(self):
        """With fewer samples than terms the penalty has to carry the fit."""
        torch.manual_seed(0)
        scalars = torch.rand(25, 2, dtype=torch.float64) * 2 - 1
        u = torch.exp(scalars[:, :1] * 0.5 + 0.3 * scalars[:, 1:]).repeat(1, 6)[..., None]
        network = PODPolynomial().build(Signature((6,), (False,), 0, 2, 1)).double()
        network.prepare(torch.zeros(25, 6, 0), scalars, u, torch.zeros(25, 0))
        test = torch.rand(50, 2, dtype=torch.float64) * 1.8 - 0.9
        truth = torch.exp(test[:, 0] * 0.5 + 0.3 * test[:, 1])
        predicted = network(torch.zeros(50, 6, 0).double(), test)[0][:, 0, 0]
        assert float((predicted / truth - 1).abs().max()) < 0.02

    def test_takes_the_nearest_end_outside_its_box(self):
        signature = SIGNATURES["2-D parameters"]
        network = built(MAKERS["PODPolynomial"], signature)
        outside = torch.tensor([[1.7, -0.2]])
        inside = torch.tensor([[1.0, -0.2]])
        none = torch.zeros(1, 9, 9, 0)
        assert torch.equal(network(none, outside)[0], network(none, inside)[0])

    def test_refuses_field_inputs(self):
        with pytest.raises(ValueError, match="takes parameters alone"):
            PODPolynomial().build(SIGNATURES["1-D fields"])
