"""Requests that are wrong, huge, slow or malicious are refused with a reason."""

import asyncio
import json
import socket
import time

import numpy as np
import pytest

from surrogate.server import protocol
from surrogate.server.batching import Batcher
from surrogate.server.errors import Refused

HEADERS = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("predict", b"", 422, "EOF"),
        ("predict", b"{", 422, "EOF"),
        ("predict", b"\xff\xfe", 422, "JSON"),
        ("predict", b"[]", 422, "object"),
        ("predict", b'{"inputs": null}', 422, "inputs"),
        ("predict", b'{"inputs": {"kappa": NaN}}', 422, "inputs.kappa: Input should be a finite"),
        ("predict", b'{"inputs": {"kappa": 1e999}}', 422, "finite"),
        ("predict", b'{"inputs": {"kappa": -Infinity}}', 422, "finite"),
        ("predict", b'{"inputs": {"kappa": 1' + b"0" * 5000 + b"}}", 422, "number out of range"),
        ("predict", b'{"inputs": {"kappa": "0.01"}}', 422, "number"),
        ("predict", b'{"inputs": {"kappa": true}}', 422, "number"),
        ("predict", b'{"inputs": {"kappa": [0.01]}}', 422, "number"),
        ("predict", b'{"inputs": {"kappa": 11}}', 422, "inputs.kappa=11"),
        ("predict", b'{"inputs": {"mu": 1}}', 422, "inputs.mu"),
        ("predict", b'{"inputs": {"theta0": [[1.0]]}}', 422, "inputs.theta0"),
        ("predict", b'{"seed": -1}', 422, "seed"),
        ("predict", b'{"seed": 1.5}', 422, "seed"),
        ("predict", b'{"seed": 1' + b"0" * 400 + b"}", 422, "seed"),
        ("predict", b'{"fields": []}', 422, "fields"),
        ("predict", b'{"fields": ["pressure"]}', 422, "fields.0"),
        ("predict", b'{"more": 1}', 422, "more"),
        ("predict", b'{"inputs": ' + b"[" * 200_000, 422, "recursion"),
        ("predict", b'{"a":' * 100_000, 422, "recursion"),
        ("predict-batch", b"{}", 422, "a list of at least one"),
        ("predict-batch", b'{"inputs": {"kappa": []}}', 422, "inputs.kappa"),
        ("predict-batch", b'{"inputs": {"kappa": [1], "offset": [1, 2]}}', 422, "one length"),
        ("predict-batch", json.dumps({"inputs": {"kappa": [1] * 257}}).encode(), 422, "256"),
        ("predict-batch", b'{"inputs": {"kappa": [0.1, NaN]}}', 422, "inputs.kappa.1"),
        ("solve", b'{"inputs": {"kappa": NaN}}', 422, "finite"),
        ("../../etc/passwd", b"{}", 404, "Not Found"),
        ("%2e%2e/toy/predict", b"{}", 404, "Not Found"),
    ],
)
def test_what_is_wrong_is_said(shared, path, body, status, message):
    response = shared.post(f"/models/toy/{path}", content=body, headers=HEADERS)
    assert response.status_code == status
    assert message in response.json()["error"]["message"]
    assert len(response.json()["error"]["message"]) < 1000


def test_values_outside_are_refused_before_they_become_a_field(shared):
    values = np.zeros((12, 6))
    values[3, 4] = 11.0
    body = {"inputs": {"source": values.tolist()}}
    response = shared.post("/models/toy/predict", json=body)
    assert response.status_code == 422
    assert "inputs.source.3.4=11.0" in response.json()["error"]["message"]


def test_other_types_methods_and_tastes(shared):
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert shared.post("/models/toy/predict", content=b"{}", headers=form).status_code == 415
    assert shared.post("/models/toy/predict", content=b"{}").status_code == 415
    assert shared.get("/models/toy/predict").status_code == 405
    assert shared.get("/models/toy/predict").headers["allow"] == "POST"
    picky = {"accept": "text/html"}
    assert shared.post("/models/toy/predict", json={}, headers=picky).status_code == 406
    mixed = {"accept": "text/html, application/x-npy;q=0.4, */*;q=0.2"}
    answer = shared.post("/models/toy/predict", json={}, headers=mixed)
    assert answer.headers["content-type"] == "application/x-npy"
    odd = {"accept": "application/x-npy;q=many, ;;,,"}
    assert shared.post("/models/toy/predict", json={}, headers=odd).status_code == 406


def test_bodies_that_are_too_large(shared):
    huge = shared.post("/models/toy/predict", content=b" " * (1 << 20) + b"{}", headers=HEADERS)
    assert (huge.status_code, huge.json()["error"]["type"]) == (413, "TooLarge")

    def pieces():
        for _ in range(40):
            yield b" " * (1 << 16)

    streamed = shared.post("/models/toy/predict", content=pieces(), headers=HEADERS)
    assert streamed.status_code == 413
    assert shared.post("/models/toy/predict", json={}).status_code == 200


def _connect(client) -> socket.socket:
    return socket.create_connection(("127.0.0.1", client.base_url.port), timeout=20)


def test_slow_clients_are_not_waited_for(shared, monkeypatch):
    monkeypatch.setattr(protocol.PatientProtocol, "request_seconds", 0.3)
    head = b"POST /models/toy/predict HTTP/1.1\r\nhost: a\r\n"
    body = b"content-type: application/json\r\ncontent-length: 100\r\n\r\n{"
    for beginning in (b"", head, head + body):
        with _connect(shared) as connection:
            connection.sendall(beginning)
            answer = b""
            while piece := connection.recv(4096):
                answer += piece
            if beginning:
                assert answer.startswith(b"HTTP/1.1 408 ")
                assert b"longer than 0.3 s" in answer
    with _connect(shared) as connection:
        connection.sendall(head)
        assert _is_closed(connection, b"x", 0.05)  # a byte now and then does not help


def _is_closed(connection, piece, pause) -> bool:
    """Whether the other side closes the connection within some seconds of writing."""
    start = time.monotonic()
    try:
        while time.monotonic() < start + 10:
            connection.sendall(piece)
            time.sleep(pause)
    except OSError:
        return True
    return False


def test_a_head_without_end_is_refused(shared):
    with _connect(shared) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nhost: a\r\nx-long: ")
        answer = b""
        try:
            for _ in range(100):
                connection.sendall(b"y" * 4096)
            while piece := connection.recv(4096):
                answer += piece
        except OSError:
            pass  # it may be closed while we are still writing
        assert not answer or answer.startswith(b"HTTP/1.1 431 ")
        assert _is_closed(connection, b"y" * 65536, 0.01)
    assert shared.get("/health").status_code == 200


def test_what_is_no_http_is_refused(shared):
    for nonsense in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", b"GET\r\n\r\n", b"\x00" * 64):
        with _connect(shared) as connection:
            connection.sendall(nonsense)
            assert connection.recv(4096).startswith(b"HTTP/1.1 400 ")
    assert shared.get("/health").status_code == 200


def test_a_page_of_another_site_gets_nothing(shared):
    origin = {"origin": "http://elsewhere.example"}
    response = shared.get("/models", headers=origin)
    assert not any(name.startswith("access-control") for name in response.headers)
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


class _Held:
    """An executor that finishes when it is told to."""

    def __init__(self):
        from concurrent.futures import Future

        self.make, self.calls = Future, []

    def submit(self, work, *arguments):
        future = self.make()
        self.calls.append((future, work, arguments))
        return future

    def finish(self):
        future, work, arguments = self.calls.pop(0)
        try:
            future.set_result(work(*arguments))
        except Exception as error:
            future.set_exception(error)


def test_a_queue_that_is_full_and_time_that_is_up():
    async def scenario():
        held = _Held()
        batcher = Batcher(lambda items: [2 * i for i in items], held, most=2, gather=0.0, queue=3)
        first = asyncio.ensure_future(batcher([1], 5.0))
        await asyncio.sleep(0.02)
        assert len(held.calls) == 1
        others = [asyncio.ensure_future(batcher([i], 5.0)) for i in (2, 3, 4)]
        late = asyncio.ensure_future(batcher([5], 5.0))
        with pytest.raises(Refused, match="3 samples wait"):
            await late
        held.finish()
        assert await first == [2]
        held.finish()
        assert [await one for one in others[:2]] == [[4], [6]]
        held.finish()
        assert await others[2] == [8]
        with pytest.raises(Refused, match=r"within 0.05 s"):
            await batcher([6], 0.05)

    asyncio.run(scenario())


def test_an_error_reaches_all_who_share_a_call_and_nobody_else():
    async def scenario():
        held = _Held()

        def work(items):
            if 13 in items:
                raise ValueError("unlucky")
            return items

        batcher = Batcher(work, held, most=2, gather=0.01, queue=10)
        pair = [asyncio.ensure_future(batcher([i], 5.0)) for i in (1, 13)]
        other = asyncio.ensure_future(batcher([2], 5.0))
        await asyncio.sleep(0.02)
        held.finish()
        for one in pair:
            with pytest.raises(ValueError, match="unlucky"):
                await one
        held.finish()
        assert await other == [2]

    asyncio.run(scenario())
