"""The parameters that are asked for, as coordinates of the unit cube."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from simulations.simulation import Array, InvalidInput, Solution
from surrogate.deploy.whole import Whole
from surrogate.emulator import Surrogate


@dataclass(eq=False)
class Box:
    """The unknown parameters of a surrogate between their bounds; all other inputs are fixed.

    A coordinate runs from 0 to 1 in the parameter, or in its logarithm where that is its scale.

    Args:
        emulator: the surrogate.
        low, high: bounds of the unknown parameters by name, in the order of the coordinates.
        fixed: the other inputs: numbers, and fields on the grid of the simulation.
    """

    emulator: Surrogate
    low: dict[str, float]
    high: dict[str, float]
    fixed: dict[str, float | Array]
    solver_calls: int = field(default=0, init=False)

    @classmethod
    def of(
        cls,
        emulator: Surrogate,
        bounds: Mapping[str, tuple[float, float]] | None = None,
        inputs: Mapping[str, Any] | None = None,
    ) -> "Box":
        """All parameters that no input fixes, within the range the surrogate was trained in.

        Raises:
            InvalidInput: an unknown name, bounds outside the range of the training data, a field
                input that is missing, or no parameter left.
        """
        simulation, ranges = emulator.simulation, emulator.encoding.ranges
        fixed = simulation.check_inputs(inputs or {})
        if missing := [name for name in simulation.field_inputs if name not in fixed]:
            raise InvalidInput(f"inputs: must have {missing}, fields are not sought but given")
        names = [name for name in simulation.parameters if name not in fixed]
        if not names:
            raise InvalidInput(f"inputs={list(fixed)}: no parameter is left to vary")
        low, high = ({name: float(ranges[name][i]) for name in names} for i in (0, 1))
        for name, given in (bounds or {}).items():
            if name not in names:
                raise InvalidInput(f"bounds={name}: no such parameter to vary; there are {names}")
            least, most = low[name], high[name]
            try:
                low[name], high[name] = map(float, given)
            except (TypeError, ValueError):
                raise InvalidInput(f"bounds of {name}={given!r}: must be (low, high)") from None
            slack = 1e-6 * (most - least)
            if not least - slack <= low[name] < high[name] <= most + slack:
                raise InvalidInput(
                    f"bounds of {name}=({low[name]:g}, {high[name]:g}): must ascend within the "
                    f"training range [{least:g}, {most:g}]"
                )
        for name in names:
            if not low[name] < high[name]:
                raise InvalidInput(f"{name}: was {low[name]:g} in all training data, so fix it")
        return cls(emulator, low, high, dict(fixed))

    @property
    def names(self) -> list[str]:
        return list(self.low)

    @cached_property
    def _whole(self) -> Whole:
        return Whole(self.emulator)

    @cached_property
    def _spans(self) -> tuple[Array, Array, Array]:
        """Of each coordinate: is it a logarithm, where it begins and how long it is."""
        parameters = self.emulator.simulation.drawn_parameters
        is_log = np.array([parameters[name].scale == "log" for name in self.names])
        low, high = (np.array([*bound.values()]) for bound in (self.low, self.high))
        low, high = (np.where(is_log, np.log(np.where(is_log, b, 1.0)), b) for b in (low, high))
        return is_log, low, high - low

    def values(self, z: Array) -> Array:
        """Physical parameters of coordinates, both ``(..., d)``."""
        is_log, low, width = self._spans
        linear = low + width * np.asarray(z)
        values = np.where(is_log, np.exp(np.where(is_log, linear, 0.0)), linear)
        # Rounding may lead out of the range
        return np.clip(values, [*self.low.values()], [*self.high.values()])

    def coordinates(self, values: Array) -> Array:
        """The inverse of `values`."""
        is_log, low, width = self._spans
        values = np.asarray(values, np.float64)
        return (np.where(is_log, np.log(np.where(is_log, values, 1.0)), values) - low) / width

    def stretch(self, z: Array, which: Array) -> Array:
        """log |d value / d coordinate| of the chosen coordinates together, ``(...)``."""
        is_log, _, width = self._spans
        log_values = np.log(np.where(is_log, self.values(z), 1.0))
        return ((np.log(width) + log_values) * which).sum(axis=-1)

    def inputs(self, z: Tensor) -> dict[str, Tensor]:
        """All inputs as tensors, parameters ``(n,)``, differentiable in z ``(n, d)``."""
        is_log, low, width = (torch.from_numpy(part) for part in self._spans)
        linear = low + width * z
        values = torch.where(is_log, torch.exp(torch.where(is_log, linear, 0.0)), linear)
        inputs = dict(zip(self.names, values.unbind(-1), strict=True))
        for name, value in self.fixed.items():
            known = torch.as_tensor(value, dtype=torch.float64)
            inputs[name] = known.expand(len(z), *known.shape)
        return inputs

    def answers(self, z: Tensor) -> dict[str, Tensor]:
        """Of each field ``(n, time, *space, *component)``, differentiable in z ``(n, d)``."""
        return self._whole(self.inputs(z))

    def solved(self, z: Array) -> Solution:
        """The solver's answer at one point ``(d,)``; counted in `solver_calls`."""
        parameters = dict(zip(self.names, map(float, self.values(z)), strict=True))
        self.solver_calls += 1
        return self.emulator.simulation.run({**self.fixed, **parameters})
