"""A toy that hangs or kills its process: what faults are tried out on."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simulations.compilation import kernel
from simulations.simulation import Inputs, Solution
from tests.toy import Toy


@kernel
def spin(state):
    """Never returns, and never looks at a signal."""
    while state[0] == 0.0:
        state[1] += 1.0


@dataclass(frozen=True)
class Faulty(Toy):
    """Solves like the toy, but for some conductivities, and not while it warms up.

    Args:
        hangs: conductivities above this one hang in a compiled kernel.
        dies: conductivities below this one kill the process.
    """

    hangs: float = 1e9
    dies: float = 0.0

    def solve(self, inputs: Inputs) -> Solution:
        if self.n == Toy.n:
            if inputs["kappa"] > self.hangs:
                spin(np.zeros(2))
            if inputs["kappa"] < self.dies:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().solve(inputs)


@dataclass(frozen=True)
class Followed(Toy):
    """Solves like the toy, and names its process in a file while it waits for a kill.

    Args:
        trail: file that the first process to come by makes.
    """

    trail: str = ""

    def solve(self, inputs: Inputs) -> Solution:
        solution = super().solve(inputs)
        if self.n == Toy.n:
            try:
                with open(self.trail, "x") as file:
                    file.write(str(os.getpid()))
            except FileExistsError:
                return solution
            while Path(self.trail).exists():
                time.sleep(0.01)
        return solution
