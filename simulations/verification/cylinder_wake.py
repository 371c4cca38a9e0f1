"""Verification of `CylinderWake`."""

from collections.abc import Iterator

import numpy as np

from simulations.simulation import Array, Solution
from simulations.systems.cylinder_wake import CENTRE, DIAMETER, HEIGHT, CylinderWake
from simulations.verification.check import Finding, at_most, close_to, order, verifies

SCHAEFER_TUREK = "Schäfer and Turek (1996), 2D-2: from the lowest to the highest of the results"
NABH = (
    "Nabh, On high order methods for the stationary incompressible Navier–Stokes equations (1998)"
)
# Steady flow at Re = 20: drag, lift, and the pressure from front to rear over ρU²
DRAG, LIFT, DIFFERENCE = 5.57953523384, 0.010618948146, 0.11752016697 / 0.2**2


def _steady(n: int, mach: float, reynolds: float) -> tuple[CylinderWake, Solution]:
    simulation = CylinderWake(n=n, mach=mach, t_start=4.5, t_end=5.0, n_times=2)
    return simulation, simulation.solve({"reynolds": reynolds})


def _pressure_difference(simulation: CylinderWake, solution: Solution) -> float:
    """Between front and rear stagnation point, by parabolas through the three cells before."""
    x, y = (axis.points for axis in simulation.grid.axes)
    pressure = solution["pressure"][-1]
    upper = int(np.searchsorted(y, CENTRE[1]))
    middle = pressure[:, upper - 1 : upper + 1].mean(axis=1)
    front = int(np.searchsorted(x, CENTRE[0] - DIAMETER / 2)) - 1
    rear = int(np.searchsorted(x, CENTRE[0] + DIAMETER / 2))
    parabola = np.array([1.875, -1.25, 0.375])
    return float(parabola @ (middle[[front, front - 1, front - 2]] - middle[rear : rear + 3]))


def _shedding(times: Array, force: Array) -> tuple[float, float, float]:
    """Largest drag, largest lift and Strouhal number of a periodic force."""
    drag, lift = force.T
    rising = np.flatnonzero((lift[:-1] < 0.0) & (lift[1:] >= 0.0))
    share = lift[rising] / (lift[rising] - lift[rising + 1])
    instants = times[rising] + share * (times[1] - times[0])
    return drag.max(), lift.max(), DIAMETER * (instants.size - 1) / np.ptp(instants)


@verifies(CylinderWake)
def steady_wake() -> Iterator[Finding]:
    """Benchmark 2D-1: drag, lift and pressure at Re = 20, at the default resolution."""
    simulation, solution = _steady(14, 0.17, 20.0)
    drag, lift = solution["force"][-1]
    difference = _pressure_difference(simulation, solution)
    yield close_to("coefficient of drag", drag, DRAG, 0.004 * DRAG, NABH)
    yield close_to("coefficient of lift", lift, LIFT, 0.15 * LIFT, NABH)
    yield close_to("pressure difference over ρU²", difference, DIFFERENCE, 0.01 * DIFFERENCE, NABH)
    change = np.abs(np.diff(solution["force"], axis=0)).max()
    yield at_most("change of the coefficients within 0.5 s", change, 1e-4)


@verifies(CylinderWake)
def vortex_street() -> Iterator[Finding]:
    """Benchmark 2D-2: vortex shedding at Re = 100, at the default resolution."""
    simulation = CylinderWake(t_start=7.0, t_end=8.0, n_times=2)
    times, force = simulation.force_history(100.0)
    drag, lift, strouhal = _shedding(times[times > 7.0], force[times > 7.0])
    yield close_to("largest coefficient of drag", drag, 3.23, 0.03, SCHAEFER_TUREK)
    yield close_to("largest coefficient of lift", lift, 1.00, 0.05, SCHAEFER_TUREK)
    yield close_to("Strouhal number", strouhal, 0.300, 0.006, SCHAEFER_TUREK)


@verifies(CylinderWake)
def developed_flow() -> Iterator[Finding]:
    """Far behind the cylinder at Re = 2: Poiseuille's profile and its pressure gradient."""
    simulation, solution = _steady(10, 0.06, 2.0)
    x, y = (axis.points for axis in simulation.grid.axes)
    behind = (x > 1.0) & (x < 2.0)
    u = solution["velocity"][-1, behind, :, 0]
    pressure = solution["pressure"][-1, behind].mean(axis=1)
    error = np.abs(u - 6.0 * y * (HEIGHT - y) / HEIGHT**2).max()
    yield at_most("largest error of u over U", error, 5e-3, "exact")
    gradient = np.polyfit(x[behind], pressure, 1)[0]
    expected = -12.0 * (DIAMETER / 2.0) / HEIGHT**2
    yield close_to("pressure gradient", gradient, expected, -0.003 * expected, "exact")


@verifies(CylinderWake)
def momentum_balance() -> Iterator[Finding]:
    """Force on the cylinder from pressures, momentum and friction on a box around it, Re = 20."""
    simulation, solution = _steady(14, 0.17, 20.0)
    nu, dx = DIAMETER / 20.0, DIAMETER / simulation.n
    pressure, velocity = solution["pressure"][-1], solution["velocity"][-1]
    (u, v) = np.moveaxis(velocity, -1, 0)
    u_x, u_y = np.gradient(u, dx)
    v_x, v_y = np.gradient(v, dx)
    through_x = np.stack([u * u + pressure - 2 * nu * u_x, u * v - nu * (u_y + v_x)])
    through_y = np.stack([u * v - nu * (u_y + v_x), v * v + pressure - 2 * nu * v_y])
    n = simulation.n
    # From a diameter before to a diameter behind, from half-way to the walls; faces of cells
    left, right, low, high = n, 3 * n, n, 3 * n
    west, east = (through_x[:, i - 1 : i + 1, low:high].sum(axis=(1, 2)) for i in (left, right))
    south, north = (through_y[:, left:right, j - 1 : j + 1].sum(axis=(1, 2)) for j in (low, high))
    drag, lift = 0.5 * dx * (west - east + south - north) * 2.0 / DIAMETER
    found = solution["force"][-1]
    yield at_most("drag from momentum less that on the links", drag - found[0], 0.08)
    yield at_most("lift from momentum less that on the links", lift - found[1], 0.002)


@verifies(CylinderWake)
def volume() -> Iterator[Finding]:
    """As much flows through every cross-section as through the inlet."""
    simulation, solution = _steady(10, 0.17, 20.0)
    flux = solution["velocity"][-1, ..., 0] @ simulation.grid.axes[1].weights / HEIGHT
    yield at_most(
        "largest deviation of the mean velocity from U", np.abs(flux[30:] - 1.0).max(), 2e-3
    )


@verifies(CylinderWake, slow=True)
def convergence() -> Iterator[Finding]:
    """Drag and pressure at Re = 20 on finer lattices, Ma as 1/n."""
    sizes, drags, differences = [], [], []
    for n in (10, 20, 30):
        simulation, solution = _steady(n, 1.7 / n, 20.0)
        sizes.append(1.0 / n)
        drags.append(abs(solution["force"][-1, 0] - DRAG))
        differences.append(abs(_pressure_difference(simulation, solution) - DIFFERENCE))
    yield order("drag at Re = 20", sizes, drags, 2.0)
    yield at_most("error of drag with 30 cells", drags[-1] / DRAG, 1e-3, NABH)
    yield at_most("error of lift with 30 cells", solution["force"][-1, 1] - LIFT, 3e-4, NABH)
    error = differences[-1] / DIFFERENCE
    yield at_most("error of the pressure difference with 30 cells", error, 5e-3, NABH)


@verifies(CylinderWake, slow=True)
def fine_vortex_street() -> Iterator[Finding]:
    """Benchmark 2D-2 with 28 cells: lift and frequency in the published intervals, drag near."""
    simulation = CylinderWake(n=28, mach=0.06, t_start=7.0, t_end=7.7, n_times=2)
    times, force = simulation.force_history(100.0)
    drag, lift, strouhal = _shedding(times[times > 6.7], force[times > 6.7])
    yield close_to("largest coefficient of drag", drag, 3.23, 0.02, SCHAEFER_TUREK)
    yield close_to("largest coefficient of lift", lift, 1.00, 0.01, SCHAEFER_TUREK)
    yield close_to("Strouhal number", strouhal, 0.300, 0.005, SCHAEFER_TUREK)
