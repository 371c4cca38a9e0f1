"""What a customer's package takes: to install, to start, to answer.

    python -m benchmarks.deployment

A surrogate of natural convection is trained, exported as a wheel, and installed into an environment
that has nothing else; the times are those of processes of that environment.
"""

import json
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import simulations
import surrogate
from benchmarks.report import replace_section, table
from simulations.machine import machine_in_words

SAMPLES = 200
#: Of an empty environment's answer, in its own process
FIRST = """
import time
start = time.perf_counter()
from cavity_heat import predict
predict(rayleigh=2e5, prandtl=0.71)
print(time.perf_counter() - start)
"""
REPEATED = """
import json, time
from cavity_heat import predict
def timed(n, repeats):
    rayleigh = [2e5 + i for i in range(n)] if n > 1 else 2e5
    predict(rayleigh=rayleigh, prandtl=0.71)
    best = []
    for _ in range(repeats):
        start = time.perf_counter()
        predict(rayleigh=rayleigh, prandtl=0.71)
        best.append(time.perf_counter() - start)
    return sorted(best)[len(best) // 2]
print(json.dumps([timed(1, 300), timed(64, 20)]))
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        data = simulations.generate(
            simulations.NaturalConvection(), SAMPLES, folder / "data", progress=False
        )
        emulator = surrogate.train(data, progress=False)
        seconds, wheel = _timed(
            lambda: surrogate.export(emulator, folder, "wheel", name="cavity-heat")
        )
        rows = [
            {"what": "export of the wheel", "value": f"{seconds:.1f} s", "aim": ""},
            {"what": "size of the wheel", "value": _megabytes(wheel.stat().st_size), "aim": ""},
            *_installed(folder, wheel),
        ]
        seconds, path = _timed(lambda: surrogate.export(emulator, folder / "heat.fmu", "fmu"))
        rows += [
            {"what": "export of the FMU", "value": f"{seconds:.1f} s", "aim": ""},
            {"what": "size of the FMU", "value": _megabytes(path.stat().st_size), "aim": ""},
        ]
    text = f"## A customer's package\n\n{machine_in_words('onnxruntime')}\n\n{table(rows)}"
    text += f"\n\nNatural convection by {emulator.network_name}, {SAMPLES} trajectories."
    print(text)
    if "--dry" not in sys.argv:
        replace_section("deployment", text)


def _installed(folder: Path, wheel: Path) -> list[dict[str, str]]:
    environment = folder / "environment"
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    before = _size(environment)
    install = [str(python), "-m", "pip", "install", "-q", str(wheel)]
    seconds, _ = _timed(lambda: subprocess.run(install, check=True, cwd=folder))
    size = _size(environment) - before
    command = [str(environment / "bin" / "cavity-heat"), "predict"]
    command += ["--rayleigh", "2e5", "--prandtl", "0.71", "-o", "a.npz"]
    _run(command, folder)  # writes the bytecode
    whole = min(_timed(lambda: _run(command, folder))[0] for _ in range(5))
    first = min(float(_run([str(python), "-c", FIRST], folder)) for _ in range(5))
    one, many = json.loads(_run([str(python), "-c", REPEATED], folder))
    return [
        {"what": "install into an empty environment", "value": f"{seconds:.1f} s", "aim": "60 s"},
        {"what": "what that adds", "value": _megabytes(size), "aim": "300 MB"},
        {"what": "import and first prediction", "value": f"{first:.2f} s", "aim": "1 s"},
        {"what": "the command, from start to end", "value": f"{whole:.2f} s", "aim": ""},
        {"what": "one prediction", "value": f"{1e3 * one:.2f} ms", "aim": "2 ms"},
        {"what": "of 64 together, each", "value": f"{1e3 * many / 64:.3f} ms", "aim": ""},
    ]


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, check=True, cwd=folder, capture_output=True, text=True, env={})
    return done.stdout


def _timed(action):
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _megabytes(size: float) -> str:
    return f"{size / 1e6:.1f} MB"


if __name__ == "__main__":
    main()
