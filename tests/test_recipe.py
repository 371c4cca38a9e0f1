"""Every field of a recipe does what it says."""

import numpy as np
import pytest
import torch

import surrogate
from surrogate import cli, loop, losses, optimizers
from surrogate.encoding import Encoding
from surrogate.recipe import Recipe
from tests.test_training import Affine, quick_compile  # noqa: F401
from tests.toy import Toy


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, generate_here):
    path = tmp_path_factory.mktemp("recipe") / "toy"
    return generate_here(Toy(n=6, n_times=2), 60, path)


def begun(dataset, network=None, **fields):
    """A training that has not moved, and its data."""
    recipe = Recipe(**fields)
    torch.manual_seed(recipe.seed)
    encoding = Encoding.of_dataset(dataset)
    network = (network or Affine()).build(encoding.signature)
    dtype = None
    if recipe.precision == "float64":
        network.double()
        dtype = torch.float64
    run = loop.Run(network, encoding, recipe, "", "cpu", dtype)
    return run, loop.Split(dataset, "train", encoding, 1e12, "cpu", dtype)


def weights(run):
    return torch.cat([w.detach().flatten() for w in run.trainable.values()])


class Rates:
    """A logger that keeps what it is told."""

    def __init__(self):
        self.entries = []

    def log(self, values, step):
        self.entries.append((step, values))


def test_cosine_begins_at_the_peak_and_ends_at_zero():
    recipe = Recipe(schedule="cosine", learning_rate=0.5)
    rates = [recipe.rate(0, progress) for progress in np.linspace(0, 1, 11)]
    assert rates[0] == 0.5
    assert rates[5] == pytest.approx(0.25)
    assert rates[-1] == pytest.approx(0, abs=1e-12)
    assert all(np.diff(rates) < 0)


def test_step_halves_by_epochs_whatever_the_clock_says(dataset):
    logger = Rates()
    surrogate.train(
        dataset,
        Affine(),
        schedule="step",
        halve_every=2,
        learning_rate=0.5,
        epochs=5,
        minutes=1000.0,
        loggers=[logger],
        progress=False,
    )
    rates = [values["learning_rate"] for _, values in logger.entries]
    assert rates == [0.5, 0.5, 0.25, 0.25, 0.125]


def test_two_halves_accumulated_are_one_whole_batch(dataset):
    whole, data = begun(dataset, precision="float64")
    halves, _ = begun(dataset, precision="float64", accumulate=2)
    everything = data.everything()
    parts = [everything.pick(torch.arange(10)), everything.pick(torch.arange(10, 48))]
    assert len(everything.scalars_in) == 48
    loss, size = whole.step([loop.Batch.whole(everything)], 0.1)
    loss_of_halves, size_of_halves = halves.step(list(map(loop.Batch.whole, parts)), 0.1)
    assert (size, loss) == (size_of_halves, pytest.approx(loss_of_halves, rel=1e-12))
    torch.testing.assert_close(weights(halves), weights(whole), rtol=1e-9, atol=1e-9)


def test_an_epoch_accumulates_as_many_batches_as_it_is_told(dataset):
    run, data = begun(dataset, batch_size=10, accumulate=2)
    run._epoch(data, data)
    assert run.steps == 3  # 48 trajectories: 2 + 2 + 1 batches


@pytest.mark.parametrize("clip", [1e-3, 1e9])
def test_clip_bounds_the_norm_of_the_gradient(dataset, clip):
    free, data = begun(dataset)
    free.step([loop.Batch.whole(data.everything())], 0.0)
    clipped, _ = begun(dataset, clip=clip)
    clipped.step([loop.Batch.whole(data.everything())], 0.0)
    norm, free_norm = (
        float(torch.cat([w.grad.flatten() for w in run.trainable.values()]).norm())
        for run in (clipped, free)
    )
    assert free_norm > 1e-2
    assert norm == pytest.approx(min(clip, free_norm), rel=1e-3)


def test_average_is_the_moving_average_of_the_weights(dataset):
    run, data = begun(dataset, average=0.25)
    expected = run.network.layer.weight.detach().clone()
    for step in range(1, 6):
        run.step([loop.Batch.whole(data.everything())], 0.1)
        decay = min(0.25, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * run.network.layer.weight.detach()
    torch.testing.assert_close(run.average["layer.weight"], expected)
    raw = weights(run)
    with run._averaged():
        torch.testing.assert_close(run.network.layer.weight, run.average["layer.weight"])
        assert not torch.equal(weights(run), raw)
    assert torch.equal(weights(run), raw)


def test_average_is_what_is_validated_and_kept(dataset):
    run, data = begun(dataset, average=0.9, learning_rate=0.1, epochs=1)
    run.best_error = 1e9
    run._epoch(data, data)
    assert torch.equal(run.best_state["layer.weight"], run.average["layer.weight"])
    raw_error = run._validate(data)
    with run._averaged():
        assert run.history[-1]["valid"] == run._validate(data) != raw_error


def test_muon_moves_matrices_and_adamw_the_rest(dataset):
    run, data = begun(dataset, optimizer="muon", weight_decay=0.0)
    muon, adamw = run.optimizers
    layer = run.network.layer
    assert isinstance(muon, torch.optim.Muon)
    assert [p is layer.weight for p in muon.param_groups[0]["params"]] == [True]
    assert [p is layer.bias for p in adamw.param_groups[0]["params"]] == [True]
    before = layer.weight.detach().clone()
    run.step([loop.Batch.whole(data.everything())], 1e-2)
    step = layer.weight.detach() - before
    # Many directions at once, where AdamW's step has one or two
    assert step.norm() ** 2 > 10 * torch.linalg.matrix_norm(step, 2) ** 2
    # and as long as a step of AdamW
    assert 0.1e-2 < step.square().mean().sqrt() < 2e-2


def test_optimizers_of_weights_of_one_kind_are_one():
    matrices, vectors = [torch.ones(2, 3)], [torch.ones(2), torch.ones(1, 2, 3)]
    recipe = Recipe(optimizer="muon")
    assert [type(o).__name__ for o in optimizers.create(recipe, matrices)] == ["Muon"]
    assert [type(o).__name__ for o in optimizers.create(recipe, vectors)] == ["AdamW"]
    assert optimizers.create(recipe, []) == []


def test_muon_of_an_old_torch_is_refused(monkeypatch):
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(ValueError, match=r"optimizer='muon': needs torch 2\.9"):
        optimizers.create(Recipe(optimizer="muon"), [torch.ones(2, 2)])


class Witness(Affine):
    """Remembers the types of what went in and of what its products came out as."""

    def forward(self, fields, scalars):
        out = super().forward(fields, scalars)
        self.seen = getattr(self, "seen", set()) | {
            (self.training, fields.dtype, self.layer.weight.dtype, out[0].dtype)
        }
        return out


@pytest.mark.parametrize(
    ("precision", "inputs", "product"),
    [
        ("float32", torch.float32, torch.float32),
        ("bfloat16", torch.float32, torch.bfloat16),
        ("float64", torch.float64, torch.float64),
    ],
)
def test_precision_of_training_and_validation(dataset, precision, inputs, product):
    network = Witness()
    emulator = surrogate.train(dataset, network, epochs=1, precision=precision, progress=False)
    answered = (False, torch.float32, torch.float32, torch.float32)
    assert network.seen - {answered} == {(True, inputs, inputs, product)} | (
        {(False, inputs, inputs, inputs)} - {answered}
    )
    assert emulator.network.layer.weight.dtype == torch.float32
    assert emulator(seed=0).theta.dtype == np.float32


@pytest.mark.parametrize("precision", ["bfloat16", "float64"])
@pytest.mark.parametrize(
    "network",
    [
        lambda: surrogate.FNO(modes=3, width=8, layers=2),
        lambda: surrogate.UNet(),
        lambda: surrogate.PODNet(),
        lambda: surrogate.PODLinear(),
    ],
    ids=["FNO", "UNet", "PODNet", "PODLinear"],
)
def test_networks_of_every_kind_train_in_every_precision(dataset, network, precision):
    in_float32 = surrogate.train(dataset, network(), epochs=2, progress=False)
    other = surrogate.train(dataset, network(), epochs=2, progress=False, precision=precision)
    for name, error in in_float32.training["test_relative_l2"].items():
        assert other.training["test_relative_l2"][name] == pytest.approx(error, rel=0.05)


def physical(encoding, encoded, name):
    """Values of a field in units of its mean deviation, ``(batch, *grid, channels)``."""
    output = next(o for o in encoding.outputs if o.name == name)
    values = (encoded[0] if output.spatial else encoded[1])[..., output.channels].detach()
    mean, std = torch.as_tensor(output.mean), torch.as_tensor(output.std)
    return (values * std + mean) / std.mean()


def test_the_loss_is_the_one_asked_for_with_fields_as_they_are_weighted(dataset):
    weights = {"theta": 3.0, "flux": 0.0}
    terms = {"relative_l2": 0.5, "h1": 2.0}
    run, data = begun(dataset, loss=terms, field_weights=weights)
    batch, encoding, grid = data.everything(), run.encoding, run.encoding.simulation.grid
    answers, truths = run.network(batch.fields_in, batch.scalars_in), batch[2:]
    w = encoding.weights
    total = 0.0
    for name, weight in {"theta": 3.0, "flux": 0.0, "load": 1.0, "power": 1.0}.items():
        ours, true = (physical(encoding, pair, name) for pair in (answers, truths))
        if name == "power":
            error = losses.relative_l2(ours, true)
        else:
            error = 0.5 * losses.relative_l2(ours, true, w) + 2.0 * losses.h1(
                ours, true, w, grid=grid, length=1 / (2 * np.pi)
            )
        total += weight / 5 * error.mean()
    loss, _ = run.step([loop.Batch.whole(batch)], 1e-3)
    assert loss == pytest.approx(float(total), rel=1e-5)


@pytest.mark.parametrize(
    "recipe",
    [
        {"loss": "h1"},
        {"loss": {"relative_l2": 1.0, "spectral_power": 0.1}},
        {"loss": "h1", "precision": "bfloat16"},
        {"field_weights": {"theta": 10.0}},
    ],
    ids=str,
)
def test_validation_is_in_relative_l2_whatever_is_minimised(dataset, recipe):
    plain = surrogate.train(dataset, Affine(), epochs=1, learning_rate=1e-9, progress=False)
    other = surrogate.train(
        dataset, Affine(), epochs=1, learning_rate=1e-9, progress=False, **recipe
    )
    ours, theirs = (emulator.training["history"][0] for emulator in (plain, other))
    assert theirs["valid"] == pytest.approx(ours["valid"], rel=1e-5)
    assert abs(theirs["train"] - ours["train"]) > 1e-3 * ours["train"]


def test_what_a_loss_weighs_is_what_it_learns(dataset):
    def error(**recipe):
        emulator = surrogate.train(
            dataset, Affine(), epochs=20, learning_rate=0.02, progress=False, **recipe
        )
        return emulator.training["test_relative_l2"]["theta"]

    assert error(field_weights={"flux": 0, "load": 0, "power": 0}) < 0.9 * error(
        field_weights={"theta": 0}
    )


def test_a_weighted_field_that_is_not_there_is_named(dataset):
    with pytest.raises(ValueError, match=r"field_weights=.*: heat is none of \['theta', "):
        surrogate.train(dataset, Affine(), field_weights={"heat": 1.0}, progress=False)
    everything = dict.fromkeys(Toy.fields, 0.0)
    with pytest.raises(ValueError, match="leave nothing to learn"):
        surrogate.train(dataset, Affine(), field_weights=everything, progress=False)


def test_compile_is_off_unless_asked_for(dataset, quick_compile):  # noqa: F811
    plain = surrogate.train(dataset, Affine(), epochs=2, progress=False)
    assert quick_compile == []
    network = Affine()
    compiled = surrogate.train(dataset, network, epochs=2, compile=True, progress=False)
    assert quick_compile == [network]
    torch.testing.assert_close(compiled.network.layer.weight, plain.network.layer.weight)


@pytest.mark.slow
def test_a_compiled_training_agrees_with_one_that_is_not(dataset):
    plain, compiled = (
        surrogate.train(
            dataset,
            surrogate.FNO(modes=3, width=8, layers=2),
            epochs=2,
            compile=compile_,
            progress=False,
        ).training["history"][-1]["valid"]
        for compile_ in (False, True)
    )
    assert compiled == pytest.approx(plain, rel=1e-3)


def test_loggers_are_told_of_every_epoch(dataset):
    first, second = Rates(), Rates()
    emulator = surrogate.train(dataset, Affine(), epochs=3, loggers=[first, second], progress=False)
    assert first.entries == second.entries
    assert [step for step, _ in first.entries] == [1, 2, 3]
    for (_, values), entry in zip(first.entries, emulator.training["history"], strict=True):
        assert entry.items() <= values.items()
        assert set(values) == {"train", "valid", "learning_rate", "seconds"}
    seconds = [values["seconds"] for _, values in first.entries]
    assert 0 < seconds[0] < seconds[1] < seconds[2] <= emulator.training["seconds"]


def test_what_cannot_log_is_refused(dataset):
    with pytest.raises(ValueError, match=r"loggers='wandb': must have a method log"):
        surrogate.train(dataset, Affine(), loggers=["wandb"], progress=False)


def test_a_budget_that_building_exceeds_still_trains(dataset, monkeypatch):
    clock = loop.time.perf_counter
    late = 0.0

    def create_layers(network, signature):
        nonlocal late
        late += 3600.0
        whole(network, signature)

    whole = Affine.create_layers
    monkeypatch.setattr(Affine, "create_layers", create_layers)
    monkeypatch.setattr(loop.time, "perf_counter", lambda: clock() + late)
    emulator = surrogate.train(dataset, Affine(), minutes=1e-4, progress=False)
    assert 1 <= emulator.training["epochs"] < 200
    assert emulator.training["seconds"] > 3600


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"schedule": "linear"}, r"schedule='linear': must be one of \['one_cycle'"),
        ({"schedule": "step"}, "halve_every=0: must be an integer"),
        ({"halve_every": 3}, "halve_every=3: belongs to schedule='step', not 'one_cycle'"),
        ({"optimizer": "sgd"}, r"optimizer='sgd': must be one of \['adamw', 'muon'\]"),
        ({"optimizer": ["muon"]}, r"optimizer=\['muon'\]: must be one of"),
        ({"clip": 0}, "clip=0: must be a number in"),
        ({"accumulate": 1.5}, "accumulate=1.5: must be an integer"),
        ({"average": 1.0}, "average=1.0: must be a number in"),
        ({"precision": "float16"}, "precision='float16': must be one of"),
        ({"loss": "l1"}, r"loss='l1': must be one of \['relative_l2', 'h1', 'spectral_power'\]"),
        ({"loss": {"h1": -1}}, r"loss\['h1'\]=-1: must be a number in"),
        ({"loss": {}}, r"loss=\{\}: must be weights by name"),
        ({"loss": 3}, "loss=3: must be weights by name"),
        ({"loss": "spectral_power"}, "loss='spectral_power': does not see all errors"),
        ({"field_weights": "theta"}, "field_weights='theta': must be weights by name"),
        ({"field_weights": {"u": "x"}}, r"field_weights\['u'\]='x': must be a number in"),
        ({"compile": 1}, r"compile=1: must be one of \[False, True\]"),
    ],
)
def test_a_bad_field_is_named_with_what_is_allowed(fields, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**fields)


def test_range_test_rises_from_lowest_to_where_the_loss_blows_up(dataset):
    network = Affine()
    found = surrogate.find_learning_rate(
        dataset, network, lowest=1e-5, highest=10.0, steps=60, batch_size=8
    )
    assert network.signature is None  # the network itself can still be trained
    assert len(found.rates) == len(found.losses) < 60
    assert found.rates[0] == pytest.approx(1e-5)
    np.testing.assert_allclose(np.diff(np.log(found.rates)), np.log(1e6) / 59)
    assert found.rates[0] < found.suggestion < found.rates[-1]
    again = surrogate.find_learning_rate(
        dataset, Affine(), lowest=1e-5, highest=10.0, steps=60, batch_size=8
    )
    assert again == found

    def error(rate):
        trained = surrogate.train(
            dataset, Affine(), learning_rate=rate, epochs=10, batch_size=8, progress=False
        )
        return min(entry["valid"] for entry in trained.training["history"])

    at_suggestion = error(found.suggestion)
    assert at_suggestion < 0.8 * error(found.suggestion / 100)
    assert at_suggestion < 0.8 * error(min(10.0, found.suggestion * 100))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lowest": 0.0}, r"lowest=0\.0: must be a number in"),
        ({"highest": 1e-7}, "highest=1e-07: must be a number in"),
        ({"steps": 3}, "steps=3: must be an integer in"),
        ({"network": surrogate.PODLinear()}, "network=PODLinear: has no weights to train"),
    ],
)
def test_a_range_test_that_cannot_be_is_refused(dataset, arguments, message):
    with pytest.raises(ValueError, match=message):
        surrogate.find_learning_rate(dataset, **{"network": Affine(), **arguments})


def test_the_command_line_takes_any_field(monkeypatch, dataset, capsys, tmp_path):
    given = {}
    monkeypatch.setattr(surrogate, "train", lambda *_, **options: given.update(options) or 1 / 0)
    command = ["train", str(dataset.path), "-o", str(tmp_path / "model"), "--epochs=3"]
    with pytest.raises(ZeroDivisionError):
        cli.main([*command, "--recipe", "clip=0.5", "--recipe", "optimizer=muon"])
    assert (given["clip"], given["optimizer"], given["epochs"]) == (0.5, "muon", 3)
    for assignment, message in [
        ("seed=3", "--recipe seed=3: has its own option, --seed"),
        ("clip", "'clip': must be NAME=VALUE"),
    ]:
        with pytest.raises(SystemExit) as ended:
            cli.main([*command, "--recipe", assignment])
        assert ended.value.code == cli.MISUSED
        assert message in capsys.readouterr().err


def test_a_bad_field_on_the_command_line_is_one_line(dataset, capsys, tmp_path):
    command = ["train", str(dataset.path), "-o", str(tmp_path / "model"), "--quiet"]
    for assignment, message in [
        ("schedule=linear", "schedule='linear': must be one of ['one_cycle', 'cosine', 'step']"),
        ("momentum=1", "momentum: not part of a recipe; there are ['epochs', "),
        ("progress=1", "progress: not part of a recipe; there are ['epochs', "),
    ]:
        with pytest.raises(SystemExit) as ended:
            cli.main([*command, "--recipe", assignment])
        assert ended.value.code == cli.MISUSED
        assert capsys.readouterr().err.startswith(f"surrogate: {message}")
