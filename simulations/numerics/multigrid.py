"""Conjugate gradients preconditioned by black-box multigrid, for diffusion with any coefficients.

The system is a network of conductances on a rectangular grid of any size: every point i is joined
to its four neighbours and to the ground,

    g_i u_i + Σ_j c_ij (u_i − u_j) = b_i,

which is what finite volumes make of −div(a grad u) + g u = b. Coarse grids keep every other point.
Interpolation follows the coefficients, so that fluxes stay continuous across jumps, and the coarse
matrices are Galerkin products (Alcouffe et al. 1981, Dendy 1982): the number of iterations hardly
depends on the size of the grid or of the jumps. What point smoothers on such grids cannot do is
strong anisotropy, be it of the conductances or of single-cell layers and random clusters with
contrasts of thousands; the iterations then grow to hundreds.

References:
    Alcouffe, Brandt, Dendy and Painter, SIAM Journal on Scientific and Statistical Computing 2
    (1981) 430; Dendy, Black box multigrid, Journal of Computational Physics 48 (1982) 366.
"""

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from simulations.compilation import kernel
from simulations.grid import Array
from simulations.numerics import planes

#: The V-cycle only preconditions. Single precision makes it faster and costs iterations only where
#: many islands conduct 10⁴ times better than what surrounds them.
COARSE = np.float32
#: Weight of the Jacobi smoother of the coarse grids.
DAMPING = COARSE(0.8)
#: Grids of at most so many points are solved directly.
DIRECT = 16

#: An array, so that one compiled function serves calls with and without a guess
NO_GUESS = np.empty((0, 0))

#: For functions that are called once: inlined before their types are inferred, they are not
#: compiled on their own, which saves a third of the time of the first call.
part = numba.njit(inline="always")


class Hierarchy(NamedTuple):
    """A matrix made ready for solving. Level 0 is the finest, which is scaled to a unit diagonal.

    Conductances are divided by ``unit``, so that nothing here depends on the units of the problem.
    """

    rows: NDArray[np.int64]  # of the grids 0 … levels
    cols: NDArray[np.int64]
    start: NDArray[np.int64]  # of the planes of level l in an array that has one plane a level
    unit: float
    diagonal: NDArray[np.float64]
    scale: NDArray[np.float64]  # diagonal^(-1/2)
    east: NDArray[np.float64]  # finest couplings to the next column and to the next row, scaled
    south: NDArray[np.float64]
    red_weights: NDArray[np.float32]  # interpolation from level 1 to the red points of level 0
    couplings: NDArray[np.float32]  # east, south, south-east, south-west of levels 1, 2, …
    relaxation: NDArray[np.float32]  # DAMPING / diagonal
    weights: NDArray[np.float32]  # interpolation from level l + 1 to level l = 1, 2, …
    coarsest_inverse: NDArray[np.float32]


def solve(
    east: Array,
    south: Array,
    ground: Array,
    b: Array,
    tolerance: float,
    max_iterations: int,
    guess: Array | None = None,
) -> tuple[Array, int, float]:
    """Solve ``g u + Σ c (u − u_neighbour) = b``.

    A guess counts with the multiple of it that is nearest to the solution in the norm of the
    matrix, √(v·Av): it is no worse than zero, which is what the iteration starts from without one.

    Args:
        east: conductances between (i, j) and (i, j+1), shape ``(ny, nx − 1)``, positive.
        south: conductances between (i, j) and (i+1, j), shape ``(ny − 1, nx)``, positive.
        ground: conductances to the ground, shape ``(ny, nx)``, ≥ 0 and somewhere positive.
        b: right-hand side, shape ``(ny, nx)``.
        tolerance: admissible relative residual ‖b − A u‖₂ / ‖b‖₂.
        max_iterations: after which to give up.
        guess: what the solution is thought to be, shape ``(ny, nx)``.

    Returns:
        The solution ``(ny, nx)``, the iterations made and the relative residual reached, which
        exceeds the tolerance (or is NaN) if the iteration failed.
    """
    start = NO_GUESS if guess is None else guess
    return _solve(east, south, ground, b, tolerance, max_iterations, start)


@kernel
def _solve(east, south, ground, b, tolerance, max_iterations, guess):
    rows, cols, start = _grids(ground.shape)
    # One block for everything large: the C library keeps it for the next call, while several
    # would go back to the system and cost more in page faults than the arithmetic
    fields = np.empty((11, 4 * start[1]))
    h = _build(east, south, ground, rows, cols, start, fields)
    return _iterate(h, b, tolerance, max_iterations, guess, fields[4:])


@part
def _build(east, south, ground, rows, cols, start, fields):
    """Make the hierarchy; it keeps the first four rows of ``fields`` and is done with the others.

    The first four are diagonal, scale, east and south of the finest level.
    """
    levels = rows.size - 1
    row, size = cols[1] + 2, start[1]
    diagonal, scale, e, s, none = fields[0], fields[1], fields[2], fields[3], fields[4]
    spare = fields[5:].reshape(24 * size)

    unit = 0.0
    for i in range(ground.shape[0]):
        for j in range(ground.shape[1]):
            unit = max(unit, ground[i, j])
    planes.fill(diagonal, 1.0)
    planes.fill(e, 0.0)
    planes.fill(s, 0.0)
    planes.fill(none, 0.0)
    planes.to_planes(ground, 0, 1 / unit, diagonal, row)
    planes.to_planes(east, 0, 1 / unit, e, row)
    planes.to_planes(south, 0, 1 / unit, s, row)
    planes.add_row_sums(e, s, diagonal, row, size)
    weights, coarse = planes.galerkin(diagonal, e, s, none, none, row, size, spare)
    for k in range(4 * size):
        scale[k] = 1 / np.sqrt(diagonal[k])
    planes.scale_to_unit_diagonal(e, s, scale, row, size)
    red_weights = np.empty((4, size), COARSE)
    for q in range(4):
        for k in range(size):
            red = k + (2 + q // 2) * size
            red_weights[q, k] = weights[q, k] * (diagonal[red] * scale[red])

    total = start[levels] - start[1]
    couplings = np.empty((4, 4 * total), COARSE)
    relaxation = np.empty(4 * total, COARSE)
    coarse_weights = np.empty(8 * total, COARSE)
    for level in range(1, levels):
        first, last = start[level] - start[1], start[level + 1] - start[1]
        row, size = cols[level + 1] + 2, last - first
        stencil = np.zeros((5, 4 * size))
        planes.fill(stencil[0], 1.0)
        for q in range(5):
            grid = coarse[q].reshape(rows[level] + 2, cols[level] + 2)
            planes.to_planes(grid, 1, 1.0, stencil[q], row)
        for k in range(4 * size):
            relaxation[4 * first + k] = DAMPING / stencil[0, k]
        for q in range(4):
            for k in range(4 * size):
                couplings[q, 4 * first + k] = stencil[q + 1, k]
        weights, coarse = planes.galerkin(
            stencil[0], stencil[1], stencil[2], stencil[3], stencil[4], row, size, spare
        )
        for q in range(8):
            for k in range(size):
                coarse_weights[8 * first + q * size + k] = weights[q, k]

    inverse = _inverse(coarse, rows[levels], cols[levels])
    return Hierarchy(
        rows,
        cols,
        start,
        unit,
        diagonal,
        scale,
        e,
        s,
        red_weights,
        couplings,
        relaxation,
        coarse_weights,
        inverse,
    )


@part
def _iterate(h, b, tolerance, max_iterations, guess, spare):
    """Conjugate gradients, preconditioned by one symmetric V-cycle.

    The preconditioner ends with a relaxation of the red points, so that their residual is zero
    throughout: the iteration runs on the black points alone, with the Schur complement of the red.
    """
    row, size = h.cols[1] + 2, h.start[1]
    e, s = h.east, h.south
    u = np.zeros(b.shape)
    squares = 0.0
    for i in range(b.shape[0]):
        for j in range(b.shape[1]):
            squares += b[i, j] * b[i, j]
    if squares == 0.0:
        return u, 0, 0.0
    norm = np.sqrt(squares)

    load, x, p, z = spare[0], spare[1], spare[2], spare[3]
    r, q = spare[4, : 2 * size], spare[4, 2 * size :]
    planes.fill(load, 0.0)
    planes.fill(x, 0.0)
    planes.fill(p, 0.0)
    planes.clear_ghost_rows(z, row, size)
    planes.clear_ghost_rows(r, row, size)
    planes.clear_ghost_rows(q, row, size)
    coarse = np.zeros(h.start[-1], COARSE)
    scratch = np.zeros((3, h.relaxation.size), COARSE)

    planes.to_planes(b, 0, 1 / norm, load, row)
    for k in range(4 * size):
        load[k] *= h.scale[k]
    planes.black_points(e, s, load, 1.0, load, r, row, size)
    rho = residual = 1.0
    iterations = 0
    if guess.size > 0:
        planes.to_planes(guess, 0, h.unit / norm, x, row)
        for k in range(2 * size):
            x[k] /= h.scale[k]
        planes.red_points(e, s, x, p, row, size)
        energy = planes.black_points(e, s, x, -1.0, p, q, row, size)
        work = 0.0
        for k in range(2 * size):
            work += x[k] * r[k]
        multiple = work / energy if energy > 0.0 else 0.0
        squares = 0.0
        for k in range(2 * size):
            x[k] *= multiple
            r[k] -= multiple * q[k]
            squares += h.diagonal[k] * (r[k] * r[k])
        residual = np.sqrt(squares)
    while residual > tolerance and iterations < max_iterations:
        iterations += 1
        # One V-cycle for z; relaxing the black points first makes them z = r
        planes.red_points(e, s, r, z, row, size)
        planes.restrict_red(h.red_weights, z, coarse, row, size)
        _cycle(h, coarse, scratch)
        planes.prolong_red(h.red_weights, coarse, z, row, size)
        rho_old = rho
        rho = planes.black_points(e, s, r, 1.0, z, z, row, size)

        beta = rho / rho_old if iterations > 1 else 0.0
        for k in range(2 * size):
            p[k] = z[k] + beta * p[k]
        planes.red_points(e, s, p, p, row, size)
        alpha = rho / planes.black_points(e, s, p, -1.0, p, q, row, size)
        squares = 0.0
        for k in range(2 * size):
            x[k] += alpha * p[k]
            r[k] -= alpha * q[k]
            squares += h.diagonal[k] * (r[k] * r[k])
        residual = np.sqrt(squares)

    planes.red_points(e, s, x, x, row, size)
    for k in range(2 * size, 4 * size):
        x[k] += load[k]
    for k in range(4 * size):
        x[k] *= h.scale[k]
    planes.from_planes(x, norm / h.unit, u, 0, row)
    return u, iterations, residual


@part
def _grids(shape):
    """Rows and columns of the grids, and where the planes of each level start."""
    rows, cols, start = [shape[0]], [shape[1]], [0]
    while len(rows) == 1 or rows[-1] * cols[-1] > DIRECT:
        rows.append((rows[-1] + 1) // 2)
        cols.append((cols[-1] + 1) // 2)
        start.append(start[-1] + (rows[-1] + 2) * (cols[-1] + 2))
    return np.array(rows), np.array(cols), np.array(start)


@part
def _cycle(h, coarse, scratch):
    """One V-cycle of the levels 1, 2, …, in place: ``coarse`` holds a residual, then a correction.

    Where the planes of level l start, ``coarse`` has the points of level l + 1 in rows.
    """
    r, x, t = scratch[0], scratch[1], scratch[2]
    e, s, se, sw = h.couplings[0], h.couplings[1], h.couplings[2], h.couplings[3]
    levels = h.rows.size - 1
    keep = COARSE(1) - DAMPING
    for level in range(1, levels):
        first, last = h.start[level] - h.start[1], h.start[level + 1] - h.start[1]
        row, size = h.cols[level + 1] + 2, last - first
        grid = coarse[h.start[level - 1] : h.start[level]]
        grid = grid.reshape(h.rows[level] + 2, h.cols[level] + 2)
        planes.to_planes(grid, 1, COARSE(1), r[4 * first : 4 * last], row)
        for k in range(4 * first, 4 * last):
            x[k] = h.relaxation[k] * r[k]
        planes.neighbours(e, s, se, sw, x, t, 4 * first, row, size)
        for k in range(4 * first, 4 * last):
            t[k] += keep * r[k]
        planes.restrict(
            h.weights[8 * first : 8 * last].reshape(8, size),
            t[4 * first : 4 * last],
            coarse[h.start[level] : h.start[level + 1]],
            row,
        )

    _solve_coarsest(h.coarsest_inverse, coarse[h.start[levels - 1] :], h.cols[levels])

    for level in range(levels - 1, 0, -1):
        first, last = h.start[level] - h.start[1], h.start[level + 1] - h.start[1]
        row, size = h.cols[level + 1] + 2, last - first
        planes.add_prolonged(
            h.weights[8 * first : 8 * last].reshape(8, size),
            coarse[h.start[level] : h.start[level + 1]],
            x[4 * first : 4 * last],
            row,
        )
        planes.neighbours(e, s, se, sw, x, t, 4 * first, row, size)
        for k in range(4 * first, 4 * last):
            t[k] = keep * x[k] + h.relaxation[k] * (r[k] + t[k])
        grid = coarse[h.start[level - 1] : h.start[level]]
        grid = grid.reshape(h.rows[level] + 2, h.cols[level] + 2)
        planes.from_planes(t[4 * first : 4 * last], COARSE(1), grid, 1, row)


@part
def _solve_coarsest(inverse, coarse, nx):
    """Replace the right-hand side on the coarsest grid, stored with ghosts, by the solution."""
    n = inverse.shape[0]
    b = np.empty(n, COARSE)
    for i in range(n):
        b[i] = coarse[(i // nx + 1) * (nx + 2) + i % nx + 1]
    for i in range(n):
        value = COARSE(0)
        for j in range(n):
            value += inverse[i, j] * b[j]
        coarse[(i // nx + 1) * (nx + 2) + i % nx + 1] = value


@part
def _inverse(coarse, ny, nx):
    """Inverse of the matrix of the coarsest grid, by Gauss–Jordan elimination."""
    n = ny * nx
    matrix = np.zeros((n, n))
    for i in range(ny):
        for j in range(nx):
            m, k = i * nx + j, (i + 1) * (nx + 2) + j + 1
            matrix[m, m] = coarse[0, k]
            if j + 1 < nx:
                matrix[m, m + 1] = matrix[m + 1, m] = -coarse[1, k]
            if i + 1 < ny:
                matrix[m, m + nx] = matrix[m + nx, m] = -coarse[2, k]
            if i + 1 < ny and j + 1 < nx:
                matrix[m, m + nx + 1] = matrix[m + nx + 1, m] = -coarse[3, k]
            if i + 1 < ny and j > 0:
                matrix[m, m + nx - 1] = matrix[m + nx - 1, m] = -coarse[4, k]
    for p in range(n):
        pivot = 1 / matrix[p, p]
        matrix[p, p] = 1.0
        for j in range(n):
            matrix[p, j] *= pivot
        for i in range(n):
            if i != p:
                factor = matrix[i, p]
                matrix[i, p] = 0.0
                for j in range(n):
                    matrix[i, j] -= factor * matrix[p, j]
    return matrix.astype(COARSE)
