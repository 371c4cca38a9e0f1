"""Simulations of these tests. A process that solves them imports this file, and no torch."""

from dataclasses import dataclass

import numpy as np

from tests.toy import Toy


@dataclass(frozen=True)
class Hot(Toy):
    """The toy without fields to start from: a map of parameters alone."""

    n: int = 16

    field_inputs = {}

    def solve(self, inputs):
        x, y = np.meshgrid(*(axis.points for axis in self.grid.axes), indexing="ij")
        start = np.sin(np.pi * x) * np.cos(np.pi * y)
        return super().solve({**inputs, "theta0": start, "source": np.zeros_like(start)})


@dataclass(frozen=True)
class Slow(Hot):
    """The same, with a pause only where it is asked for an answer."""

    def warm_up(self):
        pass
