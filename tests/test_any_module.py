"""Modules that are not of the library take the same call."""

import json
import subprocess

import numpy as np
import pytest
import torch
from torch import nn

import simulations
import surrogate
from surrogate.encoding import Encoding
from tests.test_interop import interpreter


@pytest.fixture(scope="module")
def dataset(generate_here, tmp_path_factory):
    path = tmp_path_factory.mktemp("any-module") / "heat"
    return generate_here(simulations.Heat(n=16, n_times=4), 40, path, seed=1)


def test_a_plain_network_of_convolutions_is_trained_and_called(dataset):
    sizes = Encoding.of_dataset(dataset).signature
    torch.manual_seed(0)
    plain = nn.Sequential(
        nn.Conv2d(sizes.in_channels + sizes.in_scalars, 16, 3, padding=1, padding_mode="circular"),
        nn.GELU(),
        nn.Conv2d(16, sizes.out_channels, 3, padding=1, padding_mode="circular"),
    )
    emulator = surrogate.train(
        dataset, surrogate.ChannelsFirst(plain), epochs=25, learning_rate=0.01, progress=False
    )
    mean = surrogate.train(dataset, surrogate.Climatology(), progress=False)
    learnt, known = (e.training["test_relative_l2"]["u"] for e in (emulator, mean))
    assert learnt < 0.5 * known
    answer = emulator(seed=3)
    assert answer["u"].shape == (4, 16, 16)
    assert np.isfinite(answer["u"]).all()
    with pytest.raises(ValueError, match="can be saved"):
        emulator.save("nowhere")


def test_scalars_are_constant_channels_behind_those_of_the_fields():
    seen = []

    class Recorder(nn.Module):
        def forward(self, x):
            seen.append(x)
            return x[:, :2]

    fields, scalars = torch.randn(3, 5, 4, 2), torch.randn(3, 2)
    answer, none = surrogate.ChannelsFirst(Recorder())(fields, scalars)
    torch.testing.assert_close(answer, fields)
    assert none.shape == (3, 0)
    assert seen[0].shape == (3, 4, 5, 4)
    torch.testing.assert_close(seen[0][:, 3], scalars[:, 1, None, None].expand(3, 5, 4))


def test_what_is_no_tensor_stays_out_of_the_state():
    class Annotated(nn.Linear):
        def state_dict(self, *args, **kwargs):
            state = super().state_dict(*args, **kwargs)
            state["_metadata"] = {"version": 2}
            return state

    state = surrogate.ChannelsFirst(Annotated(2, 3)).state_dict()
    assert set(state) == {"module.weight", "module.bias"}


TRAIN_NEURALOPERATOR = """
import json
import sys
import neuralop
import surrogate
from simulations import Dataset
from surrogate.encoding import Encoding

dataset = Dataset(sys.argv[1])
sizes = Encoding.of_dataset(dataset).signature
theirs = neuralop.models.FNO(
    n_modes=(8, 8),
    hidden_channels=16,
    n_layers=2,
    in_channels=sizes.in_channels + sizes.in_scalars,
    out_channels=sizes.out_channels,
)
emulator = surrogate.train(
    dataset, surrogate.ChannelsFirst(theirs), epochs=20, learning_rate=0.01, progress=False
)
mean = surrogate.train(dataset, surrogate.Climatology(), progress=False)
errors = [e.training["test_relative_l2"]["u"] for e in (emulator, mean)]
print(json.dumps([*errors, list(emulator(seed=3)["u"].shape)]))
"""


@pytest.mark.interop
def test_neuraloperator_is_trained_by_the_same_call(dataset):
    python = interpreter("PHYSURROGATE_NEURALOPERATOR_PYTHON", "neuraloperator")
    ran = subprocess.run(
        [python, "-c", TRAIN_NEURALOPERATOR, str(dataset.path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    learnt, known, shape = json.loads(ran.stdout.splitlines()[-1])
    assert learnt < 0.5 * known
    assert shape == [4, 16, 16]
