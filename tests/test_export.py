"""Exported surrogates: a file answers as the surrogate does, and says what its numbers are."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
import torch

import simulations
import surrogate
from simulations.simulation import package_version
from surrogate import networks
from surrogate.cli import run
from surrogate.deploy import METADATA_KEY
from surrogate.deploy.whole import Whole
from surrogate.encoding import Encoding
from surrogate.networks import FNO, PODPolynomial, UNet
from surrogate.propagation import Propagator, Rollout
from tests.networks.test_networks import MAKERS, REFUSED
from tests.toy import Toy


@dataclass(frozen=True)
class Hot(Toy):
    """The toy without fields to start from: a map of parameters alone."""

    field_inputs = {}


def encoding_of(simulation) -> Encoding:
    """Moments that differ from component to component, and means far from zero."""
    moments = {}
    for name, field in (simulation.fields | simulation.field_inputs).items():
        components = np.arange(1.0, 1 + simulation.grid.ndim**field.order)
        shape = (simulation.grid.ndim,) * field.order
        mean, std = 20 + components, 0.5 + components
        moments[name] = (mean.reshape(shape).tolist(), std.reshape(shape).tolist())
    ranges = {name: parameter.sampling for name, parameter in simulation.parameters.items()}
    return Encoding(simulation, moments, ranges)


def prepared(network, sizes):
    """Built, and fitted to noise where it fits anything."""
    torch.manual_seed(0)
    network.build(sizes)
    network.prepare(
        torch.randn(16, *sizes.grid, sizes.in_channels),
        2 * torch.rand(16, sizes.in_scalars) - 1,
        torch.randn(16, *sizes.grid, sizes.out_channels),
        torch.randn(16, sizes.out_scalars),
    )
    return network


def operator(simulation, network) -> surrogate.Surrogate:
    encoding = encoding_of(simulation)
    training = {"test_relative_l2": dict.fromkeys(simulation.fields, 0.01)}
    return surrogate.Surrogate(
        simulation, prepared(network, encoding.signature), encoding, training
    )


def propagator(simulation, network, **settings) -> surrogate.Surrogate:
    encoding = encoding_of(simulation)
    deviations = {name: encoding.moments[name][1] for name in simulation.fields}
    rollout = Rollout(network, encoding, Propagator(**settings), deviations)
    prepared(network, rollout.signature)
    return surrogate.Surrogate(simulation, rollout, encoding)


def inputs_of(emulator, n) -> dict[str, np.ndarray]:
    return {name: values.numpy() for name, values in Whole(emulator).example(n).items()}


def check_answers(emulator, session):
    """The file's answer is that of the surrogate for batches of one and of seven."""
    for n in (1, 7):
        inputs = inputs_of(emulator, n)
        expected = emulator.predict(**inputs)
        answer = session(inputs)
        assert answer.keys() == expected.keys()
        for name, values in expected.items():
            assert answer[name].dtype == np.float32
            assert answer[name].shape == values.shape
            error = np.abs(answer[name] - values).max()
            assert error < 1e-5 * np.abs(values).max(), (name, n)


def onnx_session(path):
    """As a program calls the file that knows nothing of this package."""
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    metadata = json.loads(session.get_modelmeta().custom_metadata_map[METADATA_KEY])

    def run(inputs):
        return dict(zip(names, session.run(None, inputs), strict=True))

    run.session, run.metadata = session, metadata
    return run


def torch_session(path):
    extra = {f"{METADATA_KEY}.json": ""}
    module = torch.export.load(path, extra_files=extra).module()

    def run(inputs):
        tensors = {name: torch.from_numpy(values) for name, values in inputs.items()}
        return {name: values.detach().numpy() for name, values in module(tensors).items()}

    run.metadata = json.loads(extra[f"{METADATA_KEY}.json"])
    return run


KINDS = {
    "operator": lambda: operator(
        simulations.Burgers(n=16, n_times=3), FNO(modes=4, width=8, layers=1)
    ),
    "parameters alone": lambda: operator(Hot(), PODPolynomial(modes=3)),
    "vectors and scalars": lambda: operator(Toy(), UNet(width=8, levels=1, kernel=3)),
    "propagator": lambda: propagator(Toy(n_times=3), FNO(modes=2, width=6, layers=1), history=2),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_torch_file_answers_as_the_surrogate(kind, tmp_path):
    emulator = KINDS[kind]()
    session = torch_session(surrogate.export(emulator, tmp_path / "model.pt2", "torch"))
    check_answers(emulator, session)
    assert session.metadata["system"] == type(emulator.simulation).__name__


@pytest.mark.parametrize("kind", KINDS)
def test_the_onnx_file_answers_as_the_surrogate(kind, tmp_path):
    pytest.importorskip("onnxscript")
    emulator = KINDS[kind]()
    session = onnx_session(surrogate.export(emulator, tmp_path / "model.onnx"))
    check_answers(emulator, session)
    simulation = emulator.simulation
    given = [i.name for i in session.session.get_inputs()]
    assert given == [*simulation.parameters, *simulation.field_inputs]
    for port in (*session.session.get_inputs(), *session.session.get_outputs()):
        assert port.type == "tensor(float)"
        assert port.shape[0] == "batch"
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]


def test_the_metadata_are_all_that_a_client_needs(tmp_path):
    emulator = operator(Toy(), UNet(width=8, levels=1, kernel=3))
    emulator.save(tmp_path / "saved")
    config = json.loads((tmp_path / "saved" / "config.json").read_text(encoding="utf-8"))
    session = torch_session(surrogate.export(emulator, tmp_path / "model.pt2", "torch"))
    said, simulation = session.metadata, emulator.simulation
    assert said["package"] == f"physurrogate {package_version()}"
    assert said["settings"] == config["settings"]
    assert said["weights_sha256"] == config["weights_sha256"]
    assert said["network"] == "UNet"
    assert said["grid_is_fixed"] is True
    assert said["parameters"]["kappa"] == {
        "description": "conductivity",
        "unit": "m2 s-1",
        "admissible": [1e-4, 10.0],
        "trained": [1e-3, 0.1],
        "scale": "log",
    }
    assert said["parameters"]["offset"]["admissible"] == [None, None]
    assert said["field_inputs"]["theta0"]["initial_of"] == "theta"
    inputs = inputs_of(emulator, 1)
    for name, declared in said["field_inputs"].items():
        assert tuple(declared["shape"]) == inputs[name].shape[1:]
    for name, values in emulator.predict(**inputs).items():
        assert tuple(said["fields"][name]["shape"]) == values.shape[1:]
        assert said["fields"][name]["unit"] == simulation.fields[name].unit
        assert said["fields"][name]["test_relative_l2"] == 0.01
    for axis, ours in zip(said["axes"], simulation.grid.axes, strict=True):
        assert (axis["name"], axis["unit"]) == (ours.name, ours.unit)
        assert axis["boundary"] == list(ours.boundary)
        np.testing.assert_array_equal(axis["points"], ours.points)
    np.testing.assert_array_equal(said["times"], simulation.times)


def test_a_mean_far_from_zero_costs_no_digits():
    """Single precision alone would leave 300 K ± 0.01 K an error of a thousandth."""
    encoding = encoding_of(Toy())
    encoding.moments["source"] = (300.123456, 0.01)
    emulator = surrogate.Surrogate(
        Toy(), prepared(UNet(width=8, levels=1, kernel=3), encoding.signature), encoding
    )
    inputs = inputs_of(emulator, 2)
    fields, _ = encoding.normalise({k: torch.from_numpy(v) for k, v in inputs.items()}, 2)
    expected = (inputs["source"].astype(np.float64) - 300.123456) / 0.01
    np.testing.assert_allclose(fields[..., 1], expected, rtol=1e-6)


def test_a_module_that_is_not_of_the_library_is_exported(tmp_path):
    simulation = simulations.Burgers(n=16, n_times=3)
    encoding = encoding_of(simulation)
    sizes = encoding.signature
    torch.manual_seed(0)
    plain = torch.nn.Conv1d(sizes.in_channels + sizes.in_scalars, sizes.out_channels, 3, padding=1)
    emulator = surrogate.Surrogate(simulation, networks.ChannelsFirst(plain), encoding)
    session = torch_session(surrogate.export(emulator, tmp_path / "model.pt2", "torch"))
    check_answers(emulator, session)


class Undecided(torch.nn.Module):
    """What it does depends on numbers, which no graph can hold."""

    def forward(self, fields, scalars):
        if fields.sum() > 0:
            return fields, scalars
        return -fields, scalars


def test_what_cannot_be_exported_is_refused_and_nothing_is_left(tmp_path):
    simulation = simulations.Burgers(n=16, n_times=3)
    encoding = encoding_of(simulation)
    emulator = surrogate.Surrogate(simulation, Undecided(), encoding)
    with pytest.raises(ValueError, match="to='cuda': must be one of onnx, torch, wheel"):
        surrogate.export(emulator, tmp_path / "model", "cuda")
    with pytest.raises(ValueError, match="Undecided cannot be exported"):
        surrogate.export(emulator, tmp_path / "model", "torch")
    assert not list(tmp_path.iterdir())
    (tmp_path / "model").write_text("precious", encoding="utf-8")
    with pytest.raises(FileExistsError, match="exists; choose another file"):
        surrogate.export(emulator, tmp_path / "model", "torch")
    assert (tmp_path / "model").read_text(encoding="utf-8") == "precious"


def test_the_command_line_exports_a_saved_surrogate(tmp_path, capsys):
    emulator = operator(simulations.Burgers(n=16, n_times=3), FNO(modes=4, width=8, layers=1))
    emulator.save(tmp_path / "saved")
    target = tmp_path / "model.pt2"
    arguments = ["export", str(tmp_path / "saved"), "--to", "torch", "-o", str(target)]
    assert run(arguments) == 0
    assert str(target) in capsys.readouterr().out
    check_answers(emulator, torch_session(target))
    assert run(arguments) == 1
    assert "exists" in capsys.readouterr().err
    assert run([*arguments[:3], "tflite", *arguments[4:]]) == 2
    assert run([*arguments[:3], "wheel", *arguments[4:]]) == 2
    assert "a wheel needs one" in capsys.readouterr().err
    assert run([*arguments[:3], "wheel", "-o", str(tmp_path), "--name", "json"]) == 2
    assert "name='json'" in capsys.readouterr().err
    assert run([*arguments[:4], "-o", str(tmp_path / "other"), "--author", "Ada"]) == 2
    assert "author='Ada'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in ("Koopman", "PODNet", "MLP") else pytest.mark.slow)
        for name in MAKERS
    ],
)
def test_every_network_exports_to_onnx(name, tmp_path):
    pytest.importorskip("onnxscript")
    simulation = simulations.Burgers(n=16, n_times=3)
    if name in REFUSED and REFUSED[name](encoding_of(simulation).signature):
        simulation = Hot()
    emulator = operator(simulation, MAKERS[name]())
    check_answers(emulator, onnx_session(surrogate.export(emulator, tmp_path / "model.onnx")))
