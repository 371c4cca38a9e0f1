"""Second-order finite volumes for a conservation law on a uniform grid of one to three axes.

MUSCL-Hancock: slopes of the primitive variables limited by monotonised central differences (MC),
half a step in time by the primitive equations in all axes at once, one Riemann problem a face,
all axes together. The law (`conservation_law`) is an argument and all that knows the equations.
What is not transport acts for a time of its own between the steps of transport (Strang's splitting).

The state is an array ``(planes, rows, fields, columns)`` of primitive variables with two ghost
cells at both ends of each axis that there is; axes that there are not have one plane or row. The
fields of one row lie side by side, the positive ones before the velocities. A sweep goes through
the rows once and keeps what it needs of the last one (in three dimensions of the last plane), so
that the fluxes of the grid never exist in memory.

Positivity: where a predicted state at a face is not admissible, the cell does without slopes. If a
cell is not admissible after the step all the same, the step is repeated without slopes around it,
and then with half its length.

References:
    van Leer, SIAM Journal on Scientific and Statistical Computing 5 (1984) 1: the scheme, after an
    idea of Hancock; van Leer, Journal of Computational Physics 23 (1977) 276: the limiter.
"""

import numpy as np

from simulations.compilation import kernel
from simulations.numerics.conservation_law import advance, flux, predict, source

PERIODIC, OPEN, WALL = 0, 1, 2
COMPLETED, STEP_UNDERFLOW = 0, 1
GHOSTS = 2

# Share of the largest stable step, the sum over the axes of (|u| + a)Δt/Δx being 1
COURANT = 0.8

# Repetitions of a step; from the third on, each halves it
ATTEMPTS = 12

# A face state with less than this share of a positive number of the cell is not trusted
SMALLEST_SHARE = 1e-2


def padded_shape(shape, fields):
    """Shape of the state array on a grid of one to three axes."""
    padded = [1] * (3 - len(shape)) + [n + 2 * GHOSTS for n in shape]
    return (padded[0], padded[1], fields, padded[2])


@kernel
def integrate(law, state, times, spacing, boundary, frames):
    """Integrate from the cells of ``state`` and write a frame at each of the times but the first.

    Args:
        law: a conservation law.
        state: primitive variables with ghosts (of any value); is overwritten.
        times: ascending instants, the first one that of the initial state.
        spacing: Δx by axis.
        boundary: `PERIODIC`, `OPEN` or `WALL` by axis.
        frames: ``(time, planes, rows, fields, columns)`` without ghosts; the first is left alone.

    Returns:
        Status, time reached, number of steps, number of repeated ones.
    """
    ndim = spacing.size
    new = state.copy()
    flat = np.ones((state.shape[0], state.shape[1], state.shape[3]))
    work = workspace(ndim, state.shape)
    per_length = 1.0 / spacing
    time, steps, repeated = times[0], 0, 0
    # Time by which the source has acted longer than the transport: half a step before each step
    ahead = 0.0
    speed = largest_speed(law, state, per_length, work)
    for frame in range(1, times.size):
        while time < times[frame]:
            remaining = times[frame] - time
            # Equal steps to the next instant, if they were all as long as this one
            count = np.ceil(remaining * speed / COURANT)
            step = remaining / max(count, 1.0)
            if 0.5 * step > ahead:
                source(law, state, 0.5 * step - ahead, per_length, boundary, new)
                ahead = 0.5 * step
            taken, speed, failed = try_step(law, state, step, per_length, boundary, flat, work, new)
            repeated += failed
            if taken <= 0.0:
                return STEP_UNDERFLOW, time, steps, repeated
            # The sum of rounded steps must not miss the instant
            is_last = taken >= remaining
            time = times[frame] if is_last else time + taken
            ahead -= taken
            steps += 1
            state, new = new, state
        if ahead < 0.0:
            source(law, state, -ahead, per_length, boundary, new)
            ahead = 0.0
        store(ndim, state, frames[frame])
    return COMPLETED, time, steps, repeated


@kernel
def workspace(ndim, shape):
    """Scratch arrays of a sweep; all states positive, those at the ends of rows are never set."""
    rows, fields, n = shape[1], shape[2], shape[3]
    kept = rows if ndim == 3 else 2
    slopes = np.zeros((ndim, fields, n))
    lower = np.ones((ndim, fields, n))
    upper = np.ones((2, ndim, fields, n))
    planes = np.ones((kept, fields, n))
    changes = np.zeros((kept, fields, n))
    row = np.zeros((3, fields, n))
    scalars = np.zeros((4, n))
    return slopes, lower, upper, planes, changes, row, scalars


@kernel
def store(ndim, state, frame):
    """Copy the cells without ghosts."""
    first = GHOSTS if ndim == 3 else 0
    second = GHOSTS if ndim >= 2 else 0
    for i in range(frame.shape[0]):
        for j in range(frame.shape[1]):
            for c in range(frame.shape[2]):
                source, target = state[i + first, j + second, c], frame[i, j, c]
                for k in range(target.size):
                    target[k] = source[k + GHOSTS]


@kernel
def try_step(law, state, step, per_length, boundary, flat, work, new):
    """One step into ``new``, repeated until it is admissible.

    Returns:
        The step taken (0 if none is small enough), Σ(|u| + a)/Δx after it, repetitions.
    """
    ndim = per_length.size
    fill_ghosts(ndim, state, boundary)
    is_flattened = False
    speed = 0.0
    for attempt in range(ATTEMPTS):
        speed, failures = sweep(law, state, step, per_length, flat, is_flattened, work, new)
        if failures == 0.0 and speed * step <= 1.0:
            if is_flattened:
                flat[:] = 1.0
            return step, speed, attempt
        if failures > 0.0:
            _flatten(ndim, new, boundary, flat)
            is_flattened = True
            if attempt >= 2:
                step *= 0.5
        elif speed * step < np.inf:
            step = min(0.5 * step, COURANT / speed)
        else:
            step *= 0.5
    flat[:] = 1.0
    return 0.0, speed, ATTEMPTS


@kernel
def _flatten(ndim, new, boundary, flat):
    """Take the slopes from cells that are not admissible and from their neighbours."""
    for i in range(new.shape[0]):
        for j in range(new.shape[1]):
            for k in range(GHOSTS, new.shape[3] - GHOSTS):
                is_admissible = True
                for c in range(new.shape[2] - ndim):
                    is_admissible &= new[i, j, c, k] > 0.0
                if not is_admissible:
                    for a in range(max(i - 1, 0), min(i + 2, new.shape[0])):
                        for b in range(max(j - 1, 0), min(j + 2, new.shape[1])):
                            for c in range(k - 1, k + 2):
                                flat[a, b, c] = 0.0
    # What touches an end of an axis may belong to the other end
    for i in range(flat.shape[0]):
        for j in range(flat.shape[1]):
            n = flat.shape[2]
            if flat[i, j, 1] + flat[i, j, 2] + flat[i, j, n - 3] + flat[i, j, n - 2] < 4.0:
                flat[i, j, :3] = 0.0
                flat[i, j, n - 3 :] = 0.0
    for axis in range(2):
        if flat.shape[axis] > 1:
            swapped = flat if axis == 0 else flat.transpose(1, 0, 2)
            n = swapped.shape[0]
            for j in range(swapped.shape[1]):
                for k in range(swapped.shape[2]):
                    ends = swapped[1, j, k] + swapped[2, j, k]
                    ends += swapped[n - 3, j, k] + swapped[n - 2, j, k]
                    if ends < 4.0:
                        swapped[:3, j, k] = 0.0
                        swapped[n - 3 :, j, k] = 0.0


@kernel
def fill_ghosts(ndim, state, boundary):
    """Set the ghost cells: the other end, the outermost cell, or the mirror image."""
    if ndim == 3:
        for ghost in range(GHOSTS):
            for side in range(2):
                target, source = _ghost(boundary[0], state.shape[0], ghost, side)
                state[target] = state[source]
                if boundary[0] == WALL:
                    state[target, :, state.shape[2] - 3] *= -1.0
    if ndim >= 2:
        kind = boundary[ndim - 2]
        for ghost in range(GHOSTS):
            for side in range(2):
                target, source = _ghost(kind, state.shape[1], ghost, side)
                for i in range(state.shape[0]):
                    state[i, target] = state[i, source]
                    if kind == WALL:
                        state[i, target, state.shape[2] - 2] *= -1.0
    kind = boundary[ndim - 1]
    for ghost in range(GHOSTS):
        for side in range(2):
            target, source = _ghost(kind, state.shape[3], ghost, side)
            for i in range(state.shape[0]):
                for j in range(state.shape[1]):
                    for c in range(state.shape[2]):
                        state[i, j, c, target] = state[i, j, c, source]
                    if kind == WALL:
                        state[i, j, state.shape[2] - 1, target] *= -1.0


@kernel
def _ghost(kind, n, ghost, side):
    """Index of a ghost cell, counted from the outside, and of the cell that it copies."""
    if kind == PERIODIC:
        source = n - 2 * GHOSTS + ghost
    elif kind == OPEN:
        source = GHOSTS
    else:
        source = 2 * GHOSTS - 1 - ghost
    if side == 0:
        return ghost, source
    return n - 1 - ghost, n - 1 - source


@kernel
def largest_speed(law, state, per_length, work):
    """Σ(|u| + a)/Δx of the fastest cell: the reciprocal of the largest stable step."""
    ndim = per_length.size
    change, new, scalars = work[5][0], work[5][1], work[6]
    scalars[:] = 0.0
    change[:] = 0.0
    for i in range(GHOSTS if ndim == 3 else 0, state.shape[0] - (GHOSTS if ndim == 3 else 0)):
        for j in range(GHOSTS if ndim >= 2 else 0, state.shape[1] - (GHOSTS if ndim >= 2 else 0)):
            _advance(law, state[i, j], change, per_length, scalars, new)
    return scalars[1].max()


@kernel
def sweep(law, state, step, per_length, flat, is_flattened, work, new):
    """One step of the given length for all cells, whatever comes out.

    Returns:
        Σ(|u| + a)/Δx of the fastest new cell, and the number of cells that are not admissible.
    """
    slopes, lower, upper, planes, changes, row, scalars = work
    ndim, n = per_length.size, state.shape[3]
    ratio = step * per_length
    column = ndim - 1
    below, along = row[0], row[1]
    scalars[1:3] = 0.0
    first_plane, last_plane = (GHOSTS, state.shape[0] - GHOSTS - 1) if ndim == 3 else (0, 0)
    first_row, last_row = (GHOSTS, state.shape[1] - GHOSTS - 1) if ndim >= 2 else (0, 0)
    outside_plane, outside_row = 1 if ndim == 3 else 0, 1 if ndim >= 2 else 0
    for i in range(first_plane - outside_plane, last_plane + outside_plane + 1):
        is_inner_plane = first_plane <= i <= last_plane
        for j in range(first_row - outside_row, last_row + outside_row + 1):
            is_inner_row = first_row <= j <= last_row
            if not (is_inner_plane or is_inner_row):
                continue
            here, above = state[i, j], upper[j & 1]
            slot = j if ndim == 3 else j & 1
            change = changes[slot]
            if ndim == 3:
                _slopes(state[i - 1, j], here, state[i + 1, j], slopes[0])
            if ndim >= 2:
                _slopes(state[i, j - 1], here, state[i, j + 1], slopes[ndim - 2])
            _slopes(here[:, : n - 2], here[:, 1 : n - 1], here[:, 2:], slopes[column, :, 1 : n - 1])
            if is_flattened:
                for axis in range(ndim):
                    for c in range(here.shape[0]):
                        _multiply(slopes[axis, c], flat[i, j])
            _face_states(law, here, slopes, ratio, row[2], scalars[3], lower, above)
            if ndim == 3 and is_inner_row:
                if i >= first_plane:
                    _flux(law, planes[j], lower[0], 0, below)
                if i > first_plane:
                    _add(-ratio[0], below, change)
                    _advance(law, state[i - 1, j], change, per_length, scalars, new[i - 1, j])
                planes[j] = above[0]
            if not is_inner_plane:
                continue
            if is_inner_row:
                _flux(
                    law,
                    above[column, :, : n - 1],
                    lower[column, :, 1:],
                    column,
                    along[:, : n - 1],
                )
                _difference(ratio[column], along, change)
                if ndim == 3:
                    _add(ratio[0], below, change)
            if ndim >= 2 and j >= first_row:
                across = row[2]
                _flux(law, upper[1 - (j & 1), ndim - 2], lower[ndim - 2], ndim - 2, across)
                if is_inner_row:
                    _add(ratio[ndim - 2], across, change)
                if j > first_row:
                    previous = changes[j - 1 if ndim == 3 else (j - 1) & 1]
                    _add(-ratio[ndim - 2], across, previous)
                    if ndim == 2:
                        _advance(law, state[i, j - 1], previous, per_length, scalars, new[i, j - 1])
            if ndim == 1:
                _advance(law, here, change, per_length, scalars, new[i, j])
    return scalars[1].max(), scalars[2].sum()


@kernel
def _slopes(below, here, above, slope):
    """Half of the limited difference across a cell, for all fields of a row."""
    for c in range(here.shape[0]):
        _limited(below[c], here[c], above[c], slope[c])


@kernel
def _limited(below, here, above, slope):
    for k in range(here.size):
        backward, forward = here[k] - below[k], above[k] - here[k]
        central = 0.25 * (backward + forward)
        low = min(min(backward, forward), central)
        high = max(max(backward, forward), central)
        slope[k] = max(low, 0.0) + min(high, 0.0)


@kernel
def _face_states(law, here, slopes, ratio, predicted, keep, lower, upper):
    """States half a step later at the lower and upper faces of the cells of a row."""
    ndim, fields, n = slopes.shape
    for c in range(fields):
        _copy(here[c], predicted[c])
    for axis in range(ndim):
        predict(law, here, slopes[axis], ratio[axis], axis, predicted)
    for k in range(n):
        keep[k] = 1.0
    for axis in range(ndim):
        for c in range(fields - ndim):
            _trust(here[c], predicted[c], slopes[axis, c], keep)
    for c in range(fields):
        _blend(here[c], keep, predicted[c])
        for axis in range(ndim):
            _faces(predicted[c], keep, slopes[axis, c], lower[axis, c], upper[axis, c])


@kernel
def _trust(here, predicted, slope, keep):
    for k in range(here.size):
        smallest = predicted[k] - abs(slope[k])
        keep[k] = keep[k] if smallest > SMALLEST_SHARE * here[k] else 0.0


@kernel
def _blend(here, keep, predicted):
    for k in range(here.size):
        predicted[k] = predicted[k] if keep[k] > 0.0 else here[k]


@kernel
def _faces(predicted, keep, slope, lower, upper):
    for k in range(predicted.size):
        s = keep[k] * slope[k]
        lower[k] = predicted[k] - s
        upper[k] = predicted[k] + s


@kernel
def _flux(law, left, right, axis, result):
    flux(law, left, right, axis, result)


@kernel
def _advance(law, here, change, per_length, scalars, new):
    inner = slice(GHOSTS, here.shape[1] - GHOSTS)
    advance(
        law,
        here[:, inner],
        change[:, inner],
        per_length,
        scalars[0, inner],
        new[:, inner],
        scalars[1, inner],
        scalars[2, inner],
    )


@kernel
def _difference(ratio, flux, change):
    n = change.shape[1]
    for c in range(change.shape[0]):
        _difference_row(ratio, flux[c, : n - 1], flux[c, 1:], change[c, 1:])


@kernel
def _difference_row(ratio, below, above, change):
    for k in range(below.size):
        change[k] = ratio * (below[k] - above[k])


@kernel
def _add(factor, flux, change):
    for c in range(change.shape[0]):
        _add_row(factor, flux[c], change[c])


@kernel
def _add_row(factor, flux, change):
    for k in range(change.size):
        change[k] += factor * flux[k]


@kernel
def _copy(source, target):
    for k in range(target.size):
        target[k] = source[k]


@kernel
def _multiply(target, factor):
    for k in range(target.size):
        target[k] *= factor[k]
