"""The protocol UM-Bridge, spoken by its own client."""

import httpx
import numpy as np
import pytest

umbridge = pytest.importorskip("umbridge")


def flat_inputs(emulator, seed=1):
    simulation = emulator.simulation
    row, _ = simulation.complete_inputs({"kappa": 0.03, "offset": 0.2}, seed)
    fields = [np.ravel(row[name]).tolist() for name in simulation.field_inputs]
    return row, [[row[name] for name in simulation.parameters], *fields]


@pytest.mark.parametrize("name", ["hot", "toy"])
def test_evaluate(everywhere, hot, toy, name):
    emulator = {"hot": hot, "toy": toy}[name]
    url = everywhere.url
    assert umbridge.supported_models(url) == ["hot", "toy", "hasty", "slow"]
    model = umbridge.HTTPModel(url, name)
    row, inputs = flat_inputs(emulator)
    assert model.get_input_sizes() == [len(vector) for vector in inputs]
    expected = emulator.predict(**{k: np.asarray(v)[None] for k, v in row.items()})
    output = model(inputs)
    assert model.get_output_sizes() == [values.size for values in expected.values()]
    for found, values in zip(output, expected.values(), strict=True):
        np.testing.assert_allclose(found, values.ravel(), rtol=1e-5, atol=1e-5)
    config = {"fields": ["power"]}
    assert model.get_output_sizes(config) == [5]
    np.testing.assert_allclose(model(inputs, config)[0], output[3], rtol=1e-6)


@pytest.mark.parametrize("name", ["hot", "toy"])
def test_derivatives(everywhere, hot, toy, name):
    emulator = {"hot": hot, "toy": toy}[name]
    model = umbridge.HTTPModel(everywhere.url, name)
    assert model.supports_gradient()
    assert model.supports_apply_jacobian()
    _, inputs = flat_inputs(emulator)
    rng = np.random.default_rng(0)
    config = {"fields": ["power"]}
    for argument in range(len(inputs)):
        direction = rng.standard_normal(len(inputs[argument])) / 10
        # A step that float32 resolves: kappa is small
        step = 3e-3 if argument == 0 else 0.3
        ends = []
        for sign in (-1, 1):
            moved = [list(vector) for vector in inputs]
            moved[argument] = (np.array(inputs[argument]) + sign * step * direction).tolist()
            ends.append(np.array(model(moved, config)[0]))
        slope = (ends[1] - ends[0]) / (2 * step)
        tangent = model.apply_jacobian(0, argument, inputs, direction.tolist(), config)
        scale = np.abs(slope).max() + 1e-6
        np.testing.assert_allclose(tangent, slope, atol=0.05 * scale)
        sens = rng.standard_normal(5)
        gradient = model.gradient(0, argument, inputs, sens.tolist(), config)
        np.testing.assert_allclose(
            np.dot(gradient, direction), np.dot(sens, tangent), rtol=1e-3, atol=1e-4
        )


@pytest.mark.parametrize(
    ("operation", "change", "status", "kind"),
    [
        ("Evaluate", {"name": "cold"}, 400, "ModelNotFound"),
        ("Evaluate", {"input": [[0.01]]}, 422, "InvalidInput"),
        ("Evaluate", {"input": [[0.01, 0.0], []]}, 422, "InvalidInput"),
        ("Evaluate", {"input": [[11.0, 0.0]]}, 422, "InvalidInput"),
        ("Evaluate", {"input": [["a", 0.0]]}, 422, "InvalidInput"),
        ("Evaluate", {"config": {"fields": ["pressure"]}}, 422, "InvalidInput"),
        ("Evaluate", {"config": {"fields": [["power"]]}}, 422, "InvalidInput"),
        ("Gradient", {"outWrt": 4}, 422, "InvalidInput"),
        ("Gradient", {"outWrt": -1}, 422, "InvalidInput"),
        ("Gradient", {"inWrt": 1}, 422, "InvalidInput"),
        ("Gradient", {"sens": [1.0]}, 422, "InvalidInput"),
        ("ApplyJacobian", {"vec": [1.0]}, 422, "InvalidInput"),
    ],
)
def test_errors_are_those_of_the_protocol(everywhere, operation, change, status, kind):
    body = {"name": "hot", "input": [[0.01, 0.0]], "config": {}}
    if operation != "Evaluate":
        body |= {"outWrt": 3, "inWrt": 0}
    body |= {"Gradient": {"sens": [1.0] * 5}, "ApplyJacobian": {"vec": [1.0, 0.0]}}.get(
        operation, {}
    )
    url = f"{everywhere.url}/{operation}"
    assert httpx.post(url, json=body, timeout=60).status_code == 200
    response = httpx.post(url, json=body | change, timeout=60)
    assert (response.status_code, response.json()["error"]["type"]) == (status, kind)
