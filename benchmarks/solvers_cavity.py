"""Natural convection: time at equal error against Newton's method on second-order differences.

The rival is what most people would write: central differences on a grid stretched towards the
walls, Newton's method for streamfunction and temperature with the exact Jacobian, SciPy's sparse LU.

    python -m benchmarks.solvers_cavity
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.interpolate import RectBivariateSpline
from scipy.sparse.linalg import splu

from benchmarks.report import table
from benchmarks.timing import pin_to_one_core, side_by_side
from simulations.systems.natural_convection import NaturalConvection

Array = NDArray[np.float64]

RAYLEIGH, PRANDTL = (1e4, 1e5, 1e6), 0.71
STRETCHING = 0.8


class Flow(NamedTuple):
    """Streamfunction and deviation of the temperature from conduction on all nodes."""

    psi: Array
    theta: Array


class Differences:
    """Derivatives on ``n`` nodes along each axis, x = s − a sin(2πs)/2π with uniform s.

    A row without condition has the symbols of a reflection in its wall: ψ is even there (no slip,
    Thom's formula), and so is T at the insulated walls.
    """

    def __init__(self, n: int) -> None:
        self.n = n
        s, h = np.linspace(0, 1, n, retstep=True)
        self.x = s - STRETCHING * np.sin(2 * np.pi * s) / (2 * np.pi)
        metric = 1 - STRETCHING * np.cos(2 * np.pi * s)
        between = 1 - STRETCHING * np.cos(2 * np.pi * (s[1:] - h / 2))
        slope = 1 / (2 * h * metric)
        slope[[0, -1]] = 0
        first = sparse.diags_array([-slope[1:], slope[:-1]], offsets=[-1, 1])
        left, right = np.zeros((2, n))
        left[1:], right[:-1] = 1 / (h**2 * metric[1:] * between), 1 / (h**2 * metric[:-1] * between)
        right[0] = left[-1] = 2 / (h * metric[0]) ** 2
        second = sparse.diags_array(
            [left[1:], -left - right, right[:-1]], offsets=[-1, 0, 1]
        )
        one = sparse.eye_array(n, format="csr")
        inner = one[1:-1]
        laplacian = sparse.kron(second, one) + sparse.kron(one, second)
        x, y = sparse.kron(first, one), sparse.kron(one, first)
        self.to_psi = at_psi = sparse.kron(inner, inner).tocsr()
        self.to_theta = at_theta = sparse.kron(inner, one).tocsr()
        from_psi, from_theta = at_psi.T, at_theta.T

        vorticity = laplacian @ from_psi
        self.biharmonic = (at_psi @ laplacian @ vorticity).tocsr()
        self.vorticity_x, self.vorticity_y = at_psi @ x @ vorticity, at_psi @ y @ vorticity
        self.psi_x, self.psi_y = at_theta @ x @ from_psi, at_theta @ y @ from_psi
        self.laplacian = (at_theta @ laplacian @ from_theta).tocsr()
        self.theta_x, self.theta_y = at_theta @ x @ from_theta, at_theta @ y @ from_theta
        self.narrow = (at_psi @ from_theta).tocsr()

    def newton_step(self, rayleigh: float, prandtl: float, flow: Flow) -> tuple[Flow, float]:
        psi, theta = self.to_psi @ flow.psi.ravel(), self.to_theta @ flow.theta.ravel()
        narrow = self.narrow
        minus_v, u = self.psi_x @ psi, self.psi_y @ psi
        w_x, w_y = self.vorticity_x @ psi, self.vorticity_y @ psi
        t_x, t_y = self.theta_x @ theta - 1, self.theta_y @ theta
        buoyancy = rayleigh * (narrow @ self.theta_x)
        momentum = self.biharmonic @ psi - rayleigh * (narrow @ t_x) - (
            (narrow @ u) * w_x - (narrow @ minus_v) * w_y) / prandtl
        heat = self.laplacian @ theta - (u * t_x - minus_v * t_y)
        d = lambda v: sparse.diags_array(v, format="csr")
        jacobian = sparse.block_array([
            [self.biharmonic - (d(narrow @ u) @ self.vorticity_x - d(narrow @ minus_v) @ self.vorticity_y
              + d(w_x) @ narrow @ self.psi_y - d(w_y) @ narrow @ self.psi_x) / prandtl, -buoyancy],
            [d(t_y) @ self.psi_x - d(t_x) @ self.psi_y,
             self.laplacian - d(u) @ self.theta_x + d(minus_v) @ self.theta_y]], format="csc")
        step = -splu(jacobian, **LU).solve(np.concatenate([momentum, heat]))
        dpsi, dtheta = self.to_psi.T @ step[: psi.size], self.to_theta.T @ step[psi.size :]
        new = Flow(flow.psi + dpsi.reshape(flow.psi.shape), flow.theta + dtheta.reshape(flow.psi.shape))
        return new, float(np.linalg.norm(dpsi) / np.linalg.norm(new.psi))

LU = dict(permc_spec="MMD_AT_PLUS_A", options=dict(SymmetricMode=True))
differences = cache(Differences)


def prolonged(flow: Flow, n: int) -> Flow:
    old, new = (np.linspace(0, 1, m) for m in (flow.psi.shape[0], n))
    return Flow(*(RectBivariateSpline(old, old, f)(new, new) for f in flow))
