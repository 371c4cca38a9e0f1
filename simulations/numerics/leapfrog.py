"""Leapfrog integration of u_tt = a(x) Δu on a uniform grid, of order two or four.

    (u⁺ − 2u + u⁻)/Δt² = L u,    L = A (order 2),    L = A + Δt²/12 A² (order 4),    A = a Δ_h

The second time derivative that the plain scheme leaves out is A²u itself (the modified equation,
or Lax-Wendroff correction), so that order four in time costs a second application of A but
lengthens the stable step by √3. Both factors of A² are the same fourth-order stencil: then L is
symmetric with the weight 1/a, the scheme is stable for any a(x) > 0, and it conserves

    Σ (½ D² − ½ u·Lu − ⅛ Δt² (Lu)²)/a,    D = (u⁺ − u⁻)/(2Δt)

to round-off. Mirror images beyond an end are even (no slope) or odd (no value); they keep L
symmetric. In an absorbing layer (`absorbing_layer`) the correction would be unstable; it is left
out there, and the step has to be stable without it.

Arrays are ``(slices, rows, columns)`` with `GHOSTS` ghost cells at both ends of each axis that
there is: a line is one row, a plane has one row a slice. A step goes through the slices once and
keeps five of A u; it replaces u⁻ by u⁺.

References:
    Dablain, Geophysics 51 (1986) 54: the correction for the acoustic wave equation.
    Cohen, Higher-Order Numerical Methods for Transient Wave Equations (2002): stability, energy.
"""

import math

import numpy as np

from simulations.compilation import kernel
from simulations.numerics.absorbing_layer import plane, position

PERIODIC, EVEN, ODD = 0, 1, 2
GHOSTS = 4

# Share of the largest stable step
COURANT = 0.9

# Weights of neighbours in the fourth-order second difference
NEAR, FAR = 4.0 / 3.0, -1.0 / 12.0


def padded_shape(shape):
    """Shape of the arrays on a grid of one to three axes."""
    n = [size + 2 * GHOSTS for size in shape]
    return (n[0] if len(n) > 1 else 1, n[1] if len(n) > 2 else 1, n[-1])


def unpadded_shape(shape):
    """The same without ghosts."""
    return tuple(max(1, n - 2 * GHOSTS) for n in padded_shape(shape))


def largest_step(order, ndim, spacing, speed, is_absorbing):
    """`COURANT` times the largest stable Δt where √a is at most ``speed``."""
    # −Δt²A may have eigenvalues up to 4, or to 12 with the correction
    limit = 4.0 if order == 2 or is_absorbing else 12.0
    highest = 4.0 if order == 2 else 16.0 / 3.0  # of −Δx² times one axis of the stencil
    return COURANT * spacing / speed * math.sqrt(limit / (highest * ndim))


@kernel
def march(order, u, rate, ratio, profile, boundary, steps, frames, changes, energies):
    """Integrate, and store what is wanted at every so many steps, the start included.

    Args:
        order: 2 or 4.
        u: initial values, with ghosts of any value; is overwritten.
        rate: Δt u_t at the start, likewise.
        ratio: a Δt²/Δx², with ghosts.
        profile: of `absorbing_layer.profile`, which may have no cells.
        boundary: `PERIODIC`, `EVEN` or `ODD` by axis.
        steps: number of steps from one frame to the next.
        frames: receives u, ``(frame, slices, rows, columns)`` without ghosts.
        changes: receives Δt u_t.
        energies: receives the conserved sum, times Δx².
    """
    ndim = boundary.size
    work = np.zeros((11, u.shape[1], u.shape[2]))
    slices, rows, columns = u.shape if profile.shape[1] > 1 else (0, 0, 0)
    memory = np.zeros((ndim, 4, slices, rows, columns))
    previous, older, image = np.zeros_like(u), np.zeros_like(u), np.zeros_like(u)
    _start_back(order, u, rate, ratio, boundary, image, previous)
    for frame in range(frames.shape[0]):
        for _ in range(steps - 1 if frame > 0 else 0):
            _step(order, u, previous, ratio, profile, boundary, memory, work)
            u, previous = previous, u
        _combine(0.0, older, 1.0, previous, older)
        _step(order, u, previous, ratio, profile, boundary, memory, work)
        u, previous = previous, u
        _store(ndim, previous, frames[frame])
        energies[frame] = _energy(ndim, older, previous, u, ratio)
        _combine(-0.5, older, 0.5, u, older)
        if order == 4:  # a central difference exceeds Δt u_t by a sixth of Δt²A of it
            _apply(order, older, ratio, boundary, image)
            _combine(1.0, older, -1.0 / 6.0, image, older)
        _store(ndim, older, changes[frame])


@kernel
def _combine(p, a, q, b, result):
    """p a + q b."""
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            for k in range(a.shape[2]):
                result[i, j, k] = p * a[i, j, k] + q * b[i, j, k]


@kernel
def _start_back(order, u, rate, ratio, boundary, image, previous):
    """The values one step before the start, by Taylor's series."""
    _apply(order, u, ratio, boundary, image)
    _combine(1.0, u, -1.0, rate, previous)
    _combine(1.0, previous, 0.5, image, previous)
    if order == 4:
        again = np.zeros_like(u)
        _apply(order, image, ratio, boundary, again)
        _combine(1.0, previous, 1.0 / 24.0, again, previous)
        _apply(order, rate, ratio, boundary, again)
        _combine(1.0, previous, -1.0 / 6.0, again, previous)


@kernel
def _step(order, u, previous, ratio, profile, boundary, memory, work):
    """Replace u⁻ by u⁺."""
    _fill_ghosts(u, boundary, 1 if order == 2 else GHOSTS)
    if order == 2:
        _step2(u, previous, ratio, boundary.size)
    else:
        _step4(u, previous, ratio, boundary.size, profile.shape[1] // 2, work)
    if profile.shape[1] > 1:
        _absorb(order, u, previous, ratio, profile, memory)


@kernel
def _step2(u, previous, ratio, ndim):
    i0, i1, j0, j1, k0, k1 = _bounds(u, ndim, 0)
    inside = slice(k0, k1)
    for i in range(i0, i1):
        below, here, above = u[i - min(i0, 1)], u[i], u[i + min(i0, 1)]
        for j in range(j0, j1):
            row, coefficient = here[j, k0 - 1 : k1 + 1], ratio[i, j, inside]
            following = previous[i, j, inside]
            if ndim == 1:
                _advance_line2(row, coefficient, following)
            else:
                _advance_cross2(
                    -2.0 * ndim, row, below[j, inside], above[j, inside], coefficient, following
                )
            if ndim == 3:
                _add_across2(here[j - 1, inside], here[j + 1, inside], coefficient, following)


@kernel
def _step4(u, previous, ratio, ndim, depth, work):
    """A u runs two slices ahead of the update, and two cells beyond the ends of each axis.

    In absorbing layers, where the correction would be unstable, it counts as zero the second time.
    """
    i0, i1, j0, j1, k0, k1 = _bounds(u, ndim, 0)
    i2, i3, j2, j3, k2, k3 = _bounds(u, ndim, 2)
    lag = i0 - i2
    images, change = work[:5], work[10, 0, k0:k1]
    corrected = work[5:10] if depth else images
    for i in range(i2, i3):
        near = _near(u, i, ndim)
        for j in range(j2, j3):
            image = images[i % 5, j, k2:k3]
            _laplacian(4, ndim, near, j, GHOSTS - 2, ratio[i, j], image)
            if depth:
                is_inner = ndim == 1 or i0 + depth <= i < i1 - depth
                is_inner = is_inner and (ndim < 3 or j0 + depth <= j < j1 - depth)
                _copy_inner(is_inner, depth + 2, image, corrected[i % 5, j, k2:k3])
        m = i - lag
        if m < i0:
            continue
        near = _near_cyclic(corrected, m)
        for j in range(j0, j1):
            _laplacian(4, ndim, near, j, GHOSTS, ratio[m, j], change)
            _correct(images[m % 5, j, k0:k1], change)
            _advance(u[m, j, k0:k1], change, previous[m, j, k0:k1])


@kernel
def _bounds(u, ndim, wing):
    """Cells of the grid and so many ghosts beyond, by axis of the array."""
    edge = GHOSTS - wing
    outer, middle = edge if ndim > 1 else 0, edge if ndim > 2 else 0
    return outer, u.shape[0] - outer, middle, u.shape[1] - middle, edge, u.shape[2] - edge


@kernel
def _near(u, i, ndim):
    """Slices from two before to two after; there is only one on a line."""
    k = 1 if ndim > 1 else 0
    return u[i - 2 * k], u[i - k], u[i], u[i + k], u[i + 2 * k]


@kernel
def _near_cyclic(images, i):
    """The same among the last five, each in the place of its number modulo five."""
    return (
        images[(i + 3) % 5], images[(i + 4) % 5], images[i % 5], images[(i + 1) % 5],
        images[(i + 2) % 5],
    )  # fmt: skip


@kernel
def _apply(order, u, ratio, boundary, image):
    """Δt²A u in all cells."""
    ndim = boundary.size
    _fill_ghosts(u, boundary, 1 if order == 2 else GHOSTS)
    i0, i1, j0, j1, k0, k1 = _bounds(u, ndim, 0)
    for i in range(i0, i1):
        near = _near(u, i, ndim)
        for j in range(j0, j1):
            _laplacian(order, ndim, near, j, GHOSTS, ratio[i, j], image[i, j, k0:k1])


@kernel
def _laplacian(order, ndim, near, j, edge, ratio, image):
    """Δx² Δu times ``ratio`` along row ``j``, without so many cells at its ends."""
    far_below, below, here, above, far_above = near
    n = here.shape[1]
    inside, ratio = slice(edge, n - edge), ratio[edge : n - edge]
    row = here[j, edge - order // 2 : n - edge + order // 2]
    if order == 2:
        if ndim == 1:
            _line2(row, ratio, image)
        else:
            _cross2(-2.0 * ndim, row, below[j, inside], above[j, inside], ratio, image)
        if ndim == 3:
            _add_across2(here[j - 1, inside], here[j + 1, inside], ratio, image)
    else:
        if ndim == 1:
            _line4(row, ratio, image)
        else:
            _cross4(
                -2.5 * ndim,
                row,
                far_below[j, inside],
                below[j, inside],
                above[j, inside],
                far_above[j, inside],
                ratio,
                image,
            )
        if ndim == 3:
            _add_across4(
                here[j - 2, inside],
                here[j - 1, inside],
                here[j + 1, inside],
                here[j + 2, inside],
                ratio,
                image,
            )


@kernel
def _line2(row, ratio, image):
    n = image.size
    left, here, right = row[:n], row[1 : n + 1], row[2:]
    for k in range(n):
        image[k] = ratio[k] * (left[k] + right[k] - 2.0 * here[k])


@kernel
def _cross2(centre, row, below, above, ratio, image):
    n = image.size
    left, here, right = row[:n], row[1 : n + 1], row[2:]
    for k in range(n):
        image[k] = ratio[k] * (centre * here[k] + left[k] + right[k] + below[k] + above[k])


@kernel
def _add_across2(before, after, ratio, image):
    for k in range(image.size):
        image[k] += ratio[k] * (before[k] + after[k])


@kernel
def _line4(row, ratio, image):
    n = image.size
    far_left, left, here = row[:n], row[1 : n + 1], row[2 : n + 2]
    right, far_right = row[3 : n + 3], row[4:]
    for k in range(n):
        second = NEAR * (left[k] + right[k]) + FAR * (far_left[k] + far_right[k])
        image[k] = ratio[k] * (second - 2.5 * here[k])


@kernel
def _cross4(centre, row, far_below, below, above, far_above, ratio, image):
    n = image.size
    far_left, left, here = row[:n], row[1 : n + 1], row[2 : n + 2]
    right, far_right = row[3 : n + 3], row[4:]
    for k in range(n):
        near = (left[k] + right[k]) + (below[k] + above[k])
        far = (far_left[k] + far_right[k]) + (far_below[k] + far_above[k])
        image[k] = ratio[k] * (centre * here[k] + NEAR * near + FAR * far)


@kernel
def _add_across4(far_before, before, after, far_after, ratio, image):
    for k in range(image.size):
        near, far = before[k] + after[k], far_before[k] + far_after[k]
        image[k] += ratio[k] * (NEAR * near + FAR * far)


@kernel
def _copy_inner(is_inner, ends, image, corrected):
    """Zeros at both ends, or everywhere."""
    for k in range(image.size):
        corrected[k] = image[k] if is_inner and ends <= k < image.size - ends else 0.0


@kernel
def _correct(image, change):
    """Δt²L u from Δt²A u and Δt⁴A² u."""
    for k in range(change.size):
        change[k] = image[k] + change[k] / 12.0


@kernel
def _advance(now, change, following):
    for k in range(now.size):
        following[k] = 2.0 * now[k] + change[k] - following[k]


@kernel
def _advance_line2(row, ratio, following):
    """`_line2` and `_advance` in one pass over memory, which is all that order two waits for."""
    n = following.size
    left, here, right = row[:n], row[1 : n + 1], row[2:]
    for k in range(n):
        change = ratio[k] * (left[k] + right[k] - 2.0 * here[k])
        following[k] = 2.0 * here[k] + change - following[k]


@kernel
def _advance_cross2(centre, row, below, above, ratio, following):
    n = following.size
    left, here, right = row[:n], row[1 : n + 1], row[2:]
    for k in range(n):
        change = ratio[k] * (centre * here[k] + left[k] + right[k] + below[k] + above[k])
        following[k] = 2.0 * here[k] + change - following[k]


@kernel
def _absorb(order, u, following, ratio, profile, memory):
    """What the stretched coordinates of the layers add to u⁺.

    There ∂f/∂x becomes g = ∂f/∂x + ψ, ψ_t = −σ g − α ψ, for the slope at faces and again for its
    difference. Implicit in the middle of a step: any other centring makes the scheme unstable.
    """
    ndim, depth = memory.shape[0], profile.shape[1] // 2
    far = 1.0 / 12.0 if order == 4 else 0.0
    for axis in range(ndim):
        psi, added, total, zeta = (
            memory[axis, 0], memory[axis, 1], memory[axis, 2], memory[axis, 3]
        )  # fmt: skip
        where = position(axis, ndim)
        last = u.shape[where] - 1
        for i in range(depth + 1):
            for m in (GHOSTS + i - 1, last - GHOSTS - i):
                _stretch_slope(
                    far,
                    plane(u, where, m - 1),
                    plane(u, where, m),
                    plane(u, where, m + 1),
                    plane(u, where, m + 2),
                    profile[0, 2 * i],
                    profile[1, 2 * i],
                    plane(psi, where, m),
                    plane(added, where, m),
                    plane(total, where, m),
                )
        for i in range(depth):
            for m in (GHOSTS + i, last - GHOSTS - i):
                _add_stretched(
                    plane(added, where, m - 1),
                    plane(added, where, m),
                    plane(total, where, m - 1),
                    plane(total, where, m),
                    profile[0, 2 * i + 1],
                    profile[1, 2 * i + 1],
                    plane(zeta, where, m),
                    plane(ratio, where, m),
                    plane(following, where, m),
                )


@kernel
def _stretch_slope(far, before, below, above, after, sigma, alpha, psi, added, total):
    """The difference of u across a face, what is added to it, and their sum."""
    for i in range(psi.shape[0]):
        for j in range(psi.shape[1]):
            slope = above[i, j] - below[i, j]
            slope -= far * (after[i, j] - before[i, j] - 3.0 * slope)
            now = (psi[i, j] - sigma * slope) / (1.0 + sigma + alpha)
            psi[i, j] = 2.0 * now - psi[i, j]
            added[i, j], total[i, j] = now, slope + now


@kernel
def _add_stretched(added_below, added_above, below, above, sigma, alpha, zeta, ratio, following):
    for i in range(zeta.shape[0]):
        for j in range(zeta.shape[1]):
            now = (zeta[i, j] - sigma * (above[i, j] - below[i, j])) / (1.0 + sigma + alpha)
            zeta[i, j] = 2.0 * now - zeta[i, j]
            change = added_above[i, j] - added_below[i, j]
            following[i, j] += ratio[i, j] * (change + now)


@kernel
def _energy(ndim, before, now, after, ratio):
    """Twice the conserved sum is Σ (Δt²D² − u·Δt²Lu − ¼(Δt²Lu)²)/ratio."""
    i0, i1, j0, j1, k0, k1 = _bounds(now, ndim, 0)
    total = 0.0
    for i in range(i0, i1):
        for j in range(j0, j1):
            for k in range(k0, k1):
                difference = 0.5 * (after[i, j, k] - before[i, j, k])
                second = after[i, j, k] - 2.0 * now[i, j, k] + before[i, j, k]
                density = difference**2 - now[i, j, k] * second - 0.25 * second**2
                total += 0.5 * density / ratio[i, j, k]
    return total


@kernel
def _store(ndim, u, frame):
    """Copy the cells without ghosts."""
    i0, i1, j0, j1, k0, k1 = _bounds(u, ndim, 0)
    for i in range(i0, i1):
        for j in range(j0, j1):
            for k in range(k0, k1):
                frame[i - i0, j - j0, k - k0] = u[i, j, k]


@kernel
def _fill_ghosts(u, boundary, width):
    """Set the innermost ghosts: the other end, or the mirror image with one sign or the other."""
    ndim = boundary.size
    for axis in range(ndim - 1, -1, -1):
        where = position(axis, ndim)
        n, kind = u.shape[where], boundary[axis]
        sign = -1.0 if kind == ODD else 1.0
        for ghost in range(GHOSTS - width, GHOSTS):  # counted from the outside
            low, high = 2 * GHOSTS - 1 - ghost, n - 2 * GHOSTS + ghost
            if kind == PERIODIC:
                low, high = high, low
            _copy(sign, plane(u, where, low), plane(u, where, ghost))
            _copy(sign, plane(u, where, high), plane(u, where, n - 1 - ghost))


@kernel
def _copy(sign, source, target):
    for i in range(target.shape[0]):
        for j in range(target.shape[1]):
            target[i, j] = sign * source[i, j]
