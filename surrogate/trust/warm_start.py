"""The solver's answer, sooner: a surrogate makes the guess that an iterative solver starts from."""

import time
from typing import Any

import numpy as np
import xarray

from simulations.simulation import Inputs, InvalidInput, Simulation, Solution
from surrogate.emulator import Surrogate


class WarmStarted:
    """A simulation whose solver starts from a surrogate's answer; see `warm_start`.

    Args:
        simulation: whose solver takes a guess.
        emulator: of the same system, at this resolution or another.
    """

    def __init__(self, simulation: Simulation, emulator: Surrogate) -> None:
        self.simulation, self.emulator = simulation, emulator

    def guess(self, inputs: Inputs) -> Solution:
        """What the surrogate answers, on the grid of the simulation."""
        ours, theirs = self.simulation, self.emulator.simulation
        is_moved = ours.grid.shape != theirs.grid.shape
        moved = ours.transfer_inputs(inputs, theirs) if is_moved else inputs
        batch = {name: np.asarray(value)[None] for name, value in moved.items()}
        answer = {name: values[0] for name, values in self.emulator.predict(**batch).items()}
        return theirs.transfer_solution(answer, ours) if is_moved else answer

    def __call__(self, *, seed: int | None = None, **inputs: Any) -> xarray.Dataset:
        """Answer as the simulation does, to the same accuracy.

        The attributes have the ``iterations`` of the solver, the ``wall_time_seconds`` of the
        whole call and the ``guess_seconds`` of the surrogate within. A guess that is not finite is
        left out.

        Warns:
            OutOfDomainWarning: a parameter lies outside the range of the training data.

        Raises:
            InvalidInput, SimulationDiverged: as the simulation does.
        """
        complete, seed = self.simulation.complete_inputs(inputs, seed)
        start = time.perf_counter()
        guess: Solution | None = self.guess(complete)
        guessed = time.perf_counter()
        assert guess is not None
        if not all(np.isfinite(guess[name]).all() for name in self.simulation.guess_fields):
            guess = None
        solution, iterations = self.simulation.run_counted(complete, guess)
        attributes = {
            "seed": seed,
            "wall_time_seconds": time.perf_counter() - start,
            "guess_seconds": guessed - start,
            "answered_by": f"solver, from the guess of a surrogate ({self.emulator.network_name})"
            if guess is not None
            else "solver",
        }
        if iterations is not None:
            attributes["iterations"] = iterations
        return self.simulation.label(solution, complete, attributes)


def warm_start(simulation: Simulation, emulator: Surrogate) -> WarmStarted:
    """Let a surrogate give the solver of a simulation its first guess.

        warm = surrogate.warm_start(simulation, emulator)
        warm(rayleigh=1e5, prandtl=0.7)  # the solver's answer, in fewer iterations

    The answer is the solver's, whatever the guess. What is saved depends on the solver: a steady
    flow found by continuation saves most of its steps, while a linear solver that gains a digit in
    each iteration saves one for every digit of the guess.

    Args:
        simulation: whose solver takes a guess (`Simulation.guess_fields`).
        emulator: a surrogate of the same system; where its resolution is another one, inputs and
            answers are moved between the grids.

    Raises:
        InvalidInput: the solver takes no guess, or the surrogate is of another system.
    """
    if not simulation.guess_fields:
        name = type(simulation).__name__
        raise InvalidInput(f"simulation: the solver of {name} does not iterate from a guess")
    if type(simulation) is not type(emulator.simulation):
        raise InvalidInput(
            f"emulator: of {type(emulator.simulation).__name__}, not of {type(simulation).__name__}"
        )
    return WarmStarted(simulation, emulator)
