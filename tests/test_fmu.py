"""FMUs: what a simulator of others computes with the block is what the surrogate answers."""

import shutil
import zipfile
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

import surrogate
from surrogate.networks import MLP, PODPolynomial, UNet
from tests.test_export import Hot, operator, propagator
from tests.toy import Toy

fmpy = pytest.importorskip("fmpy")
validation = pytest.importorskip("fmpy.validation")
fmi2 = pytest.importorskip("fmpy.fmi2")
FMICallException = pytest.importorskip("fmpy.fmi1").FMICallException
if shutil.which("cc") is None:
    pytest.skip("there is no C compiler", allow_module_level=True)


@dataclass(frozen=True)
class Steady(Hot):
    """One stored time: outputs that follow the parameters."""

    n: int = 6
    n_times: int = 1


@dataclass(frozen=True)
class Small(Toy):
    """Few enough points for signals."""

    n: int = 6
    n_times: int = 4


def steady():
    return operator(Steady(), PODPolynomial(modes=3))


def series():
    return operator(Small(), MLP(width=8, layers=1))


def stepping(**settings):
    return propagator(Small(), MLP(width=8, layers=1), **settings)


#: What the blocks of several tests are made of
MAKERS = {
    "steady": steady,
    "series": series,
    "steps": stepping,
    "steps that see two frames": lambda: stepping(history=2),
    "steps to the next state": lambda: stepping(residual=False),
}
RELEASE = {"name": "heat-block", "version": "2.0", "licence": "MIT", "author": "Ada"}


@pytest.fixture(scope="module")
def block(tmp_path_factory):
    """Surrogates by kind with their FMUs, each of which is written once."""
    folder = tmp_path_factory.mktemp("blocks")

    @cache
    def make(kind):
        emulator = MAKERS[kind]()
        path = surrogate.export(
            emulator, folder / f"{kind.replace(' ', '-')}.fmu", "fmu", **RELEASE
        )
        assert validation.validate_fmu(str(path)) == []
        return emulator, path

    return make


def starts_of(simulation, seed=1):
    """Inputs of one run as the surrogate takes them and as the block does."""
    rng = np.random.default_rng(seed)
    inputs = {"kappa": 0.02, "offset": 0.3}
    for name, declared in simulation.field_inputs.items():
        inputs[name] = rng.uniform(-2, 2, declared.shape(simulation.grid))
    entries = {}
    for name, values in inputs.items():
        for place, value in np.ndenumerate(values):
            label = ",".join(str(i + 1) for i in place)
            entries[f"{name}[{label}]" if place else name] = float(value)
    return inputs, entries


def gathered(result, name, shape):
    """Of one field its values over time, ``(time, *shape)``."""
    columns = [
        result[f"{name}[{','.join(str(i + 1) for i in place)}]" if place else name]
        for place in np.ndindex(*shape)
    ]
    return np.stack(columns, -1).reshape(-1, *shape)


def check(result, expected, simulation):
    for name, values in expected.items():
        field = simulation.fields[name]
        found = gathered(result, name, field.shape(simulation.grid))
        assert found.shape == values.shape, name
        assert np.abs(found - values).max() < 1e-5 * np.abs(values).max(), name


def expected_of(emulator, inputs):
    answer = emulator.predict(**{name: np.asarray(values)[None] for name, values in inputs.items()})
    return {name: values[0] for name, values in answer.items()}


def test_a_steady_block_follows_its_inputs(block):
    emulator, path = block("steady")
    signals = np.array(
        [(0.0, 1 / 64, 0.25), (0.9, 1 / 64, 0.25), (1.0, 1 / 16, -0.5), (2.0, 1 / 16, -0.5)],
        dtype=[("time", float), ("kappa", float), ("offset", float)],
    )
    result = fmpy.simulate_fmu(str(path), stop_time=2.0, output_interval=1.0, input=signals)
    first = expected_of(emulator, {"kappa": 1 / 64, "offset": 0.25})
    last = expected_of(emulator, {"kappa": 1 / 16, "offset": -0.5})
    check(result[:1], first, emulator.simulation)
    check(result[-1:], last, emulator.simulation)
    assert result["in_domain"].all()


def test_stored_times_are_answered_and_between_them_it_is_linear(block):
    emulator, path = block("series")
    inputs, starts = starts_of(emulator.simulation)
    times = emulator.simulation.times
    expected = expected_of(emulator, inputs)
    options = {"start_values": starts, "stop_time": times[-1]}
    result = fmpy.simulate_fmu(str(path), output_interval=times[1], **options)
    check(result, expected, emulator.simulation)
    result = fmpy.simulate_fmu(str(path), output_interval=times[1] / 2, **options)
    halves = {name: (v[1:] + v[:-1]) / 2 for name, v in expected.items()}
    check(result[1::2], halves, emulator.simulation)
    with pytest.raises(FMICallException):
        fmpy.simulate_fmu(str(path), **{**options, "stop_time": 2 * times[-1]})


@pytest.mark.parametrize(
    "kind",
    [
        "steps",
        pytest.param("steps that see two frames", marks=pytest.mark.slow),
        pytest.param("steps to the next state", marks=pytest.mark.slow),
    ],
)
def test_a_propagator_is_advanced(kind, block):
    emulator, path = block(kind)
    inputs, starts = starts_of(emulator.simulation)
    times = emulator.simulation.times
    options = {"start_values": starts, "stop_time": times[-1]}
    expected = expected_of(emulator, inputs)
    result = fmpy.simulate_fmu(str(path), output_interval=times[1], **options)
    check(result, expected, emulator.simulation)
    # Other steps of the master do not change the states at the stored times
    result = fmpy.simulate_fmu(str(path), output_interval=times[1] / 2, **options)
    check(result[::2], expected, emulator.simulation)
    halves = {name: (v[1:] + v[:-1]) / 2 for name, v in expected.items()}
    check(result[1::2], halves, emulator.simulation)


def test_a_propagator_goes_on_and_follows_its_inputs(block):
    emulator, path = block("steps")
    simulation = emulator.simulation
    inputs, starts = starts_of(simulation)
    step = simulation.times[1]
    signals = np.array(
        [(0.0, 0.02), (2.9 * step, 0.02), (3 * step, 0.09), (99 * step, 0.09)],
        dtype=[("time", float), ("kappa", float)],
    )
    options = {"start_values": starts, "stop_time": 6 * step, "output_interval": step}
    result = fmpy.simulate_fmu(str(path), input=signals, **options)

    def batch(kappa):
        return {"kappa": [kappa], "offset": [0.3], "source": inputs["source"][None]}

    initial = {"theta": inputs["theta0"][None, None]}
    start = emulator.predict(**{k: np.asarray(v)[None] for k, v in inputs.items()})
    before = emulator.rollout({"theta": start["theta"][:, :1]}, 3, **batch(0.02))
    assert initial["theta"].shape == (1, 1, *simulation.grid.shape)
    after = emulator.rollout({"theta": before["theta"][:, -1:]}, 3, **batch(0.09))
    found = gathered(result, "theta", simulation.grid.shape)
    expected = np.concatenate([before["theta"][0], after["theta"][0]])
    np.testing.assert_allclose(found[1:], expected, atol=1e-5 * np.abs(expected).max())


def test_states_can_be_put_back(block, tmp_path):
    """A master that repeats a step with a smaller one needs it."""
    emulator, path = block("steps")
    description = fmpy.read_model_description(str(path))
    folder = fmpy.extract(str(path), str(tmp_path / "unzipped"))
    slave = fmi2.FMU2Slave(
        guid=description.guid,
        unzipDirectory=folder,
        modelIdentifier=description.coSimulation.modelIdentifier,
    )
    number = next(v.valueReference for v in description.modelVariables if v.name == "theta[2,3]")
    step = emulator.simulation.times[1]
    slave.instantiate()
    slave.setupExperiment(startTime=0.0)
    slave.enterInitializationMode()
    slave.exitInitializationMode()
    slave.doStep(0.0, step)
    saved, before = slave.getFMUState(), slave.getReal([number])
    slave.doStep(step, step)
    assert slave.getReal([number]) != before
    slave.setFMUState(saved)
    assert slave.getReal([number]) == before
    slave.freeFMUState(saved)
    with pytest.raises(FMICallException):
        slave.setReal([0], [-1.0])  # a conductivity below zero
    with pytest.raises(FMICallException):
        slave.setReal([0], [np.nan])
    assert slave.getBoolean([len(description.modelVariables) - 1]) == [True]
    slave.setReal([0], [1.0])
    assert slave.getBoolean([len(description.modelVariables) - 1]) == [False]
    slave.terminate()
    slave.freeInstance()


def test_the_description_says_what_the_numbers_are(block):
    _, path = block("steady")
    said = fmpy.read_model_description(str(path))
    assert (said.modelName, said.version, said.license) == ("heat-block", "2.0", "MIT")
    kappa = said.modelVariables[0]
    assert (kappa.name, kappa.causality, float(kappa.min)) == ("kappa", "input", 1e-4)
    assert kappa.description == "conductivity (m2 s-1), trained from 0.001 to 0.1"
    with zipfile.ZipFile(path) as archive:
        assert "sources/model.h" in archive.namelist()


@pytest.mark.slow
def test_the_same_surrogate_is_the_same_file(block, tmp_path):
    emulator, path = block("series")
    again = surrogate.export(emulator, tmp_path / "again.fmu", "fmu", **RELEASE)
    assert again.read_bytes() == path.read_bytes()


def test_what_is_no_block_is_refused(tmp_path, monkeypatch):
    target = tmp_path / "block.fmu"
    large = operator(Toy(n=50), MLP(width=4, layers=1))
    with pytest.raises(ValueError, match="theta0: has 1250 entries; an FMU takes fields of at"):
        surrogate.export(large, target, "fmu")
    convolving = operator(Small(n=8), UNet(width=8, levels=1, kernel=3))
    with pytest.raises(ValueError, match=r"UNet cannot be exported: .*convolution.* has no C"):
        surrogate.export(convolving, target, "fmu")
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(FileNotFoundError, match="an FMU needs a C compiler"):
        surrogate.export(steady(), target, "fmu")
    assert not list(tmp_path.iterdir())
