"""Natural convection: time at equal error against Newton's method on second-order differences.

The rival is what most people would write, tuned: central differences on a grid stretched towards
the walls, Newton's method for streamfunction and temperature with the exact Jacobian, first guesses
from coarser grids, SciPy's sparse LU with the fastest of its orderings.

    python -m benchmarks.solvers_cavity
"""

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.interpolate import RectBivariateSpline
from scipy.sparse.linalg import splu

from benchmarks.report import replace_section, table
from benchmarks.timing import pin_to_one_core, side_by_side
from simulations.machine import machine_in_words
from simulations.systems.natural_convection import NaturalConvection

Array = NDArray[np.float64]

RAYLEIGH, PRANDTL = (1e4, 1e5, 1e6), 0.71
NODES = (33, 65, 97, 129)
TOLERANCES = (0.3, 0.1, 1e-2, 1e-3, 1e-4)
# The smallest errors of 0.5, 0.6, 0.7, 0.8 and 0.9
STRETCHING = 0.7
# From conduction directly, then over such strides on the coarsest grid
EASY_RAYLEIGH, STRIDE, COARSEST = 1e4, 10.0, 17
# Relative size of the Newton step after which the next grid, or the end, has come
ACCURACY = 0.05
# Half the time of COLAMD, and with pivoting the ordering would be lost; residuals stay below 1e-8
ORDERING = {
    "permc_spec": "MMD_AT_PLUS_A",
    "diag_pivot_thresh": 0.0,
    "options": {"SymmetricMode": True},
}


class Flow(NamedTuple):
    """Streamfunction and deviation of the temperature from conduction on all nodes."""

    psi: Array
    theta: Array


class Differences:
    """Derivatives on ``n`` nodes along each axis, x = s − a sin(2πs)/2π with uniform s.

    The rows of a wall reflect the field in it, as befits ψ between no-slip walls (Thom's formula)
    and T at insulated ones. ψ is unknown at inner nodes, θ also on the insulated walls.
    """

    def __init__(self, n: int) -> None:
        s, h = np.linspace(0, 1, n, retstep=True)
        self.x = s - STRETCHING * np.sin(2 * np.pi * s) / (2 * np.pi)
        metric = 1 - STRETCHING * np.cos(2 * np.pi * s)
        between = 1 - STRETCHING * np.cos(2 * np.pi * (s[1:] - h / 2))
        slope = 1 / (2 * h * metric)
        slope[[0, -1]] = 0.0
        left, right = np.zeros((2, n))
        left[1:], right[:-1] = 1 / (h**2 * metric[1:] * between), 1 / (h**2 * metric[:-1] * between)
        left[-1] = right[0] = 2 / (h * metric[0]) ** 2
        first = sparse.diags_array([-slope[1:], slope[:-1]], offsets=[-1, 1])
        second = sparse.diags_array([left[1:], -left - right, right[:-1]], offsets=[-1, 0, 1])

        one = sparse.eye_array(n, format="csr")
        x, y = sparse.kron(first, one).tocsr(), sparse.kron(one, first).tocsr()
        laplacian = (sparse.kron(second, one) + sparse.kron(one, second)).tocsr()
        self.psi = sparse.kron(one[1:-1], one[1:-1]).tocsr()  # picks the unknowns
        self.theta = sparse.kron(one[1:-1], one).tocsr()
        self.inner = self.psi @ self.theta.T
        vorticity = laplacian @ self.psi.T
        self.biharmonic = self.psi @ laplacian @ vorticity
        self.w_x, self.w_y = self.psi @ x @ vorticity, self.psi @ y @ vorticity
        self.psi_x, self.psi_y = self.theta @ x @ self.psi.T, self.theta @ y @ self.psi.T
        self.laplacian = self.theta @ laplacian @ self.theta.T
        self.theta_x, self.theta_y = self.theta @ x @ self.theta.T, self.theta @ y @ self.theta.T
        self.inner_psi_x, self.inner_psi_y = self.inner @ self.psi_x, self.inner @ self.psi_y
        self.inner_theta_x = self.inner @ self.theta_x

    def newton_step(self, rayleigh: float, prandtl: float, flow: Flow) -> tuple[Flow, float]:
        """The next iterate of Δ²ψ = u·∇(Δψ)/Pr + Ra ∂T/∂x, Δθ = u·∇T, and the size of the step."""
        psi, theta = self.psi @ flow.psi.ravel(), self.theta @ flow.theta.ravel()
        u, v = self.psi_y @ psi, -(self.psi_x @ psi)
        inner_u, inner_v = self.inner @ u, self.inner @ v
        w_x, w_y = self.w_x @ psi, self.w_y @ psi
        t_x, t_y = self.theta_x @ theta - 1, self.theta_y @ theta
        momentum = self.biharmonic @ psi - rayleigh * (self.inner @ t_x)
        momentum -= (inner_u * w_x + inner_v * w_y) / prandtl
        heat = self.laplacian @ theta - (u * t_x + v * t_y)

        inertia = _times(inner_u, self.w_x) + _times(inner_v, self.w_y)
        inertia += _times(w_x, self.inner_psi_y) - _times(w_y, self.inner_psi_x)
        jacobian = [
            [self.biharmonic - inertia / prandtl, -rayleigh * self.inner_theta_x],
            [
                _times(t_y, self.psi_x) - _times(t_x, self.psi_y),
                self.laplacian - _times(u, self.theta_x) - _times(v, self.theta_y),
            ],
        ]
        factors = splu(sparse.block_array(jacobian, format="csc"), **ORDERING)
        step = factors.solve(np.concatenate([momentum, heat]))
        psi, theta = psi - step[: psi.size], theta - step[psi.size :]
        new = Flow(
            (self.psi.T @ psi).reshape(flow.psi.shape),
            (self.theta.T @ theta).reshape(flow.psi.shape),
        )
        return new, float(np.linalg.norm(step[: psi.size]) / np.linalg.norm(psi))


differences = cache(Differences)


def _times(values: Array, matrix: sparse.csr_array) -> sparse.csr_array:
    return sparse.diags_array(values, format="csr") @ matrix


def newton(rayleigh: float, prandtl: float, n: int) -> Flow:
    """The rival: continuation in Ra on the coarsest grid, then one grid after the other."""
    sizes = [n]
    while sizes[-1] > 2 * COARSEST:
        sizes.append((sizes[-1] + 1) // 2)
    flow = Flow(*np.zeros((2, sizes[-1], sizes[-1])))
    strides = max(0, int(np.ceil(np.log(rayleigh / EASY_RAYLEIGH) / np.log(STRIDE) - 1e-9)))
    for stage in rayleigh / STRIDE ** np.arange(strides, 0.0, -1):
        flow = _converged(stage, prandtl, flow, 0.3)
    for size in reversed(sizes):
        flow = _converged(rayleigh, prandtl, _prolonged(flow, size), ACCURACY)
    return flow


def _converged(rayleigh: float, prandtl: float, flow: Flow, accuracy: float) -> Flow:
    for _ in range(20):
        flow, change = differences(len(flow.psi)).newton_step(rayleigh, prandtl, flow)
        if change <= accuracy:
            return flow
    raise RuntimeError(f"Newton's method does not converge at Ra={rayleigh:g}")


def _prolonged(flow: Flow, n: int) -> Flow:
    old, new = (np.linspace(0, 1, size) for size in (len(flow.psi), n))
    if len(old) == n:
        return flow
    return Flow(*(RectBivariateSpline(old, old, field)(new, new) for field in flow))


def rows() -> list[dict[str, object]]:
    """Errors against a fine solution, on the default grid, and CPU time at equal error.

    Both sides keep the matrices that depend on the resolution alone from call to call.
    """
    measured = []
    for rayleigh in RAYLEIGH:
        inputs = {"rayleigh": rayleigh, "prandtl": PRANDTL}
        fine = NaturalConvection(n=64, tolerance=1e-8)
        exact = fine.transfer_solution(fine.solve(inputs), NaturalConvection())
        errors = {}
        for tolerance in TOLERANCES:
            simulation = NaturalConvection(tolerance=tolerance)
            solution = simulation.solve(inputs)
            temperature, velocity = solution["temperature"][0], solution["velocity"][0]
            errors[simulation] = _error(temperature, velocity, exact)
        for n in NODES:
            temperature, velocity, nusselt = _fields(newton(rayleigh, PRANDTL, n))
            error = _error(temperature, velocity, exact)
            simulation = next(simulation for simulation in errors if errors[simulation] <= error)
            calls = {
                "ours": lambda simulation=simulation, inputs=inputs: simulation.solve(inputs),
                "rival": lambda rayleigh=rayleigh, n=n: newton(rayleigh, PRANDTL, n),
            }
            times = side_by_side(calls, samples=5, seconds=0.1, patience=1.0)
            measured.append(
                {
                    "Ra": f"{rayleigh:.0e}",
                    "rival nodes": f"{n}²",
                    "rival Nu": f"{nusselt:.4f}",
                    "Nu": f"{exact['nusselt'][0]:.4f}",
                    "rival error": f"{error:.1e}",
                    "rival CPU ms": 1e3 * times["rival"].cpu,
                    "our tolerance": simulation.tolerance,
                    "our error": f"{errors[simulation]:.1e}",
                    "our CPU ms": 1e3 * times["ours"].cpu,
                    "CPU time of rival over ours": times["rival"].cpu / times["ours"].cpu,
                    "clean samples": f"{times['rival'].clean}/{times['rival'].samples}",
                }
            )
    return measured


def _fields(flow: Flow) -> tuple[Array, Array, float]:
    """Temperature and velocity on our grid by cubic splines, and the mean Nusselt number."""
    x, nodes = NaturalConvection().grid.axes[0].points, differences(len(flow.psi)).x
    psi, theta = (RectBivariateSpline(nodes, nodes, field) for field in flow)
    velocity = np.stack([psi(x, x, dy=1), -psi(x, x, dx=1)], axis=-1)
    nusselt = 1 - np.trapezoid(theta(0.0, nodes, dx=1)[0], nodes)
    return 0.5 - x[:, None] + theta(x, x), velocity, float(nusselt)


def _error(temperature: Array, velocity: Array, exact: Mapping[str, Array]) -> float:
    """Mean of the relative L2 errors over the cavity of temperature and velocity."""
    weights = NaturalConvection().grid.weights

    def norm(field: Array) -> float:
        return float(np.sqrt(np.sum(weights * (field**2).reshape(*weights.shape, -1).sum(axis=-1))))

    pairs = (temperature, exact["temperature"][0]), (velocity, exact["velocity"][0])
    return sum(norm(field - true) / norm(true) for field, true in pairs) / 2


if __name__ == "__main__":
    pin_to_one_core()
    here = machine_in_words("physurrogate", "numba", "scipy")
    text = f"""## Natural convection

Our solver against the one that most people would write: Newton's method with second-order
differences on a wall-stretched grid and a sparse direct solver, started from coarser grids. Errors
are means of those of temperature and velocity; ours has the loosest tolerance that is as accurate.
Machine: {here}.

{table(rows())}
"""
    print(text)
    replace_section("cavity", text)
