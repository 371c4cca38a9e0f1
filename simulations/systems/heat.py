"""Heat conduction in a periodic box."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from simulations.differential import Derivatives, Equations
from simulations.simulation import Array, Field, Inputs, Parameter, Showcase
from simulations.systems.periodic_linear import PeriodicLinear


@dataclass(frozen=True)
class Heat(PeriodicLinear):
    """Heat equation in a periodic box.

        ∂u/∂t = α Δu

    Fourier modes decay on their own: exact in time, and in space for what the grid resolves.

    Args:
        ndim: dimensions of the box, 1 to 3.
        n: grid points along each side.
        length: side of the box in m.
        t_end: last stored time in s.
        n_times: stored times, the initial one included.
        initial: distribution of the initial temperature.

    References:
        Fourier, Théorie analytique de la chaleur (1822).
    """

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "alpha": Parameter("thermal diffusivity", "m2 s-1", (0.0, 1e6), (1e-3, 1e-2), "log")
    }
    fields: ClassVar[Mapping[str, Field]] = {"u": Field("temperature", "K")}
    showcase: ClassVar[Showcase] = Showcase(settings={"n": 128}, inputs={"alpha": 1e-3})

    def symbol(self, k: tuple[Array, ...], squared: Array, inputs: Inputs) -> Array:
        return -inputs["alpha"] * squared

    def equations(self, fields: Mapping[str, Any], inputs: Inputs, d: Derivatives) -> Equations:
        u = fields["u"]
        return {"heat": {"rate": d.time(u), "conduction": -inputs["alpha"] * d.laplacian(u)}}
