"""A domain as surrogates carry one: its module imports numpy and the standard library alone."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray


class Domain:
    """Inside a box of parameters every input is as likely as any other, outside impossible."""

    def __init__(self, name: str, limits: NDArray) -> None:
        self.name, self.limits = name, limits

    @classmethod
    def of(cls, settings: Mapping[str, Any], arrays: Mapping[str, NDArray]) -> Self:
        return cls(settings["name"], arrays["limits"])

    def settings(self) -> dict[str, Any]:
        return {"name": self.name}

    def arrays(self) -> dict[str, NDArray]:
        return {"limits": self.limits}

    def p_values(self, inputs: Mapping[str, NDArray]) -> NDArray:
        low, high = self.limits
        return np.where((inputs[self.name] >= low) & (inputs[self.name] <= high), 1.0, 0.0)
