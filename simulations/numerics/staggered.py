"""Leapfrog integration of a scalar and a flux that drive each other, on a staggered grid.

    ∂s/∂t = −κ(x) ∇·w,    ∂w/∂t = −β(x) ∇s

s lies at cell centres at full steps, each component of w on the faces across its axis at half
steps: Yee's scheme. Second order, and for any positive κ and β it conserves, to round-off,

    ½ Σ s²/κ + ½ Σ w⁻·w⁺/β        w⁻ and w⁺ half a step before and after, faces at ends count half

At an end s is even (then w vanishes), odd, or periodic. A layer of cells at an end can absorb.

Arrays are ``(slices, rows, columns)`` with one ghost cell at both ends of each axis that there is:
a line is one row, a plane has one row a slice. Face ``m`` lies between the cells ``m`` and
``m + 1``.

References:
    Yee, IEEE Transactions on Antennas and Propagation 14 (1966) 302.
    Virieux, Geophysics 49 (1984) 1933: media that vary.
"""

import math

import numpy as np

from simulations.compilation import kernel
from simulations.numerics import absorbing_layer
from simulations.numerics.absorbing_layer import plane, position

PERIODIC, EVEN, ODD, LAYER = 0, 1, 2, 3

# Share of the largest stable step
COURANT = 0.9


def integrate(start, kappa, inertia, spacing, ends, times):
    """Integrate from w = 0.

    Args:
        start: s at the cells of a grid of one to three axes.
        kappa: κ at the cells.
        inertia: 1/β at the cells; faces have the mean of their two.
        spacing: Δx, the same along all axes.
        ends: two of `PERIODIC`, `EVEN`, `ODD` and `LAYER` by axis. Beyond an end with a layer the
            medium goes on unchanged, and s fades out.
        times: equidistant instants, the first one that of ``start``.

    Returns:
        s and w at the cells, ``(time, *cells)`` and ``(time, *cells, axis)``, and the conserved
        sum times Δx^ndim, with the layers included.
    """
    ndim = start.ndim
    layers = np.array(ends) == LAYER
    depth = absorbing_layer.depth_for(max(start.shape))
    fading = absorbing_layer.fading(max(start.shape))
    s, kappa, inertia = (np.asarray(values) for values in (start, kappa, inertia))
    for axis, (low, high) in enumerate(layers):
        widths = [(0, 0)] * ndim
        widths[axis] = (depth * int(low), depth * int(high))
        share = [fading[::-1][: widths[axis][0]], np.ones(start.shape[axis])]
        along = np.concatenate([*share, fading[: widths[axis][1]]])
        s = np.pad(s, widths, "edge") * along.reshape([-1 if a == axis else 1 for a in range(ndim)])
        kappa, inertia = np.pad(kappa, widths, "edge"), np.pad(inertia, widths, "edge")
    betas = [_at_faces(inertia, axis, ends[axis][0] == PERIODIC) for axis in range(ndim)]
    interval = (times[-1] - times[0]) / (times.size - 1)
    steps = math.ceil(interval / largest_step(kappa, betas, spacing))
    ratio = interval / steps / spacing
    speed = math.sqrt(float((kappa / inertia).max()))
    n = max(start.shape)
    profile = absorbing_layer.profile(depth, n, spacing, ratio * spacing, speed)

    shape = tuple(n + 2 for n in s.shape)
    arrays = np.ones((2 + 2 * ndim, *shape))
    inner = (slice(1, -1),) * ndim
    arrays[0][inner], arrays[1][inner], arrays[2 : 2 + ndim] = s, ratio * kappa, 0.0
    for axis, beta in enumerate(betas):
        faces = [slice(1, -1)] * ndim
        faces[axis] = slice(0, -1)
        arrays[(2 + ndim + axis, *faces)] = ratio * beta
    rows = (shape[0] if ndim > 1 else 1, shape[1] if ndim > 2 else 1, shape[-1])
    arrays = arrays.reshape(-1, *rows)
    cells = tuple(max(1, n - 2) for n in rows)
    frames, fluxes = np.empty((times.size, *cells)), np.empty((times.size, ndim, *cells))
    energies = np.empty(times.size)
    march(
        arrays[0],
        arrays[2 : 2 + ndim],
        arrays[1],
        arrays[2 + ndim : 2 + 2 * ndim],
        np.where(layers, ODD, np.array(ends)),
        profile,
        layers,
        steps,
        frames,
        fluxes,
        energies,
    )
    inside = tuple(
        slice(depth * int(low), depth * int(low) + n)
        for (low, _), n in zip(layers, start.shape, strict=True)
    )
    frames = frames.reshape(-1, *s.shape)[(slice(None), *inside)]
    fluxes = np.moveaxis(fluxes.reshape(-1, ndim, *s.shape), 1, -1)[(slice(None), *inside)]
    return frames.copy(), fluxes.copy(), energies * ratio * spacing**ndim


def _at_faces(inertia, axis, is_periodic):
    """β at the faces across an axis."""
    along = np.moveaxis(inertia, axis, 0)
    ends = (along[-1:], along[:1]) if is_periodic else (along[:1], along[-1:])
    along = np.concatenate([ends[0], along, ends[1]])
    return np.moveaxis(2.0 / (along[1:] + along[:-1]), 0, axis)


def largest_step(kappa, betas, spacing):
    """`COURANT` times a bound on the largest stable Δt.

    Args:
        kappa: at the cells, without ghosts.
        betas: by axis, at the faces, one more along that axis than there are cells.
        spacing: Δx.
    """
    sums = np.zeros_like(kappa)
    for axis, beta in enumerate(betas):
        along = np.moveaxis(beta, axis, 0)
        sums += np.moveaxis(along[1:] + along[:-1], 0, axis)
    # No eigenvalue exceeds the largest sum of sizes along a row of the matrix
    return COURANT * spacing * 2.0 / np.sqrt(2.0 * float((kappa * sums).max()))


@kernel
def march(s, w, kappa, beta, boundary, profile, layers, steps, frames, fluxes, energies):
    """Integrate, and store what is wanted at every so many steps, the start included.

    Args:
        s: initial values, with ghosts of any value; is overwritten.
        w: at the same instant, ``(axis, *s.shape)``; is overwritten.
        kappa: κ Δt/Δx.
        beta: β Δt/Δx by axis.
        boundary: `PERIODIC`, `EVEN` or `ODD` by axis and side.
        profile: of `absorbing_layer.profile`.
        layers: whether there is a layer, by axis and side.
        steps: number of steps from one frame to the next.
        frames: receives s, ``(frame, slices, rows, columns)`` without ghosts.
        fluxes: receives w averaged to the cells, ``(frame, axis, ...)``.
        energies: receives the conserved sum times Δx/Δt.
    """
    ndim = boundary.shape[0]
    slices, rows, columns = s.shape if layers.any() else (0, 0, 0)
    memory = np.zeros((2, ndim, slices, rows, columns))
    before = np.zeros_like(w)
    _fill_ghosts(s, boundary)
    _push(s, w, beta, -0.5)
    for frame in range(frames.shape[0]):
        for step in range(steps if frame > 0 else 1):
            is_stored = step == steps - 1 or frame == 0
            if frame > 0:
                _collect(s, w, kappa)
                if layers.any():
                    _absorb(s, w, kappa, beta, profile, layers, memory[1], 1)
                _fill_ghosts(s, boundary)
            if is_stored:
                before[:] = w
            _push(s, w, beta, 1.0)
            if layers.any():
                _absorb(s, w, kappa, beta, profile, layers, memory[0], 0)
        energies[frame] = _store(s, w, before, kappa, beta, frames[frame], fluxes[frame])


@kernel
def _bounds(shape, ndim):
    """First cell and the one after the last, by axis of the array."""
    outer, middle = 1 if ndim > 1 else 0, 1 if ndim > 2 else 0
    return outer, shape[0] - outer, middle, shape[1] - middle, 1, shape[2] - 1


@kernel
def _push(s, w, beta, share):
    """w by a share of a step, at all faces of the cells."""
    ndim = w.shape[0]
    i0, i1, j0, j1, k0, k1 = _bounds(s.shape, ndim)
    for i in range(0, i1):
        for j in range(0, j1):
            here, along, across = s[i, j], slice(k0 - 1, k1), slice(k0, k1)
            if i >= i0 and j >= j0:
                last = ndim - 1
                _push_row(
                    here[k0 - 1 : k1],
                    here[k0:],
                    beta[last, i, j, along],
                    share,
                    w[last, i, j, along],
                )
            if ndim > 1 and j >= j0:
                _push_row(
                    here[across],
                    s[i + 1, j, across],
                    beta[0, i, j, across],
                    share,
                    w[0, i, j, across],
                )
            if ndim > 2 and i >= i0:
                _push_row(
                    here[across],
                    s[i, j + 1, across],
                    beta[1, i, j, across],
                    share,
                    w[1, i, j, across],
                )


@kernel
def _push_row(below, above, beta, share, w):
    for k in range(w.size):
        w[k] -= share * beta[k] * (above[k] - below[k])


@kernel
def _collect(s, w, kappa):
    """s by one step, in all cells."""
    ndim = w.shape[0]
    i0, i1, j0, j1, k0, k1 = _bounds(s.shape, ndim)
    for i in range(i0, i1):
        for j in range(j0, j1):
            across = slice(k0, k1)
            here, rate = s[i, j, across], kappa[i, j, across]
            last = w[ndim - 1, i, j]
            _collect_row(last[: k1 - 1], last[across], rate, here)
            if ndim > 1:
                _collect_row(w[0, i - 1, j, across], w[0, i, j, across], rate, here)
            if ndim > 2:
                _collect_row(w[1, i, j - 1, across], w[1, i, j, across], rate, here)


@kernel
def _collect_row(below, above, kappa, s):
    for k in range(s.size):
        s[k] -= kappa[k] * (above[k] - below[k])


@kernel
def _absorb(s, w, kappa, beta, profile, layers, memory, of_scalar):
    """What the stretched coordinates of the layers add to the last step of s or of w."""
    ndim, depth = w.shape[0], profile.shape[1] // 2
    for axis in range(ndim):
        where = position(axis, ndim)
        last = s.shape[where] - 2
        for side in range(2):
            if not layers[axis, side]:
                continue
            for i in range(depth):
                # Cells count from the outside, faces from that at the very end
                cell = last - i if side else 1 + i
                face = last - i if side else i
                if of_scalar:
                    _stretch(
                        plane(w[axis], where, cell - 1),
                        plane(w[axis], where, cell),
                        profile[0, 2 * i + 1],
                        profile[1, 2 * i + 1],
                        plane(memory[axis], where, cell),
                        plane(kappa, where, cell),
                        plane(s, where, cell),
                    )
                else:
                    _stretch(
                        plane(s, where, face),
                        plane(s, where, face + 1),
                        profile[0, 2 * i],
                        profile[1, 2 * i],
                        plane(memory[axis], where, face),
                        plane(beta[axis], where, face),
                        plane(w[axis], where, face),
                    )


@kernel
def _stretch(below, above, sigma, alpha, psi, factor, changed):
    for i in range(psi.shape[0]):
        for j in range(psi.shape[1]):
            now = (psi[i, j] - sigma * (above[i, j] - below[i, j])) / (1.0 + sigma + alpha)
            psi[i, j] = 2.0 * now - psi[i, j]
            changed[i, j] -= factor[i, j] * now


@kernel
def _store(s, w, before, kappa, beta, frame, flux):
    """Write the cells of a frame; returns the conserved sum."""
    ndim = w.shape[0]
    i0, i1, j0, j1, k0, k1 = _bounds(s.shape, ndim)
    total = 0.0
    for i in range(i0, i1):
        for j in range(j0, j1):
            for k in range(k0, k1):
                frame[i - i0, j - j0, k - k0] = s[i, j, k]
                total += 0.5 * s[i, j, k] ** 2 / kappa[i, j, k]
    for axis in range(ndim):
        where = position(axis, ndim)
        di, dj, dk = 1 if where == 0 else 0, 1 if where == 1 else 0, 1 if where == 2 else 0
        for i in range(i0, i1):
            for j in range(j0, j1):
                for k in range(k0, k1):
                    below, above = (i - di, j - dj, k - dk), (i, j, k)
                    twice = w[axis][below] + before[axis][below]
                    twice += w[axis][above] + before[axis][above]
                    flux[axis, i - i0, j - j0, k - k0] = 0.25 * twice
                    # Each inner face has a half from the cell on either side
                    total += 0.25 * w[axis][below] * before[axis][below] / beta[axis][below]
                    total += 0.25 * w[axis][above] * before[axis][above] / beta[axis][above]
    return total


@kernel
def _fill_ghosts(s, boundary):
    """The other end, or the mirror image with one sign or the other."""
    ndim = boundary.shape[0]
    for axis in range(ndim):
        where = position(axis, ndim)
        last = s.shape[where] - 2
        for side in range(2):
            kind = boundary[axis, side]
            ghost, inner = (last + 1, last) if side else (0, 1)
            if kind == PERIODIC:
                inner = 1 if side else last
            sign = -1.0 if kind == ODD else 1.0
            source, target = plane(s, where, inner), plane(s, where, ghost)
            for i in range(target.shape[0]):
                for j in range(target.shape[1]):
                    target[i, j] = sign * source[i, j]
