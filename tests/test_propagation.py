"""Propagators: what a step sees, how it is trained, and roll-outs that answer like a simulation."""

import numpy as np
import pytest
import torch

import simulations
import surrogate
from simulations.datasets import Dataset
from surrogate import training
from surrogate.cli import _run
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
    states, others, scalars = rollout.frames(Encoding.of_dataset(dataset).encode(samples))
    encoding = Encoding.of_dataset(dataset)
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


def test_pushforward_sees_the_last_step_only(dataset, make):
    batch = Encoding.of_dataset(dataset).encode(dataset.load("valid"))
    weights = Encoding.of_dataset(dataset).weights
    for pushforward, tracked in ((False, [False, True, True]), (True, [False, False, False])):
        rollout = make(change=0.1, unroll=3, pushforward=pushforward)
        rollout.errors(batch, weights, 0.0).mean().backward()
        assert [asked[0].requires_grad for asked in rollout.network.asked] == tracked
        assert rollout.network.change.grad.abs() > 0


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
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0.0)
    whole_epoch = training._Run._epoch

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

    monkeypatch.setattr(training._Run, "_epoch", interrupted_epoch)
    with pytest.raises(KeyboardInterrupt):
        train(checkpoint=tmp_path / "state")
    monkeypatch.setattr(training._Run, "_epoch", whole_epoch)
    continued, at_once = train(checkpoint=tmp_path / "state"), train()
    assert continued.training["history"] == at_once.training["history"]
    state = at_once.network.state_dict()
    for name, value in continued.network.state_dict().items():
        assert torch.equal(value, state[name])


def test_the_command_line_names_settings_it_does_not_know(dataset, tmp_path, capsys):
    command = ["train", str(dataset.path), "-o", str(tmp_path / "m"), "--quiet"]
    assert _run([*command, "--propagator", "--step", "wings=2"]) != 0
    assert "wings" in capsys.readouterr().err
    assert _run([*command, "--step", "unroll=2"]) != 0
    assert "--step needs --propagator" in capsys.readouterr().err
