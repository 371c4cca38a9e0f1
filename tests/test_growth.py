"""Growth of costs: exponents are fitted, and a job is extrapolated from the file alone."""

import json
import math

import pytest

from benchmarks import growth
from simulations.datasets import layout


def power(sizes, exponent, megabytes=1.0):
    return {
        str(n): {"seconds": 1e-6 * n**exponent, "megabytes": megabytes * n**exponent} for n in sizes
    }


@pytest.fixture
def kept():
    lines = {name: power(line.sizes, line.theory) for name, line in growth.LINES.items()}
    return {"machine": "a made-up one", "lines": lines}


def test_exponents_are_those_of_the_larger_sizes():
    points = power((16, 32, 64, 128), 3.0)
    points["16"]["seconds"] = 1.0  # starting up
    assert growth.exponent(points) == pytest.approx(3.0)
    assert math.isnan(growth.exponent({"32": points["32"]}))
    assert math.isnan(growth.exponent({}))


def test_a_job_is_what_its_parts_cost(kept):
    job = growth.Job(n=128, runs=640, nodes=5, cores=2)
    found = {row["what"]: row["is"] for row in growth.extrapolated(kept, job)}
    run = 4 * 1e-6 * 128**3
    assert found["one run"] == growth._hours(run / 3600)
    assert found["generation"] == growth._hours(640 * run / 10 / 3600)
    trajectory = layout.trajectory_bytes(growth.simulations.NavierStokes3D(n=128, n_times=9))
    assert found["the dataset"] == f"{640 * trajectory / 1e12:.3g} TB"


def test_pages_are_written_from_the_file(kept, tmp_path, monkeypatch):
    monkeypatch.setattr(growth, "PAGE", tmp_path / "scaling.md")
    monkeypatch.setattr(
        growth,
        "replace_section",
        lambda name, text: (tmp_path / f"{name}.md").write_text(text, encoding="utf-8"),
    )
    growth.write_pages(json.loads(json.dumps(kept)))
    page = (tmp_path / "scaling.md").read_text(encoding="utf-8")
    assert "a made-up one" in page
    for name, line in growth.LINES.items():
        [row] = [row for row in page.splitlines() if row.startswith(f"| {name} ")]
        assert f"| {line.theory:.2f} " in row
    assert "growth.md" in {path.name for path in tmp_path.iterdir()}


def test_what_has_been_measured_is_not_measured_again(kept, tmp_path, monkeypatch):
    monkeypatch.setattr(growth, "KEPT", tmp_path / "growth.json")
    (tmp_path / "growth.json").write_text(json.dumps(kept))
    monkeypatch.setattr(growth.subprocess, "run", None)
    assert growth.measured(list(growth.LINES)) == kept
