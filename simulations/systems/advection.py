"""Advection: a pattern carried along by a uniform wind."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from simulations.differential import Derivatives, Equations
from simulations.inputs import Distribution, GaussianRandomField, SineWaves
from simulations.simulation import Array, Field, Inputs, InvalidInput, Parameter, Sampling
from simulations.systems.periodic_linear import PeriodicLinear


@dataclass(frozen=True)
class Advection(PeriodicLinear):
    """Advection by a uniform wind in a periodic box.

        ∂u/∂t + c·∇u = 0,    c = speed · direction / |direction|

    Fourier modes change their phase alone: exact in time, and in space for what the grid resolves.

    The preset ``pdebench`` has the equation, domain, grid, stored times and velocities of PDEBench,
    and its random sines with their signs, absolute values and windows. Here they keep their shape,
    where its own upwind scheme of second order wears them down.

    Args:
        ndim: dimensions of the box, 1 to 3.
        n: grid points along each side.
        length: side of the box in m.
        t_end: last stored time in s.
        n_times: stored times, the initial one included.
        direction: of the wind; as many components are used as there are dimensions.
        initial: distribution of the initial concentration.

    References:
        Takamoto et al., PDEBench (2022): the preset.
    """

    direction: tuple[float, float, float] = (1.0, 0.5, 0.25)
    initial: Distribution = GaussianRandomField(alpha=3.0, tau=5.0, scale=200.0)

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "speed": Parameter("speed of the wind", "m s-1", (-1e6, 1e6), (0.1, 2.0))
    }
    fields: ClassVar[Mapping[str, Field]] = {"u": Field("concentration", "1")}
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "pdebench": {
            "ndim": 1,
            "n": 1024,
            "t_end": 2.0,
            "n_times": 201,
            "initial": SineWaves(waves=2, highest=4, absolute=0.1, negative=0.5, windowed=0.1),
            "sampling": Sampling(
                cases=[{"speed": beta} for beta in (0.1, 0.2, 0.4, 0.7, 1.0, 2.0, 4.0, 7.0)]
            ),
        }
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        check_direction(self.direction, self.ndim)

    def symbol(
        self, k: tuple[Array, ...], squared: Array, inputs: Inputs
    ) -> NDArray[np.complexfloating]:
        return -1j * inputs["speed"] * along(self.direction, k)

    def equations(self, fields: Mapping[str, Any], inputs: Inputs, d: Derivatives) -> Equations:
        u = fields["u"]
        carried = inputs["speed"] * downwind(self.direction, u, d)
        return {"transport": {"rate": d.time(u), "advection": carried}}


def along(direction: tuple[float, ...], k: tuple[Array, ...]) -> Array:
    """Wavenumbers along the unit vector of a direction."""
    components = direction[: len(k)]
    product = sum(c * axis for c, axis in zip(components, k, strict=True))
    return np.asarray(product / np.linalg.norm(components))


def downwind(direction: tuple[float, ...], u: Any, d: Derivatives) -> Any:
    """Derivative along the unit vector of a direction."""
    unit = np.array(direction[: d.grid.ndim]) / np.linalg.norm(direction[: d.grid.ndim])
    return sum(float(c) * slope for c, slope in zip(unit, d.gradient(u), strict=True))


def check_direction(direction: tuple[float, ...], ndim: int) -> None:
    """Refuse what is not a direction in space."""
    vector = np.asarray(direction) if isinstance(direction, tuple) else np.empty(0, dtype=object)
    is_vector = vector.shape == (3,) and vector.dtype.kind in "iuf"
    if not is_vector or not np.isfinite(vector).all() or not vector[:ndim].any():
        raise InvalidInput(
            f"direction={direction!r}: must be three finite numbers, the first {ndim} not all zero"
        )
