"""Propagators: what a step sees, how it is trained, and roll-outs that answer like a simulation."""

import copy
from functools import cached_property

import numpy as np
import pytest
import torch

import simulations
import surrogate
from simulations import InvalidInput
from simulations.datasets import Dataset
from surrogate import loop
from surrogate.cli import run
from surrogate.comparison.protocol import _training_record
from surrogate.encoding import Encoding
from surrogate.propagation import Propagator, Rollout, change_deviations
from tests.toy import Toy


class Recorder(torch.nn.Module):
    """Answers a constant change and remembers what it was asked."""

    def __init__(self, out_channels: int, out_scalars: int, change: float = 0.0) -> None:
        super().__init__()
        self.change = torch.nn.Parameter(torch.tensor(change))
        self.sizes = out_channels, out_scalars
        self.asked: list[tuple[torch.Tensor, torch.Tensor]] = []

    def forward(self, fields, scalars):
        self.asked.append((fields, scalars))
        out = self.change * torch.ones(*fields.shape[:-1], self.sizes[0])
        # Later steps depend on the weights through what they are given as well
        return out + self.change * fields[..., :1], torch.zeros(len(fields), self.sizes[1])


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    path = tmp_path_factory.mktemp("propagation") / "toy"
    return simulations.generate(Toy(), 30, path, workers=1, progress=False)


@pytest.fixture
def make(dataset):
    def make(change=0.0, **settings):
        # flux and load are not fed back: 2 + 4 channels beside the temperature
        network = Recorder(7, 1, change)
        encoding = Encoding.of_dataset(dataset)
        return Rollout(network, encoding, Propagator(**settings), change_deviations(dataset))

    return make


def test_frames_are_those_that_were_stored(dataset, make):
    rollout, samples = make(), dataset.load("valid")
    encoding = Encoding.of_dataset(dataset)
    times = torch.arange(Toy().n_times).expand(len(samples), -1)
    states, others, scalars = rollout.frames(encoding.encode(samples), times)
    for values, name in ((states[..., 0], "theta"), (scalars[..., 0], "power")):
        mean, std = encoding.moments[name]
        np.testing.assert_allclose(values * std + mean, samples.fields[name], rtol=1e-4, atol=1e-4)
    mean, std = map(np.array, encoding.moments["flux"])
    flux = others[..., :2].numpy() * std + mean
    np.testing.assert_allclose(flux, samples.fields["flux"], rtol=1e-4, atol=1e-4)


def test_a_rollout_answers_in_the_layout_of_an_operator(dataset, make):
    rollout, encoding = make(), Encoding.of_dataset(dataset)
    batch = encoding.encode(dataset.load("valid"))
    with torch.no_grad():
        fields, scalars = rollout(batch.fields_in, batch.scalars_in)
    assert fields.shape == batch.fields_out.shape
    assert scalars.shape == batch.scalars_out.shape
    # Nothing changes, so that the temperature stays the initial one
    theta = next(o for o in encoding.outputs if o.name == "theta")
    start = batch.fields_in[..., rollout.initial]
    assert torch.equal(fields[..., theta.channels], start.expand(*start.shape[:-1], 4))


def test_what_is_read_off_a_frame_lands_in_its_channels(make, dataset):
    rollout, encoding = make(), Encoding.of_dataset(dataset)

    def counting(fields, scalars):
        numbers = torch.arange(7.0).expand(*fields.shape[:-1], 7)
        return numbers, torch.zeros(len(fields), 1)

    rollout.network.forward = counting
    batch = encoding.encode(dataset.load("valid"))
    fields, _ = rollout(batch.fields_in, batch.scalars_in)
    for name, expected in (("flux", [1.0, 2.0]), ("load", [3.0, 4.0, 5.0, 6.0])):
        channels = next(o.channels for o in encoding.outputs if o.name == name)
        assert fields[0, 0, 0, channels].tolist() == expected * Toy().n_times


def test_history_is_padded_by_the_first_frame(dataset, make):
    rollout = make(change=0.5, history=3)
    assert rollout.signature.in_channels == 3 + 1
    batch = Encoding.of_dataset(dataset).encode(dataset.load("valid"))
    with torch.no_grad():
        rollout(batch.fields_in, batch.scalars_in)
    first, second = rollout.network.asked[0][0], rollout.network.asked[1][0]
    assert torch.equal(first[..., 0], first[..., 2])
    assert torch.equal(second[..., :2], first[..., 1:3])
    assert not torch.equal(second[..., 2], first[..., 2])
    assert torch.equal(first[..., 3], batch.fields_in[..., rollout.constant[0]])


class Uneven(Toy):
    """Stored times of which no two neighbours are equally far apart."""

    @cached_property
    def times(self):
        return np.array([0.0, 0.1, 0.3, 0.4, 0.8])


def test_a_step_is_told_how_long_it_is(dataset):
    plain = Encoding.of_dataset(dataset)
    encoding = Encoding(Uneven(), plain.moments, plain.ranges)
    rollout = Rollout(Recorder(7, 1), encoding, Propagator(), change_deviations(dataset))
    assert rollout.is_timed
    assert rollout.signature.in_scalars == plain.signature.in_scalars + 1
    batch = encoding.encode(dataset.load("valid"))
    rollout(batch.fields_in, batch.scalars_in)
    # Steps of 0.1, 0.2, 0.1, 0.4 and once more 0.4 for what is read off the end; their mean is 0.24
    told = [float(asked[1][0, -1]) for asked in rollout.network.asked]
    expected = [0.1 / 0.24 - 1, 0.2 / 0.24 - 1, 0.1 / 0.24 - 1, 0.4 / 0.24 - 1, 0.4 / 0.24 - 1]
    assert told == pytest.approx(expected, abs=1e-6)
    torch.testing.assert_close(
        rollout.examples(batch).scalars_in[:4, -1], torch.tensor(expected[:4]), atol=1e-6, rtol=0
    )
    seen = set()
    rollout.network.asked.clear()
    for seed in range(20):
        torch.manual_seed(seed)
        rollout.errors(batch, encoding.weights, 0.0)
    for fields, scalars in rollout.network.asked:
        for state, length in zip(fields[..., 0], scalars[:, -1], strict=True):
            times = torch.arange(5).expand(len(fields), -1)
            stored = rollout.frames(batch, times)[0][..., 0]
            [[_, start]] = (stored == state).flatten(2).all(-1).nonzero().tolist()
            assert float(length) == pytest.approx(expected[start], abs=1e-6)
            seen.add(start)
    assert seen == {0, 1, 2, 3}


@pytest.mark.parametrize("history", [1, 3])
def test_given_frames_are_continued_like_a_trajectory(dataset, make, history):
    emulator = surrogate.Surrogate(
        Toy(), make(change=0.3, history=history), Encoding.of_dataset(dataset)
    )
    samples = dataset.load("valid")
    inputs = {**samples.parameters, "source": samples.field_inputs["source"]}
    start = samples.fields["theta"][:, :1]
    expected = emulator.predict(theta0=start[:, 0], **inputs)
    # More than a step sees is allowed, and ignored
    frames = {"theta": np.concatenate([0 * start, *[start] * history], axis=1)}
    answer = emulator.rollout(frames, 4, **inputs)
    assert answer.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(answer[name], values[:, 1:], rtol=1e-4, atol=1e-4)
    # Beyond the stored times, and in two parts as in one
    whole = emulator.rollout(frames, 9, **inputs)
    before = np.concatenate([frames["theta"], whole["theta"][:, :5]], axis=1)
    rest = emulator.rollout({"theta": before}, 4, **inputs)
    for name, values in rest.items():
        np.testing.assert_allclose(values, whole[name][:, 5:], rtol=1e-3, atol=1e-3)


def test_frames_that_cannot_be_continued_are_refused(dataset, make):
    encoding = Encoding.of_dataset(dataset)
    emulator = surrogate.Surrogate(Toy(), make(history=2), encoding)
    samples = dataset.load("valid")
    inputs = {**samples.parameters, "source": samples.field_inputs["source"]}
    theta = samples.fields["theta"]

    def refused(message, frames, steps=2, **changed):
        with pytest.raises(InvalidInput, match=message):
            emulator.rollout(frames, steps, **{**inputs, **changed})

    refused("1 are given, a step sees 2", {"theta": theta[:, :1]})
    refused(r"frames of theta have shape .* must be \(batch, history, 12, 6\)", {"theta": theta[0]})
    refused(r"frames=\['flux'\]", {"flux": theta})
    refused("steps=0", {"theta": theta}, steps=0)
    refused("inputs=.*needs each of", {"theta": theta}, theta0=theta[:, 0])
    refused("kappa has shape", {"theta": theta}, kappa=np.ones(1))
    refused("time_steps: all steps are 0.125 long", {"theta": theta}, time_steps=[0.1, 0.1])
    operator = surrogate.Surrogate(Toy(), Recorder(32, 5), encoding)
    with pytest.raises(InvalidInput, match="Recorder: answers all stored times at once"):
        operator.rollout({"theta": theta}, 2, **inputs)


def test_steps_of_any_length_where_times_are_not_equidistant(dataset):
    plain = Encoding.of_dataset(dataset)
    encoding = Encoding(Uneven(), plain.moments, plain.ranges)
    rollout = Rollout(Recorder(7, 1), encoding, Propagator(), change_deviations(dataset))
    emulator = surrogate.Surrogate(encoding.simulation, rollout, encoding)
    samples = dataset.load("valid")
    inputs = {**samples.parameters, "source": samples.field_inputs["source"]}
    frames = {"theta": samples.fields["theta"]}
    with pytest.raises(InvalidInput, match="time_steps: needed"):
        emulator.rollout(frames, 2, **inputs)
    with pytest.raises(InvalidInput, match="must be 2 positive numbers"):
        emulator.rollout(frames, 2, time_steps=[0.1, -0.1], **inputs)
    rollout.network.asked.clear()
    emulator.rollout(frames, 2, time_steps=[0.12, 0.24], **inputs)
    told = [float(asked[1][0, -1]) for asked in rollout.network.asked]
    assert told == pytest.approx([-0.5, 0.0, 0.0], abs=1e-6)
    with pytest.warns(surrogate.OutOfDomainWarning, match="time_steps=0.9 is outside"):
        emulator.rollout(frames, 2, time_steps=[0.1, 0.9], **inputs)


def test_changes_that_nobody_recorded_are_computed(dataset, monkeypatch):
    recorded = change_deviations(dataset)
    records = copy.deepcopy(list(dataset.records("train")))
    for record in records:
        for kinds in record["moments"].values():
            kinds.pop("delta", None)
    monkeypatch.setattr(Dataset, "records", lambda self, split: records)
    computed = change_deviations(dataset)
    assert computed.keys() == recorded.keys() == Toy.fields.keys()
    for name, values in recorded.items():
        np.testing.assert_allclose(computed[name], values, rtol=1e-5)


def test_a_network_that_adds_the_first_frame_adds_it_once(tmp_path):
    bodies = simulations.NBody(n_times=4)
    data = simulations.generate(bodies, 10, tmp_path / "bodies", workers=1, progress=False)
    encoding, deviations = Encoding.of_dataset(data), change_deviations(data)
    batch = encoding.encode(data.load("train"))
    for residual in (True, False):
        network = surrogate.GraphNet(width=8, rounds=1)
        rollout = Rollout(network, encoding, Propagator(residual=residual), deviations)
        rollout.build()
        with torch.no_grad():
            for parameter in network.decode.parameters():
                parameter.zero_()  # the network answers that nothing changes
            states, *_ = rollout.frames(batch, torch.zeros(len(batch.scalars_in), 1).long())
            fields, _ = rollout(batch.fields_in, batch.scalars_in)
        following = fields[..., rollout.state[: rollout.width["state"]]]
        torch.testing.assert_close(following, states[:, 0])


@pytest.mark.parametrize("residual", [True, False])
def test_the_answers_of_the_examples_lead_to_the_next_frames(dataset, make, residual):
    rollout, encoding = make(history=2, residual=residual), Encoding.of_dataset(dataset)
    batch = encoding.encode(dataset.load("valid"))
    examples = rollout.examples(batch)
    rollout.network.forward = lambda fields, scalars: (examples.fields_out, examples.scalars_out)
    before, present, constant = examples.fields_in[..., :3].split(1, -1)
    following, *_ = rollout.step(
        [before, present], constant, examples.scalars_in, torch.zeros(len(present))
    )
    times = torch.arange(5).expand(len(batch.scalars_in), -1)
    states, *_ = rollout.frames(batch, times)
    torch.testing.assert_close(following, states[:, 1:].flatten(0, 1))
    torch.testing.assert_close(present, states[:, :-1].flatten(0, 1))
    torch.testing.assert_close(before[0::4], states[:, 0])
    torch.testing.assert_close(before[3::4], states[:, 2])


def test_networks_fitted_in_closed_form_learn_a_step(tmp_path):
    heat = simulations.Heat(ndim=1, n=32, n_times=6)
    data = simulations.generate(heat, 40, tmp_path / "heat", workers=1, progress=False)
    errors = {}
    for network in (surrogate.networks.PODLinear(), surrogate.networks.Persistence()):
        for residual in (True, False):
            problem = Propagator(residual=residual)
            emulator = surrogate.train(data, network, problem=problem, progress=False)
            network = type(network)(**network.config)
            error = emulator.training["test_relative_l2"]["u"]
            errors[type(network).__name__, residual] = error
    assert errors["Persistence", True] == pytest.approx(errors["Persistence", False], rel=1e-4)
    assert errors["PODLinear", False] < 0.9 * errors["Persistence", False]
    assert errors["PODLinear", True] < 0.9 * errors["Persistence", True]


def test_a_propagator_says_that_it_is_one(dataset, make):
    emulator = surrogate.Surrogate(Toy(), make(), Encoding.of_dataset(dataset))
    assert "by Recorder propagator," in repr(emulator)
    assert "Learnt by Recorder propagator." in emulator.model_card()
    assert emulator(seed=0).attrs["answered_by"] == "surrogate (Recorder propagator)"
    assert _training_record(emulator)["network"] == "Recorder propagator"


def test_pushforward_sees_the_last_step_only(dataset, make):
    batch = Encoding.of_dataset(dataset).encode(dataset.load("valid"))
    weights = Encoding.of_dataset(dataset).weights
    for pushforward, tracked in ((False, [False, True, True]), (True, [False, False, False])):
        rollout = make(change=0.1, unroll=3, pushforward=pushforward)
        rollout.errors(batch, weights, 0.0).mean().backward()
        assert [asked[0].requires_grad for asked in rollout.network.asked] == tracked
        assert rollout.network.change.grad.abs() > 0


def test_a_loss_sees_the_steps_of_a_field_as_its_channels(dataset, make):
    encoding = Encoding.of_dataset(dataset)
    samples = dataset.load("valid")
    seen = []

    def loss(prediction, target, weights):
        assert weights is encoding.weights
        seen.append((prediction, target))
        return (prediction - target).flatten(1).square().sum(1)

    rollout = make(change=0.1, unroll=4)  # from the first of five frames
    errors = rollout.errors(encoding.encode(samples), encoding.weights, 0.0, loss)
    assert errors.shape == (len(samples), 4)
    assert len(seen) == 3  # power is no field
    for (prediction, target), name in zip(seen, ("theta", "flux", "load"), strict=True):
        assert prediction.shape == target.shape
        first = encoding.first_frame[name]
        std = np.mean(encoding.moments[name][1])
        stored = samples.fields[name][:, first : first + 4] / std
        stored = np.moveaxis(stored, 1, 3).reshape(*target.shape)
        np.testing.assert_allclose(target, stored, rtol=1e-4, atol=1e-4)
    theta = seen[0][0]
    assert not torch.equal(theta[..., 0], theta[..., 3])


def test_noise_has_the_deviation_asked_for(dataset, make):
    batch = Encoding.of_dataset(dataset).encode(dataset.load("train"))
    weights = Encoding.of_dataset(dataset).weights
    seen = []
    for noise in (0.0, 0.3):
        rollout = make(noise=noise)
        torch.manual_seed(0)  # the starts are drawn before the noise
        rollout.errors(batch, weights, 0.0)
        seen.append(rollout.network.asked[0][0])
    difference = seen[1] - seen[0]
    assert float(difference[..., 0].std()) == pytest.approx(0.3, rel=0.05)
    assert float(difference[..., 1:].abs().max()) == 0.0


def test_a_curriculum_grows_to_the_full_length():
    problem = Propagator(unroll=5, curriculum=True)
    assert [problem.steps(p) for p in (0.0, 0.13, 0.25, 0.5, 1.0)] == [1, 2, 3, 5, 5]
    assert Propagator(unroll=5).steps(0.0) == 5


def test_a_propagator_learns_heat_and_is_saved(tmp_path):
    heat = simulations.Heat(ndim=1, n=32, n_times=6)
    data = simulations.generate(heat, 60, tmp_path / "heat", workers=1, progress=False)
    network = surrogate.FNO(modes=8, width=12, layers=2)
    problem = surrogate.Propagator(history=2, unroll=3, curriculum=True)
    emulator = surrogate.train(
        data, network, problem=problem, epochs=80, learning_rate=1e-2, progress=False
    )
    untrained = emulator.training["history"][0]["valid"]
    assert emulator.training["test_relative_l2"]["u"] < min(0.1, untrained / 3)
    emulator.save(tmp_path / "model")
    again = surrogate.load(tmp_path / "model")
    answer, truth = again(seed=3), heat(seed=3)
    assert answer.sizes == truth.sizes
    assert again.network.problem == problem
    np.testing.assert_array_equal(answer.u, emulator(seed=3).u)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"history": 0}, "history=0"), ({"noise": -1.0}, "noise=-1"), ({"residual": 2}, "residual=2")],
)
def test_an_impossible_propagator_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Propagator(**settings)


def test_what_cannot_be_propagated_is_refused(make):
    with pytest.raises(ValueError, match="unroll=5: must be less than the 5 stored times"):
        make(unroll=5)


def test_a_killed_training_with_noise_continues_bit_for_bit(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    whole_epoch = loop.Run._epoch

    def interrupted_epoch(run, *data):
        if len(run.history) == 2:
            raise KeyboardInterrupt
        whole_epoch(run, *data)

    def train(**options):
        problem = Propagator(unroll=2, noise=0.1)
        network = surrogate.FNO(modes=3, width=4, layers=1)
        return surrogate.train(
            dataset, network, problem=problem, epochs=4, progress=False, **options
        )

    monkeypatch.setattr(loop.Run, "_epoch", interrupted_epoch)
    with pytest.raises(KeyboardInterrupt):
        train(checkpoint=tmp_path / "state")
    monkeypatch.setattr(loop.Run, "_epoch", whole_epoch)
    continued, at_once = train(checkpoint=tmp_path / "state"), train()
    assert continued.training["history"] == at_once.training["history"]
    state = at_once.network.state_dict()
    for name, value in continued.network.state_dict().items():
        assert torch.equal(value, state[name])


def test_the_command_line_names_settings_it_does_not_know(dataset, tmp_path, capsys):
    command = ["train", str(dataset.path), "-o", str(tmp_path / "m"), "--quiet"]
    assert run([*command, "--propagator", "--step", "wings=2"]) != 0
    assert "wings" in capsys.readouterr().err
    assert run([*command, "--step", "unroll=2"]) != 0
    assert "--step needs --propagator" in capsys.readouterr().err
