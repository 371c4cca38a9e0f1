"""Advection and diffusion of a concentration."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from simulations.differential import Derivatives, Equations
from simulations.simulation import Array, Field, Inputs, Parameter
from simulations.systems.advection import along, check_direction, downwind
from simulations.systems.periodic_linear import PeriodicLinear


@dataclass(frozen=True)
class AdvectionDiffusion(PeriodicLinear):
    """Advection by a uniform wind, and diffusion, in a periodic box.

        ∂u/∂t + c·∇u = D Δu,    c = speed · direction / |direction|

    Fourier modes evolve on their own: exact in time, and in space for what the grid resolves.

    Args:
        ndim: dimensions of the box, 1 to 3.
        n: grid points along each side.
        length: side of the box in m.
        t_end: last stored time in s.
        n_times: stored times, the initial one included.
        initial: distribution of the initial concentration.
        direction: of the wind; as many components are used as there are dimensions.
    """

    direction: tuple[float, float, float] = (1.0, 0.5, 0.25)

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "speed": Parameter("speed of the wind", "m s-1", (-1e6, 1e6), (0.1, 2.0)),
        "diffusivity": Parameter("diffusivity", "m2 s-1", (0.0, 1e6), (1e-4, 1e-2), "log"),
    }
    fields: ClassVar[Mapping[str, Field]] = {"u": Field("concentration", "1")}

    def __post_init__(self) -> None:
        super().__post_init__()
        check_direction(self.direction, self.ndim)

    def symbol(
        self, k: tuple[Array, ...], squared: Array, inputs: Inputs
    ) -> NDArray[np.complexfloating]:
        carried = -1j * inputs["speed"] * along(self.direction, k)
        return carried - inputs["diffusivity"] * squared

    def equations(self, fields: Mapping[str, Any], inputs: Inputs, d: Derivatives) -> Equations:
        u = fields["u"]
        carried = inputs["speed"] * downwind(self.direction, u, d)
        spread = -inputs["diffusivity"] * d.laplacian(u)
        return {"transport": {"rate": d.time(u), "advection": carried, "diffusion": spread}}
