"""A client that loads a service, in a process of its own; imports little, so as to start at once.

    python -m benchmarks.load PORT MODEL SECONDS CONNECTIONS [RATE]

Requests follow one another on connections that stay open, each for one prediction in binary. With a
RATE they begin at times that are fixed beforehand, and their latency counts from these: a request
that has to wait because those before it were slow has waited. Prints one line of JSON.
"""

import asyncio
import contextlib
import json
import random
import sys
import time
from typing import Any

with contextlib.suppress(ImportError):
    import uvloop

    uvloop.install()


class Load:
    """What is asked for, and how it went.

    Attributes:
        latencies: of the answers in seconds.
        failures: requests by what became of them instead of an answer.
    """

    def __init__(self, model: dict, end: float, rate: float | None, connections: int) -> None:
        self.model, self.end = model, end
        self.pause = None if rate is None else connections / rate
        self.latencies: list[float] = []
        self.failures: dict[str, int] = {}
        self.open = connections
        self.done = asyncio.Event()

    def body(self) -> bytes:
        inputs = {
            name: random.uniform(*parameter["trained"])
            for name, parameter in self.model["parameters"].items()
        }
        field = next(name for name, f in self.model["fields"].items() if f["spatial"])
        return json.dumps({"inputs": inputs, "fields": [field]}).encode()

    def closed(self) -> None:
        self.open -= 1
        if not self.open:
            self.done.set()


class Connection(asyncio.Protocol):
    """Sends a request when the one before has been answered, or when its time has come."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.buffer = bytearray()
        self.needed: int | None = None
        self.start: float | None = None
        self.due = time.perf_counter() + random.random() * (load.pause or 0)

    def connection_made(self, transport: Any) -> None:  # that of uvloop is of no base class
        self.transport = transport
        self.schedule()

    def schedule(self) -> None:
        now = time.perf_counter()
        if now >= self.load.end:
            self.transport.close()
        elif self.load.pause is None or now >= self.due:
            self.send()
        else:
            asyncio.get_running_loop().call_later(self.due - now, self.send)

    def send(self) -> None:
        if self.transport.is_closing():
            return
        self.start = time.perf_counter() if self.load.pause is None else self.due
        self.due += self.load.pause or 0
        body = self.load.body()
        self.transport.write(
            b"POST /models/%b/predict HTTP/1.1\r\nhost: localhost\r\naccept: application/x-npy\r\n"
            b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
            % (self.load.model["name"].encode(), len(body), body)
        )

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if self.needed is None:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self.buffer[:end]).lower()
            length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
            self.status, self.needed = head[9:12].decode(), end + 4 + int(length)
        if len(self.buffer) < self.needed:
            return
        assert self.start is not None
        if self.status == "200":
            self.load.latencies.append(time.perf_counter() - self.start)
        else:
            self.count(self.status)
        self.buffer.clear()
        self.needed = self.start = None
        self.schedule()

    def connection_lost(self, error: Exception | None) -> None:
        if self.start is not None:
            self.count("connection closed")
        self.load.closed()

    def count(self, what: str) -> None:
        self.load.failures[what] = self.load.failures.get(what, 0) + 1


async def run(port: int, name: str, seconds: float, connections: int, rate: float | None) -> Load:
    loop = asyncio.get_running_loop()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /models HTTP/1.0\r\n\r\n")
    listed = json.loads((await reader.read()).partition(b"\r\n\r\n")[2])["models"]
    writer.close()
    model = next(model for model in listed if model["name"] == name)
    load = Load(model, time.perf_counter() + seconds, rate, connections)
    for _ in range(connections):
        await loop.create_connection(lambda: Connection(load), "127.0.0.1", port)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(load.done.wait(), seconds + 30)
    return load


def main() -> None:
    port, name, seconds, connections, *rate = sys.argv[1:]
    load = asyncio.run(
        run(int(port), name, float(seconds), int(connections), float(rate[0]) if rate else None)
    )
    latencies = sorted(load.latencies) or [float("nan")]
    result = {
        "answers": len(load.latencies),
        "rate": len(load.latencies) / float(seconds),
        "p50": latencies[len(latencies) // 2],
        "p99": latencies[int(0.99 * len(latencies))],
        "failures": load.failures,
        "unanswered": load.open,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
