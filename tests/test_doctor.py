"""The doctor: what is wrong is found, with a fix, and a healthy machine is left in peace."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from surrogate import doctor
from surrogate.cli import run
from surrogate.doctor import Facts, examine

HEALTHY = Facts(
    python="3.11.7",
    platform="Linux",
    processor="a processor",
    cores=8,
    allowed_cores=8,
    load=0.5,
    free_memory=8e9,
    versions={
        "numpy": "2.4.6",
        "numba": "0.68.1",
        "h5py": "3.16.0",
        "xarray": "2026.9.0",
        "torch": "2.13.0+cpu",
    },
    numpy_of_numba=">=1.22,<2.6",
    environment={"OMP_NUM_THREADS": "8"},
    start_method="fork",
    cache=Path("/home/ada/.cache/physurrogate"),
    cache_bytes=10**8,
    cache_problem="",
    cache_free=1e11,
    folder=Path("/home/ada/work"),
    folder_type="ext4",
    gpus=(),
    compiler="/usr/bin/cc",
)


def with_versions(**versions):
    return replace(HEALTHY, versions={**HEALTHY.versions, **versions})


def with_environment(**variables):
    return replace(HEALTHY, environment=variables)


def without(name):
    return replace(HEALTHY, versions={k: v for k, v in HEALTHY.versions.items() if k != name})


def test_a_healthy_machine_is_left_in_peace():
    findings = examine(HEALTHY)
    assert {finding.level for finding in findings} == {"ok"}
    assert not any(finding.fix for finding in findings)


@pytest.mark.parametrize(
    ("facts", "level", "message", "fix"),
    [
        (
            with_versions(numpy="2.6.0"),
            "error",
            "numba 0.68.1 works with numpy",
            "numpy>=1.22,<2.6",
        ),
        (without("h5py"), "error", "is not installed", "pip install physurrogate"),
        (without("torch"), "warning", "surrogates do not", "physurrogate[surrogate]"),
        (with_versions(torch="2.5.1"), "error", "CVE-2025-32434", "torch>=2.10"),
        (with_versions(torch="2.9.1+cu128"), "warning", "CVE-2026-24747", "torch>=2.10"),
        (replace(HEALTHY, gpus=("H100, 570",)), "warning", "without CUDA", "with CUDA"),
        (with_environment(OMP_NUM_THREADS="16"), "warning", "8 cores may be", "OMP_NUM_THREADS=8"),
        (with_environment(OMP_NUM_THREADS="all"), "warning", "not a number", "OMP_NUM_THREADS=8"),
        (
            replace(with_environment(), allowed_cores=2),
            "warning",
            "may use 2 of 8 cores",
            "OMP_NUM_THREADS=2",
        ),
        (replace(HEALTHY, load=20.0), "warning", "20.0 processes want 8", "OMP_NUM_THREADS=1"),
        (with_environment(OMP_WAIT_POLICY="active"), "warning", "keep their cores", "PASSIVE"),
        (with_environment(NUMBA_THREADING_LAYER="workqueue"), "warning", "abort Python", "unset"),
        (with_environment(NUMBA_THREADING_LAYER="omp"), "warning", "are killed", "forkserver"),
        (with_environment(NUMBA_DISABLE_JIT="1"), "error", "slower", "unset NUMBA_DISABLE_JIT"),
        (replace(HEALTHY, cache_problem="Read-only"), "error", "Read-only", "PHYSURROGATE_CACHE"),
        (replace(HEALTHY, cache_bytes=3 * 10**9), "warning", "3,000 MB", "delete"),
        (replace(HEALTHY, cache_free=1e6), "warning", "the disk has 1 MB left", "free some space"),
        (with_environment(NUMBA_CACHE_DIR="/c"), "warning", "NUMBA_CACHE_DIR=/c", "unset it"),
        (replace(HEALTHY, folder_type="nfs4"), "warning", "nfs4", "HDF5_USE_FILE_LOCKING=FALSE"),
        (replace(HEALTHY, free_memory=1e8), "warning", "0.1 GB free", "fewer workers"),
    ],
)
def test_what_is_wrong_is_found_with_a_fix(facts, level, message, fix):
    wrong = [finding for finding in examine(facts) if finding.level != "ok"]
    assert len(wrong) == 1
    assert wrong[0].level == level
    assert message in wrong[0].message
    assert fix in wrong[0].fix


def test_what_was_mended_is_not_found():
    unlocked = replace(HEALTHY, folder_type="nfs", environment={"HDF5_USE_FILE_LOCKING": "FALSE"})
    spawned = replace(HEALTHY, start_method="spawn", environment={"NUMBA_THREADING_LAYER": "omp"})
    for facts in (unlocked, spawned, with_versions(torch="2.13.0"), with_versions(numpy="2.5.9")):
        assert {finding.level for finding in examine(facts)} == {"ok"}


def test_the_facts_of_this_machine(monkeypatch, tmp_path):
    monkeypatch.setenv("PHYSURROGATE_CACHE", str(tmp_path / "cache"))
    facts = doctor.look()
    assert facts.cache_problem == ""
    assert "<" in facts.numpy_of_numba
    assert facts.allowed_cores >= 1
    assert {"numpy", "numba"} <= facts.versions.keys()
    (tmp_path / "file").write_text("x", encoding="utf-8")
    monkeypatch.setenv("PHYSURROGATE_CACHE", str(tmp_path / "file"))
    assert doctor.look().cache_problem


def test_the_command_line_says_it_and_the_exit_code_too(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "look", lambda: HEALTHY)
    assert run(["doctor"]) == 0
    assert "ok       torch: 2.13.0+cpu" in capsys.readouterr().out
    monkeypatch.setattr(doctor, "look", lambda: with_versions(torch="2.5.1"))
    assert run(["doctor", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    wrong = [finding for finding in found if finding["level"] == "error"]
    assert [finding["subject"] for finding in wrong] == ["torch"]
    monkeypatch.setattr(doctor, "look", lambda: replace(HEALTHY, load=99.0))
    assert run(["doctor"]) == 0
    assert "fix: wait" in capsys.readouterr().out
