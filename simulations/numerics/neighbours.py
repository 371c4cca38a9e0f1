"""Pairs of particles within a distance, in a periodic box.

Particles near a side get images beyond the opposite side, so that no distance needs to be folded
back. A list of neighbours is good until some particle has moved by half the margin beyond the
distance that it was made for. Every pair stands in the lists of both its particles: sums over
neighbours then run without scattering.
"""

import numpy as np

from simulations.compilation import kernel


@kernel
def wrap(positions, length, turns):
    """Fold positions ``(3, n)`` back into the box and count how often, in place."""
    for axis in range(3):
        for i in range(positions.shape[1]):
            times = np.floor(positions[axis, i] / length)
            positions[axis, i] -= times * length
            turns[axis, i] += times


@kernel
def make_images(positions, length, reach, extended, source, shift):
    """Copy the particles and append their images that lie within ``reach`` of the box.

    Args:
        positions: ``(3, n)``, inside the box.
        length: side of the box, at least ``reach``.
        reach: distance from the box.
        extended: positions of particles and images, ``(3, capacity)``; output.
        source: particle of which each entry is the image; output.
        shift: by how much it is displaced, ``(3, capacity)``; output.

    Returns:
        Number of entries, or −1 if there are more than the capacity.
    """
    n = positions.shape[1]
    for i in range(n):
        source[i] = i
        for axis in range(3):
            extended[axis, i] = positions[axis, i]
            shift[axis, i] = 0.0
    count = n
    for axis in range(3):
        known = count
        for i in range(known):
            here = extended[axis, i]
            for side in range(2):
                displacement = length if side == 0 else -length
                near = here < reach if side == 0 else here >= length - reach
                if near:
                    if count == source.size:
                        return -1
                    source[count] = source[i]
                    for other in range(3):
                        extended[other, count] = extended[other, i]
                        shift[other, count] = shift[other, i]
                    extended[axis, count] += displacement
                    shift[axis, count] += displacement
                    count += 1
    return count


@kernel
def move_images(positions, source, shift, count, extended):
    """Positions of particles and images after the particles have moved."""
    for axis in range(3):
        for i in range(count):
            extended[axis, i] = positions[axis, source[i]] + shift[axis, i]


@kernel
def list_pairs(extended, count, n, length, reach, lists, found):
    """Neighbours of each of the n particles among all entries, by cells of side ``reach``.

    Args:
        lists: ``(n, capacity)``, entries by particle; output.
        found: number of entries of each list; output.

    Returns:
        Whether all lists had room.
    """
    cells = max(1, int((length + 2 * reach) / reach))
    side = (length + 2 * reach) / cells
    head = np.full((cells, cells, cells), -1, np.int32)
    following = np.empty(count, np.int32)
    place = np.empty((3, count), np.int32)
    for i in range(count):
        for axis in range(3):
            cell = int((extended[axis, i] + reach) / side)
            place[axis, i] = min(max(cell, 0), cells - 1)
        a, b, c = place[0, i], place[1, i], place[2, i]
        following[i] = head[a, b, c]
        head[a, b, c] = i
    reach2 = reach * reach
    for i in range(n):
        x, y, z = extended[0, i], extended[1, i], extended[2, i]
        total = 0
        for a in range(max(place[0, i] - 1, 0), min(place[0, i] + 2, cells)):
            for b in range(max(place[1, i] - 1, 0), min(place[1, i] + 2, cells)):
                for c in range(max(place[2, i] - 1, 0), min(place[2, i] + 2, cells)):
                    j = head[a, b, c]
                    while j >= 0:
                        dx, dy, dz = extended[0, j] - x, extended[1, j] - y, extended[2, j] - z
                        if j != i and dx * dx + dy * dy + dz * dz < reach2:
                            if total == lists.shape[1]:
                                return False
                            lists[i, total] = j
                            total += 1
                        j = following[j]
        found[i] = total
    return True
