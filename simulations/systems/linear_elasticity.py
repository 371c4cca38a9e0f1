"""Linear elasticity: the stress in a plate with a hole, and how much the hole raises it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
import scipy.sparse
from scipy.sparse.linalg import splu

from simulations.grid import Axis, Grid
from simulations.numerics.spectral_elements import Elements
from simulations.simulation import (
    Array,
    Field,
    Inputs,
    Parameter,
    Showcase,
    Simulation,
    Solution,
    check_setting,
)

#: Elements between hole and edge. Stress decays like r⁻² and r⁻⁴: exponentials of their coordinate.
LAYERS = 2
#: Elements are no longer in θ than this; the corner is at an end of one.
LONGEST = np.pi / 4 + 1e-9
#: Angles at which the hoop stress of the rim is searched for its maximum.
RIM = np.linspace(0.0, np.pi / 2, 181)


@dataclass(frozen=True)
class LinearElasticity(Simulation):
    """Plane stress in a rectangular plate with a circular hole in the middle, under tension.

        ∇·σ = 0,    σ = E/(1−ν²) [(1−ν) ε + ν (tr ε) 1],    ε = (∇u + ∇uᵀ)/2

    The sides x = ±aspect carry the normal traction ``tension``, the sides y = ±1 m that times
    ``biaxiality``; the rim of the hole is free. As the plate is symmetric, a quarter of it is
    solved for and given. Displacement is proportional to tension/modulus and stress to tension,
    so that these two are settings; stress does not depend on ν (Michell).

    The grid follows the plate: its axes are ``radial``, s = 0 on the rim and 1 on the sides, and
    ``angular``, the polar angle θ in [0, π/2]. A point lies at the distance

        r = radius^(1−s) R(θ)^s    with R = min(aspect/cos θ, 1/sin θ)

    from the middle (`positions` returns x and y). The components of displacement and stress are
    those along r and θ. Where θ points to the corner, fields have a kink in θ towards s = 1.

    Spectral elements, isoparametric, two between rim and side; sparse LU factorisation. Around the
    hole the solution is a sum of exponentials of s, and errors fall tenfold with each degree. Those
    of the corners of the plate, where stress has a weak singularity, fall slowly: by the default
    degree the relative L2 error is 1e-5 in displacement and 1e-4 in stress (at a radius of 0.7 m,
    4e-4), that of the concentration 1e-5.

    Args:
        n: intervals of the grid along each axis.
        degree: degree of the elements.
        aspect: length of the plate over its width, which is 2 m.
        tension: normal stress on the sides x = ±aspect in Pa.
        modulus: Young's modulus E in Pa.

    References:
        Kirsch, Zeitschrift des Vereines deutscher Ingenieure 42 (1898) 797: the infinite plate.
        Howland, Philosophical Transactions of the Royal Society A 229 (1930) 49: the long strip.
    """

    n: int = 48
    degree: int = 8
    aspect: float = 1.0
    tension: float = 1.0
    modulus: float = 1.0

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "radius": Parameter("radius of the hole", "m", (0.01, 0.9), (0.1, 0.6)),
        "poisson_ratio": Parameter("Poisson's ratio", "1", (0.0, 0.5), (0.2, 0.45)),
        "biaxiality": Parameter("tension along y over tension along x", "1", (-1.0, 1.0), (-1, 1)),
    }
    fields: ClassVar[Mapping[str, Field]] = {
        "displacement": Field("displacement", "m", order=1),
        "stress": Field("stress", "Pa", order=2),
        "von_mises": Field("equivalent stress of von Mises", "Pa"),
        "concentration": Field("largest hoop stress of the rim over tension", "1", spatial=False),
        "energy": Field("strain energy of the quarter per thickness", "J m-1", spatial=False),
    }
    showcase: ClassVar[Showcase] = Showcase(
        inputs={"radius": 0.3, "poisson_ratio": 0.3, "biaxiality": 0.0}, field="von_mises"
    )

    def __post_init__(self) -> None:
        check_setting("n", self.n, 4, 4096, integer=True)
        check_setting("degree", self.degree, 2, 32, integer=True)
        check_setting("aspect", self.aspect, 1.0, 10.0)
        check_setting("tension", self.tension, 1e-12, 1e12)
        check_setting("modulus", self.modulus, 1e-12, 1e15)

    @cached_property
    def grid(self) -> Grid:
        s, theta = np.linspace(0.0, 1.0, self.n + 1), np.linspace(0.0, np.pi / 2, self.n + 1)
        return Grid(
            (Axis("radial", s, (0.0, 1.0)), Axis("angular", theta, (0.0, np.pi / 2), "radian"))
        )

    @cached_property
    def times(self) -> Array:
        return np.zeros(1)

    @cached_property
    def _mesh(self) -> "PlateMesh":
        return PlateMesh(self.degree, self.aspect)

    def positions(self, radius: float) -> tuple[Array, Array]:
        """Coordinates x and y of the points of the grid in m."""
        return _positions(radius, self.aspect, *(axis.points for axis in self.grid.axes))

    def solve(self, inputs: Inputs) -> Solution:
        far = np.array([1.0, float(inputs["biaxiality"]), 0.0])[:, None]
        plate = QuarterPlate(self._mesh, float(inputs["radius"]), float(inputs["poisson_ratio"]))
        load = plate.load(far)
        u = plate.displacement(load)
        s, theta = (axis.points for axis in self.grid.axes)
        displacement, stress = plate.evaluated(u, s, theta)
        _, rim = plate.evaluated(u, np.zeros(1), RIM)
        rr, tt, rt = stress[..., 0, 0], stress[..., 1, 1], stress[..., 0, 1]
        von_mises = np.sqrt(rr**2 - rr * tt + tt**2 + 3 * rt**2)
        stretch = self.tension / self.modulus
        return {
            "displacement": stretch * displacement[None],
            "stress": self.tension * stress[None],
            "von_mises": self.tension * von_mises[None],
            "concentration": rim[..., 1, 1].max(keepdims=True)[0],
            "energy": np.array([0.5 * self.tension * stretch * np.sum(load * u)]),
        }

    def rescaled(self, factor: float) -> Self:
        return replace(self, n=round(self.n * factor), degree=round(self.degree * factor))

    def coarsened(self) -> Iterator[Self]:
        """Lower degrees; the grid costs next to nothing."""
        for degree in (16, 12, 10, 8, 7, 6, 5, 4, 3, 2):
            if degree < self.degree:
                yield replace(self, degree=degree)

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """Largest traction on the free rim over the largest stress: zero but for the error."""
        stress = np.abs(solution["stress"])
        return {"rim_traction": stress[:, 0, :, 0].max(axis=(1, 2)) / stress.max(axis=(1, 2, 3, 4))}


def _positions(radius: float, aspect: float, s: Array, theta: Array) -> tuple[Array, Array]:
    """Where the points with these coordinates lie, as two arrays ``(len(s), len(theta))``."""
    cosine, sine = np.cos(theta), np.sin(theta)
    side = 1.0 / np.maximum(cosine / aspect, sine)
    r = radius ** (1.0 - s[:, None]) * side ** s[:, None]
    return r * cosine, r * sine


class PlateMesh:
    """Spectral elements of the unit square of s and θ, and what does not depend on the hole."""

    def __init__(self, degree: int, aspect: float) -> None:
        corner = float(np.arctan2(1.0, aspect))
        below, above = (
            np.linspace(low, high, 1 + int(np.ceil((high - low) / LONGEST)))
            for low, high in ((0.0, corner), (corner, np.pi / 2))
        )
        self.aspect = aspect
        self.s = Elements(np.linspace(0.0, 1.0, 1 + LAYERS), degree)
        self.theta = Elements(np.concatenate([below, above[1:]]), degree)
        self.along_s = scipy.sparse.kron(self.s.gradient, self.theta.gather, "csr")
        self.along_theta = scipy.sparse.kron(self.s.gather, self.theta.gradient, "csr")
        self.weights = np.kron(self.s.weights, self.theta.weights)
        self.shape = (self.s.nodes.size, self.theta.nodes.size)
        is_free = np.ones((2, *self.shape), dtype=bool)
        is_free[0, :, -1] = is_free[1, :, 0] = False  # u_x = 0 on x = 0, u_y = 0 on y = 0
        self.free = np.flatnonzero(is_free)


class QuarterPlate:
    """The quarter of a plate with modulus 1, under given tractions on its sides.

    Vectors are ``(2, nodes in s, nodes in θ)``, stresses at points are σ_xx, σ_yy, σ_xy.
    """

    def __init__(self, mesh: PlateMesh, radius: float, poisson_ratio: float) -> None:
        self.mesh = mesh
        self.xy = np.array(_positions(radius, mesh.aspect, mesh.s.nodes, mesh.theta.nodes))
        nu = poisson_ratio
        self.stiffness = np.array([[1, nu, 0], [nu, 1, 0], [0, 0, (1 - nu) / 2]]) / (1 - nu**2)

    def load(self, stress: Array, row: int = -1) -> Array:
        """Nodal forces of the tractions of a stress ``(3, points in θ or 1)`` on the sides.

        Or on another line of nodes along θ; the normal is that away from the hole.
        """
        theta = self.mesh.theta
        x_theta, y_theta = (theta.gradient @ line for line in self.xy[:, row])
        xx, yy, xy = stress
        forces = np.array([xx * y_theta - xy * x_theta, xy * y_theta - yy * x_theta])
        load = np.zeros((2, *self.mesh.shape))
        load[:, row] = (theta.gather.T @ (theta.weights * forces).T).T
        return load

    def displacement(self, load: Array) -> Array:
        """The displacement at which internal and external virtual work are equal."""
        mesh = self.mesh
        x, y = self.xy.reshape(2, -1)
        x_s, y_s = mesh.along_s @ x, mesh.along_s @ y
        x_theta, y_theta = mesh.along_theta @ x, mesh.along_theta @ y
        area = x_s * y_theta - x_theta * y_s
        scaled = scipy.sparse.diags_array
        root = np.sqrt(mesh.weights / area)  # that of weights · area, over area
        dx = scaled(root * y_theta) @ mesh.along_s - scaled(root * y_s) @ mesh.along_theta
        dy = scaled(root * x_s) @ mesh.along_theta - scaled(root * x_theta) @ mesh.along_s
        xx, xy, yy = dx.T @ dx, dx.T @ dy, dy.T @ dy
        (c, c_nu, _), _, (*_, shear) = self.stiffness
        coupling = c_nu * xy + shear * xy.T
        matrix = scipy.sparse.block_array(
            [[c * xx + shear * yy, coupling], [coupling.T, c * yy + shear * xx]], format="csr"
        )[mesh.free][:, mesh.free]
        u: Array = np.zeros(load.size)
        factors = splu(matrix.tocsc(), "MMD_AT_PLUS_A", options={"SymmetricMode": True})
        u[mesh.free] = factors.solve(load.ravel()[mesh.free])
        return u.reshape(load.shape)

    def evaluated(self, u: Array, s: Array, theta: Array) -> tuple[Array, Array]:
        """Displacement and stress at any points, in components along r and θ."""
        rows, columns = self.mesh.s, self.mesh.theta
        at_s, at_theta = rows.values_at(s), columns.values_at(theta).T
        slope_s, slope_theta = rows.slopes_at(s), columns.slopes_at(theta).T
        fields = np.concatenate([self.xy, u])
        x_s, y_s, ux_s, uy_s = slope_s @ fields @ at_theta
        x_theta, y_theta, ux_theta, uy_theta = at_s @ fields @ slope_theta
        area = x_s * y_theta - x_theta * y_s
        ux_x, uy_x = (
            y_theta * f_s - y_s * f_t for f_s, f_t in ((ux_s, ux_theta), (uy_s, uy_theta))
        )
        ux_y, uy_y = (
            x_s * f_t - x_theta * f_s for f_s, f_t in ((ux_s, ux_theta), (uy_s, uy_theta))
        )
        strain = np.array([ux_x, uy_y, ux_y + uy_x]) / area
        xx, yy, xy = np.tensordot(self.stiffness, strain, 1)
        cosine, sine = np.cos(theta), np.sin(theta)
        turn = np.array([[cosine, sine], [-sine, cosine]])  # from x, y to r, θ
        cartesian = np.array([[xx, xy], [xy, yy]])
        stress = np.einsum("ikt,klst,jlt->stij", turn, cartesian, turn)
        displacement = np.einsum("ikt,kst->sti", turn, at_s @ u @ at_theta)
        return displacement, stress
