"""Flow in the corner between a resting wall and one that slides away from it, where u jumps.

Close to the corner the streamfunction of a steady flow with viscosity 1/Re is

    ψ = r f₁(θ) + Re r² f₂(θ) + …,    Δ² r f₁ = 0,    Δ² r² f₂ = u₁·∇Δ r f₁

with the distance r from the corner and the angle θ from the sliding wall, u₁ being the velocity of
the first term. No polynomial comes near it: its vorticity grows as 1/r. Subtracting both terms
leaves something smooth enough for a spectral method.

References:
    Taylor, in Miszellaneen der Angewandten Mechanik (1962) 313: the first term.
    Botella and Peyret, Computers & Fluids 27 (1998) 421: both, subtracted in a driven cavity.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from typing import NamedTuple

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import NDArray

Array = NDArray[np.floating]

#: Falls from 1 to 0 over the unit interval, with three vanishing derivatives at either end
FALLING = Polynomial([1, 0, 0, 0, -35, 84, -70, 20])
FALLING_SLOPE, FALLING_CURVATURE = FALLING.deriv(), FALLING.deriv(2)


class Stream(NamedTuple):
    """A streamfunction, its first derivatives and its Laplacian."""

    psi: Array
    x: Array
    y: Array
    laplacian: Array


@dataclass(frozen=True)
class Angular:
    """``a(θ) + p(θ) cos mθ + q(θ) sin mθ`` with polynomials a, p and q."""

    m: int
    a: Polynomial
    p: Polynomial
    q: Polynomial

    @classmethod
    def of(cls, m: int, a: list[float], p: list[float], q: list[float]) -> "Angular":
        return cls(m, Polynomial(a), Polynomial(p), Polynomial(q))

    def __call__(self, theta: Array | float) -> Array:
        cosine, sine = np.cos(self.m * theta), np.sin(self.m * theta)
        return self.a(theta) + self.p(theta) * cosine + self.q(theta) * sine

    @cached_property
    def derivative(self) -> "Angular":
        p, q = self.p.deriv() + self.m * self.q, self.q.deriv() - self.m * self.p
        return Angular(self.m, self.a.deriv(), p, q)

    def clamps(self) -> list[float]:
        """Value and slope at both walls, θ = 0 and θ = π/2."""
        return [float(f(wall)) for wall in (0.0, np.pi / 2) for f in (self, self.derivative)]


@cache
def angular_parts() -> tuple[Angular, Angular]:
    """f₁ with f₁'(0) = −1, a sliding speed of 1, and f₂, which is clamped at both walls.

    f₁ = b sin θ + cθ cos θ + dθ sin θ. With it, the vorticity of r² f₂ is g₂ = f₂'' + 4f₂ and
    g₂'' = (f₁(f₁ + f₁''))', whose integral is α cos 2θ + β sin 2θ + γθ cos 2θ + δθ sin 2θ + εθ and
    what the clamps fix.
    """
    c = 1 / (np.pi**2 / 4 - 1)
    b, d = -c * np.pi**2 / 4, c * np.pi / 2
    alpha, beta = d * (c - b) / 2, (2 * b * c + d * d - c * c) / 4
    gamma, delta, epsilon = (c * c - d * d) / 2, c * d, -b * c
    q2, p2 = gamma / 8, -delta / 8
    q1, p1 = (alpha - 2 * p2) / 4, (2 * q2 - beta) / 4
    forced = Angular.of(2, [0, epsilon / 4], [0, p1, p2], [0, q1, q2])
    free = [
        Angular.of(2, [1], [0], [0]),
        Angular.of(2, [0, 1], [0], [0]),
        Angular.of(2, [0], [1], [0]),
        Angular.of(2, [0], [0], [1]),
    ]
    matrix = np.array([f.clamps() for f in free]).T
    s = np.linalg.solve(matrix, -np.array(forced.clamps()))
    second = Angular.of(2, [s[0], s[1] + epsilon / 4], [s[2], p1, p2], [s[3], q1, q2])
    return Angular.of(1, [0], [0, c], [b, d]), second


def corner_flow(term: int, x: Array, y: Array) -> Stream:
    """The first (``term=1``) or second term in the corner x = 0, y = 1, y = 1 sliding along +x."""
    f = angular_parts()[term - 1]
    slope, curvature = f.derivative, f.derivative.derivative
    r, theta = np.hypot(x, 1 - y), np.arctan2(1 - y, x)
    cosine, sine = np.cos(theta), np.sin(theta)
    value, along = f(theta), slope(theta)
    scale = r ** (term - 1)
    return Stream(
        r**term * value,
        scale * (term * cosine * value - sine * along),
        -scale * (term * sine * value + cosine * along),
        r ** (term - 2.0) * (term**2 * value + curvature(theta)),
    )


def confined(s: Stream, x: Array, y: Array) -> Stream:
    """A `corner_flow` times a polynomial that is 1 in the corner and clamps it at x = 1 and y = 0.

    Close to the corner it is 1 − O(r⁴), which leaves the singularity as it is. Where two corners
    share the sliding wall, the speeds that their first terms leave to it add up to 1 everywhere.
    """
    a, ax, axx = FALLING(x), FALLING_SLOPE(x), FALLING_CURVATURE(x)
    b, by, byy = FALLING(1 - y), -FALLING_SLOPE(1 - y), FALLING_CURVATURE(1 - y)
    return Stream(
        s.psi * a * b,
        s.x * a * b + s.psi * ax * b,
        s.y * a * b + s.psi * a * by,
        s.laplacian * a * b + 2 * (s.x * ax * b + s.y * a * by) + s.psi * (axx * b + a * byy),
    )


def mirrored(stream: Stream, parity: int) -> Stream:
    """``±ψ(1 − x, y)`` from what ψ is at the mirrored points."""
    return Stream(
        parity * stream.psi, -parity * stream.x, parity * stream.y, parity * stream.laplacian
    )
