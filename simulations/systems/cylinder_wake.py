"""Flow past a cylinder in a channel: steady wakes and vortex streets."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from simulations.grid import Axis, Grid
from simulations.numerics import lattice_boltzmann as lattice
from simulations.simulation import (
    Array,
    Field,
    Inputs,
    InvalidInput,
    Parameter,
    Sampling,
    Showcase,
    Simulation,
    SimulationDiverged,
    Solution,
    check_setting,
)

LENGTH, HEIGHT, DIAMETER = 2.2, 0.41, 0.1
CENTRE = (0.2, 0.2)
#: Time in which the inflow rises from rest
RISE = 2.0
#: Fixes where walls appear and the errors of advection; 1/12 cancels the largest of the latter
MAGIC = 1 / 12
FASTEST = 0.2


@dataclass(frozen=True)
class CylinderWake(Simulation):
    """Flow past a circular cylinder in a channel: the benchmark of Schäfer and Turek in the plane.

        ∇·u = 0,    ∂u/∂t + u·∇u = −∇p/ρ + ν∇²u,    u = 0 on the cylinder, y = 0 and y = 0.41

    A channel of 2.2 m × 0.41 m, a cylinder of diameter D = 0.1 m around (0.2, 0.2), a little below
    the middle, ρ = 1 kg/m³. From rest at t = 0 the inflow rises within T = 2 s as sin²(πt/2T) to a
    parabola with the mean U = 1 m/s; pressures are relative to the mean over the outflow. The
    viscosity is ν = UD/Re. Up to Re ≈ 50 the wake becomes steady, above it sheds vortices, at
    Re = 100 every 0.33 s and fully from t ≈ 5 s on. The force is given as coefficients of drag and
    lift, 2F/(ρU²D) per length of the cylinder. In cells inside the cylinder the velocity is zero
    and the pressure continues that of the fluid smoothly.

    Lattice Boltzmann method with central moments; the cylinder's surface is interpolated between
    cells. The lattice is slightly compressible, with a speed of sound of U/Ma: a step takes
    Ma/√3 D/(nU) s at most, so that stored times are whole numbers of steps apart. Errors go as 1/n²
    and as Ma², the latter more at small Re, where the pressure drops more; `rescaled` changes Ma as
    1/n, so that both fall together. Sound of the start is an error of the pressure, and less of the
    rest, until it has left one second after the rise.

    The preset ``schaefer_turek`` is their unsteady case 2D-2, Re = 100, over one second of
    developed shedding.

    Args:
        n: cells along the diameter of the cylinder, at least 5.
        mach: largest Mach number of the mean inflow, at most 0.2.
        t_start: first stored time in s.
        t_end: last stored time in s.
        n_times: stored times.

    References:
        Schäfer and Turek, Notes on Numerical Fluid Mechanics 52 (1996) 547: the benchmark.
    """

    n: int = 14
    mach: float = 0.17
    t_start: float = 1.0
    t_end: float = 6.0
    n_times: int = 51

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "reynolds": Parameter("Reynolds number", "1", (10.0, 200.0), (60.0, 150.0))
    }
    fields: ClassVar[Mapping[str, Field]] = {
        "velocity": Field("velocity", "m s-1", order=1),
        "pressure": Field("pressure", "Pa"),
        "force": Field("coefficients of drag and lift", "1", order=1, spatial=False),
    }
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "schaefer_turek": {
            "n": 20,
            "mach": 0.09,
            "t_start": 7.0,
            "t_end": 8.0,
            "n_times": 101,
            "sampling": Sampling(cases=({"reynolds": 100.0},)),
        }
    }
    showcase: ClassVar[Showcase] = Showcase(inputs={"reynolds": 120.0})

    def __post_init__(self) -> None:
        check_setting("n", self.n, 5, 1000, integer=True)
        check_setting("mach", self.mach, 1e-3, FASTEST)
        check_setting("t_start", self.t_start, 0.0, 1e3)
        check_setting("t_end", self.t_end, 1e-3, 1e4)
        check_setting("n_times", self.n_times, 2, 1e6, integer=True)
        if not self.t_end > self.t_start:
            raise InvalidInput(f"t_end={self.t_end!r}: must exceed t_start={self.t_start!r}")

    @cached_property
    def grid(self) -> Grid:
        dx = DIAMETER / self.n
        columns = round(LENGTH / dx)
        # The upper wall may cut the last row of cells, whose centres lie in the channel
        y = (np.arange(math.ceil(HEIGHT / dx - 0.5 - 1e-9)) + 0.5) * dx
        x = Axis.cells("x", columns, (0.0, LENGTH), "m", ("open", "open"))
        return Grid((x, Axis("y", y, (0.0, HEIGHT), "m")))

    @cached_property
    def times(self) -> Array:
        return np.linspace(self.t_start, self.t_end, self.n_times)

    @cached_property
    def steps(self) -> tuple[int, int]:
        """Steps before the first stored time, and from one to the next."""
        interval = (self.t_end - self.t_start) / (self.n_times - 1)
        between = math.ceil(interval * math.sqrt(3) * self.n / (self.mach * DIAMETER))
        # A step that begins before t = 0 finds the fluid at rest
        return math.ceil(self.t_start / interval * between - 1e-9), between

    @cached_property
    def is_solid(self) -> NDArray[np.bool_]:
        """Cells inside the cylinder, in the shape of the grid."""
        x, y = (axis.points - c for axis, c in zip(self.grid.axes, CENTRE, strict=True))
        return np.hypot.outer(x, y) < DIAMETER / 2

    @cached_property
    def _continuation(self) -> tuple[NDArray[np.intp], Array]:
        """Cells beside the cylinder, and the harmonic continuation from there to those inside."""
        columns = self.grid.shape[0]
        inside = np.flatnonzero(self.is_solid.T)
        neighbours = inside[:, None] + np.array([1, -1, columns, -columns])
        beside = np.setdiff1d(neighbours, inside)
        laplacian = 4.0 * np.eye(inside.size)
        source = np.zeros((inside.size, beside.size))
        for column in neighbours.T:
            row = np.arange(inside.size)
            is_in = np.isin(column, inside)
            laplacian[row[is_in], np.searchsorted(inside, column[is_in])] -= 1.0
            source[row[~is_in], np.searchsorted(beside, column[~is_in])] += 1.0
        return beside, np.linalg.solve(laplacian, source)

    @cached_property
    def _links(self) -> lattice.Links:
        """Channel walls with the inflow, and the cylinder, which the force is measured on."""
        dx = DIAMETER / self.n
        rows, columns = self.grid.shape[::-1]
        y, x = (np.arange(rows + 2)[:, None] - 0.5) * dx, (np.arange(columns + 2) - 0.5) * dx
        channel = np.zeros((rows + 2, columns + 2), dtype=bool)
        channel[[0, -1]] = channel[:, 0] = True
        to_wall, to_cylinder = np.full((2, 9, *channel.shape), 0.5)
        push = np.zeros((9, *channel.shape))
        for k, (cx, cy) in enumerate(lattice.VELOCITIES):
            if cy > 0:
                to_wall[k, -2] = (HEIGHT - y[-2]) / dx
            at = y + 0.5 * cy * dx
            profile = 6.0 * at * (HEIGHT - at) / HEIGHT**2
            push[k, :, :2] = cx * np.where((at > 0.0) & (at < HEIGHT), profile, 0.0)
            ahead = (x - CENTRE[0]) * cx + (y - CENTRE[1]) * cy
            beside = np.hypot(x - CENTRE[0], y - CENTRE[1]) ** 2 - DIAMETER**2 / 4
            squared = (cx**2 + cy**2) or 1
            root = np.sqrt(np.maximum(ahead**2 - squared * beside, 0.0))
            to_cylinder[k] = (-ahead - root) / (squared * dx)
        body = np.zeros_like(channel)
        body[1:-1, 1:-1] = self.is_solid.T
        return lattice.joined(
            lattice.wall_links(channel, to_wall, push),
            lattice.wall_links(body, to_cylinder, force=True),
        )

    def solve(self, inputs: Inputs) -> Solution:
        return self._march(float(inputs["reynolds"]))[0]

    def force_history(self, reynolds: float) -> tuple[Array, Array]:
        """Times in the middle of all steps up to the last one stored, and drag and lift then."""
        _, times, force = self._march(reynolds)
        return times, force

    def _march(self, reynolds: float) -> tuple[Solution, Array, Array]:
        """The solution, and the force during each step on the way."""
        first, between = self.steps
        steps = first + between * (self.n_times - 1)
        dt = (self.t_end - self.t_start) / (between * (self.n_times - 1))
        unit = dt * self.n / DIAMETER  # of velocity: 1 m/s in cells per step
        times: Array = self.t_start + (np.arange(steps) - first + 0.5) * dt
        inflow = unit * np.sin(np.pi / 2 * np.clip(times / RISE, 0.0, 1.0)) ** 2
        shear, third = lattice.rates(unit * self.n / reynolds, MAGIC)
        entering = self._links.push.sum() / self.grid.shape[1]
        populations = lattice.at_rest(*self.grid.shape[::-1])
        spare, force = populations.copy(), np.zeros((steps + 1, 2))
        frames = np.empty((self.n_times, 3, *self.grid.shape[::-1]))
        done = 0
        for frame in range(self.n_times):
            end = first + frame * between
            populations, spare = lattice.advance(
                populations,
                spare,
                shear,
                third,
                self._links,
                inflow[done:end],
                inflow[done:end] * entering,
                force[1 + done : 1 + end],
            )
            frames[frame] = lattice.moments(populations)
            frames[frame, :, self.is_solid.T] = 0.0
            if not np.isfinite(frames[frame]).all():
                raise SimulationDiverged(self.times[frame], "the lattice became unstable")
            done = end
        force *= 2.0 / (unit**2 * self.n)
        at = first + between * np.arange(self.n_times)
        following = np.minimum(at + 1, steps)
        velocity = frames[:, 1:]
        pressure = (frames[:, 0] - frames[:, 0, :, -1:].mean(axis=1, keepdims=True)) / 3.0
        beside, continuation = self._continuation
        flat = pressure.reshape(self.n_times, -1)
        flat[:, self.is_solid.T.ravel()] = flat[:, beside] @ continuation.T
        solution: Solution = {
            "velocity": np.ascontiguousarray(velocity.transpose(0, 3, 2, 1)) / unit,
            "pressure": np.ascontiguousarray(pressure.transpose(0, 2, 1)) / unit**2,
            "force": 0.5 * (force[at] + force[following]),
        }
        return solution, times, force[1:]

    def rescaled(self, factor: float) -> Self:
        return replace(self, n=round(self.n * factor), mach=min(self.mach / factor, FASTEST))

    def coarsened(self) -> Iterator[Self]:
        """Fewer cells and longer steps, dearest first."""
        rungs = {
            (n, mach)
            for n in {round(self.n * share) for share in (1.0, 0.85, 0.7, 0.6, 0.5, 0.42)}
            for mach in (self.mach, FASTEST)
            if n >= 5 and (n, mach) != (self.n, self.mach)
        }
        for n, mach in sorted(rungs, key=lambda rung: rung[0] ** 3 / rung[1], reverse=True):
            yield replace(self, n=n, mach=mach)

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """Volume flow through inlet and outlet: the mean velocities, equal without compression."""
        u = solution["velocity"][..., 0]
        return {"inflow": u[:, 0].mean(axis=1), "outflow": u[:, -1].mean(axis=1)}
