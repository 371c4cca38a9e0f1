"""The process of a service, as it is started by the command line."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import httpx
import pytest

import surrogate
from simulations import Burgers
from simulations.simulation import InvalidInput
from surrogate.cli import run
from surrogate.networks import FNO
from surrogate.server.run import load_models
from tests.server.conftest import surrogate_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("served") / "burgers"
    surrogate_of(Burgers(n=32, n_times=3), FNO(modes=4, width=8, layers=2)).save(path)
    return path


def test_models_are_named_by_their_folder_or_by_hand(folder):
    models = load_models([str(folder), f"other={folder}"])
    assert list(models) == ["burgers", "other"]
    with pytest.raises(InvalidInput, match="given twice"):
        load_models([str(folder), str(folder)])


def test_the_command_refuses_in_one_line(folder, capsys):
    assert run(["serve", str(folder), "--tolerance", "0.1"]) == 2
    assert capsys.readouterr().err == "surrogate: tolerance=0.1: needs the guard, which is off\n"
    assert run(["serve", str(folder.parent)]) == 2
    assert "not a saved surrogate" in capsys.readouterr().err
    (folder.parent / "evil").mkdir()
    (folder.parent / "evil" / "config.json").write_bytes(b"\x80\x04cos\nsystem\n")
    assert run(["serve", str(folder.parent / "evil")]) == 2
    assert "not the description of a surrogate" in capsys.readouterr().err


def started(folder, *options):
    """A service in a process, and the address that it says it listens at."""
    command = "from surrogate.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", command, "serve", str(folder), "--port", "0", *options],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    lines = []
    for line in process.stderr:
        lines.append(json.loads(line))  # every line is JSON
        if found := re.search(r"http://127.0.0.1:\d+", lines[-1]["message"]):
            threading.Thread(target=process.stderr.read, daemon=True).start()
            return process, found[0]
    raise AssertionError(f"ended with {process.wait()}: {lines}")


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_the_end_under_load_loses_no_request_silently(folder, end):
    """Every request has an answer or an error, and a service in its place goes on."""
    process, url = started(folder)
    outcomes = []

    def ask():
        with httpx.Client(base_url=url, timeout=20) as client:
            while True:
                try:
                    response = client.post("/models/burgers/predict", json={"inputs": {"nu": 0.02}})
                except httpx.HTTPError as error:
                    outcomes.append(type(error).__name__)
                    return
                outcomes.append(response.status_code)
                assert len(response.json()["fields"]["u"]["values"]) == 3

    clients = [threading.Thread(target=ask) for _ in range(4)]
    for client in clients:
        client.start()
    while outcomes.count(200) < 50:
        time.sleep(0.01)
    process.send_signal(end)
    for client in clients:
        client.join(30)
        assert not client.is_alive()  # nobody waits for an answer that never comes
    process.wait(30)
    refused = [outcome for outcome in outcomes if outcome != 200]
    assert len(refused) == 4
    if end != signal.SIGKILL:  # what had been accepted was answered
        assert set(refused) <= {"ConnectError", "RemoteProtocolError", "ReadError"}
    again, url = started(folder)
    assert httpx.post(f"{url}/models/burgers/predict", json={}).status_code == 200
    again.terminate()
    again.wait(30)
    assert surrogate.load(folder) is not None
