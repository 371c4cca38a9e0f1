"""Lattice Boltzmann method in two dimensions: nine velocities, central moments, any boundary.

Populations f_k travel one cell a step along their velocity c_k and collide where they meet. They
are kept as deviations from rest (density 1), in units of the lattice: cells, steps, and a speed of
sound of 1/√3. Sums over directions are the density's deviation ρ and the velocity (u, v); the
pressure is ρ/3. To second order in space, and up to errors of second order in the Mach number,

    ∇·u = 0,    ∂u/∂t + u·∇u = −∇p + ν∇²u.

The collision relaxes moments about the velocity: shear stresses at the rate that gives the
viscosity, third moments at a rate of their own, and the others, with the sound, completely. The
"magic" product (1/s − ½)(1/t − ½) of the two rates fixes all errors of steady flows: 3/16 puts
bounce-back walls exactly half-way between cells for a parabolic profile, 1/12 cancels the error of
third order of advection. Nonlinear terms are multiplied by the density at rest, which makes steady
flows incompressible and saves a division.

What lies outside a boundary is a frame of ghost cells and whatever cells a body covers. Before each
step, *links* fill the populations there that are about to enter the fluid, each a combination of
populations that leave it: copies from the other side (periodic), reflections (walls) or, at a
body, reflections interpolated to where its surface cuts the line between two cells. The sweep over
all cells then knows no boundary.

References:
    He and Luo, Journal of Statistical Physics 88 (1997) 927: the incompressible equilibrium.
    Geier, Greiner and Korvink, Physical Review E 73 (2006) 066705: collision of central moments.
    Ginzburg and d'Humières, Physical Review E 68 (2003) 066614: the two rates.
    Bouzidi, Firdaouss and Lallemand, Physics of Fluids 13 (2001) 3452: curved walls, and the force.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulations.compilation import kernel

Array = NDArray[np.float64]

#: Velocities (along a row, across the rows); opposite ones are neighbours.
VELOCITIES = np.array(
    [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, -1), (1, -1), (-1, 1)]
)
OPPOSITE = np.array([0, 2, 1, 4, 3, 6, 5, 8, 7])
WEIGHTS = np.array([4 / 9] + 4 * [1 / 9] + 4 * [1 / 36])


class Links(NamedTuple):
    """Populations that enter the fluid, each as a combination of three that leave it.

    Indices are into the flat array of populations.
    """

    target: NDArray[np.int64]  # (links,)
    source: NDArray[np.int64]  # (3, links), the first being what flies along the link
    weight: Array  # (3, links)
    push: Array  # (links,): what a wall that moves with the unit of the drive adds
    pull: Array  # (2, links): c of links whose exchange of momentum counts as force, else 0


def joined(*links: Links) -> Links:
    """All of these; where they fill the same population, the last one counts."""
    return Links(*(np.concatenate(parts, axis=-1) for parts in zip(*links, strict=True)))


def at_rest(rows: int, columns: int) -> Array:
    """Populations of a fluid at rest, shape ``(rows + 2, 9, columns + 2)``."""
    return np.zeros((rows + 2, 9, columns + 2))


def equilibrium(density: Array, u: Array, v: Array) -> Array:
    """Populations with these moments, each ``(rows, columns)``; the density as its deviation."""

    def share(c: int, speed: Array) -> Array:
        """How much of a Gaussian of variance 1/3 moves by c along an axis."""
        return (1 / 3 + c * speed + speed**2) / 2 if c else 2 / 3 - speed**2

    f = at_rest(*density.shape)
    for k, (cx, cy) in enumerate(VELOCITIES):
        f[1:-1, k, 1:-1] = share(cx, u) * share(cy, v) + WEIGHTS[k] * (density - 1)
    return f


def moments(f: Array) -> Array:
    """Deviation of the density, velocity along and across rows, ``(3, rows, columns)``."""
    cells = f[1:-1, :, 1:-1]
    cx, cy = VELOCITIES.T
    return np.stack([np.einsum("k,ikj->ij", c, cells) for c in (np.ones(9), cx, cy)])


def rates(viscosity: float, magic: float) -> tuple[float, float]:
    """Rates of the shear stresses and of the third moments, from ν in cells² per step."""
    return 1 / (3 * viscosity + 0.5), 1 / (magic / (3 * viscosity) + 0.5)


def periodic_links(rows: int, columns: int, *, along: bool, across: bool) -> Links:
    """What leaves on one side comes back on the other, along the rows, across them or both."""
    index = np.arange((rows + 2) * 9 * (columns + 2)).reshape(rows + 2, 9, columns + 2)
    i, k, j = np.indices(index.shape)
    cx, cy = VELOCITIES.T
    to_row, to_column = i + cy[k], j + cx[k]
    enters = (to_row > 0) & (to_row <= rows) & (to_column > 0) & (to_column <= columns)
    origin = index[(i - 1) % rows + 1 if across else i, k, (j - 1) % columns + 1 if along else j]
    is_copy = enters & (origin != index)
    return _links(index[is_copy], np.stack([origin[is_copy]] * 3), [[1.0], [0.0], [0.0]])


def wall_links(
    is_wall: NDArray[np.bool_],
    distance: Array | None = None,
    push: Array | None = None,
    *,
    force: bool = False,
    along: bool = False,
    across: bool = False,
) -> Links:
    """Reflections at walls and bodies, of second order in space wherever the surface is.

    At a wall half-way between cells what flies out comes back. Elsewhere it is interpolated from
    three populations along the link (Bouzidi et al.), if there are fluid cells for that; between
    two walls that are close to each other the surface is taken to lie half-way.

    Args:
        is_wall: cells outside the fluid, ghost cells included, ``(rows + 2, columns + 2)``.
            Ghost cells that are not marked belong to a periodic or open side.
        distance: from each fluid cell to the surface along each velocity, as a share of the link,
            ``(9, rows + 2, columns + 2)``; a half if not given.
        push: c_k·(velocity of the wall) where each link is cut, in the same shape; zero if not
            given. Multiplied by the drive of each step.
        force: whether to count the momentum that these walls receive.
        along: whether interpolation may reach over the ends of rows, which are periodic.
        across: whether it may reach from the first to the last row and back.
    """
    rows, columns = is_wall.shape
    index = np.arange(rows * 9 * columns).reshape(rows, 9, columns)
    is_fluid = np.zeros_like(is_wall)
    is_fluid[1:-1, 1:-1] = ~is_wall[1:-1, 1:-1]
    found = []
    for k, (cx, cy) in enumerate(VELOCITIES):
        back = OPPOSITE[k]
        i, j = np.nonzero(is_fluid & np.roll(is_wall, (-cy, -cx), (0, 1)))
        behind = [
            (_within(i - n * cy, rows, across), _within(j - n * cx, columns, along)) for n in (1, 2)
        ]
        q = np.full(i.size, 0.5) if distance is None else distance[k, i, j]
        q = np.where(is_fluid[behind[0]] & is_fluid[behind[1]], q, 0.5)
        out = index[i, k, j]
        near = np.stack([out, *(index[a, k, b] for a, b in behind)])
        far = np.stack([out, index[i, back, j], index[behind[0][0], back, behind[0][1]]])
        near_weight = np.stack([q * (1 + 2 * q), 1 - 4 * q**2, q * (2 * q - 1)])
        far_weight = np.stack([1 / (q + 2 * q**2), 2 - 1 / q, (1 - 2 * q) / (1 + 2 * q)])
        moved = np.zeros(i.size) if push is None else push[k, i, j]
        scale = np.where(q < 0.5, 1.0, 1 / (q + 2 * q**2))
        found.append(
            _links(
                index[i + cy, back, j + cx],
                np.where(q < 0.5, near, far),
                np.where(q < 0.5, near_weight, far_weight),
                -6 * WEIGHTS[k] * scale * moved,
                [[cx * force], [cy * force]],
            )
        )
    return joined(*found)


def _within(index: NDArray[np.int64], size: int, is_periodic: bool) -> NDArray[np.int64]:
    """Indices of cells, those beyond a side wrapped around, or set to a ghost cell."""
    return (index - 1) % (size - 2) + 1 if is_periodic else np.clip(index, 0, size - 1)


def _links(
    target: NDArray[np.int64],
    source: NDArray[np.int64],
    weight: ArrayLike,
    push: ArrayLike = 0.0,
    pull: ArrayLike = 0.0,
) -> Links:
    """Links with what they have in common given once."""
    n = target.size
    spread = [
        np.array(np.broadcast_to(values, shape))
        for values, shape in ((weight, (3, n)), (push, n), (pull, (2, n)))
    ]
    return Links(target, source, *spread)


@kernel
def advance(f, g, shear_rate, third_rate, links, drive, outflow, force):
    """March by as many steps as ``drive`` has elements.

    Args:
        f: populations, shape ``(rows + 2, 9, columns + 2)``.
        g: space for as many; both are overwritten.
        shear_rate: of the relaxation of shear stresses, see `rates`.
        third_rate: of the relaxation of third moments.
        links: all `Links`, joined.
        drive: factor of the velocity of moving walls during each step.
        outflow: mean velocity with which the fluid should leave through the right side during each
            step; empty if that side is not open.
        force: filled with the momentum that the walls which count receive in each step, shape
            ``(steps, 2)``: along the rows, across them.

    Returns:
        The new populations, then the ones of the step before.
    """
    rows = f.shape[0] - 2
    for step in range(drive.size):
        if outflow.size:
            _let_out(f, outflow[step])
        force[step, 0], force[step, 1] = _follow(f.reshape(f.size), links, drive[step])
        for i in range(1, rows + 1):
            _collide(f[i - 1], f[i], f[i + 1], shear_rate, third_rate, g[i])
        f, g = g, f
    return f, g


@kernel
def _follow(f, links, drive):
    """Fill the populations that enter the fluid; returns the force."""
    target, source, weight, push, pull = links
    force_x = force_y = 0.0
    for k in range(target.size):
        out = f[source[0, k]]
        back = weight[0, k] * out + weight[1, k] * f[source[1, k]] + weight[2, k] * f[source[2, k]]
        back += drive * push[k]
        f[target[k]] = back
        force_x += pull[0, k] * (out + back)
        force_y += pull[1, k] * (out + back)
    return force_x, force_y


@kernel
def _let_out(f, outflow):
    """Open right side: the pressure is zero, and plane sound waves leave without an echo.

    What enters comes from cells that have velocity and stresses of the last ones, but no other
    moments, and a pressure that is mirrored. What sound adds to the mean velocity is its pressure
    over density and speed of sound; no other motion changes the mean of an incompressible flow.
    """
    rows, j = f.shape[0] - 2, f.shape[2] - 2
    mean = 0.0
    for i in range(1, rows + 1):
        here = f[i]
        mean += here[1, j] - here[2, j] + here[5, j] - here[6, j] + here[7, j] - here[8, j]
    rho_out = (mean / rows - outflow) * np.sqrt(3.0)
    for i in range(1, rows + 1):
        here = f[i]
        f1, f2, f3, f4 = here[1, j], here[2, j], here[3, j], here[4, j]
        f5, f6, f7, f8 = here[5, j], here[6, j], here[7, j], here[8, j]
        along, across = f1 + f2 + f5 + f6 + f7 + f8, f3 + f4 + f5 + f6 + f7 + f8
        rho = here[0, j] + along + f3 + f4
        u, v = f1 - f2 + f5 - f6 + f7 - f8, f3 - f4 + f5 - f6 - f7 + f8
        xx, yy, xy = along - 1 / 3 * rho, across - 1 / 3 * rho, f5 + f6 - f7 - f8
        even = 2 * rho_out - rho - 1.5 * (xx + yy)
        f[i, 2, j + 1] = 1 / 9 * (even - 3 * u + 4.5 * xx)
        f[i + 1, 6, j + 1] = 1 / 36 * (even - 3 * (u + v) + 4.5 * (xx + yy + 2 * xy))
        f[i - 1, 8, j + 1] = 1 / 36 * (even - 3 * (u - v) + 4.5 * (xx + yy - 2 * xy))


@kernel
def _collide(below, here, above, shear_rate, third_rate, out):
    """Pull the populations that arrive in a row, let them collide, and write them to ``out``."""
    keep_shear, keep_third = 0.5 - 0.5 * shear_rate, 1 - third_rate
    # Unsigned indices are not checked for being negative, which would keep the loop from SIMD
    for j in range(np.uint64(1), np.uint64(here.shape[1] - 1)):
        west, east = j - np.uint64(1), j + np.uint64(1)
        f1, f2, f3, f4 = here[1, west], here[2, east], below[3, j], above[4, j]
        f5, f6, f7, f8 = below[5, west], above[6, east], above[7, west], below[8, east]
        even5, even7, odd5, odd7 = f5 + f6, f7 + f8, f5 - f6, f7 - f8
        diagonal = even5 + even7
        along, across = f1 + f2 + diagonal, f3 + f4 + diagonal
        rho = here[0, j] + along + across - diagonal
        u, v = f1 - f2 + odd5 + odd7, f3 - f4 + odd5 - odd7
        third = 1 / 3 * rho
        uu, vv, uv = u * u, v * v, u * v
        # Second moments: those of a Gaussian at rest with density 1 + rho taken off, then central
        xx, yy, xy = along - third - uu, across - third - vv, even5 - even7 - uv
        # Third moments: what central moments of second order do not explain
        rest_x = odd5 - odd7 - 2 * u * xy - v * (xx + uu + 1 / 3)
        rest_y = odd5 + odd7 - 2 * v * xy - u * (yy + vv + 1 / 3)
        deviator = keep_shear * (xx - yy)
        xy *= 2 * keep_shear
        xx, yy = uu + deviator, vv - deviator
        xxy = keep_third * rest_x + 2 * u * xy + v * (xx + 1 / 3)
        xyy = keep_third * rest_y + 2 * v * xy + u * (yy + 1 / 3)
        # Fourth moment: that of the Gaussian, moved
        xxyy = (
            2 * (v * xxy + u * xyy - 2 * uv * xy)
            - vv * (xx + 1 / 3)
            - uu * (yy + 1 / 3 + vv)
            + 1 / 3 * third
        )
        xx, yy, xy = xx + third, yy + third, xy + uv
        out[0, j] = rho - xx - yy + xxyy
        half, odd = 0.5 * (xx - xxyy), 0.5 * (u - xyy)
        out[1, j], out[2, j] = half + odd, half - odd
        half, odd = 0.5 * (yy - xxyy), 0.5 * (v - xxy)
        out[3, j], out[4, j] = half + odd, half - odd
        half, odd = 0.25 * (xxyy + xy), 0.25 * (xxy + xyy)
        out[5, j], out[6, j] = half + odd, half - odd
        half, odd = 0.25 * (xxyy - xy), 0.25 * (xyy - xxy)
        out[7, j], out[8, j] = half + odd, half - odd
