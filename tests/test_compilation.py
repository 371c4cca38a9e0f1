"""The kernel decorator and its disk cache."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from simulations import compilation
from simulations.compilation import (
    denormals_flushed,
    kernel,
    kernel_cache_directory,
    user_cache_directory,
)


@kernel
def first_bad(values, divisor):
    for i in range(values.size):
        if np.isnan(values[i]):
            return i
    return 1.0 / divisor


def test_kernels_see_nan_and_divide_by_zero():
    assert first_bad(np.array([1.0, np.nan]), 4.0) == 1
    assert first_bad(np.array([1.0]), 0.0) == np.inf


def test_the_decorator_leaves_the_cache_of_others_alone(monkeypatch, tmp_path):
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    kernel(lambda x: x)
    assert numba.config.CACHE_DIR == ""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    kernel(lambda x: x)
    assert str(tmp_path) == numba.config.CACHE_DIR


def test_the_cache_folder_can_be_chosen(monkeypatch, tmp_path):
    monkeypatch.setenv("PHYSURROGATE_CACHE", str(tmp_path))
    assert user_cache_directory() == tmp_path
    monkeypatch.delenv("PHYSURROGATE_CACHE")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_cache_directory() == tmp_path / "physurrogate"


def test_every_source_of_the_package_names_the_folder():
    assert kernel_cache_directory().parent == user_cache_directory() / "kernels"
    assert len(kernel_cache_directory().name) == 16


@pytest.fixture
def package(tmp_path):
    """A package with a kernel that calls another one in a different file."""
    folder = tmp_path / "physics"
    (folder / "numerics").mkdir(parents=True)
    shutil.copy(compilation.__file__, folder / "compilation.py")
    (folder / "numerics" / "callee.py").write_text(
        "from physics.compilation import kernel\n\n@kernel\ndef inner(x):\n    return x + 1\n"
    )
    (folder / "caller.py").write_text(
        "from physics.compilation import kernel\n"
        "from physics.numerics.callee import inner\n\n"
        "@kernel\ndef outer(x):\n    return 10 * inner(x)\n"
    )
    return folder


def call_outer(package):
    """Result of the kernel in a fresh process, and how often the disk had it and had it not."""
    code = (
        "from physics.caller import outer\n"
        "print(outer(1), *(sum(found.values()) for found in outer.stats[1:]))"
    )
    environment = os.environ | {"PHYSURROGATE_CACHE": str(package.parent / "cache")}
    environment.pop("NUMBA_CACHE_DIR", None)
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, cwd=package.parent, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_a_changed_callee_in_another_file_is_noticed(package):
    """Numba alone would keep the old one inside the cached caller."""
    assert call_outer(package) == ["20", "0", "1"]
    assert call_outer(package) == ["20", "1", "0"]
    callee = package / "numerics" / "callee.py"
    callee.write_text(callee.read_text().replace("x + 1", "x + 2"))
    assert call_outer(package) == ["30", "0", "1"]
    assert not list(Path(package).rglob("*.nbi"))


@kernel
def shrink(values, times):
    for _ in range(times):
        for i in range(values.size):
            values[i] *= 0.5


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="a switch of x86")
def test_denormals_are_zero_only_while_asked():
    values = np.full(3, 1e-300)
    with denormals_flushed():
        shrink(values, 40)
    assert not values.any()
    values[:] = 1e-300
    shrink(values, 40)
    assert np.all((values > 0) & (values < 1e-311))
