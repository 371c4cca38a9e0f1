"""Lennard-Jones fluid: the standard model of a simple liquid, atom by atom."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Self

import numpy as np

from simulations.compilation import kernel
from simulations.grid import Axis, Grid
from simulations.inputs import WhiteNoise
from simulations.numerics import neighbours
from simulations.simulation import (
    Array,
    Field,
    FieldInput,
    Inputs,
    InvalidInput,
    Parameter,
    Simulation,
    SimulationDiverged,
    Solution,
    check_setting,
)

POSITIONS, VELOCITIES = ("x", "y", "z"), ("vx", "vy", "vz")
#: Margin of the lists of neighbours beyond the cutoff
MARGIN = 0.3
COMPLETED, TOO_CLOSE = 0, 1


@kernel
def forces(extended, lists, found, cutoff, force):
    """Forces on all particles; returns the potential energy and the virial Σ r·f over pairs."""
    x, y, z = extended[0], extended[1], extended[2]
    cutoff2 = cutoff * cutoff
    at_cutoff = 1.0 / (cutoff2 * cutoff2 * cutoff2)
    step_down = 4.0 * at_cutoff * (at_cutoff - 1.0)
    potential, virial = 0.0, 0.0
    for i in range(force.shape[1]):
        xi, yi, zi = x[i], y[i], z[i]
        fx, fy, fz, energy, product = 0.0, 0.0, 0.0, 0.0, 0.0
        neighbour = lists[i]
        for k in range(found[i]):
            j = np.uint64(neighbour[k])
            dx, dy, dz = xi - x[j], yi - y[j], zi - z[j]
            r2 = dx * dx + dy * dy + dz * dz
            inverse = 1.0 / r2
            sixth = inverse * inverse * inverse
            inside = 1.0 if r2 < cutoff2 else 0.0
            radial = inside * 24.0 * sixth * (2.0 * sixth - 1.0)
            energy += inside * (4.0 * sixth * (sixth - 1.0) - step_down)
            product += radial
            pull = radial * inverse
            fx += pull * dx
            fy += pull * dy
            fz += pull * dz
        force[0, i], force[1, i], force[2, i] = fx, fy, fz
        potential += 0.5 * energy
        virial += 0.5 * product
    return potential, virial


@kernel
def integrate(positions, velocities, length, cutoff, step, per_frame, trajectory, scalars):
    """Velocity Verlet steps, with a frame after every ``per_frame`` of them.

    Args:
        positions: ``(3, n)`` inside the box; changed in place, as are the velocities.
        trajectory: ``(frames, 6, n)``, positions that are not folded back, and velocities.
        scalars: ``(frames, 3)``, potential energy, virial, kinetic energy.

    Returns:
        Status and the last frame that was written.
    """
    n = positions.shape[1]
    reach = cutoff + MARGIN
    images = 27 * n
    extended, shift = np.empty((3, images)), np.empty((3, images))
    source, found = np.empty(images, np.int64), np.empty(n, np.int64)
    # Three times the neighbours of a uniform fluid, and some more
    room = int(3 * 4.2 * reach**3 * n / length**3) + 32
    lists = np.empty((n, room), np.int32)
    turns, force, listed = np.zeros((3, n)), np.empty((3, n)), positions.copy()
    count, potential, virial = 0, 0.0, 0.0
    for frame in range(trajectory.shape[0]):
        for _ in range(per_frame if frame > 0 else 1):
            farthest = 0.0
            if frame > 0:
                for i in range(n):
                    moved = 0.0
                    for axis in range(3):
                        velocities[axis, i] += 0.5 * step * force[axis, i]
                        positions[axis, i] += step * velocities[axis, i]
                        moved += (positions[axis, i] - listed[axis, i]) ** 2
                    farthest = max(farthest, moved)
                if not farthest < length * length:
                    return TOO_CLOSE, frame
            if frame == 0 or farthest > 0.25 * MARGIN * MARGIN:
                neighbours.wrap(positions, length, turns)
                listed[:] = positions
                count = neighbours.make_images(positions, length, reach, extended, source, shift)
                if not neighbours.list_pairs(extended, count, n, length, reach, lists, found):
                    return TOO_CLOSE, frame
            else:
                neighbours.move_images(positions, source, shift, count, extended)
            potential, virial = forces(extended, lists, found, cutoff, force)
            if frame > 0:
                for axis in range(3):
                    for i in range(n):
                        velocities[axis, i] += 0.5 * step * force[axis, i]
        kinetic = 0.0
        for axis in range(3):
            for i in range(n):
                trajectory[frame, axis, i] = positions[axis, i] + turns[axis, i] * length
                trajectory[frame, 3 + axis, i] = velocities[axis, i]
                kinetic += 0.5 * velocities[axis, i] ** 2
        scalars[frame, 0], scalars[frame, 1], scalars[frame, 2] = potential, virial, kinetic
    return COMPLETED, trajectory.shape[0] - 1


@dataclass(frozen=True)
class LennardJones(Simulation):
    """Atoms of a Lennard-Jones fluid in a periodic cube, isolated from the outside.

        d²r_i/dt² = −Σ_(j≠i) ∇φ(|r_i − r_j|),   φ(r) = 4 (r⁻¹² − r⁻⁶) − φ_c for r < r_c

    in units of σ, ε and the mass of an atom; φ_c makes φ continuous at the cutoff r_c. Atoms start
    on a face-centred cubic lattice of the given density with random velocities, whose mean is
    taken off and whose temperature is exactly the given one; the lattice melts, or does not, and
    the temperature with it. Velocity Verlet with lists of neighbours. Coordinates are those of the
    path of an atom, which is not folded back into the box.

    Args:
        cells: unit cells along each side; four atoms each.
        t_end: last stored time.
        n_times: stored times, the initial one included.
        step: longest time step at a temperature of one or below; shorter as √T above.
        cutoff: r_c, at most half of the side of the box at any density that is drawn.

    References:
        Allen and Tildesley, Computer Simulation of Liquids (2017).
    """

    cells: int = 4
    t_end: float = 2.0
    n_times: int = 41
    step: float = 0.004
    cutoff: float = 2.5

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "density": Parameter("number density", "1", (1e-3, 1.2), (0.6, 0.9)),
        "temperature": Parameter("initial temperature", "1", (1e-6, 10.0), (0.5, 3.0)),
    }
    fields: ClassVar[Mapping[str, Field]] = {
        **{name: Field(f"coordinate {name}", "1") for name in POSITIONS},
        **{name: Field(f"velocity along {name[1]}", "1") for name in VELOCITIES},
        "potential": Field("potential energy per atom", "1", spatial=False),
        "kinetic_temperature": Field("temperature of the motion", "1", spatial=False),
        "pressure": Field("pressure", "1", spatial=False),
    }
    time_unit: ClassVar[str] = "1"

    def __post_init__(self) -> None:
        check_setting("cells", self.cells, 2, 200, integer=True)
        check_setting("t_end", self.t_end, 1e-9, 1e9)
        check_setting("n_times", self.n_times, 2, 1e7, integer=True)
        check_setting("step", self.step, 1e-9, 0.01)
        check_setting("cutoff", self.cutoff, 1.2, 100.0)

    @property
    def n(self) -> int:
        """Number of atoms."""
        return 4 * self.cells**3

    @property
    def field_inputs(self) -> Mapping[str, FieldInput]:
        described = "initial velocity along {} over that of the temperature"
        return {
            f"kick_{axis}": FieldInput(described.format(axis), "1", WhiteNoise(), (-1e3, 1e3))
            for axis in POSITIONS
        }

    @cached_property
    def grid(self) -> Grid:
        return Grid((Axis.members("atom", self.n),))

    @cached_property
    def times(self) -> Array:
        return np.linspace(0.0, self.t_end, self.n_times)

    def solve(self, inputs: Inputs) -> Solution:
        density, temperature = float(inputs["density"]), float(inputs["temperature"])
        length = (self.n / density) ** (1 / 3)
        if length < 2 * self.cutoff:
            raise InvalidInput(
                f"density={density:g}: a box of {self.n} atoms is {length:.4g} wide, which must be "
                f"at least twice the cutoff of {self.cutoff:g}"
            )
        corners = np.stack(np.meshgrid(*[np.arange(self.cells)] * 3, indexing="ij"), axis=-1)
        basis = np.array([[0.0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]) + 0.25
        sites = (corners[..., None, :] + basis).reshape(-1, 3) / self.cells
        positions = np.ascontiguousarray(sites.T * length)
        kicks = np.stack([inputs[f"kick_{axis}"] for axis in POSITIONS])
        kicks -= kicks.mean(axis=1, keepdims=True)
        square = (kicks**2).sum() / (3 * self.n - 3)
        velocities = kicks * np.sqrt(temperature / square) if square > 0.0 else kicks
        longest = self.step / max(1.0, np.sqrt(temperature))
        spacing = self.t_end / (self.n_times - 1)
        per_frame = int(np.ceil(spacing / longest - 1e-9))
        trajectory = np.empty((self.n_times, 6, self.n))
        scalars = np.empty((self.n_times, 3))
        status, frame = integrate(
            positions,
            velocities,
            length,
            self.cutoff,
            spacing / per_frame,
            per_frame,
            trajectory,
            scalars,
        )
        if status != COMPLETED:
            raise SimulationDiverged(self.times[frame], "atoms come too close for the time step")
        by_name = np.ascontiguousarray(trajectory.swapaxes(0, 1))
        potential, virial, kinetic = scalars.T
        return {
            **dict(zip((*POSITIONS, *VELOCITIES), by_name, strict=True)),
            "potential": potential / self.n,
            "kinetic_temperature": 2 * kinetic / (3 * self.n - 3),
            "pressure": (2 * kinetic + virial) / (3 * length**3),
        }

    def rescaled(self, factor: float) -> Self:
        """The same: atoms belong to the problem."""
        return self

    def coarsened(self) -> Iterator[Self]:
        """Longer time steps."""
        for factor in (1.5, 2.0, 2.5):
            if factor * self.step <= 0.01:
                yield replace(self, step=factor * self.step)

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """Energy per atom, and the components of the mean velocity: all are conserved."""
        heat = 1.5 * (1 - 1 / self.n) * solution["kinetic_temperature"]
        drifts = {f"momentum_{v[1]}": solution[v].mean(axis=1) for v in VELOCITIES}
        return {"energy": solution["potential"] + heat, **drifts}

    @property
    def conserved(self) -> Mapping[str, float]:
        return {"energy": 1e-2, "momentum_x": 0.0, "momentum_y": 0.0, "momentum_z": 0.0}
