"""Spectral elements along an axis: continuous functions that are polynomials on each element.

The nodes of an element are Gauss-Lobatto points, those on its ends shared with its neighbours.
Integrals are sums over the same points: exact for polynomials of degree 2p − 1, which costs no
accuracy in elliptic problems and makes the mass matrix diagonal. In two dimensions operators are
Kronecker products of those of the axes; a mapped domain enters through its metric at the points.

References:
    Deville, Fischer and Mund, High-order methods for incompressible fluid flow (2002), chapters
    2 to 4.
"""

from functools import cache, cached_property

import numpy as np
import scipy.sparse
from numpy.polynomial import legendre
from numpy.typing import NDArray

Vector = NDArray[np.floating]
Matrix = NDArray[np.floating]


@cache
def gauss_lobatto(degree: int) -> tuple[Vector, Vector]:
    """The ``degree + 1`` Gauss-Lobatto-Legendre nodes of [−1, 1] and their quadrature weights."""
    polynomial = np.zeros(degree + 1)
    polynomial[degree] = 1.0
    inner = legendre.legroots(legendre.legder(polynomial))
    nodes = np.concatenate([[-1.0], np.sort(inner.real), [1.0]])
    nodes = 0.5 * (nodes - nodes[::-1])  # the symmetry that rounding has taken
    return nodes, 2.0 / (degree * (degree + 1) * legendre.legval(nodes, polynomial) ** 2)


@cache
def _differentiation(degree: int) -> Matrix:
    """Matrix of the derivative of the polynomial through values at the Gauss-Lobatto nodes."""
    nodes, _ = gauss_lobatto(degree)
    weights = _barycentric_weights(nodes)
    matrix = weights / weights[:, None] / (nodes[:, None] - nodes + np.eye(degree + 1))
    np.fill_diagonal(matrix, 0.0)
    return matrix - np.diag(matrix.sum(axis=1))


def _barycentric_weights(nodes: Vector) -> Vector:
    weights: Vector = 1.0 / (nodes[:, None] - nodes + np.eye(nodes.size)).prod(axis=1)
    return weights


def _interpolation(degree: int, points: Vector) -> Matrix:
    """Matrix ``(len(points), degree + 1)`` from values at the nodes to values at ``points``."""
    nodes, _ = gauss_lobatto(degree)
    difference = points[:, None] - nodes
    hit = np.abs(difference) < 1e-14
    terms = _barycentric_weights(nodes) / np.where(hit, 1.0, difference)
    matrix = terms / terms.sum(axis=1, keepdims=True)
    return np.where(hit.any(axis=1, keepdims=True), hit, matrix)


class Elements:
    """A row of elements.

    Args:
        edges: ends of the elements, ascending, shape ``(elements + 1,)``.
        degree: degree p of the polynomials.

    Attributes:
        nodes: coordinates of the unknowns, ``(elements · p + 1,)``.
        points: quadrature points, those at an inner edge twice, ``(elements · (p + 1),)``.
        weights: quadrature weights of the points.
        gather: sparse matrix from values at the nodes to values at the points.
        gradient: sparse matrix from values at the nodes to derivatives at the points.
    """

    def __init__(self, edges: Vector, degree: int) -> None:
        self.edges, self.degree = edges, degree
        reference, weights = gauss_lobatto(degree)
        lengths = np.diff(edges)
        self._members = degree * np.arange(lengths.size)[:, None] + np.arange(degree + 1)
        inside = edges[:-1, None] + 0.5 * lengths[:, None] * (reference + 1.0)
        inside[:, -1] = edges[1:]
        self.points = inside.ravel()
        self.nodes = np.append(inside[:, :-1].ravel(), edges[-1])
        self.weights = np.outer(0.5 * lengths, weights).ravel()
        self.shape = (self.points.size, self.nodes.size)

    @cached_property
    def gather(self) -> scipy.sparse.csr_array:
        rows = np.arange(self.points.size)
        return scipy.sparse.csr_array(
            (np.ones(rows.size), (rows, self._members.ravel())), shape=self.shape
        )

    @cached_property
    def gradient(self) -> scipy.sparse.csr_array:
        values = _differentiation(self.degree) * (2.0 / np.diff(self.edges))[:, None, None]
        size = self.degree + 1
        rows = np.repeat(np.arange(self.points.size), size)
        columns = np.repeat(self._members, size, axis=0).ravel()
        return scipy.sparse.csr_array((values.ravel(), (rows, columns)), shape=self.shape)

    def values_at(self, points: Vector) -> Matrix:
        """Matrix ``(len(points), nodes)`` that evaluates a function at any points."""
        return self._evaluated(points, np.eye(self.degree + 1))

    def slopes_at(self, points: Vector) -> Matrix:
        """The same for the derivative; at an inner edge, that of the element above."""
        return self._evaluated(points, 2.0 * _differentiation(self.degree), power=1)

    def _evaluated(self, points: Vector, operator: Matrix, power: int = 0) -> Matrix:
        element = np.searchsorted(self.edges, points, side="right") - 1
        element = np.clip(element, 0, self.edges.size - 2)
        length = np.diff(self.edges)[element]
        local = 2.0 * (points - self.edges[element]) / length - 1.0
        matrix = np.zeros((points.size, self.nodes.size))
        values = _interpolation(self.degree, local) @ operator / length[:, None] ** power
        np.put_along_axis(matrix, self._members[element], values, axis=1)
        return matrix
