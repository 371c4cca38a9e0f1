"""Nine-point stencils on a grid that is stored as four planes, for multigrid.

A grid is kept by the parity of row and column as four planes,

    a = (even, even)   b = (odd, odd)   c = (even, odd)   d = (odd, even),

one after the other in a flat array. Plane a is the next coarser grid; a and b are the black points
of a checkerboard, c and d the red ones. A plane of ``size`` values has ``row`` values in a row, the
first and the last of which are ghosts, and a row of ghosts above and below. All planes and the
coarser grid have the same shape, so that smoothing and transfer are loops over one flat index with
constant offsets, which vectorise even if rows are short. Couplings to and between ghosts are zero:
the loops need not know where a row ends.

A symmetric matrix is given by its diagonal and by the couplings −A_ij ≥ 0 of each point to the next
ones: east ``e``, south ``s``, south-east ``se`` and south-west ``sw``. Interpolation P has eight
weights a coarse point k, in the order west, east (of the point c east of k, from its two coarse
neighbours), north, south (of the point d south of k) and north-west, north-east, south-west,
south-east (of the point b between k and three others).

Indices are unsigned because Numba tests signed ones for being negative, which prevents
vectorisation; for the same reason there is one loop for each of several outputs: LLVM gives up
when it would have to test too many pairs of arrays for overlap.
"""

import numpy as np

from simulations.compilation import kernel

ONE = np.uint64(1)


@kernel
def fill(values, value):
    for k in range(values.size):
        values[k] = value


@kernel
def clear_ghost_rows(planes, row, size):
    """Zero what the loops over a plane do not reach."""
    for first in range(0, planes.size, size):
        for k in range(row + 1):
            planes[first + k] = 0.0
            planes[first + size - 1 - k] = 0.0


@kernel
def _plane_rows(planes, i, row):
    """The even and the odd columns of grid row i, as views."""
    size = planes.size // 4
    first = (i // 2 + 1) * row + 1
    if i & 1:
        even, odd = first + 3 * size, first + size
    else:
        even, odd = first, first + 2 * size
    return planes[even : even + row - 2], planes[odd : odd + row - 2]


@kernel
def to_planes(grid, ghosts, factor, planes, row):
    """Scatter ``factor · grid`` into the four planes; ``ghosts`` is the width of the grid's rim."""
    ny, nx = grid.shape[0] - 2 * ghosts, grid.shape[1] - 2 * ghosts
    for i in range(ny):
        points = grid[i + ghosts, ghosts : ghosts + nx]
        even, odd = _plane_rows(planes, i, row)
        for j in range(nx // 2):
            even[j] = factor * points[2 * j]
            odd[j] = factor * points[2 * j + 1]
        if nx & 1:
            even[nx // 2] = factor * points[nx - 1]


@kernel
def from_planes(planes, factor, grid, ghosts, row):
    """Gather ``factor · planes`` into a grid, the inverse of `to_planes`."""
    ny, nx = grid.shape[0] - 2 * ghosts, grid.shape[1] - 2 * ghosts
    for i in range(ny):
        points = grid[i + ghosts, ghosts : ghosts + nx]
        even, odd = _plane_rows(planes, i, row)
        for j in range(nx // 2):
            points[2 * j] = factor * even[j]
            points[2 * j + 1] = factor * odd[j]
        if nx & 1:
            points[nx - 1] = factor * even[nx // 2]


@kernel
def add_row_sums(e, s, diagonal, row, size):
    """Add the conductances to the four neighbours to the diagonal."""
    row, size = np.uint64(row), np.uint64(size)
    for k in range(row + ONE, size - row - ONE):
        a = k
        b = a + size
        c = b + size
        d = c + size
        diagonal[a] += e[a] + e[c - ONE] + s[a] + s[d - row]
        diagonal[b] += e[b] + e[d] + s[b] + s[c]
        diagonal[c] += e[c] + e[a] + s[c] + s[b - row]
        diagonal[d] += e[d] + e[b - ONE] + s[d] + s[a]


@kernel
def scale_to_unit_diagonal(e, s, scale, row, size):
    row, size = np.uint64(row), np.uint64(size)
    for k in range(row + ONE, size - row - ONE):
        a = k
        b = a + size
        c = b + size
        d = c + size
        e[a] *= scale[a] * scale[c]
        e[b] *= scale[b] * scale[d + ONE]
        e[c] *= scale[c] * scale[a + ONE]
        e[d] *= scale[d] * scale[b]
        s[a] *= scale[a] * scale[d]
        s[b] *= scale[b] * scale[c + row]
        s[c] *= scale[c] * scale[b]
        s[d] *= scale[d] * scale[a + row]


@kernel
def red_points(e, s, x, out, row, size):
    """``out = Σ coupling · x`` at the red points, from the black ones."""
    row, size = np.uint64(row), np.uint64(size)
    for k in range(row + ONE, size - row - ONE):
        a = k
        b = a + size
        c = b + size
        out[c] = (e[c] * x[a + ONE] + e[a] * x[a]) + (s[c] * x[b] + s[b - row] * x[b - row])
    for k in range(row + ONE, size - row - ONE):
        a = k
        b = a + size
        d = b + size + size
        out[d] = (e[d] * x[b] + e[b - ONE] * x[b - ONE]) + (s[d] * x[a + row] + s[a] * x[a])


@kernel
def black_points(e, s, x, sign, red, out, row, size):
    """``out = x ± Σ coupling · red`` at the black points; returns the dot product of out and x."""
    row, size = np.uint64(row), np.uint64(size)
    dot = 0.0
    for k in range(row + ONE, size - row - ONE):
        a = k
        c = a + size + size
        d = c + size
        neighbours = (e[a] * red[c] + e[c - ONE] * red[c - ONE]) + (
            s[a] * red[d] + s[d - row] * red[d - row]
        )
        value = x[a] + sign * neighbours
        dot += value * x[a]
        out[a] = value
    for k in range(row + ONE, size - row - ONE):
        b = k + size
        c = b + size
        d = c + size
        neighbours = (e[b] * red[d + ONE] + e[d] * red[d]) + (s[b] * red[c + row] + s[c] * red[c])
        value = x[b] + sign * neighbours
        dot += value * x[b]
        out[b] = value
    return dot


@kernel
def restrict_red(w, x, coarse, row, size):
    """``coarse = Pᵀ x`` for a vector x that is zero at the black points."""
    row, size = np.uint64(row), np.uint64(size)
    west, east, north, south = w[0], w[1], w[2], w[3]
    for k in range(row + ONE, size - row - ONE):
        c = k + size + size
        d = c + size
        coarse[k] = (west[k] * x[c] + east[k - ONE] * x[c - ONE]) + (
            north[k] * x[d] + south[k - row] * x[d - row]
        )


@kernel
def prolong_red(w, coarse, x, row, size):
    """``x = P coarse`` at the red points."""
    row, size = np.uint64(row), np.uint64(size)
    west, east, north, south = w[0], w[1], w[2], w[3]
    for k in range(row + ONE, size - row - ONE):
        x[k + size + size] = west[k] * coarse[k] + east[k] * coarse[k + ONE]
    for k in range(row + ONE, size - row - ONE):
        x[k + size + size + size] = north[k] * coarse[k] + south[k] * coarse[k + row]


@kernel
def neighbours(e, s, se, sw, x, out, first, row, size):
    """``out = Σ coupling · x`` over the eight neighbours of every point of a level."""
    first, row, size = np.uint64(first), np.uint64(row), np.uint64(size)
    # One loop a plane: with four stores LLVM would need too many overlap tests to vectorise
    for k in range(first + row + ONE, first + size - row - ONE):
        a = k
        b = a + size
        c = b + size
        d = c + size
        out[a] = (
            (e[a] * x[c] + e[c - ONE] * x[c - ONE])
            + (s[a] * x[d] + s[d - row] * x[d - row])
            + (se[a] * x[b] + se[b - row - ONE] * x[b - row - ONE])
            + (sw[a] * x[b - ONE] + sw[b - row] * x[b - row])
        )
    for k in range(first + row + ONE, first + size - row - ONE):
        a = k
        b = a + size
        c = b + size
        d = c + size
        out[b] = (
            (e[b] * x[d + ONE] + e[d] * x[d])
            + (s[b] * x[c + row] + s[c] * x[c])
            + (se[b] * x[a + row + ONE] + se[a] * x[a])
            + (sw[b] * x[a + row] + sw[a + ONE] * x[a + ONE])
        )
    for k in range(first + row + ONE, first + size - row - ONE):
        a = k
        b = a + size
        c = b + size
        d = c + size
        out[c] = (
            (e[c] * x[a + ONE] + e[a] * x[a])
            + (s[c] * x[b] + s[b - row] * x[b - row])
            + (se[c] * x[d + ONE] + se[d - row] * x[d - row])
            + (sw[c] * x[d] + sw[d - row + ONE] * x[d - row + ONE])
        )
    for k in range(first + row + ONE, first + size - row - ONE):
        a = k
        b = a + size
        c = b + size
        d = c + size
        out[d] = (
            (e[d] * x[b] + e[b - ONE] * x[b - ONE])
            + (s[d] * x[a + row] + s[a] * x[a])
            + (se[d] * x[c + row] + se[c - ONE] * x[c - ONE])
            + (sw[d] * x[c + row - ONE] + sw[c] * x[c])
        )


@kernel
def restrict(w, x, coarse, row):
    """``coarse = Pᵀ x``."""
    row, size = np.uint64(row), np.uint64(coarse.size)
    west, east, north, south = w[0], w[1], w[2], w[3]
    nw, ne, sw, se = w[4], w[5], w[6], w[7]
    for k in range(row + ONE, size - row - ONE):
        b = k + size
        c = b + size
        d = c + size
        coarse[k] = (
            (x[k] + west[k] * x[c] + east[k - ONE] * x[c - ONE])
            + (north[k] * x[d] + south[k - row] * x[d - row])
            + (nw[k] * x[b] + ne[k - ONE] * x[b - ONE])
            + (sw[k - row] * x[b - row] + se[k - row - ONE] * x[b - row - ONE])
        )


@kernel
def add_prolonged(w, coarse, x, row):
    """``x += P coarse``."""
    row, size = np.uint64(row), np.uint64(coarse.size)
    west, east, north, south = w[0], w[1], w[2], w[3]
    nw, ne, sw, se = w[4], w[5], w[6], w[7]
    for k in range(row + ONE, size - row - ONE):
        x[k] += coarse[k]
    for k in range(row + ONE, size - row - ONE):
        x[k + size] += (nw[k] * coarse[k] + ne[k] * coarse[k + ONE]) + (
            sw[k] * coarse[k + row] + se[k] * coarse[k + row + ONE]
        )
    for k in range(row + ONE, size - row - ONE):
        x[k + size + size] += west[k] * coarse[k] + east[k] * coarse[k + ONE]
    for k in range(row + ONE, size - row - ONE):
        x[k + size + size + size] += north[k] * coarse[k] + south[k] * coarse[k + row]


@kernel
def galerkin(diagonal, e, s, se, sw, row, size, spare):
    """Interpolation P that follows the coefficients, and the coarse matrix ``Pᵀ A P``.

    Args:
        diagonal, e, s, se, sw: the matrix in planes; couplings to the next points are −A_ij ≥ 0.
        row, size: stride of a row and size of a plane.
        spare: memory for 22 planes, which holds the result.

    Returns:
        Weights, shape ``(8, size)``: of a point c from the coarse points west and east of it, of d
        from north and south, of b from north-west, north-east, south-west and south-east. Then
        diagonal and couplings of the coarse grid in rows with ghosts, shape ``(5, size)``.
    """
    work = spare[: 22 * size].reshape(22, size)
    clear_ghost_rows(spare[: 22 * size], row, size)
    weights, coarse, scratch = work[:8], work[8:13], work[13:]
    row, size = np.uint64(row), np.uint64(size)
    first, last = row + ONE, size - row - ONE
    pw, pe, pn, ps = weights[0], weights[1], weights[2], weights[3]
    pnw, pne, psw, pse = weights[4], weights[5], weights[6], weights[7]

    # c and d: the stencil is summed across the line that joins the two coarse neighbours
    for k in range(first, last):
        a, b, c, d = k, k + size, k + size + size, k + size + size + size
        inverse = 1 / (diagonal[c] - s[b - row] - s[c])
        pw[k] = (e[a] + se[d - row] + sw[c]) * inverse
        pe[k] = (e[c] + sw[d - row + ONE] + se[c]) * inverse
    for k in range(first, last):
        a, b, c, d = k, k + size, k + size + size, k + size + size + size
        inverse = 1 / (diagonal[d] - e[b - ONE] - e[d])
        pn[k] = (s[a] + se[c - ONE] + sw[c]) * inverse
        ps[k] = (s[d] + sw[d] + se[d]) * inverse
    # b: its own equation, so that A P vanishes there
    for k in range(first, last):
        a, b, c, d = k, k + size, k + size + size, k + size + size + size
        inverse = 1 / diagonal[b]
        pnw[k] = (se[a] + s[c] * pw[k] + e[d] * pn[k]) * inverse
        pne[k] = (sw[a + ONE] + s[c] * pe[k] + e[b] * pn[k + ONE]) * inverse
    for k in range(first, last):
        a, b, c, d = k, k + size, k + size + size, k + size + size + size
        inverse = 1 / diagonal[b]
        psw[k] = (sw[b] + s[b] * pw[k + row] + e[d] * ps[k]) * inverse
        pse[k] = (se[b] + s[b] * pe[k + row] + e[b] * ps[k + ONE]) * inverse

    # A P at c and d, by the direction of the coarse point; the rest follows from symmetry
    cw, ce, csw, cse = scratch[0], scratch[1], scratch[2], scratch[3]
    dn, ds, dne, dsw, dse = scratch[4], scratch[5], scratch[6], scratch[7], scratch[8]
    for k in range(first, last):
        a, b, c, d = k, k + size, k + size + size, k + size + size + size
        cw[k] = diagonal[c] * pw[k] - (
            (e[a] + s[b - row] * psw[k - row] + s[c] * pnw[k])
            + (se[d - row] * ps[k - row] + sw[c] * pn[k])
        )
        ce[k] = diagonal[c] * pe[k] - (
            (e[c] + s[b - row] * pse[k - row] + s[c] * pne[k])
            + (sw[d - row + ONE] * ps[k - row + ONE] + se[c] * pn[k + ONE])
        )
    for k in range(first, last):
        c, d = k + size + size, k + size + size + size
        csw[k] = -(s[c] * psw[k] + sw[c] * ps[k])
        cse[k] = -(s[c] * pse[k] + se[c] * ps[k + ONE])
    for k in range(first, last):
        a, b, c, d = k, k + size, k + size + size, k + size + size + size
        dn[k] = diagonal[d] * pn[k] - (
            (s[a] + e[b - ONE] * pne[k - ONE] + e[d] * pnw[k])
            + (se[c - ONE] * pe[k - ONE] + sw[c] * pw[k])
        )
        ds[k] = diagonal[d] * ps[k] - (
            (s[d] + e[b - ONE] * pse[k - ONE] + e[d] * psw[k])
            + (sw[d] * pe[k + row - ONE] + se[d] * pw[k + row])
        )
    for k in range(first, last):
        b, c, d = k + size, k + size + size, k + size + size + size
        dne[k] = -(e[d] * pne[k] + sw[c] * pe[k])
        dsw[k] = -(e[b - ONE] * psw[k - ONE] + sw[d] * pw[k + row - ONE])
        dse[k] = -(e[d] * pse[k] + se[d] * pe[k + row])

    centre, to_e, to_s, to_se, to_sw = coarse[0], coarse[1], coarse[2], coarse[3], coarse[4]
    for k in range(first, last):
        a, b, c, d = k, k + size, k + size + size, k + size + size + size
        centre[k] = (
            diagonal[a]
            - (e[a] * pw[k] + e[c - ONE] * pe[k - ONE] + s[a] * pn[k] + s[d - row] * ps[k - row])
            - (se[b - row - ONE] * pse[k - row - ONE] + sw[b - row] * psw[k - row])
            - (sw[a] * pne[k - ONE] + se[a] * pnw[k])
            + (pw[k] * cw[k] + pe[k - ONE] * ce[k - ONE])
            + (pn[k] * dn[k] + ps[k - row] * ds[k - row])
        )
    for k in range(first, last):
        a, b = k, k + size
        to_e[k] = (e[a] * pe[k] + sw[b - row] * pse[k - row] + se[a] * pne[k]) - (
            pw[k] * ce[k] + pn[k] * dne[k] + ps[k - row] * dse[k - row]
        )
        to_se[k] = se[a] * pse[k] - (pw[k] * cse[k] + pn[k] * dse[k])
    for k in range(first, last):
        a = k
        to_s[k] = (s[a] * ps[k] + sw[a] * pse[k - ONE] + se[a] * psw[k]) - (
            pw[k] * csw[k] + pe[k - ONE] * cse[k - ONE] + pn[k] * ds[k]
        )
        to_sw[k] = sw[a] * psw[k - ONE] - (pe[k - ONE] * csw[k - ONE] + pn[k] * dsw[k])
    return weights, coarse
