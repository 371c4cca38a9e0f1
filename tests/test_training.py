"""Encoding, losses, the training loop and its checkpoints, on the toy simulation."""

import json
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import simulations
import surrogate
from simulations.datasets import Dataset
from surrogate import loop, losses, metrics, recipe
from surrogate.encoding import Encoding
from surrogate.networks.network import Network
from tests.toy import Toy


class Affine(Network):
    """One linear layer from everything to everything: the smallest thing that can learn."""

    def __init__(self) -> None:
        super().__init__()

    def create_layers(self, signature):
        points = int(np.prod(signature.grid))
        outputs = points * signature.out_channels + signature.out_scalars
        self.layer = torch.nn.Linear(points * signature.in_channels + signature.in_scalars, outputs)

    def forward(self, fields, scalars):
        values = self.layer(torch.cat([fields.flatten(1), scalars], 1))
        split = int(np.prod(self.signature.grid)) * self.signature.out_channels
        shape = (len(fields), *self.signature.grid, self.signature.out_channels)
        return values[:, :split].reshape(shape), values[:, split:]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    path = tmp_path_factory.mktemp("training") / "toy"
    return simulations.generate(Toy(), 60, path, workers=1, progress=False)


@pytest.fixture(scope="module")
def small(tmp_path_factory, generate_here) -> Dataset:
    """Few points and two frames: for what does not depend on the size."""
    path = tmp_path_factory.mktemp("training") / "small"
    return generate_here(Toy(n=6, n_times=2), 60, path)


def test_encoding_is_undone_by_decoding(dataset):
    encoding = Encoding.of_dataset(dataset)
    samples = dataset.load("valid")
    encoded = encoding.encode(samples)
    inputs = {"theta0": samples.fields["theta"][:, 0], "source": samples.field_inputs["source"]}
    decoded = encoding.decode(encoded.fields_out, encoded.scalars_out, inputs)
    assert set(decoded) == set(samples.fields)
    for name, values in samples.fields.items():
        assert decoded[name].shape == values.shape
        np.testing.assert_allclose(decoded[name], values, rtol=1e-5, atol=1e-5)


def test_encoded_train_split_is_standardised_by_component(dataset):
    encoding = Encoding.of_dataset(dataset)
    samples = dataset.load("train")
    flux = next(o for o in encoding.outputs if o.name == "flux")
    values = encoding.encode(samples).fields_out[..., flux.channels]
    # time varies before the component, and flux has no given first frame
    by_component = values.reshape(-1, Toy().times.size, 2).numpy()
    np.testing.assert_allclose(by_component.mean(axis=(0, 1)), 0, atol=1e-5)
    np.testing.assert_allclose(by_component.std(axis=(0, 1)), 1, atol=1e-4)


def test_parameters_span_minus_one_to_one_in_their_own_scale(dataset):
    encoding = Encoding.of_dataset(dataset)
    low, high = Toy.parameters["kappa"].sampling
    zeros = np.zeros((3, *Toy().grid.shape))
    kappa = np.array([low, np.sqrt(low * high), high])
    _, scalars = encoding.encode_inputs(
        {"kappa": kappa, "offset": np.zeros(3)}, {"theta0": zeros, "source": zeros}, 3
    )
    np.testing.assert_allclose(scalars[:, 0], [-1, 0, 1], atol=1e-6)


def test_normalisation_comes_from_the_train_split_alone(dataset):
    encoding = Encoding.of_dataset(dataset)
    mean, std = encoding.moments["theta"]
    stored = dataset.load("train").fields["theta"].astype(np.float64)
    assert mean == pytest.approx(stored.mean(), abs=1e-9)
    assert std == pytest.approx(stored.std(), rel=1e-9)
    assert encoding.ranges["kappa"][1] == pytest.approx(
        float(dataset.load("train").parameters["kappa"].max()), rel=1e-6
    )


@given(
    npst.arrays(np.float64, (3, 4, 2), elements=st.floats(-10, 10)),
    npst.arrays(np.float64, (3, 4, 2), elements=st.floats(-10, 10)),
)
def test_loss_and_metric_are_the_same_formula(prediction, target):
    target = target + 20.0
    weights = np.array([[1.0], [2.0], [3.0], [4.0]])
    by_hand = [
        np.sqrt((weights * (p - y) ** 2).sum() / (weights * y**2).sum())
        for p, y in zip(prediction, target, strict=True)
    ]
    np.testing.assert_allclose(metrics.relative_l2(prediction, target, weights), by_hand)
    loss = losses.relative_l2(*map(torch.as_tensor, (prediction, target, weights)))
    np.testing.assert_allclose(loss, by_hand, rtol=1e-9, atol=1e-11)


def test_loss_of_a_perfect_prediction_has_a_finite_gradient():
    prediction = torch.ones(2, 3, requires_grad=True)
    losses.relative_l2(prediction, torch.ones(2, 3)).sum().backward()
    assert torch.isfinite(prediction.grad).all()


def test_training_learns_and_records(dataset):
    emulator = surrogate.train(dataset, Affine(), epochs=40, learning_rate=0.02, progress=False)
    history = emulator.training["history"]
    assert len(history) == 40
    assert history[-1]["train"] < 0.2 * history[0]["train"]
    best = min(range(40), key=lambda epoch: history[epoch]["valid"])
    assert emulator.training["best_epoch"] == best + 1
    assert set(emulator.training["test_relative_l2"]) == set(Toy.fields)
    json.dumps(emulator.training)


@pytest.fixture
def ruinous_ending(monkeypatch):
    """A schedule whose second half undoes what the first half has learnt."""
    monkeypatch.setattr(recipe, "one_cycle", lambda progress: 0.01 if progress < 0.5 else 10.0)


@pytest.mark.usefixtures("ruinous_ending")
def test_weights_are_those_of_the_best_validation_error(dataset):
    emulator = surrogate.train(dataset, Affine(), epochs=30, learning_rate=1.0, progress=False)
    valid = [entry["valid"] for entry in emulator.training["history"]]
    assert min(valid) < valid[-1]
    encoding = emulator.encoding
    run = loop.Run(emulator.network, encoding, recipe.Recipe(), "", "cpu")
    error = run._validate(loop.Split(dataset, "valid", encoding, 1e12, "cpu"))
    assert error == pytest.approx(min(valid), rel=1e-5)


def test_gradients_are_clipped_to_the_norm_asked_for(dataset, monkeypatch):
    norms = []
    step = torch.optim.AdamW.step

    def recorded(optimizer, *args, **kwargs):
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"]]
        norms.append(float(torch.cat([g.flatten() for g in gradients]).norm()))
        return step(optimizer, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", recorded)
    surrogate.train(dataset, Affine(), epochs=1, progress=False)
    free, norms[:] = list(norms), []
    surrogate.train(dataset, Affine(), epochs=1, clip=0.01, progress=False)
    assert min(free) > 0.01
    assert norms == pytest.approx([0.01] * len(norms), rel=1e-3)


def test_a_seed_fixes_everything(dataset):
    def weights(seed):
        emulator = surrogate.train(dataset, Affine(), epochs=3, seed=seed, progress=False)
        return emulator.network.layer.weight

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


RECIPES = [
    {},
    {"schedule": "cosine"},
    {"schedule": "step", "halve_every": 2},
    {"clip": 0.01, "accumulate": 2, "batch_size": 8},
    {"average": 0.9},
    {"optimizer": "muon", "average": 0.9},
    {"precision": "bfloat16"},
    {"precision": "float64", "optimizer": "muon"},
    {"compile": True},
]


@pytest.fixture
def quick_compile(monkeypatch):
    """What ``torch.compile`` records, run as it is instead of being translated for a minute."""
    whole = torch.compile
    compiled = []

    def compile_(network):
        compiled.append(network)
        return whole(network, backend="eager")

    monkeypatch.setattr(torch, "compile", compile_)
    return compiled


@pytest.mark.usefixtures("quick_compile")
@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_a_killed_training_continues_bit_for_bit(small, tmp_path, monkeypatch, recipe):
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    checkpoint = tmp_path / "state.safetensors"
    whole_epoch = loop.Run._epoch

    def interrupted_epoch(run, *data):
        if len(run.history) == 4:
            raise KeyboardInterrupt
        whole_epoch(run, *data)

    def trained(**options):
        return surrogate.train(small, Affine(), epochs=8, progress=False, **options, **recipe)

    monkeypatch.setattr(loop.Run, "_epoch", interrupted_epoch)
    with pytest.raises(KeyboardInterrupt):
        trained(checkpoint=checkpoint)
    monkeypatch.setattr(loop.Run, "_epoch", whole_epoch)
    continued, at_once = trained(checkpoint=checkpoint), trained()
    assert continued.training["history"] == at_once.training["history"]
    assert torch.equal(continued.network.layer.weight, at_once.network.layer.weight)


def test_a_checkpoint_of_another_training_is_refused(dataset, tmp_path):
    checkpoint = tmp_path / "state.safetensors"
    surrogate.train(dataset, Affine(), epochs=1, checkpoint=checkpoint, progress=False)
    with pytest.raises(ValueError, match="another dataset, network or recipe"):
        surrogate.train(dataset, Affine(), epochs=2, checkpoint=checkpoint, progress=False)
    checkpoint.write_bytes(b"something else")
    with pytest.raises(ValueError, match="not a checkpoint"):
        surrogate.train(dataset, Affine(), epochs=1, checkpoint=checkpoint, progress=False)


def test_data_that_do_not_fit_are_streamed(dataset):
    """Every sample is seen once in an epoch, whatever is held in memory."""
    encoding = Encoding.of_dataset(dataset)
    held = loop.Split(dataset, "train", encoding, 1e12, "cpu")
    streamed = loop.Split(dataset, "train", encoding, 0.0, "cpu")
    assert streamed._held is None
    generator = torch.Generator().manual_seed(0)

    def scalars(split):
        batches = list(split.batches(4, generator))
        return np.sort(torch.cat([batch.samples.scalars_in for batch in batches]).numpy(), axis=0)

    np.testing.assert_array_equal(scalars(held), scalars(streamed))


@pytest.mark.usefixtures("ruinous_ending")
def test_patience_ends_a_training_that_no_longer_improves(dataset):
    stopped = surrogate.train(
        dataset, Affine(), epochs=30, patience=3, learning_rate=1.0, progress=False
    )
    assert stopped.training["epochs"] == stopped.training["best_epoch"] + 3 < 30


def test_the_budget_in_minutes_ends_a_training(dataset):
    budgeted = surrogate.train(dataset, Affine(), epochs=1_000_000, minutes=0.01, progress=False)
    assert budgeted.training["epochs"] < 1_000_000
    assert budgeted.training["seconds"] >= 0.6


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"epochs": 0}, "epochs=0"),
        ({"learning_rate": -1.0}, "learning_rate=-1"),
        ({"batch": 3}, "batch: not part of a recipe"),
        ({"minutes": 0}, "minutes=0"),
        ({"clip": 0.0}, "clip=0"),
    ],
)
def test_a_bad_recipe_is_refused(dataset, recipe, message):
    with pytest.raises(ValueError, match=message):
        surrogate.train(dataset, Affine(), progress=False, **recipe)


def test_a_plain_module_trains_through_the_same_call(dataset):
    signature = Encoding.of_dataset(dataset).signature

    class Plain(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(signature.in_channels, signature.out_channels)
            self.head = torch.nn.Linear(signature.in_scalars, signature.out_scalars)

        def forward(self, fields, scalars):
            return self.layer(fields), self.head(scalars)

    emulator = surrogate.train(dataset, Plain(), epochs=2, progress=False)
    assert emulator(seed=0).theta.shape == (5, 12, 6)
    with pytest.raises(ValueError, match="a file names no code"):
        emulator.save("nowhere")


def test_one_cycle_rises_then_falls_to_zero():
    rates = [recipe.one_cycle(p) for p in np.linspace(0, 1, 101)]
    peak = int(np.argmax(rates))
    assert rates[peak] == pytest.approx(1.0)
    assert peak == 10
    assert rates[-1] == pytest.approx(0.0, abs=1e-12)
    assert all(np.diff(rates[: peak + 1]) >= 0)
    assert all(np.diff(rates[peak:]) <= 0)


def test_a_missing_split_is_named(tmp_path):
    all_train = simulations.generate(
        Toy(), 3, tmp_path / "d", splits=(1.0, 0.0, 0.0), workers=1, progress=False
    )
    with warnings.catch_warnings(), pytest.raises(simulations.DatasetError, match="valid split"):
        surrogate.train(all_train, Affine(), epochs=1, progress=False)
