"""Darcy flow: time and error of our solver against pyamg and SciPy on the same linear system.

Every method starts from what it takes: ours from the medium (conductances and hierarchy included in
the time), the others from the assembled sparse matrix, whose assembly is not counted. Iterative
methods stop at a relative residual of 10⁻⁸, set-up is included. The error is the largest deviation
from a direct solution, relative to the largest pressure. Times are CPU seconds of one call, the
methods taking turns in one process; set OMP_NUM_THREADS=1 and OPENBLAS_NUM_THREADS=1.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.linalg import splu, spsolve

from simulations.inputs import GaussianRandomField, Thresholded
from simulations.numerics import multigrid
from simulations.systems.darcy_flow import (
    MAX_ITERATIONS,
    DarcyFlow,
    assemble,
    conductances_of_cells,
)

try:
    import pyamg
except ImportError:
    pyamg = None

TOLERANCE = 1e-8
STRONG = Thresholded(GaussianRandomField(alpha=2.0, tau=3.0, scale=1.0), low=0.01, high=100.0)

Result = tuple[np.ndarray, int | None]


def rows(repeats: int = 15) -> list[dict[str, Any]]:
    """Measure all cases.

    Returns:
        One dictionary a method and case: ``case``, ``method``, ``error``, ``iterations`` (None for
        a direct method), ``seconds`` (median), ``spread`` (half the interquartile range in s) and,
        if rivals had to be left out, ``note``.
    """
    measured = []
    for n in (85, 241, 421):
        medium = _draw(DarcyFlow(n=n))
        measured += _compare(f"{n}², patches, contrast 4", medium, repeats)
    medium = _draw(DarcyFlow(n=241, medium=STRONG))
    measured += _compare("241², patches, contrast 10⁴", medium, repeats)
    # Where geometric coarsening fails: ours falls back on the factorisation
    noise = np.where(np.random.default_rng(0).random((241, 241)) < 0.5, 0.01, 100.0)
    measured += _compare("241², random cells, contrast 10⁴", noise, max(3, repeats // 5))
    return measured


def _draw(simulation: DarcyFlow) -> np.ndarray:
    return np.asarray(simulation.sample(np.random.default_rng(0))["a"])


def _compare(case: str, medium: np.ndarray, repeats: int) -> list[dict[str, Any]]:
    n = len(medium)
    matrix = assemble(*conductances_of_cells(medium))
    load = np.full(n * n, 1 / n**2)
    exact = splu(matrix).solve(load)
    methods = _methods(medium, matrix, load)
    results = {name: method() for name, method in methods.items()}  # compiles and warms up
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    for _ in range(repeats):
        for name, method in methods.items():
            start = time.process_time()
            method()
            seconds[name].append(time.process_time() - start)

    measured = []
    for name, (u, iterations) in results.items():
        quarter, median, three_quarters = np.percentile(seconds[name], [25, 50, 75])
        row = {
            "case": case,
            "method": name,
            "error": float(np.abs(u.ravel() - exact).max() / exact.max()),
            "iterations": iterations,
            "seconds": float(median),
            "spread": float(three_quarters - quarter) / 2,
        }
        if pyamg is None:
            row["note"] = "pyamg is not installed: its methods are left out"
        measured.append(row)
    return measured


def _methods(medium: np.ndarray, matrix: Any, load: np.ndarray) -> dict[str, Callable[[], Result]]:
    simulation = DarcyFlow(n=len(medium), tolerance=TOLERANCE)
    _, iterations, residual = multigrid.solve(
        *conductances_of_cells(medium), load.reshape(medium.shape), TOLERANCE, MAX_ITERATIONS
    )
    if residual > TOLERANCE:
        iterations = None  # the simulation goes on to factorise
    methods: dict[str, Callable[[], Result]] = {
        "physurrogate": lambda: (simulation.solve({"a": medium})["u"], iterations),
        "scipy splu": lambda: (
            splu(matrix, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}).solve(load),
            None,
        ),
        "scipy spsolve": lambda: (spsolve(matrix, load), None),
    }
    if pyamg is not None:
        by_rows = csr_array(matrix)
        methods["pyamg Ruge–Stüben + CG"] = lambda: _pyamg(pyamg.ruge_stuben_solver, by_rows, load)
        methods["pyamg smoothed aggregation + CG"] = lambda: _pyamg(
            pyamg.smoothed_aggregation_solver, by_rows, load
        )
    return methods


def _pyamg(solver: Callable[[Any], Any], matrix: Any, load: np.ndarray) -> Result:
    residuals: list[float] = []
    u = solver(matrix).solve(load, tol=TOLERANCE, accel="cg", maxiter=1000, residuals=residuals)
    return u, len(residuals) - 1


if __name__ == "__main__":
    for row in rows():
        print(
            f"{row['case']:34} {row['method']:32} {1e3 * row['seconds']:9.2f} ± "
            f"{1e3 * row['spread']:.2f} ms  error {row['error']:.1e}  its {row['iterations']}"
        )
