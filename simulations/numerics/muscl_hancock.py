"""Second-order finite volumes for a conservation law on a uniform grid of one to three axes.

MUSCL-Hancock: slopes of the primitive variables limited by monotonised central differences (MC),
half a step in time by the primitive equations in all axes at once, one Riemann problem a face,
all axes together. The law (`conservation_law`) is an argument and all that knows the equations.
What is not transport acts for a time of its own between the steps (Strang's splitting).

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

from collections.abc import Sequence
from typing import Any

import numpy as np

from simulations.compilation import kernel
from simulations.grid import Array
from simulations.numerics.conservation_law import advance, flux, predict, source

PERIODIC, OPEN, WALL = 0, 1, 2
BOUNDARIES = {"periodic": PERIODIC, "open": OPEN, "wall": WALL}
COMPLETED, STEP_UNDERFLOW = 0, 1
GHOSTS = 2

# Share of the largest stable step, the sum over the axes of (|u| + a)Δt/Δx being 1
COURANT = 0.8

# Repetitions of a step; from the third on, each halves it
ATTEMPTS = 12

# A face state with less than this share of a positive number of the cell is not trusted
SMALLEST_SHARE = 1e-2


def evolve(
    law: Any,
    positive: Sequence[Array],
    velocity: Array,
    times: Array,
    spacing: Sequence[float],
    boundary: Sequence[int],
) -> tuple[int, float, list[Array], Array]:
    """Integrate from fields on a grid of one to three axes.

    Args:
        law: a conservation law.
        positive: initial values of its positive fields, shape ``grid``.
        velocity: initial velocity, shape ``(*grid, axes)``.
        times: ascending instants, the first one that of the initial state.
        spacing: Δx by axis.
        boundary: `PERIODIC`, `OPEN` or `WALL` by axis.

    Returns:
        Status, time reached, and the fields with an axis of time in front.
    """
    shape, ndim = velocity.shape[:-1], velocity.shape[-1]
    initial = np.stack([*positive, *np.moveaxis(velocity, -1, 0)], axis=-2)
    fields = initial.shape[-2]
    initial = initial.reshape(*(1,) * (3 - ndim), *initial.shape)
    ghosts = [(GHOSTS if n > 1 else 0,) * 2 for n in initial.shape]
    ghosts[2] = (0, 0)
    state = np.pad(initial, ghosts, constant_values=1.0)
    frames = np.empty((times.size, *initial.shape))
    frames[0] = initial
    status, reached, *_ = integrate(
        law, state, times, np.array(spacing), np.array(boundary), frames
    )
    by_field = np.moveaxis(frames, 3, 0).reshape(fields, times.size, *shape)
    found = [values.copy() for values in by_field[: len(positive)]]
    return status, reached, found, np.moveaxis(by_field[len(positive) :], 0, -1).copy()


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
    fill_ghosts(ndim, state, boundary)
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
    """Scratch arrays of a sweep. States are positive, also at the ends of rows, never written."""
    rows, fields, n = shape[1], shape[2], shape[3]
    kept = rows if ndim == 3 else 2
    slopes = np.zeros((ndim, fields, n))
    predicted = np.ones((fields, n))
    # On both sides of the lower faces of the cells; below, those of the last row and plane too
    above = np.ones((fields, n))
    below = np.ones((3, fields, n))
    below_planes = np.ones((2, kept, fields, n))
    fluxes = np.zeros((2, fields, n))
    changes = np.zeros((kept, fields, n))
    scalars = np.zeros((3, n))
    return slopes, predicted, above, below, below_planes, fluxes, changes, scalars


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
    speed, failed = 0.0, 0.0
    for attempt in range(ATTEMPTS):
        speed, failures = sweep(law, state, step, per_length, flat, failed > 0.0, work, new)
        if failures == 0.0 and speed * step <= 1.0:
            if failed > 0.0:
                flat[:] = 1.0
            return step, speed, attempt
        if failures > 0.0:
            failed += failures
            fill_ghosts(ndim, new, boundary)
            _flatten(new.shape[2] - ndim, new, flat)
            if attempt >= 2:
                step *= 0.5
        elif speed * step < np.inf:
            step = min(0.5 * step, COURANT / speed)
        else:
            step *= 0.5
    flat[:] = 1.0
    return 0.0, speed, ATTEMPTS


@kernel
def _flatten(positive, new, flat):
    """Take the slopes from cells that are not admissible and from their neighbours."""
    planes, rows, _, n = new.shape
    for i in range(planes):
        for j in range(rows):
            for k in range(n):
                is_admissible = True
                for c in range(positive):
                    is_admissible &= new[i, j, c, k] > 0.0
                if not is_admissible:
                    for a in range(max(i - 1, 0), min(i + 2, planes)):
                        for b in range(max(j - 1, 0), min(j + 2, rows)):
                            for c in range(max(k - 1, 0), min(k + 2, n)):
                                flat[a, b, c] = 0.0


@kernel
def fill_ghosts(ndim, state, boundary):
    """Set the ghost cells: the other end, the outermost cell, or the mirror image."""
    planes, rows, fields, n = state.shape
    for ghost in range(GHOSTS):
        for side in range(2):
            if ndim == 3:
                target, source = _ghost(boundary[0], planes, ghost, side)
                for j in range(rows):
                    _copy(state[source, j], state[target, j])
                    if boundary[0] == WALL:
                        _reverse(state[target, j, fields - 3])
    for ghost in range(GHOSTS):
        for side in range(2):
            if ndim >= 2:
                target, source = _ghost(boundary[ndim - 2], rows, ghost, side)
                for i in range(planes):
                    _copy(state[i, source], state[i, target])
                    if boundary[ndim - 2] == WALL:
                        _reverse(state[i, target, fields - 2])
    for ghost in range(GHOSTS):
        for side in range(2):
            target, source = _ghost(boundary[ndim - 1], n, ghost, side)
            for i in range(planes):
                for j in range(rows):
                    for c in range(fields):
                        state[i, j, c, target] = state[i, j, c, source]
                    if boundary[ndim - 1] == WALL:
                        state[i, j, fields - 1, target] *= -1.0


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
    """Σ(|u| + a)/Δx of the fastest cell: the reciprocal of the largest stable step.

    The ghosts have to be filled.
    """
    above, change, scalars = work[2], work[6][0], work[7]
    ndim = per_length.size
    change[:] = 0.0
    scalars[:] = 0.0
    planes, rows = _inner(state.shape[0], ndim == 3), _inner(state.shape[1], ndim >= 2)
    for i in range(planes[0], planes[1]):
        for j in range(rows[0], rows[1]):
            advance(law, state[i, j], change, per_length, scalars[0], above, scalars[1], scalars[2])
    return _over_cells(scalars[1], scalars[2])[0]


@kernel
def _inner(size, is_axis):
    """First plane or row of cells, and the one after the last."""
    return (GHOSTS, size - GHOSTS) if is_axis else (0, size)


@kernel
def sweep(law, state, step, per_length, flat, is_flattened, work, new):
    """One step of the given length for all cells, whatever comes out.

    Returns:
        Σ(|u| + a)/Δx of the fastest new cell, and the number of cells that are not admissible.
    """
    slopes, predicted, above, below, below_planes, fluxes, changes, scalars = work
    speed, rate, failures = scalars[0], scalars[1], scalars[2]
    rate[:] = 0.0
    failures[:] = 0.0
    ndim, positive = per_length.size, state.shape[2] - per_length.size
    row_axis, column_axis = ndim - 2, ndim - 1
    ratio = step * per_length
    first_plane, end_plane = _inner(state.shape[0], ndim == 3)
    first_row, end_row = _inner(state.shape[1], ndim >= 2)
    outer_plane, outer_row = 1 if ndim == 3 else 0, 1 if ndim >= 2 else 0
    for i in range(first_plane - outer_plane, end_plane + outer_plane):
        is_inner_plane = first_plane <= i < end_plane
        for j in range(first_row - outer_row, end_row + outer_row):
            is_inner_row = first_row <= j < end_row
            if not (is_inner_plane or is_inner_row):
                continue
            here = state[i, j]
            if ndim == 3:
                _slopes(state[i - 1, j], here, state[i + 1, j], slopes[0])
            if ndim >= 2:
                _slopes(state[i, j - 1], here, state[i, j + 1], slopes[row_axis])
            _slopes_along(here, slopes[column_axis])
            if is_flattened:
                _multiply(slopes, flat[i, j])
            _copy(here, predicted)
            for axis in range(ndim):
                predict(law, here, slopes[axis], ratio[axis], axis, predicted)
            doubts = 0.0
            for axis in range(ndim):
                doubts += _doubts(positive, here, predicted, slopes[axis])
            if doubts > 0.0:
                _distrust(positive, here, predicted, slopes)

            change = changes[j if ndim == 3 else j & 1]
            if ndim == 3 and is_inner_row:
                _faces(predicted, slopes[0], above, below_planes[i & 1, j])
                if i >= first_plane:
                    flux(law, below_planes[1 - (i & 1), j], above, 0, fluxes[0])
                if i > first_plane:
                    _add(-ratio[0], fluxes[0], change)
                    advance(
                        law,
                        state[i - 1, j],
                        change,
                        per_length,
                        speed,
                        new[i - 1, j],
                        rate,
                        failures,
                    )
            if not is_inner_plane:
                continue
            if is_inner_row:
                _faces_along(predicted, slopes[column_axis], above, below[2])
                flux(law, below[2], above, column_axis, fluxes[1])
                _difference(ratio[column_axis], fluxes[1], change)
                if ndim == 3:
                    _add(ratio[0], fluxes[0], change)
            if ndim == 1:
                advance(law, here, change, per_length, speed, new[i, j], rate, failures)
            else:
                _faces(predicted, slopes[row_axis], above, below[j & 1])
                if j >= first_row:
                    flux(law, below[1 - (j & 1)], above, row_axis, fluxes[1])
                    previous = changes[j - 1 if ndim == 3 else 1 - (j & 1)]
                    _add(ratio[row_axis], fluxes[1], change)
                    _add(-ratio[row_axis], fluxes[1], previous)
                    if ndim == 2 and j > first_row:
                        advance(
                            law,
                            state[i, j - 1],
                            previous,
                            per_length,
                            speed,
                            new[i, j - 1],
                            rate,
                            failures,
                        )
    return _over_cells(rate, failures)


@kernel
def _over_cells(rate, failures):
    """Largest rate and number of failures; what the ghosts have become does not count."""
    largest, count = 0.0, 0.0
    for k in range(GHOSTS, rate.size - GHOSTS):
        largest = max(largest, rate[k])
        count += failures[k]
    return largest, count


@kernel
def _slopes(below, here, above, slope):
    """Half of the limited difference across a cell, for all fields of a row."""
    for c in range(here.shape[0]):
        for k in range(here.shape[1]):
            slope[c, k] = _limited(here[c, k] - below[c, k], above[c, k] - here[c, k])


@kernel
def _slopes_along(here, slope):
    for c in range(here.shape[0]):
        for k in range(1, here.shape[1] - 1):
            slope[c, k] = _limited(here[c, k] - here[c, k - 1], here[c, k + 1] - here[c, k])


@kernel
def _limited(backward, forward):
    central = 0.25 * (backward + forward)
    low = min(min(backward, forward), central)
    high = max(max(backward, forward), central)
    return max(low, 0.0) + min(high, 0.0)


@kernel
def _multiply(slopes, factor):
    for axis in range(slopes.shape[0]):
        for c in range(slopes.shape[1]):
            for k in range(slopes.shape[2]):
                slopes[axis, c, k] *= factor[k]


@kernel
def _doubts(positive, here, predicted, slope):
    """How many predicted numbers at faces are not safely positive."""
    count = 0.0
    for c in range(positive):
        for k in range(here.shape[1]):
            smallest = predicted[c, k] - abs(slope[c, k])
            count += 0.0 if smallest > SMALLEST_SHARE * here[c, k] else 1.0
    return count


@kernel
def _distrust(positive, here, predicted, slopes):
    """Leave the cells of these numbers without slopes and prediction."""
    for k in range(here.shape[1]):
        is_trusted = True
        for axis in range(slopes.shape[0]):
            for c in range(positive):
                smallest = predicted[c, k] - abs(slopes[axis, c, k])
                is_trusted &= smallest > SMALLEST_SHARE * here[c, k]
        if not is_trusted:
            for c in range(here.shape[0]):
                predicted[c, k] = here[c, k]
                for axis in range(slopes.shape[0]):
                    slopes[axis, c, k] = 0.0


@kernel
def _faces(predicted, slope, above, below):
    """States on the inside of the lower faces of the cells, and of the upper ones."""
    for c in range(predicted.shape[0]):
        for k in range(predicted.shape[1]):
            p, s = predicted[c, k], slope[c, k]
            above[c, k] = p - s
            below[c, k] = p + s


@kernel
def _faces_along(predicted, slope, above, below):
    """States on both sides of the lower faces of the cells."""
    for c in range(predicted.shape[0]):
        for k in range(predicted.shape[1] - 1):
            p, s = predicted[c, k], slope[c, k]
            above[c, k] = p - s
            below[c, k + 1] = p + s


@kernel
def _difference(ratio, flux, change):
    for c in range(change.shape[0]):
        for k in range(change.shape[1] - 1):
            change[c, k] = ratio * (flux[c, k] - flux[c, k + 1])


@kernel
def _add(factor, flux, change):
    for c in range(change.shape[0]):
        for k in range(change.shape[1]):
            change[c, k] += factor * flux[c, k]


@kernel
def _copy(source, target):
    for c in range(target.shape[0]):
        for k in range(target.shape[1]):
            target[c, k] = source[c, k]


@kernel
def _reverse(values):
    for k in range(values.size):
        values[k] = -values[k]
