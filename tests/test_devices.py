"""Nothing assumes a processor's tensors, and the arithmetic of the floor on a GPU."""

import pytest
import torch

import surrogate
from benchmarks import gpu
from benchmarks.training import Case, signature
from simulations.grid import Axis, Grid
from surrogate import losses
from surrogate.encoding import Encoded, Encoding
from surrogate.networks import Constrained
from surrogate.propagation import Propagator, Rollout
from tests.networks.test_networks import MAKERS, SIGNATURES
from tests.toy import Toy

CASE = Case(grid=(32,), modes=4, width=8, batch=4)


def built(make):
    for wanted in SIGNATURES.values():
        try:
            return make().build(wanted), wanted
        except ValueError:
            continue
    raise AssertionError("serves no signature")


def inputs(wanted, device="meta"):
    fields = torch.empty(3, *wanted.grid, wanted.in_channels, device=device)
    return fields, torch.empty(3, wanted.in_scalars, device=device)


@pytest.mark.parametrize("name", MAKERS)
def test_networks_compute_where_their_inputs_are(name):
    """Tensors of ``meta`` mix with no others, as those of a GPU do not."""
    network, wanted = built(MAKERS[name])
    fields, scalars = network.to("meta")(*inputs(wanted))
    assert fields.device.type == scalars.device.type == "meta"
    assert fields.shape == (3, *wanted.grid, wanted.out_channels)


def test_rollouts_and_constraints_compute_where_their_inputs_are():
    toy = Toy(n=6, n_times=3)
    moments = dict.fromkeys((*toy.fields, "source"), (0.0, 1.0))
    encoding = Encoding(toy, moments, dict.fromkeys(toy.parameters, (0.0, 1.0)))
    wanted = encoding.signature
    elsewhere = Encoded(
        *inputs(wanted),
        torch.empty(3, *wanted.grid, wanted.out_channels, device="meta"),
        torch.empty(3, wanted.out_scalars, device="meta"),
    )
    network = surrogate.FNO(modes=2, width=4, layers=1)
    rollout = Rollout(network, encoding, Propagator(noise=0.1), dict.fromkeys(toy.fields, 1.0))
    rollout.build()
    rollout.to("meta")
    assert rollout(*elsewhere[:2])[0].device.type == "meta"
    weights = encoding.weights.to("meta")
    assert rollout.errors(elsewhere, weights, 0.0).device.type == "meta"
    constrained = Constrained(surrogate.FNO(modes=2, width=4, layers=1), theta="zero_mean")
    constrained.build(encoding.signature)
    constrained.calibrate(encoding.scaling)
    assert constrained.to("meta")(*elsewhere[:2])[0].device.type == "meta"


@pytest.mark.parametrize("name", losses.NAMES)
def test_losses_compute_where_their_inputs_are(name):
    grid = Grid((Axis.periodic("x", 6), Axis.cells("y", 5)))
    prediction, target = torch.empty(2, 2, 6, 5, 3, device="meta")
    weights = torch.empty(6, 5, 1, device="meta")
    found = losses.combined({name: 1.0}, grid)(prediction, target, weights)
    assert found.device.type == "meta"


def test_the_work_of_a_product_is_counted():
    a, b = torch.randn(64, 32), torch.randn(32, 16)
    work = gpu.work_of(lambda: a @ b, needed=7.0)
    assert work.flops == 2 * 64 * 32 * 16
    assert work.moved == 4 * (64 * 32 + 32 * 16 + 64 * 16)
    assert work.needed == 7.0
    assert gpu.work_of(lambda: a.T.reshape(-1, 64).view(32, 64)).moved == 0  # views alone


def test_the_floor_is_the_slower_of_arithmetic_and_memory():
    device = gpu.Device(flops=1e12, bandwidth=1e9)
    assert device.floor(2e12, 1e6) == 2.0
    assert device.floor(1e6, 3e9) == 3.0


def test_bytes_that_no_fusion_avoids():
    network = torch.nn.Linear(3, 2)  # 8 weights
    assert gpu.needed_bytes(network, 10, 4, training=False) == 4 * 18
    # there and back for what passes; weights read twice, gradients written, AdamW in float32
    assert gpu.needed_bytes(network, 10, 2, training=True) == 2 * (20 + 16) + 4 * 8 * 8


@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize("name", gpu.NETWORKS)
def test_the_calls_that_are_timed_run_on_a_processor(name, bfloat16):
    network = gpu.NETWORKS[name](CASE).build(signature(CASE, channels=1))
    calls = gpu.make_calls(network, CASE, 4, "cpu", bfloat16)
    inference, training = (gpu.work_of(calls[kind]) for kind in ("inference", "training"))
    # A backward pass is about two products for each of the forward one's
    assert 2.0 * inference.flops < training.flops < 4.0 * inference.flops
    assert training.moved > 2 * inference.moved


def test_without_a_device_it_says_so(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="torch finds no CUDA device"):
        gpu.main()
