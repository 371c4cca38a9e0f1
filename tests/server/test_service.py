"""What a service answers: as the surrogate does, with what is known of its error."""

import asyncio
import io
import json
import logging
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
import xarray

from simulations.simulation import InvalidInput
from surrogate.networks import PODPolynomial
from surrogate.server import Options, create_app
from surrogate.server.errors import Refused
from surrogate.server.gate import JSONFormatter
from surrogate.server.solver import Solver
from tests.server.conftest import calibrated, surrogate_of
from tests.server.systems import Hot

NPY = {"accept": "application/x-npy"}
INPUTS = {"kappa": 0.02, "offset": 0.5}


def expected_of(emulator, **inputs):
    return emulator.predict(**{name: np.asarray([value]) for name, value in inputs.items()})


def arrays_of(response):
    file, about = io.BytesIO(response.content), json.loads(response.headers["x-answer"])
    arrays = {name: np.load(file) for name in about["fields"]}
    assert not file.read()
    return about, arrays


def test_json_has_values_and_what_is_known_of_them(shared, hot):
    answer = shared.post("/models/hot/predict", json={"inputs": INPUTS}).json()
    expected = expected_of(hot, **INPUTS)
    assert answer["fields"].keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(np.float32(answer["fields"][name]["values"]), values[0])
    load = answer["fields"]["load"]
    assert load["dims"] == ["time", "x", "y", "component", "component2"]
    assert (load["unit"], load["shape"]) == ("K m2 s-2", [5, 16, 8, 2, 2])
    assert answer["answered_by"] == "surrogate (PODPolynomial)"
    assert answer["inputs"] == INPUTS
    # Larger by half than in the middle, as this calibration has it
    assert answer["error_bound"] == pytest.approx(
        {"theta": 0.03, "flux": 0.03, "load": 0.03, "power": 0.075}
    )
    assert (answer["coverage"], answer["domain"]) == (0.9, {"outside": [], "p_value": 0.5})


def test_arrays_of_numpy_follow_one_another_in_the_order_asked_for(shared, hot):
    body = {"inputs": INPUTS, "fields": ["power", "theta_upper", "theta", "power_lower"]}
    response = shared.post("/models/hot/predict", json=body, headers=NPY)
    about, arrays = arrays_of(response)
    expected = expected_of(hot, **INPUTS)
    assert list(arrays) == body["fields"]
    np.testing.assert_array_equal(arrays["theta"], expected["theta"][0])
    np.testing.assert_allclose(arrays["theta_upper"], expected["theta"][0] + 0.375, rtol=1e-6)
    np.testing.assert_allclose(arrays["power_lower"], expected["power"][0] - 0.375, rtol=1e-6)
    assert about["error_bound"]["theta"] == pytest.approx(0.03)


def test_netcdf_is_the_dataset_that_the_surrogate_returns(shared, toy, tmp_path):
    body = {"inputs": {"kappa": 0.02, "offset": 0.5}, "seed": 7}
    response = shared.post(
        "/models/toy/predict", json=body, headers={"accept": "application/x-netcdf"}
    )
    (tmp_path / "answer.nc").write_bytes(response.content)
    expected = toy(kappa=0.02, offset=0.5, seed=7)
    with xarray.open_dataset(tmp_path / "answer.nc", engine="h5netcdf") as answer:
        answer.load()
    for name in expected.variables:
        xarray.testing.assert_allclose(answer[name], expected[name], rtol=1e-6)
    assert answer.attrs["answered_by"] == "surrogate (FNO)"
    assert answer.theta.attrs["units"] == "K"


def test_netcdf_has_the_bounds_of_a_calibrated_surrogate(shared, tmp_path):
    body = {"inputs": INPUTS, "fields": ["theta", "theta_lower"]}
    response = shared.post(
        "/models/hot/predict", json=body, headers={"accept": "application/x-netcdf"}
    )
    (tmp_path / "answer.nc").write_bytes(response.content)
    with xarray.open_dataset(tmp_path / "answer.nc", engine="h5netcdf") as answer:
        assert set(answer.data_vars) == {"theta", "theta_lower", "error_bound"}
        assert float(answer.error_bound.sel(field="theta")) == pytest.approx(0.03)
        np.testing.assert_allclose(answer.theta - answer.theta_lower, 0.375, rtol=1e-5)
        assert (answer.attrs["coverage"], answer.attrs["domain_p_value"]) == (0.9, 0.5)


def test_fields_come_from_the_request_or_from_its_seed(shared, toy):
    drawn, _ = toy.simulation.complete_inputs({"kappa": 0.02, "offset": 0.5}, 3)
    body = {"inputs": {"kappa": 0.02, "offset": 0.5}, "seed": 3}
    _, by_seed = arrays_of(shared.post("/models/toy/predict", json=body, headers=NPY))
    body["inputs"] |= {name: drawn[name].tolist() for name in ("theta0", "source")}
    body["seed"] = 4
    _, given = arrays_of(shared.post("/models/toy/predict", json=body, headers=NPY))
    for name in by_seed:
        np.testing.assert_allclose(by_seed[name], given[name], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(by_seed["theta"][0], drawn["theta0"], rtol=1e-6)


def test_a_batch_is_its_samples(shared):
    batch = {"inputs": {"kappa": [0.01, 0.02, 5.0]}, "seed": 10}
    about, together = arrays_of(shared.post("/models/toy/predict-batch", json=batch, headers=NPY))
    assert (about["n"], about["domain"][2]["outside"]) == (3, ["kappa"])
    for i, kappa in enumerate(batch["inputs"]["kappa"]):
        body = {"inputs": {"kappa": kappa}, "seed": 10 + i}
        _, alone = arrays_of(shared.post("/models/toy/predict", json=body, headers=NPY))
        for name, values in alone.items():
            np.testing.assert_allclose(together[name][i], values, rtol=1e-5, atol=1e-5)
    answer = shared.post("/models/hot/predict-batch", json={"inputs": {"offset": [0, 1]}}).json()
    assert answer["fields"]["power"]["shape"] == [2, 5]
    assert answer["fields"]["power"]["dims"] == ["sample", "time"]
    netcdf = shared.post(
        "/models/hot/predict-batch",
        json={"inputs": {"offset": [0, 1]}},
        headers={"accept": "application/x-netcdf"},
    )
    with xarray.open_dataset(io.BytesIO(netcdf.content), engine="h5netcdf") as dataset:
        assert dataset.theta.dims == ("sample", "time", "x", "y")


def test_the_schema_says_what_the_simulation_declares(shared):
    document = shared.get("/openapi.json").json()
    kappa = document["components"]["schemas"]["Inputs_hot"]["properties"]["kappa"]
    assert (kappa["minimum"], kappa["maximum"], kappa["unit"]) == (1e-4, 10.0, "m2 s-1")
    assert (kappa["default"], kappa["description"]) == (0.01, "conductivity")
    source = document["components"]["schemas"]["Inputs_toy"]["properties"]["source"]["anyOf"][0]
    assert (source["minItems"], source["items"]["maxItems"]) == (12, 6)
    assert (source["items"]["items"]["minimum"], source["items"]["items"]["maximum"]) == (-10, 10)
    model = shared.get("/models").json()["models"][0]
    assert model["parameters"]["kappa"]["trained"] == [1e-3, 0.1]
    assert model["error_bound"]["power"] == 0.05


def test_guard_lets_the_simulation_answer(live, hot, monkeypatch):
    service = live({"hot": hot}, guard=True, tolerance=0.1)

    async def here(simulation, inputs):
        return simulation.run(inputs), 0.1

    monkeypatch.setattr(service.app.state.service.solver, "solve", here)
    with httpx.Client(base_url=service.url, timeout=60) as client:
        body = {"inputs": {"kappa": 0.05}}
        assert client.post("/models/hot/predict", json=body).json()["reason"] is None
        body = {"inputs": {"kappa": 0.5}, "fields": ["power", "power_upper"]}
        about, arrays = arrays_of(client.post("/models/hot/predict", json=body, headers=NPY))
    assert about["answered_by"] == "simulation"
    assert about["reason"] == "outside the training range: kappa"
    assert (about["error_bound"], about["domain"]["p_value"]) == (None, 0.5)
    truth = hot.simulation(kappa=0.5, offset=0.0).power.values
    np.testing.assert_allclose(arrays["power"], truth, rtol=1e-6)
    np.testing.assert_array_equal(arrays["power_upper"], arrays["power"])  # it has no band


def test_guard_knows_bound_domain_and_numbers_that_are_none(hot):
    served = create_app({"hot": hot}).state.service.models["hot"]
    prediction = served.predict([served.complete({}, 0)])[0]
    assert served.distrust(prediction, Options(guard=True)) is None
    tight = served.distrust(prediction, Options(guard=True, tolerance=0.03))
    assert tight == "error bound of power 0.05 > 0.03"
    prediction.p_value = 0.002
    assert "p-value" in served.distrust(prediction, Options(guard=True))
    prediction.p_value, prediction.fields["power"] = 0.5, np.array([np.nan])
    assert "not finite" in served.distrust(prediction, Options(guard=True))


def test_a_bound_that_is_infinite_is_null(service):
    emulator = calibrated(surrogate_of(Hot(), PODPolynomial(modes=2, max_terms=3)))
    emulator.calibration.error_bound["power"] = np.inf
    client = service({"hot": emulator}, guard=False)
    response = client.post("/models/hot/predict", json={}, headers=NPY)
    assert "Infinity" not in response.headers["x-answer"]
    assert arrays_of(response)[0]["error_bound"]["power"] is None
    assert client.get("/models").json()["models"][0]["error_bound"]["power"] is None


def test_solve_runs_the_simulation(shared, toy):
    body = {"inputs": {"kappa": 0.02}, "seed": 2}
    about, arrays = arrays_of(shared.post("/models/toy/solve", json=body, headers=NPY))
    assert (about["answered_by"], about["error_bound"]) == ("simulation", None)
    truth = toy.simulation(kappa=0.02, offset=0.0, seed=2)
    for name, values in arrays.items():
        np.testing.assert_allclose(values, truth[name].values, rtol=1e-5, atol=1e-5)
    diverged = shared.post("/models/hasty/solve", json={"inputs": {"kappa": 5.0}})
    assert diverged.status_code == 422
    assert "diverged at t=0.25" in diverged.json()["error"]["message"]


def test_a_run_that_takes_too_long_is_killed(shared, everywhere):
    solver = everywhere.app.state.service.solver
    response = shared.post("/models/slow/solve", json={})
    assert (response.status_code, response.json()["error"]["type"]) == (503, "Timeout")
    assert "longer than 2 s" in response.json()["error"]["message"]
    assert solver._process is None
    assert shared.post("/models/hot/solve", json={}).status_code == 200
    solver._process.kill()  # as the system does for want of memory
    solver._process.wait()
    assert shared.post("/models/hot/solve", json={}).status_code == 200


def test_runs_have_a_rate_and_a_queue():
    now = [0.0]
    solver = Solver(timeout=1.0, queue=1, per_minute=2, clock=lambda: now[0])
    solver._spend()
    solver._spend()
    with pytest.raises(Refused, match="2 runs of the simulation a minute") as refused:
        solver._spend()
    assert (refused.value.status, refused.value.retry_after) == (429, 30.0)
    now[0] = 29.9
    with pytest.raises(Refused):
        solver._spend()
    now[0] = 30.0
    solver._spend()
    now[0] = 1e6  # what is not used is not saved up
    solver._spend()
    solver._spend()
    with pytest.raises(Refused):
        solver._spend()
    solver._running = 2
    with pytest.raises(Refused, match="2 runs wait") as refused:
        asyncio.run(solver.solve(Hot(), {}))
    assert refused.value.status == 503
    solver.close()


def test_keys(service):
    client = service(api_keys=("first", "second"))
    for headers in ({}, {"x-api-key": "wrong"}, {"authorization": "Bearer firs"}):
        response = client.post("/models/hot/predict", json={}, headers=headers)
        assert response.status_code == 401
        assert "key" in response.json()["error"]["message"]
    assert client.get("/models").status_code == 401
    assert client.get("/metrics").status_code == 401
    for headers in ({"x-api-key": "second"}, {"authorization": "Bearer first"}):
        assert client.post("/models/hot/predict", json={}, headers=headers).status_code == 200
    for path in ("/health", "/ready", "/", "/page.js"):
        assert client.get(path).status_code == 200


def test_concurrent_requests_share_calls_of_the_network(live, hot, monkeypatch):
    service = live({"hot": hot}, gather=0.05)
    sizes = []
    original = type(hot).predict
    monkeypatch.setattr(
        type(hot), "predict", lambda self, **b: sizes.append(len(b["kappa"])) or original(self, **b)
    )
    with httpx.Client(base_url=service.url, timeout=60) as client, ThreadPoolExecutor(8) as threads:
        kappas = np.linspace(0.01, 0.09, 24)
        bodies = [{"inputs": {"kappa": k}, "fields": ["power"]} for k in kappas]
        answers = list(
            threads.map(lambda b: client.post("/models/hot/predict", json=b, headers=NPY), bodies)
        )
    assert sum(sizes) == 24
    assert max(sizes) > 1
    for kappa, answer in zip(kappas, answers, strict=True):
        about, arrays = arrays_of(answer)
        assert about["inputs"]["kappa"] == kappa
        expected = original(hot, kappa=np.array([kappa]), offset=np.zeros(1))["power"][0]
        np.testing.assert_allclose(arrays["power"], expected, rtol=1e-5)


def test_metrics_count_what_is_answered(service):
    client = service()
    for _ in range(3):
        client.post("/models/hot/predict", json={})
    client.post("/models/hot/predict", json={"inputs": {"kappa": -1}})
    client.get("/no/such/place")
    text = client.get("/metrics").text
    route = 'physurrogate_requests_total{route="/models/hot/predict",status='
    assert f'{route}"200"}} 3.0' in text
    assert f'{route}"422"}} 1.0' in text
    assert 'physurrogate_requests_total{route="none",status="404"} 1.0' in text
    assert 'model="hot"} 3.0' in text.split("physurrogate_batch_size_count{")[1]
    assert "/no/such/place" not in text


def test_an_error_of_the_service_says_no_more_than_its_number(service, toy, monkeypatch, caplog):
    client = service({"toy": toy})

    def broken(self, **batch):
        raise RuntimeError("secret of the house")

    monkeypatch.setattr(type(toy), "predict", broken)
    response = client.post("/models/toy/predict", json={})
    assert response.status_code == 500
    assert "secret" not in response.text
    assert response.headers["x-request-id"] in response.json()["error"]["message"]
    assert "secret of the house" in caplog.text
    monkeypatch.undo()
    assert client.post("/models/toy/predict", json={}).status_code == 200


def test_logs_are_lines_of_json(service, caplog):
    caplog.set_level(logging.INFO, "surrogate.server")
    service().post("/models/hot/predict", json={})
    deadline = time.monotonic() + 5
    while not (found := [r for r in caplog.records if r.message == "request"]):
        assert time.monotonic() < deadline
    line = json.loads(JSONFormatter().format(found[-1]))
    assert (line["path"], line["status"], line["model"]) == ("/models/hot/predict", 200, "hot")
    assert line["answered_by"] == ["surrogate (PODPolynomial)"]


def test_what_an_operator_must_not_ask_for(hot, toy):
    for models, options, message in (
        ({}, {}, "none to serve"),
        ({"../etc": hot}, {}, "'../etc'"),
        ({"a-b": hot, "a_b": hot}, {}, "punctuation"),
    ):
        with pytest.raises(InvalidInput, match=message):
            create_app(models, Options(**options))
    with pytest.raises(InvalidInput, match=r"tolerance=0.1: toy has no calibration"):
        create_app({"toy": toy}, Options(guard=True, tolerance=0.1))
    for options, message in (
        ({"tolerance": 0.1}, "guard"),
        ({"guard": True, "solve": False}, "switched off"),
        ({"api_keys": ("",)}, "empty"),
        ({"max_batch": 0}, "max_batch=0"),
    ):
        with pytest.raises(InvalidInput, match=message):
            Options(**options)


def test_what_has_been_accepted_is_answered_before_the_end(live):
    slow = calibrated(surrogate_of(Hot(), PODPolynomial(modes=8, max_terms=20)))
    service = live({"slow": slow})
    original = slow.predict
    slow.predict = lambda **batch: time.sleep(0.5) or original(**batch)
    with httpx.Client(base_url=service.url, timeout=60) as client, ThreadPoolExecutor(1) as thread:
        answer = thread.submit(client.post, "/models/slow/predict", json={})
        waiting = service.app.state.service.batchers["slow"]
        while not waiting._busy:
            time.sleep(0.01)
        service.stop()
        assert answer.result().status_code == 200
