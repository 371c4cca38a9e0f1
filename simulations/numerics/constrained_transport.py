"""Second-order finite volumes for a magnetised gas on a periodic plane, free of divergence.

MUSCL-Hancock for what cells hold; the components of the field in the plane live on the faces they
are normal to and change by the electric field at the corners, so that their divergence stays what
it was, to rounding (constrained transport). A step: slopes limited by monotonised central
differences (MC); half a step in time, of the cells by the primitive equations, of the faces by the
mean electric field of the cells around a corner; one Riemann problem a face; the electric field at
a corner from the fluxes of the four faces that meet there and from gradients taken upwind with
the contact wave, which is the flux of the Riemann problem where nothing changes along one axis.
`magnetised_gas` is all that knows the equations.

The state is an array ``(rows, 10, columns)`` with two ghost cells at both ends of both axes: the
eight variables of the cells, and the fields at the lower faces along rows and along columns. A
sweep goes through the rows once and keeps what it needs of the last one.

Positivity: where a predicted state at a face is not admissible, the cell does without slopes. If a
cell is not admissible after the step all the same, the step is repeated without slopes around it,
and then with half its length. There, the heat is what is left of the energy with the field that
the fluxes make and not the field of the faces: that keeps it positive, and energy is conserved to
the order of the scheme only.

References:
    Gardiner, Stone, Journal of Computational Physics 205 (2005) 509: the electric field.
    Fromang, Hennebelle, Teyssier, Astronomy & Astrophysics 457 (2006) 371: the half step of faces.
"""

import numpy as np
import scipy.fft

from simulations.compilation import kernel
from simulations.grid import Array
from simulations.numerics import magnetised_gas
from simulations.numerics.magnetised_gas import DENSITY, FIELD_X, PRESSURE

COMPLETED, STEP_UNDERFLOW = 0, 1
GHOSTS = 2
CELL_FIELDS, FACE_X, FACE_Y = 8, 8, 9

# Share of the largest stable step, the sum over the axes of (|u| + c)Δt/Δx being 1
COURANT = 0.8

# Repetitions of a step; from the third on, each halves it
ATTEMPTS = 12

# A face state with less than this share of the cell's density or pressure is not trusted
SMALLEST_SHARE = 1e-2


def field_of_potential(potential: Array, spacing: tuple[float, float]) -> tuple[Array, Array]:
    """B_x and B_y at the lower faces, the curl of A_z at the lower corners of periodic cells."""
    bx = (np.roll(potential, -1, 1) - potential) / spacing[1]
    by = (potential - np.roll(potential, -1, 0)) / spacing[0]
    return bx, by


def centred(bx: Array, by: Array) -> Array:
    """Means of the faces' fields at the centres of periodic cells, ``(*shape, 2)``."""
    mean_x, mean_y = bx + np.roll(bx, -1, 0), by + np.roll(by, -1, 1)
    return 0.5 * np.stack([mean_x, mean_y], axis=-1)


def faces_of(field: Array, spacing: tuple[float, float]) -> tuple[Array, Array]:
    """The solenoidal fields at the faces whose means at the centres are closest to ``field``.

    Least squares for the potential, mode by mode: what is the mean of such a field at all is met to
    rounding. The result has no chequered mode, of which the means are zero.
    """
    nx, ny, _ = field.shape
    a = np.exp(2j * np.pi * scipy.fft.fftfreq(nx))[:, None]
    b = np.exp(2j * np.pi * scipy.fft.rfftfreq(ny))[None, :]
    to_x = 0.5 * (1 + a) * (b - 1) / spacing[1]
    to_y = -0.5 * (1 + b) * (a - 1) / spacing[0]
    size = np.abs(to_x) ** 2 + np.abs(to_y) ** 2
    spectrum = scipy.fft.rfft2(field, axes=(0, 1))
    potential = np.conj(to_x) * spectrum[..., 0] + np.conj(to_y) * spectrum[..., 1]
    # The uniform and the chequered potential have no field
    seen = size > 1e-20 * size.max()
    potential = np.where(seen, potential / np.where(seen, size, 1.0), 0.0)
    bx, by = field_of_potential(scipy.fft.irfft2(potential, (nx, ny)), spacing)
    return bx + field[..., 0].mean(), by + field[..., 1].mean()


@kernel
def integrate(gamma, state, times, spacing, frames):
    """Integrate from the cells of ``state`` and write a frame at each of the times but the first.

    Args:
        gamma: ratio of specific heats.
        state: cells and faces with ghosts (of any value); is overwritten.
        times: ascending instants, the first one that of the initial state.
        spacing: Δx by axis.
        frames: ``(time, rows, 8, columns)`` without ghosts and faces; the first is left alone.

    Returns:
        Status, time reached, number of steps, number of repeated ones.
    """
    new = state.copy()
    flat = np.ones((state.shape[0], state.shape[2]))
    work = workspace(state.shape[2])
    per_length = 1.0 / spacing
    time, steps, repeated = times[0], 0, 0
    speed = largest_speed(gamma, state, per_length)
    for frame in range(1, times.size):
        while time < times[frame]:
            remaining = times[frame] - time
            # Equal steps to the next instant, if they were all as long as this one
            count = np.ceil(remaining * speed / COURANT)
            step = remaining / max(count, 1.0)
            taken, speed, failed = try_step(gamma, state, step, per_length, flat, work, new)
            repeated += failed
            if taken <= 0.0:
                return STEP_UNDERFLOW, time, steps, repeated
            # The sum of rounded steps must not miss the instant
            is_last = taken >= remaining
            time = times[frame] if is_last else time + taken
            steps += 1
            state, new = new, state
        for j in range(frames.shape[1]):
            for c in range(CELL_FIELDS):
                _copy(state[j + GHOSTS, c][GHOSTS:], frames[frame, j, c])
    return COMPLETED, time, steps, repeated


@kernel
def workspace(n):
    """Scratch arrays of a sweep; all states positive, those at the ends of rows are never set.

    Those with a length of 2 hold a row and the last one, or a row and the next one.
    """
    slopes = np.zeros((2, CELL_FIELDS, n))
    predicted = np.ones((CELL_FIELDS, n))
    lower = np.ones((2, CELL_FIELDS, n))
    upper = np.ones((2, 2, CELL_FIELDS, n))
    across = np.zeros((CELL_FIELDS, n))
    along = np.zeros((2, CELL_FIELDS, n))
    changes = np.zeros((2, CELL_FIELDS, n))
    cells = np.zeros((2, 2, n))
    corners = np.zeros((2, 2, n))
    faces = np.zeros((3, n))
    scalars = np.zeros((4, n))
    return slopes, predicted, lower, upper, across, along, changes, cells, corners, faces, scalars


@kernel
def largest_speed(gamma, state, per_length):
    """Σ (|u| + c)/Δx, the largest among the cells."""
    speed, failures = np.zeros((2, state.shape[2]))
    for j in range(GHOSTS, state.shape[0] - GHOSTS):
        magnetised_gas.survey(gamma, state[j], per_length, speed, failures)
    return speed[GHOSTS:-GHOSTS].max()


@kernel
def try_step(gamma, state, step, per_length, flat, work, new):
    """One step into ``new``, repeated until it is admissible.

    Returns:
        The step taken (0 if none is small enough), Σ(|u| + c)/Δx after it, repetitions.
    """
    fill_ghosts(state)
    is_flattened = False
    speed = 0.0
    for attempt in range(ATTEMPTS):
        speed, failures = sweep(gamma, state, step, per_length, flat, is_flattened, work, new)
        if failures == 0.0 and speed * step <= 1.0:
            if is_flattened:
                flat[:] = 1.0
            return step, speed, attempt
        if failures > 0.0:
            _flatten(new, flat)
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
def _flatten(new, flat):
    """Take the slopes from cells that are not admissible and from their neighbours."""
    rows, columns = flat.shape[0] - 2 * GHOSTS, flat.shape[1] - 2 * GHOSTS
    for j in range(rows):
        for k in range(columns):
            r, p = new[GHOSTS + j, DENSITY, GHOSTS + k], new[GHOSTS + j, PRESSURE, GHOSTS + k]
            if not (r > 0.0 and p > 0.0):
                for a in range(j - 1, j + 2):
                    for b in range(k - 1, k + 2):
                        flat[GHOSTS + a % rows, GHOSTS + b % columns] = 0.0
    fill_ghosts(flat.reshape(flat.shape[0], 1, flat.shape[1]))


@kernel
def fill_ghosts(state):
    """Set the ghost cells to the cells of the other end."""
    rows, columns = state.shape[0] - 2 * GHOSTS, state.shape[2] - 2 * GHOSTS
    for j in range(GHOSTS, GHOSTS + rows):
        for c in range(state.shape[1]):
            row = state[j, c]
            for ghost in range(GHOSTS):
                row[ghost] = row[ghost + columns]
                row[GHOSTS + columns + ghost] = row[GHOSTS + ghost]
    for ghost in range(GHOSTS):
        for c in range(state.shape[1]):
            _copy(state[ghost + rows, c], state[ghost, c])
            _copy(state[GHOSTS + ghost, c], state[GHOSTS + rows + ghost, c])


@kernel
def sweep(gamma, state, step, per_length, flat, is_flattened, work, new):
    """One step, in a single pass through the rows.

    Returns:
        Σ(|u| + c)/Δx and the number of cells that are not admissible, after the step.
    """
    slopes, predicted, lower, upper, across, along, changes, cells, corners, faces, scalars = work
    n = state.shape[2]
    last = state.shape[0] - GHOSTS
    ratio = step * per_length
    scalars[1:3] = 0.0
    # Of the first row: the mean electric field at its lower corners, and its lower faces from it
    magnetised_gas.electric(state[0], cells[0, 0])
    magnetised_gas.electric(state[1], cells[0, 1])
    _mean(cells[0, 0], cells[0, 1], corners[0, 1])
    _transport_x(0.5 * ratio[1], corners[0, 1], state[1, FACE_X], faces[1])
    for j in range(1, last + 1):
        here, now, before = state[j], j & 1, 1 - (j & 1)
        # Faces half a step later; of the faces along the first axis there are two, by parity
        magnetised_gas.electric(state[j + 1], cells[0, before])
        _mean(cells[0, now], cells[0, before], corners[0, before])
        _transport_x(0.5 * ratio[1], corners[0, before], state[j + 1, FACE_X], faces[before])
        _transport_y(0.5 * ratio[0], corners[0, now], corners[0, before], here[FACE_Y], faces[2])
        for c in range(CELL_FIELDS):
            row = here[c]
            _limited(state[j - 1, c], row, state[j + 1, c], slopes[0, c])
            _limited(row[: n - 2], row[1 : n - 1], row[2:], slopes[1, c, 1 : n - 1])
        if is_flattened:
            for c in range(CELL_FIELDS):
                _multiply(slopes[0, c], flat[j])
                _multiply(slopes[1, c], flat[j])
        _centre(faces[now], faces[before], predicted[FIELD_X])
        _centre_along(faces[2], predicted[FIELD_X + 1])
        _face_states(gamma, here, slopes, ratio, predicted, scalars[3], lower, upper[now])
        magnetised_gas.electric(predicted, cells[1, now])
        # Along the row, between cells k − 1 and k
        magnetised_gas.flux(gamma, upper[now, 1], lower[1], faces[2], 1, along[now])
        _difference(ratio[1], along[now], changes[now])
        if j == 1:
            continue
        # Between the last row and this one
        magnetised_gas.flux(gamma, upper[before, 0], lower[0], faces[now], 0, across)
        _add(ratio[0], across, changes[now])
        _upwind(
            across[0],
            across[FIELD_X + 1],
            along[before, 0],
            along[before, FIELD_X],
            along[now, 0],
            along[now, FIELD_X],
            cells[1, before],
            cells[1, now],
            corners[1, now],
        )
        corners[1, now, n - 2] = corners[1, now, 2]  # which rounding may have made another
        _transport_x(ratio[1], corners[1, now], here[FACE_X], new[j, FACE_X])
        if j == GHOSTS:
            continue
        _add(-ratio[0], across, changes[before])
        _transport_y(
            ratio[0], corners[1, before], corners[1, now], state[j - 1, FACE_Y], new[j - 1, FACE_Y]
        )
        _centre(new[j - 1, FACE_X], new[j, FACE_X], new[j - 1, FIELD_X])
        _centre_along(new[j - 1, FACE_Y], new[j - 1, FIELD_X + 1])
        magnetised_gas.advance(
            gamma, state[j - 1], changes[before], flat[j - 1], scalars[0], new[j - 1]
        )
        magnetised_gas.survey(gamma, new[j - 1], per_length, scalars[1], scalars[2])
    inner = slice(GHOSTS, n - GHOSTS)
    return scalars[1, inner].max(), scalars[2, inner].sum()


@kernel
def _mean(below, above, corner):
    """The mean at the lower corners, from the cells of two rows."""
    _mean_of(below[:-1], below[1:], above[:-1], above[1:], corner[1:])


@kernel
def _mean_of(a, b, c, d, mean):
    for k in range(mean.size):
        mean[k] = 0.25 * ((a[k] + b[k]) + (c[k] + d[k]))


@kernel
def _transport_x(ratio, corner, field, new):
    """∂B_x/∂t = −∂E_z/∂y"""
    _add_difference(-ratio, corner[:-1], corner[1:], field[:-1], new[:-1])


@kernel
def _transport_y(ratio, below, above, field, new):
    """∂B_y/∂t = ∂E_z/∂x"""
    _add_difference(ratio, below, above, field, new)


@kernel
def _add_difference(ratio, below, above, field, new):
    for k in range(field.size):
        new[k] = field[k] + ratio * (above[k] - below[k])


@kernel
def _centre(below, above, mean):
    for k in range(mean.size):
        mean[k] = 0.5 * (below[k] + above[k])


@kernel
def _centre_along(face, mean):
    _centre(face[:-1], face[1:], mean[:-1])


@kernel
def _upwind(mass, b_flux, mass_below, a_flux_below, mass_above, a_flux_above, below, above, corner):
    """The electric field at the lower corners of a row.

    Each of the four faces gives its own value, and the difference from the centre to the face
    beside it in the cell that its contact wave comes from.

    Args:
        mass: mass flux through the faces between the rows.
        b_flux: flux of B_y through them, −E_z.
        mass_below: mass flux through the faces along the lower row; likewise the upper one.
        a_flux_below: flux of B_x through them, E_z; likewise of the upper row.
        below: E_z at the centres of the lower row; likewise of the upper one.
        corner: result; the first two and the last are not set.
    """
    n = corner.size
    _upwind_row(
        mass[1 : n - 2],
        mass[2 : n - 1],
        b_flux[1 : n - 2],
        b_flux[2 : n - 1],
        mass_below[2 : n - 1],
        a_flux_below[2 : n - 1],
        mass_above[2 : n - 1],
        a_flux_above[2 : n - 1],
        below[1 : n - 2],
        below[2 : n - 1],
        above[1 : n - 2],
        above[2 : n - 1],
        corner[2 : n - 1],
    )


@kernel
def _upwind_row(m_l, m_r, b_l, b_r, m_b, e_b, m_a, e_a, c_bl, c_br, c_al, c_ar, corner):
    # l, r: left and right along the row; b, a: below and above
    for k in range(corner.size):
        e_l, e_r = -b_l[k], -b_r[k]
        of_l = _from(m_l[k], e_b[k] - c_bl[k], e_a[k] - c_al[k])
        of_r = _from(m_r[k], e_b[k] - c_br[k], e_a[k] - c_ar[k])
        of_b = _from(m_b[k], e_l - c_bl[k], e_r - c_br[k])
        of_a = _from(m_a[k], e_l - c_al[k], e_r - c_ar[k])
        own = (e_l + e_r) + (e_b[k] + e_a[k])
        corner[k] = 0.25 * (own + (of_l + of_r) + (of_b + of_a))


@kernel
def _from(mass, low, high):
    """The value on the side the flow comes from; without flow, the mean."""
    return low if mass > 0.0 else (high if mass < 0.0 else 0.5 * (low + high))


@kernel
def _limited(below, here, above, slope):
    """Half of the limited difference across a cell."""
    for k in range(here.size):
        backward, forward = here[k] - below[k], above[k] - here[k]
        central = 0.25 * (backward + forward)
        low = min(min(backward, forward), central)
        high = max(max(backward, forward), central)
        slope[k] = max(low, 0.0) + min(high, 0.0)


@kernel
def _face_states(gamma, here, slopes, ratio, predicted, keep, lower, upper):
    """States half a step later at the lower and upper faces of the cells of a row.

    The upper face along the row is the lower one of the next cell, and has its place.
    """
    for c in range(FIELD_X):
        _copy(here[c], predicted[c])
    for axis in range(2):
        magnetised_gas.predict(gamma, here, slopes[axis], ratio[axis], axis, predicted)
    for k in range(keep.size):
        keep[k] = 1.0
    for axis in range(2):
        _trust(here[DENSITY], predicted[DENSITY], slopes[axis, DENSITY], keep)
        _trust(here[PRESSURE], predicted[PRESSURE], slopes[axis, PRESSURE], keep)
    for c in range(CELL_FIELDS):
        _blend(here[c], keep, predicted[c])
        _faces(predicted[c], keep, slopes[0, c], lower[0, c], upper[0, c])
        _faces(predicted[c][:-1], keep[:-1], slopes[1, c][:-1], lower[1, c][:-1], upper[1, c][1:])


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
def _difference(ratio, flux, change):
    for c in range(change.shape[0]):
        _difference_row(ratio, flux[c][:-1], flux[c][1:], change[c][:-1])


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
