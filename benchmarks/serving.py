"""A service under load: single predictions a second, latency at half of that, memory, restarts.

    python -m benchmarks.serving [FOLDER] [MINUTES]

The load comes from a second process on the same machine and shares its processors. FOLDER keeps the
surrogate; memory is watched for MINUTES at full load.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import simulations
import surrogate
from benchmarks.report import replace_section, table
from simulations.machine import machine_in_words

CONNECTIONS = (1, 8, 32, 64)
SECONDS = 10.0
TRAJECTORIES = 40
MINUTES = 10.0


def surrogate_in(folder: Path) -> Path:
    """A surrogate of the lid-driven cavity: one number in, fields on 64² points out."""
    model = folder / "cavity"
    if not (model / "config.json").is_file():
        system = simulations.LidDrivenCavity()
        simulations.generate(system, TRAJECTORIES, folder / "data", progress=False)
        surrogate.train(folder / "data", progress=False).save(model)
    return model


class Service:
    """A process of ``surrogate serve``."""

    def __init__(self, model: Path) -> None:
        command = "from surrogate.cli import main; main()"
        arguments = ["serve", str(model), "--port", "0", "--quiet", "--no-solve"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", command, *arguments], stderr=subprocess.PIPE, text=True
        )
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if found := re.search(r"http://127.0.0.1:(\d+)", line):
                self.port = int(found[1])
                break
        else:
            raise RuntimeError(f"the service has ended with {self.process.wait()}")
        threading.Thread(target=self.process.stderr.read, daemon=True).start()

    def load(self, seconds: float, connections: int, rate: float | None = None) -> dict[str, Any]:
        return self.start_load(seconds, connections, rate)()

    def start_load(self, seconds: float, connections: int, rate: float | None = None) -> Any:
        """Begin to load; returns what waits for the end and the figures."""
        given = [self.port, "cavity", seconds, connections, *([] if rate is None else [rate])]
        client = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.load", *map(str, given)],
            stdout=subprocess.PIPE,
            text=True,
        )
        return lambda: json.loads(client.communicate()[0])

    @property
    def cpu(self) -> float:
        """Processor seconds that the process has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def memory(self) -> float:
        """Resident memory in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(how)
        self.process.wait(60)


def throughput(service: Service) -> list[dict[str, Any]]:
    service.load(2.0, 8)
    rows = []
    for connections in CONNECTIONS:
        before = service.cpu
        found = service.load(SECONDS, connections)
        rows.append(
            {
                "connections": connections,
                "answers/s": found["rate"],
                "p50 ms": 1e3 * found["p50"],
                "p99 ms": 1e3 * found["p99"],
                "CPU µs/answer": 1e6 * (service.cpu - before) / max(1, found["answers"]),
                "failures": sum(found["failures"].values()) + found["unanswered"],
            }
        )
    return rows


def ends(model: Path) -> list[dict[str, Any]]:
    """What becomes of the requests of a service that ends under load."""
    rows = []
    for how in (signal.SIGTERM, signal.SIGKILL):
        service = Service(model)
        wait = service.start_load(6.0, 32)
        threading.Event().wait(4.0)
        service.end(how)
        found = wait()
        rows.append(
            {
                "signal": how.name,
                "answered": found["answers"],
                "told that the connection is closed": found["failures"].get("connection closed", 0),
                "other answers": sum(found["failures"].values())
                - found["failures"].get("connection closed", 0),
                "without answer or error": found["unanswered"],
            }
        )
    return rows


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="serving-"))
    minutes = float(sys.argv[2]) if len(sys.argv) > 2 else MINUTES
    model = surrogate_in(folder)
    service = Service(model)
    rows = throughput(service)
    best = max(rows, key=lambda row: row["answers/s"])
    half = service.load(SECONDS, 32, best["answers/s"] / 2)
    begin = service.memory
    long = service.load(60 * minutes, best["connections"])
    grown = service.memory - begin
    service.end()
    text = f"""## Service

Single predictions of the lid-driven cavity, one parameter to a field on 64² points, in binary over
connections that stay open. The load comes from a second process on the same processors. Machine:
{machine_in_words("torch", "fastapi", "uvicorn")}.

{table(rows)}

At half the highest rate, {half["rate"]:.0f} a second, the median latency is {1e3 * half["p50"]:.1f}
ms and the 99th percentile {1e3 * half["p99"]:.1f} ms, counted from when a request should have
begun. After {minutes:g} minutes at full load and {long["answers"]:,} answers the process holds
{grown:+.1f} MB more than the {begin:.0f} MB before.

A service that ends under load of 32 connections, by the signal to end and by force:

{table(ends(model))}
"""
    print(text)
    replace_section("service", text)


if __name__ == "__main__":
    main()
