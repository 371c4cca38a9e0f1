"""What every network keeps: shapes, gradients, determinism, files, export. One list, all tests."""

import dataclasses
import itertools
import json
from collections.abc import Callable

import numpy as np
import pytest
import safetensors.torch
import torch

import simulations
from surrogate import networks
from surrogate.encoding import Encoding
from surrogate.losses import relative_l2
from surrogate.networks import (
    FNO,
    MLP,
    Climatology,
    DeepONet,
    DilatedResNet,
    FactorizedFNO,
    GaussianProcess,
    GraphNet,
    Koopman,
    Network,
    Persistence,
    PODLinear,
    PODNet,
    PODPolynomial,
    Signature,
    Transolver,
    TuckerFNO,
    UNet,
)
from surrogate.networks.convolutional_branch import ConvolutionalBranch
from surrogate.networks.fourier import SpectralConv, fourier_transforms
from surrogate.networks.gaussian_process import hyper_parameters
from surrogate.networks.geometry import placement_of, positions, resampling, weights
from surrogate.networks.pointwise import Pointwise

SIGNATURES = {
    "1-D fields": Signature((24,), (True,), 2, 1, 3),
    "1-D walls": Signature((17,), (False,), 1, 0, 2, 1),
    "2-D fields": Signature((12, 10), (True, False), 1, 2, 3, 2, (2, 1)),
    "2-D parameters": Signature((9, 9), (False, False), 0, 2, 3, 1, (1, 2)),
    "3-D fields": Signature((8, 6, 10), (True, True, False), 1, 1, 1),
    "trajectories": Signature(
        (20,),
        (True,),
        in_channels=4,
        in_scalars=1,
        out_channels=17,
        out_scalars=5,
        field_channels=(4, 8, 5),
        frames=(4, 4, 5),
        scalar_frames=5,
        initial=(1, 2, -1),
    ),
    "particles": Signature(
        (6,), (False,), 5, 1, 12, 3, (3,) * 4, frames=(3,) * 4, initial=(1, 2, 3, 4)
    ),
}
MAKERS: dict[str, Callable[[], Network]] = {
    "FNO": lambda: FNO(modes=4, width=8, layers=2),
    "FNO with channel MLP": lambda: FNO(modes=3, width=8, layers=2, lifting=16, channel_mlp=0.5),
    "FactorizedFNO": lambda: FactorizedFNO(modes=4, width=8, layers=2),
    "FactorizedFNO, shared": lambda: FactorizedFNO(modes=4, width=8, layers=3, shared=True),
    "TuckerFNO": lambda: TuckerFNO(modes=4, width=8, layers=2),
    "UNet": lambda: UNet(width=8, levels=2, kernel=3),
    "DilatedResNet": lambda: DilatedResNet(width=8, layers=2, dilations=(1, 4, 1)),
    "Transolver": lambda: Transolver(width=8, layers=2, heads=2, slices=4, frequencies=3),
    "PODNet": lambda: PODNet(modes=5, width=16, layers=2),
    "PODPolynomial": lambda: PODPolynomial(modes=5, max_terms=30),
    "PODNet with convolutions": lambda: PODNet(modes=5, width=16, layers=2, branch="convolution"),
    "MLP": lambda: MLP(width=16, layers=2),
    "DeepONet": lambda: DeepONet(basis=6, width=16, layers=2, frequencies=2),
    "DeepONet with convolutions": lambda: DeepONet(basis=6, width=16, branch="convolution"),
    "Koopman": lambda: Koopman(observables=6, modes=5, width=16),
    "Koopman, linear decoder": lambda: Koopman(observables=6, width=16, decoder_layers=0),
    "GraphNet": lambda: GraphNet(width=12, rounds=2, neighbours=3),
    "Climatology": Climatology,
    "Persistence": Persistence,
    "PODLinear": lambda: PODLinear(modes=5, input_modes=4),
    "GaussianProcess": lambda: GaussianProcess(modes=3, input_modes=2, points=12, tuning=10),
}
#: Problems that a network refuses
REFUSED: dict[str, Callable[[Signature], bool]] = {
    "PODPolynomial": lambda signature: signature.in_channels > 0,
    "GraphNet": lambda signature: len(signature.grid) != 1,
    "Persistence": lambda signature: max(signature.initial) < 0,
}
#: Networks whose answer does not depend on all inputs, by intention
BLIND = ("Climatology", "Persistence")
#: Networks that commute with translations of a periodic grid, and by how many points
EQUIVARIANT = {
    "FNO": 1,
    "FNO with channel MLP": 1,
    "FactorizedFNO": 1,
    "TuckerFNO": 1,
    "UNet": 4,
    "DilatedResNet": 1,
}


def refuses(name: str, signature: Signature) -> bool:
    return name in REFUSED and REFUSED[name](signature)


def cases(without=()):
    """Every network with every problem that it serves."""
    for name, make in MAKERS.items():
        if name in without:
            continue
        for problem, signature in SIGNATURES.items():
            if refuses(name, signature):
                continue
            yield pytest.param(make, signature, id=f"{name}, {problem}")


def exports():
    """All cases; recording a graph takes long, and by default there is one for each network."""
    seen = set()
    for name in MAKERS:
        for problem in ("2-D fields", *SIGNATURES):
            if refuses(name, SIGNATURES[problem]) or (name, problem) in seen:
                continue
            marks = () if name not in {other for other, _ in seen} else (pytest.mark.slow,)
            seen.add((name, problem))
            label = f"{name}, {problem}"
            yield pytest.param(MAKERS[name], SIGNATURES[problem], marks=marks, id=label)


def any_grid_makers():
    for name, make in MAKERS.items():
        if make().any_grid:
            yield pytest.param(make, id=name)


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


@pytest.mark.parametrize(("make", "signature"), list(cases(BLIND)))
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


@pytest.mark.parametrize(("make", "signature"), list(cases(BLIND)))
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
    again.load_state_dict(safetensors.torch.load(safetensors.torch.save(network.state_dict())))
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


@pytest.mark.parametrize(("make", "signature"), list(exports()))
def test_export_with_a_dynamic_batch(make, signature):
    network, inputs = built(make, signature), batch(signature)
    size = torch.export.Dim("batch", min=2, max=512)
    exported = torch.export.export(network, inputs, dynamic_shapes=({0: size}, {0: size})).module()
    other = batch(signature, 7, seed=5)
    for ours, theirs in zip(network(*other), exported(*other), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", list(any_grid_makers()))
@pytest.mark.parametrize(
    ("periodic", "placement"),
    [
        ((True, False), ("nodes", "cells")),
        ((True, False), ("cells", "nodes")),
        ((False, False), ("chebyshev", "nodes")),
    ],
)
def test_networks_of_any_grid_are_the_same_function_on_a_finer_one(make, periodic, placement):
    """The error falls as the square of the spacing: every point is where it is taken to be."""
    sizes = [(20, 16), (40, 32), (80, 64)]
    signature = Signature(sizes[0], periodic, 1, 1, 2, 1, placement=placement)
    network = built(make, signature, torch.float64)
    with torch.no_grad():  # a fresh network is too nearly local
        for parameter in network.parameters():
            parameter *= 1.5
    scalars = torch.full((1, 1), 0.3, dtype=torch.float64)

    def answer(grid: tuple[int, int]) -> torch.Tensor:
        """Integrals of the output with smooth functions, and the scalar output."""
        axes = zip(grid, periodic, placement, strict=True)
        x, y = (positions(*axis) for axis in axes)
        wave = torch.cos(2 * torch.pi * x + 0.4)[:, None] * torch.cos(torch.pi * y)
        with torch.no_grad():
            fields, value = network(wave[None, ..., None], scalars)
        shares = weights(grid, periodic, placement).reshape(*grid, 1)
        tests = [torch.sin(k * torch.pi * x)[:, None] * torch.exp(k * y) for k in (1, 2, 3)]
        integrals = [(test[..., None] * shares * fields[0]).sum((0, 1)) for test in tests]
        return torch.cat([*integrals, value[0]])

    coarse, middle, fine = map(answer, sizes)
    change, rest = float((coarse - middle).norm()), float((middle - fine).norm())
    assert rest < 0.35 * change
    assert rest < 0.02 * float(fine.norm())


@pytest.mark.parametrize(
    ("name", "step"), [pytest.param(*item, id=item[0]) for item in EQUIVARIANT.items()]
)
def test_translations_of_a_periodic_grid_commute(name, step):
    signature = Signature((16, 24), (True, True), 1, 1, 2, 1)
    network = built(MAKERS[name], signature, torch.float64)
    fields, scalars = batch(signature, dtype=torch.float64)
    moved, same = network(fields.roll((3 * step, -step), dims=(1, 2)), scalars)
    expected, value = network(fields, scalars)
    torch.testing.assert_close(
        moved, expected.roll((3 * step, -step), dims=(1, 2)), rtol=1e-10, atol=1e-11
    )
    torch.testing.assert_close(same, value, rtol=1e-10, atol=1e-11)


@pytest.mark.slow
@pytest.mark.parametrize("make", [pytest.param(MAKERS[name], id=name) for name in EQUIVARIANT])
def test_some_steps_of_an_optimiser_learn_advection_at_a_given_speed(make):
    signature = Signature((24,), (True,), 1, 1, 1)
    network = built(make, signature).train()
    x, k = torch.arange(24) / 24, torch.arange(1, 4)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)

    def data(n: int, generator: torch.Generator) -> tuple[torch.Tensor, ...]:
        amplitude, phase = torch.randn(2, n, 1, 3, generator=generator)
        speed = 0.1 * (2 * torch.rand(n, 1, generator=generator) - 1)

        def wave(distance: torch.Tensor) -> torch.Tensor:
            angle = 2 * torch.pi * k * (x[None, :, None] - distance[:, :, None]) + phase
            return (amplitude * torch.cos(angle)).sum(dim=-1, keepdim=True)

        return wave(0 * speed), 10 * speed, wave(speed)

    generator = torch.Generator().manual_seed(0)
    for _ in range(150):
        fields, scalars, truth = data(16, generator)
        optimizer.zero_grad()
        relative_l2(network(fields, scalars)[0], truth).mean().backward()
        optimizer.step()
    fields, scalars, truth = data(64, generator)
    with torch.no_grad():
        error = float(relative_l2(network(fields, scalars)[0], truth).mean())
        persistence = float(relative_l2(fields, truth).mean())
    assert error < 0.65 * persistence


@pytest.mark.parametrize("name", MAKERS)
def test_misuse_is_refused_by_name(name):
    make = MAKERS[name]
    problems = ("2-D parameters", "trajectories")
    signature = next(SIGNATURES[p] for p in problems if not refuses(name, SIGNATURES[p]))
    fields, scalars = batch(signature)
    with pytest.raises(RuntimeError, match="build"):
        make()(fields, scalars)
    network = make().build(signature)
    with pytest.raises(RuntimeError, match="already built"):
        network.build(signature)
    with pytest.raises(ValueError, match="scalars of shape"):
        network(fields, scalars[:, 1:])
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
        ({"placement": ("cells", "cells")}, "placement"),
        ({"placement": ("gauss",)}, "must be cells"),
        ({"placement": ("chebyshev",)}, "must be cells"),
        ({"in_channels": -1}, "in_channels=-1"),
        ({"field_channels": (1, 1)}, "field_channels"),
        ({"in_channels": 0, "in_scalars": 0}, "needs an input"),
    ],
)
def test_impossible_signatures_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SIGNATURES["1-D fields"], **changes)


@pytest.mark.parametrize(
    ("make", "settings"),
    [
        (FactorizedFNO, {"modes": 0}),
        (FactorizedFNO, {"expansion": 0.0}),
        (FactorizedFNO, {"padding": -0.1}),
        (TuckerFNO, {"rank": 0.0}),
        (TuckerFNO, {"rank": 1.5}),
        (UNet, {"levels": 0}),
        (UNet, {"blocks": 0}),
        (UNet, {"groups": 0}),
        (UNet, {"kernel": 4}),
        (UNet, {"expansion": 0.0}),
        (DilatedResNet, {"dilations": (1, 0)}),
        (DilatedResNet, {"dilations": ()}),
        (DilatedResNet, {"kernel": 2}),
        (DilatedResNet, {"layers": 0}),
        (Transolver, {"heads": 5}),
        (Transolver, {"slices": 0}),
        (Transolver, {"frequencies": 0}),
    ],
)
def test_impossible_settings_are_refused(make, settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        make(**settings)


class TestGeometry:
    @pytest.mark.parametrize("placement", ["cells", "nodes", "chebyshev"])
    def test_weights_integrate_and_placements_are_recognised(self, placement):
        x = positions(41, False, placement)
        share = weights((41,), (False,), (placement,))
        assert float((share * x**2).sum()) == pytest.approx(1 / 3, abs=1e-3)
        assert placement_of(3 + 2 * x.numpy(), (3.0, 5.0), False) == placement

    def test_points_that_no_placement_gives_count_as_cells(self):
        assert placement_of(np.array([0.1, 0.2, 0.9]), (0.0, 1.0), False) == "cells"

    def test_the_catalogue_says_where_its_points_are(self):
        placed = {
            "Burgers": ("nodes",),
            "DarcyFlow": ("cells", "cells"),
            "Poisson": ("nodes", "nodes"),
            "LidDrivenCavity": ("chebyshev", "chebyshev"),
        }
        for name, placement in placed.items():
            axes = simulations.make(name, {}).grid.axes
            found = tuple(placement_of(a.points, a.bounds, a.is_periodic) for a in axes)
            assert found == placement, name

    @pytest.mark.parametrize("periodic", [True, False])
    @pytest.mark.parametrize(("n", "m"), [(8, 4), (9, 5), (5, 3), (7, 7)])
    def test_resampling_keeps_constants_and_the_mean(self, n, m, periodic):
        down, up = resampling(n, m, periodic)
        one = torch.ones(n, dtype=torch.float64)
        torch.testing.assert_close(down @ one, one[:m])
        torch.testing.assert_close(up @ one[:m], one)
        u = torch.rand(n, dtype=torch.float64)
        torch.testing.assert_close((down @ u).mean(), u.mean())
        x = positions(n, False, "cells")
        inside = slice(2, n - 2) if n > 5 else slice(2, 3)
        # Where cells overlap in part, averages of constants by cell are not exact on a line
        torch.testing.assert_close((up @ (down @ x))[inside], x[inside], rtol=0, atol=0.03 / n)


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

    def test_equals_the_truncated_fft_in_three_dimensions(self):
        torch.manual_seed(0)
        grid, modes = (6, 10, 9), (2, 4, 3)
        layer = SpectralConv(2, 2, modes).double()
        u = torch.randn(2, *grid, 2, dtype=torch.float64)
        ours = layer(u, fourier_transforms(grid, modes, (True,) * 3, dtype=torch.float64))
        c = torch.fft.rfftn(u, dim=(1, 2, 3), norm="forward")
        out = torch.zeros_like(c)
        ranges = [range(1 - modes[0], modes[0]), range(1 - modes[1], modes[1]), range(modes[2])]
        for k, weight in zip(itertools.product(*ranges), torch.complex(*layer.weight), strict=True):
            out[:, *k] = c[:, *k] @ weight
        theirs = torch.fft.irfftn(out, s=grid, dim=(1, 2, 3), norm="forward")
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)

    def test_leaves_out_what_a_coarse_grid_cannot_represent(self):
        torch.manual_seed(0)
        layer = SpectralConv(1, 1, (6,)).double()

        def convolved(n: int) -> torch.Tensor:
            x = 2 * torch.pi * torch.arange(n, dtype=torch.float64) / n
            u = 0.3 + torch.cos(x - 0.4) + torch.sin(3 * x)
            transforms = fourier_transforms((n,), (6,), (True,), dtype=torch.float64)
            return layer(u[None, :, None], transforms)

        torch.testing.assert_close(convolved(32)[:, ::4], convolved(8), rtol=1e-12, atol=1e-12)

    def test_adds_to_what_it_is_given(self):
        layer, transforms = (
            SpectralConv(3, 2, (2, 3)),
            fourier_transforms((7, 8), (2, 3), (True,) * 2),
        )
        u, onto = torch.randn(2, 7, 8, 3), torch.randn(2, 7, 8, 2)
        torch.testing.assert_close(layer(u, transforms, onto), onto + layer(u, transforms))

    def test_extends_by_zero_beyond_walls(self):
        """Coefficients of the indicator of [0, 1] with period P: (1 − e^(−2πik/P)) / 2πik."""
        n, modes, period = 500, 5, 1.25
        ((analysis, synthesis),) = fourier_transforms(
            (n,), (modes,), (False,), padding=0.25, dtype=torch.float64
        )
        k = torch.arange(1, modes, dtype=torch.float64)
        angle = 2 * torch.pi * k / period
        expected = (1 - torch.exp(-1j * angle)) / (1j * angle * period)
        real, imag = analysis.sum(dim=1).reshape(2, modes)
        torch.testing.assert_close(real[0], torch.tensor(1 / period, dtype=torch.float64))
        torch.testing.assert_close(torch.complex(real, imag)[1:], expected, rtol=0, atol=1e-5)
        x = (torch.arange(n, dtype=torch.float64) + 0.5) / n
        waves = 2 * torch.exp(1j * x[:, None] * angle)
        torch.testing.assert_close(synthesis[:, 1:modes], waves.real)
        torch.testing.assert_close(synthesis[:, modes + 1 :], -waves.imag)


@pytest.mark.parametrize("grid", [(40,), (9, 11), (4, 5, 6)])
def test_a_pointwise_map_is_the_same_as_convolution_and_as_product(grid):
    torch.manual_seed(0)
    layer = Pointwise(7, 16)
    x = torch.randn(3, *grid, 7, requires_grad=True)
    assert layer._is_faster_as_convolution(x)
    variables = (x, layer.weight, layer.bias)
    ours, theirs = layer(x), torch.nn.functional.linear(*variables)
    torch.testing.assert_close(ours, theirs)
    cotangent = torch.randn_like(ours)
    for ours_d, theirs_d in zip(
        torch.autograd.grad(ours, variables, cotangent),
        torch.autograd.grad(theirs, variables, cotangent),
        strict=True,
    ):
        torch.testing.assert_close(ours_d, theirs_d, rtol=1e-4, atol=1e-4)


class TestFNO:
    @pytest.mark.parametrize("channel_mlp", [None, 0.5])
    def test_is_the_composition_that_its_equations_say(self, channel_mlp):
        signature = Signature((16,), (True,), 2, 2, 3, 1)
        make = lambda: FNO(modes=4, width=6, layers=2, channel_mlp=channel_mlp)  # noqa: E731
        network = built(make, signature, torch.float64)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.copy_(0.5 * torch.randn_like(parameter))
        fields, scalars = batch(signature, dtype=torch.float64)
        gelu = torch.nn.functional.gelu
        x = network.lift(fields)
        scale, shift = network.modulate(scalars).reshape(4, 2, 2, 1, 6).unbind(dim=2)
        for i, block in enumerate(network.blocks):
            c = torch.fft.rfft(x, dim=1, norm="forward")[:, :4]
            c = torch.einsum("bki,kio->bko", c, torch.complex(*block.spectral.weight))
            convolved = torch.fft.irfft(c, n=16, dim=1, norm="forward")
            y = convolved + x @ block.local.weight.T + block.local.bias
            y = (1 + scale[:, i]) * y + shift[:, i]
            if channel_mlp is None:
                x = x + block.mix(gelu(y))
            elif i == 0:
                x = gelu(block.mix(gelu(y)) + block.gate * x)
            else:
                x = block.mix(y) + block.gate * x
        out_fields, out_scalars = network(fields, scalars)
        torch.testing.assert_close(out_fields, network.project(x), rtol=1e-10, atol=1e-10)
        expected = network.readout(x.mean(dim=1))
        torch.testing.assert_close(out_scalars, expected, rtol=1e-10, atol=1e-10)

    def test_bfloat16_autocast_runs_and_agrees_loosely(self):
        signature = SIGNATURES["2-D fields"]
        network, inputs = built(MAKERS["FNO"], signature), batch(signature)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = network(*inputs)[0].detach()
        full = network(*inputs)[0].detach()
        assert float((half.float() - full).norm() / full.norm()) < 0.05

    def test_matrices_of_double_precision_are_not_rounded_to_single(self):
        network = FNO(modes=4, width=8, layers=1).build(SIGNATURES["3-D fields"]).double()
        ((_, _, transforms),) = network._geometries.values()
        exact = fourier_transforms(
            (8, 6, 10), network.modes, (True, True, False), 0.25, torch.float64
        )
        for ours, theirs in zip(transforms, exact, strict=True):
            assert torch.equal(ours[0], theirs[0])
            assert torch.equal(ours[1], theirs[1])

    def test_knows_where_it_is_on_a_periodic_grid_without_field_inputs(self):
        signature = Signature((12,), (True,), 0, 1, 1)
        network = built(lambda: FNO(modes=4, width=8, layers=1), signature)
        fields = network(*batch(signature))[0]
        assert float(fields.detach().std(dim=1).min()) > 1e-3

    @pytest.mark.parametrize(
        "settings",
        [{"modes": 0}, {"modes": [4, 0]}, {"width": 0}, {"layers": 0}, {"padding": 1.5}],
    )
    def test_impossible_settings_are_refused(self, settings):
        with pytest.raises(ValueError, match=next(iter(settings))):
            FNO(**settings)

    @pytest.mark.parametrize("modes", [3, [3, 3, 3]])
    def test_grids_it_cannot_serve_are_refused(self, modes):
        grid = () if modes == 3 else (8, 8)
        with pytest.raises(ValueError, match=r"grid=\("):
            FNO(modes=modes).build(Signature(grid, (True,) * len(grid), 1, 0, 1))


class TestPODNet:
    def test_answers_around_the_mean_in_units_of_the_spread(self):
        """Its perceptron is whitened: 0 is the mean of the training fields, 1 a deviation off."""
        signature = Signature((7,), (False,), 0, 1, 2)
        network = PODNet(modes=3).build(signature).double()
        torch.manual_seed(0)
        spread = torch.tensor([3.0, 0.7, 0.01], dtype=torch.float64)
        amplitudes = 5.0 + spread * torch.randn(20, 3, dtype=torch.float64)
        fields = (amplitudes @ torch.randn(3, 14, dtype=torch.float64)).reshape(20, 7, 2)
        network.prepare(fields[..., :0], amplitudes[:, :1], fields, amplitudes[:, :0])
        coefficients = fields.flatten(1) @ network.basis_0.T
        for parameter in network.perceptron.parameters():
            torch.nn.init.zeros_(parameter)
        for offset in (0.0, 1.0):
            network.perceptron[-1].bias.data.fill_(offset)
            predicted, _ = network(fields[:1, :, :0], amplitudes[:1, :1])
            expected = coefficients.mean(dim=0) + offset * coefficients.std(dim=0)
            expected = (expected @ network.basis_0).reshape(1, 7, 2)
            torch.testing.assert_close(predicted, expected, rtol=1e-9, atol=1e-9)
            if offset == 0:
                torch.testing.assert_close(predicted[0], fields.mean(dim=0), rtol=1e-6, atol=1e-6)


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

    def test_has_the_derivative_of_its_polynomials_at_the_ends_of_the_box(self):
        """T_k'(±1) = (±1)^(k+1) k²."""
        network = PODPolynomial(max_terms=9).build(Signature((3,), (False,), 0, 1, 1)).double()
        ends = torch.tensor([[-1.0], [1.0]], dtype=torch.float64, requires_grad=True)
        terms = network.terms(ends)
        for k in range(9):
            (slope,) = torch.autograd.grad(terms[:, k].sum(), ends, retain_graph=True)
            expected = torch.tensor([[(-1.0) ** (k + 1) * k**2], [float(k**2)]]).double()
            torch.testing.assert_close(slope, expected, rtol=1e-3, atol=1e-9)

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


def test_what_a_network_cannot_serve_it_refuses():
    for name, refused in REFUSED.items():
        for signature in filter(refused, SIGNATURES.values()):
            with pytest.raises(ValueError, match=r"grid=|in_channels=|initial="):
                MAKERS[name]().build(signature)


def relative(answer: torch.Tensor, truth: torch.Tensor) -> float:
    return float((answer.detach() - truth).norm() / truth.norm())


class TestFrames:
    def test_channels_know_their_first_frame(self):
        signature = SIGNATURES["trajectories"]
        assert signature.components == (1, 2, 1)
        assert signature.first_frames == (1,) * 4 + (2, 3) * 4 + (-1,) * 5

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"frames": (3, 4, 5)}, "frames"),
            ({"frames": (4, 4)}, "one entry"),
            ({"scalar_frames": 2}, "scalar_frames=2"),
            ({"initial": (1, 3, -1)}, "exceeds in_channels=4"),
        ],
    )
    def test_impossible_ones_are_refused(self, changes, message):
        with pytest.raises(ValueError, match=message):
            dataclasses.replace(SIGNATURES["trajectories"], **changes)


class TestBaselines:
    def test_persistence_repeats_what_is_given_and_averages_the_rest(self):
        signature = SIGNATURES["trajectories"]
        network = Persistence().build(signature)
        inputs = batch(signature)
        out_fields, out_scalars = torch.randn(16, 20, 17), torch.randn(16, 5)
        network.prepare(*batch(signature, 16), out_fields, out_scalars)
        fields, scalars = network(*inputs)
        assert torch.equal(fields[..., 3], inputs[0][..., 1])
        assert torch.equal(fields[..., 4:12].unflatten(-1, (4, 2))[..., 2, :], inputs[0][..., 2:4])
        torch.testing.assert_close(fields[2, :, 12:], out_fields.mean(dim=0)[:, 12:])
        torch.testing.assert_close(scalars[1], out_scalars.mean(dim=0))

    def test_linear_maps_are_found_by_regression(self):
        """Of parameters and fields, with a constant: below a penalty of 1e-8."""
        torch.manual_seed(0)
        signature = Signature((9,), (True,), 1, 2, 2, 1)
        network = PODLinear().build(signature).double()
        matrix = torch.randn(11, 19, dtype=torch.float64)

        def data(n: int, seed: int):
            fields, scalars = batch(signature, n, torch.float64, seed)
            y = torch.cat([fields.flatten(1), scalars], dim=1) @ matrix + 0.7
            return fields, scalars, y[:, :18].reshape(n, 9, 2), y[:, 18:]

        network.prepare(*data(60, 0))
        *inputs, truth, value = data(20, 1)
        assert relative(network(*inputs)[0], truth) < 1e-5
        assert relative(network(*inputs)[1], value) < 1e-5


class TestGaussianProcess:
    def test_interpolates_a_smooth_map_from_few_samples(self):
        x = torch.linspace(0, 1, 30, dtype=torch.float64)
        signature = Signature((30,), (False,), 0, 2, 1, 1)

        def data(n: int, seed: int):
            _, scalars = batch(signature, n, torch.float64, seed)
            u = torch.sin(3 * scalars[:, :1] + x) + scalars[:, 1:] * x**2
            return torch.zeros(n, 30, 0).double(), scalars, u[..., None], u[:, :1]

        network = GaussianProcess(points=64, tuning=40).build(signature)
        network.prepare(*(tensor.float() for tensor in data(50, 0)))
        *inputs, truth, value = data(200, 1)
        answer = network(*(tensor.float() for tensor in inputs))
        assert relative(answer[0], truth) < 1e-3
        assert relative(answer[1], value) < 1e-3

    def test_prediction_is_that_of_scikit_learn(self):
        gaussian_process = pytest.importorskip("sklearn.gaussian_process")
        kernels = gaussian_process.kernels
        signature = Signature((), (), 0, 2, 0, 1)
        _, scalars = batch(signature, 30, torch.float64)
        y = torch.sin(4 * scalars[:, :1]) * scalars[:, 1:] + 0.3
        network = GaussianProcess(points=40).build(signature).double()
        none = torch.zeros(30, 0).double()
        network.prepare(none, scalars, none, y)
        standardised = (y - y.mean()) / y.std()
        strength, lengths, noise = hyper_parameters(scalars, standardised[:, 0])
        kernel = strength * kernels.RBF(lengths.numpy())
        theirs = gaussian_process.GaussianProcessRegressor(kernel, alpha=noise, optimizer=None)
        theirs.fit(scalars.numpy(), standardised[:, 0].numpy())
        _, new = batch(signature, 10, torch.float64, seed=9)
        expected = y.mean() + y.std() * torch.as_tensor(theirs.predict(new.numpy()))
        answer = network(none[:10], new)[1][:, 0]
        torch.testing.assert_close(answer, expected, rtol=1e-4, atol=1e-5)

    def test_keeps_its_weights_in_double_precision(self):
        network = built(MAKERS["GaussianProcess"], SIGNATURES["2-D parameters"])
        before = network.weights.clone()
        assert torch.equal(network.float().double().weights, before)
        assert before.dtype == torch.float64

    def test_too_many_outputs_are_refused(self):
        with pytest.raises(ValueError, match="out_scalars=600"):
            GaussianProcess().build(Signature((), (), 0, 2, 0, 600))


@pytest.mark.parametrize(
    "name",
    ["MLP", "Koopman", "PODNet", "PODPolynomial", "PODLinear", "GaussianProcess", "Climatology"],
)
def test_ordinary_differential_equations_have_no_grid(name):
    signature = Signature((), (), 0, 3, 0, 8, scalar_frames=4)
    network = built(MAKERS[name], signature)
    fields, scalars = network(*batch(signature))
    assert fields.shape == (4, 0)
    assert scalars.shape == (4, 8)
    assert float(scalars.detach().std(dim=1).min()) > 0


class TestMLP:
    def test_fields_that_are_too_large_are_refused(self):
        with pytest.raises(ValueError, match="262144 values"):
            MLP().build(Signature((512, 512), (True, True), 1, 0, 1))


class TestDeepONet:
    def test_is_the_product_that_its_equation_says(self):
        signature = SIGNATURES["2-D fields"]
        network = built(lambda: DeepONet(basis=5, width=8), signature, torch.float64)
        torch.nn.init.normal_(network.bias)
        fields, scalars = batch(signature, dtype=torch.float64)
        b = network.branch(torch.cat([fields.flatten(1), scalars], dim=1))
        t = network.trunk(network.position).reshape(12, 10, 3, 5)
        first = torch.einsum("bk,xyck->bxyc", b[:, :5], t[:, :, :2])
        second = torch.einsum("bk,xyck->bxyc", b[:, 5:10], t[:, :, 2:])
        expected = torch.cat([first, second], dim=-1) / 5**0.5 + network.bias
        torch.testing.assert_close(network(fields, scalars)[0], expected, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(network(fields, scalars)[1], b[:, 10:])

    def test_needs_a_grid(self):
        with pytest.raises(ValueError, match=r"grid=\(\)"):
            DeepONet().build(Signature((), (), 0, 1, 0, 3))


class TestKoopman:
    def test_observables_obey_one_linear_map(self):
        """z_{n+1} = K z_n with the same K for all n, and no eigenvalue beyond the unit circle."""
        signature = SIGNATURES["trajectories"]
        network = built(MAKERS["Koopman"], signature, torch.float64)
        torch.nn.init.normal_(network.rates, std=5.0)
        fields, scalars = batch(signature, 40, torch.float64)
        scalars[:] = 0.3
        z = network.observe(fields, scalars).detach()
        assert z.shape == (40, 5, 12)
        step = torch.linalg.lstsq(z[:, 0], z[:, 1]).solution
        torch.testing.assert_close(z[:, 3] @ step, z[:, 4], rtol=1e-6, atol=1e-8)
        assert float(torch.linalg.eigvals(step).abs().max()) < 1

    def test_rates_depend_on_the_parameters(self):
        network = built(MAKERS["Koopman"], SIGNATURES["trajectories"])
        decay, _ = network.rates_at(torch.tensor([[-1.0], [1.0]]))
        assert not torch.allclose(decay[0], decay[1])

    def test_fields_end_together(self):
        """The frames of all fields come from the last observables, the first of one from the first.

        With a field that is one frame longer, only that one sees the first observables.
        """
        signature = SIGNATURES["trajectories"]
        network = built(MAKERS["Koopman, linear decoder"], signature, torch.float64)
        inputs = batch(signature, dtype=torch.float64)
        before, series = network(*inputs)
        observe = network.observe
        changed = torch.zeros(5, 1, dtype=torch.float64)
        changed[0] = 1.0
        network.observe = lambda *given: observe(*given) + changed
        after, series_after = network(*inputs)
        moved = ((after - before).abs().amax(dim=(0, 1)) > 1e-9).tolist()
        assert moved == [False] * 12 + [True] + [False] * 4
        assert ((series_after - series).abs().amax(dim=0) > 1e-9).tolist() == [True] + [False] * 4

    def test_travelling_waves_have_a_finite_koopman_representation(self):
        """Advection is linear and turns each Fourier pair at its own rate: it is learnt."""
        torch.manual_seed(0)
        x = torch.arange(16) / 16
        signature = Signature((16,), (True,), 1, 0, 8, frames=(8,), initial=(0,))

        def waves(n: int):
            phase, size = torch.rand(n, 1, 1), torch.rand(n, 1, 1) + 0.5
            t = torch.arange(9) / 9
            u = size * torch.sin(2 * torch.pi * (x[:, None] - 0.7 * t + phase))
            return u[..., :1], torch.zeros(n, 0), u[..., 1:]

        network = Koopman(observables=2, width=32, layers=1, decoder_layers=0).build(signature)
        fields, scalars, truth = waves(64)
        network.prepare(fields, scalars, truth, torch.zeros(64, 0))
        optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
        for _ in range(400):
            optimiser.zero_grad()
            loss = (network(fields, scalars)[0] - truth).square().mean()
            loss.backward()
            optimiser.step()
        fields, scalars, truth = waves(32)
        assert relative(network(fields, scalars)[0], truth) < 0.05


class TestGraphNet:
    def problem(self, members: int = 9, **settings):
        signature = dataclasses.replace(SIGNATURES["particles"], grid=(members,))
        make = lambda: GraphNet(width=12, rounds=2, **settings)  # noqa: E731
        return built(make, signature, torch.float64), *batch(signature, dtype=torch.float64)

    @pytest.mark.parametrize("neighbours", [4, 20])
    def test_relabelling_relabels_the_answer(self, neighbours):
        network, fields, scalars = self.problem(neighbours=neighbours)
        order = torch.randperm(9, generator=torch.Generator().manual_seed(3))
        answer, value = network(fields, scalars)
        relabelled, same = network(fields[:, order], scalars)
        torch.testing.assert_close(relabelled, answer[:, order], rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(same, value, rtol=1e-10, atol=1e-10)

    def test_everybody_moves_along(self):
        network, fields, scalars = self.problem(neighbours=4)
        answer, value = network(fields, scalars)
        shift = torch.tensor([0.0, 0.7, -2.0, 0.0, 0.0], dtype=torch.float64)
        moved, same = network(fields + shift, scalars)
        expected = answer + shift[[1] * 3 + [2] * 3 + [0] * 6]
        torch.testing.assert_close(moved, expected, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(same, value, rtol=1e-9, atol=1e-9)
        faster = network(fields + shift.roll(2), scalars)[0]
        assert not torch.allclose(faster[..., :6], answer[..., :6], atol=1e-3)

    def test_an_image_in_a_periodic_box_is_the_same_individual(self):
        network, fields, scalars = self.problem(neighbours=4, period=1.7)
        jumps = torch.randint(-2, 3, (4, 9, 2), generator=torch.Generator().manual_seed(1)).double()
        images = fields.clone()
        images[..., 1:3] += 1.7 * jumps
        answer, moved = network(fields, scalars)[0], network(images, scalars)[0]
        expected = answer.clone()
        expected[..., :6] += 1.7 * jumps.repeat_interleave(3, dim=-1)
        torch.testing.assert_close(moved, expected, rtol=1e-9, atol=1e-9)

    def test_the_nearest_are_heard(self):
        network, fields, _ = self.problem(neighbours=3)
        x = fields[..., network.coordinates]
        distance = torch.cdist(x, x) + 1e9 * torch.eye(9).double()
        expected = distance.argsort(dim=-1)[..., :3].sort(dim=-1).values
        assert torch.equal(network.senders(x).sort(dim=-1).values, expected)

    @pytest.mark.parametrize("settings", [{"positions": 5}, {"positions": -1}, {"period": 0.0}])
    def test_impossible_settings_are_refused(self, settings):
        with pytest.raises(ValueError, match=next(iter(settings))):
            GraphNet(**settings).build(SIGNATURES["particles"])


@pytest.mark.parametrize("periodic", [True, False])
def test_a_convolutional_branch_wraps_on_periodic_axes_only(periodic):
    """Where it wraps, a translation by all strides together leaves the layer before the flatten."""
    torch.manual_seed(0)
    branch = ConvolutionalBranch(Signature((16,), (periodic,), 1, 0, 1)).double()
    u = torch.randn(1, 16, 1, dtype=torch.float64)
    none = torch.zeros(1, 0).double()
    answer, moved = (branch(v, none).reshape(-1, 4) for v in (u, u.roll(4, dims=1)))
    assert torch.allclose(moved, answer.roll(1, dims=1)) is periodic


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        ("NaturalConvection", "PODPolynomial"),
        ("LidDrivenCavity", "PODPolynomial"),
        ("CylinderWake", "PODNet"),
        ("Lorenz63", "MLP"),
        ("Robertson", "MLP"),
        ("Burgers", "FNO"),
        ("DarcyFlow", "FNO"),
        ("Ising", "FNO"),
        ("NBody", "GraphNet"),
        ("Lorenz96", "MLP"),
        ("LennardJones", "MLP"),
    ],
)
def test_the_network_that_is_chosen_suits_the_problem(system, expected):
    simulation = simulations.make(system, {})
    moments = dict.fromkeys((*simulation.fields, *simulation.field_inputs), (0.0, 1.0))
    encoding = Encoding(simulation, moments, {})
    chosen = networks.default_network(encoding.signature, simulation.grid)
    assert type(chosen).__name__ == expected
    chosen.build(encoding.signature)


def test_many_parameters_of_a_field_and_short_axes_are_chosen_for():
    grid = simulations.make("Burgers", {}).grid
    many = Signature((256,), (True,), 0, 6, 1)
    assert isinstance(networks.default_network(many, grid), PODNet)
    short = Signature((4,), (True,), 1, 1, 1)
    assert isinstance(networks.default_network(short, grid), MLP)
