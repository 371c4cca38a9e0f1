"""The checklist for a new system is exact: one file, one line, and everything finds it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LONGEST = 120

SYSTEM = '''\
"""Newton's law of cooling along a rod that loses heat to the air."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Self

import numpy as np

from simulations.grid import Axis, Grid
from simulations.inputs import Distribution, GaussianRandomField
from simulations.simulation import (
    Array,
    Field,
    FieldInput,
    Inputs,
    Parameter,
    Showcase,
    Simulation,
    Solution,
    check_setting,
)
from simulations.verification.check import Finding, at_most, verifies


@dataclass(frozen=True)
class CoolingRod(Simulation):
    """A rod that conducts heat and loses it to the air.

        ∂u/∂t = α ∂²u/∂x² − β u

    Exact in time, by Fourier series.

    Args:
        n: grid points.
        t_end: last stored time in s.
        n_times: stored times.
        initial: distribution of the initial excess of temperature.

    References:
        Fourier, Théorie analytique de la chaleur (1822).
    """

    n: int = 32
    t_end: float = 1.0
    n_times: int = 20
    initial: Distribution = GaussianRandomField(alpha=2.0, tau=5.0, scale=25.0)

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "alpha": Parameter("diffusivity", "m2 s-1", (0.0, 10.0), (1e-3, 1e-2), "log"),
        "beta": Parameter("loss to the air", "s-1", (0.0, 100.0), (0.1, 1.0)),
    }
    fields: ClassVar[Mapping[str, Field]] = {"u": Field("excess of temperature", "K")}
    showcase: ClassVar[Showcase] = Showcase(inputs={"beta": 0.5})

    def __post_init__(self) -> None:
        check_setting("n", self.n, 4, 65536, integer=True)
        check_setting("t_end", self.t_end, 1e-9, 1e9)
        check_setting("n_times", self.n_times, 2, 10000, integer=True)

    @property
    def field_inputs(self) -> Mapping[str, FieldInput]:
        return {"u0": FieldInput("initial excess", "K", self.initial, initial_of="u")}

    @cached_property
    def grid(self) -> Grid:
        return Grid((Axis.periodic("x", self.n, 1.0, "m"),))

    @cached_property
    def times(self) -> Array:
        return np.linspace(0.0, self.t_end, self.n_times)

    def solve(self, inputs: Inputs) -> Solution:
        k = 2 * np.pi * np.arange(self.n // 2 + 1)
        rate = inputs["alpha"] * k**2 + inputs["beta"]
        decay = np.exp(-rate * self.times[:, None])
        return {"u": np.fft.irfft(decay * np.fft.rfft(inputs["u0"]), n=self.n)}

    def rescaled(self, factor: float) -> Self:
        return replace(self, n=round(self.n * factor))


@verifies(CoolingRod)
def one_wave() -> Iterator[Finding]:
    """A cosine keeps its shape and decays."""
    rod = CoolingRod()
    wave = np.cos(2 * np.pi * rod.grid.axes[0].points)
    u = rod.solve({"alpha": 0.01, "beta": 0.5, "u0": wave})["u"][-1]
    exact = wave * np.exp(-(0.01 * (2 * np.pi) ** 2 + 0.5))
    yield at_most("largest error", np.abs(u - exact).max(), 1e-14, "exact")
'''

PROGRAM = """
import json, sys
sys.path[:0] = [sys.argv[1], sys.argv[2]]
from pathlib import Path
import cooling_rod  # the one line
import simulations
from simulations import verification
from simulations.datasets.quality import check
from surrogate.cli import run
import surrogate, system_pages
from surrogate.plot import save_gallery

here = Path(sys.argv[1])
found = {"catalogue": "CoolingRod" in simulations.catalogue()}
found["command line"] = [
    run(["list", "CoolingRod"]),
    run(["simulate", "CoolingRod", "-p", "beta=0.2", "--seed", "1", "-o", str(here / "a.nc")]),
    run(["verify", "CoolingRod"]),
]
(checked,) = [verification.run(c) for c in verification.checks("CoolingRod")]
found["verification"] = checked.holds
found["gallery"] = [path.name for path in save_gallery(here / "gallery", ["CoolingRod"])]
data = simulations.generate(
    simulations.make("CoolingRod", {"n_times": 3}), 20, here / "rods", workers=1, progress=False
)
found["dataset"] = [data.count(split) for split in ("train", "valid", "test")]
found["quality"] = [problem.message for problem in check(data.path).problems]
emulator = surrogate.train(data, surrogate.PODLinear(), progress=False)
found["answer"] = dict(emulator(beta=0.2, seed=1).sizes)
system_pages.GALLERY = here / "gallery"
found["page"] = system_pages.system_page(*[system_pages.library()["CoolingRod"], "checked"])
print("FOUND" + json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("new")
    (folder / "cooling_rod.py").write_text(SYSTEM, "utf-8")
    command = [sys.executable, "-c", PROGRAM, str(folder), str(ROOT / "docs")]
    environment = {"PYTHONPATH": f"{ROOT}:{folder}", "OMP_NUM_THREADS": "1"}
    import os

    run = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return json.loads(run.stdout.partition("FOUND")[2])


def test_it_is_short():
    assert len(SYSTEM.splitlines()) <= LONGEST


def test_everything_finds_it(found):
    assert found["catalogue"]
    assert found["command line"] == [0, 0, 0]
    assert found["verification"]
    assert found["gallery"] == ["CoolingRod.webp"]
    assert found["dataset"] == [16, 2, 2]
    assert found["answer"] == {"time": 3, "x": 32}


def test_its_page_is_written(found):
    page = found["page"]
    assert r"\frac{∂u}{∂t} = α \frac{∂^{2}u}{∂x^{2}} − β u" in page
    assert "| `beta` | loss to the air | s⁻¹ | 0 to 100 | 0.1 to 1 | linear |" in page
    assert "gallery/CoolingRod.webp" in page
    assert "CoolingRod()(beta=0.5, seed=0)" in page
    assert "## Verification\n\nchecked" in page
    assert "Fourier, Théorie analytique" in page
