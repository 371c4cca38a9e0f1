"""What finite volumes have to know of a conservation law.

A law is a `NamedTuple` of numbers, an argument of the kernels; its methods say what follows. They
are compiled into the integrator for the type of the law, so that a call costs nothing and the disk
cache finds them again:

    class IdealGas(NamedTuple):
        gamma: float

        def flux(self, left, right, axis, flux): ...

The index of the disk cache names the classes of the laws: a law belongs into a module that every
process can import.

A row holds the primitive variables of cells side by side, shape ``(fields, n)``: first the numbers
that have to stay positive (density and pressure, or depth), then the velocity along each axis.
"""

import functools
from collections.abc import Callable
from typing import Any

from numba.core.errors import TypingError
from numba.extending import overload

from simulations.compilation import FASTMATH, kernel

Method = Callable[..., None]


def _of_the_law(function: Method, default: Method | None = None) -> Method:
    """Calls in kernels go to the method of the law's class with this name."""

    @overload(function, {"error_model": "numpy", "fastmath": FASTMATH}, strict=False)
    @functools.wraps(function)
    def method(law: Any, *_: Any) -> Method | None:
        kind = law.instance_class
        if kind.__module__ == "__main__":  # nobody else could read the index again
            raise TypingError(f"{kind.__name__}: a law must be defined in a module, not a script")
        return getattr(kind, function.__name__, default)

    return function


@_of_the_law
def predict(law, here, slope, ratio, axis, predicted):
    """Add half a step of the terms with derivatives along one axis to ``predicted``.

    Args:
        here: primitive variables.
        slope: half of their differences across the cells, along the axis.
        ratio: Δt/Δx.
    """


@_of_the_law
def flux(law, left, right, axis, flux):
    """Flux of the conserved variables along an axis, between the states on both sides of faces.

    In the order of the primitive variables, that of the energy in place of the pressure.
    """


@_of_the_law
def advance(law, here, change, per_length, speed, new, rate, failures):
    """New primitive variables from the old ones and the change of the conserved ones.

    Args:
        per_length: 1/Δx by axis.
        speed: scratch row.
        rate: row, raised to Σ (|u| + a)/Δx where that is larger. A law that has other limits of the
            step adds their reciprocals.
        failures: row, raised by 1 where a number that has to be positive is not.
    """


def source(law, state, duration, per_length, boundary, scratch):
    """Everything but transport, over a time: sources, viscosity. A law need not have it.

    Args:
        state: of the integrator, overwritten in its cells; the ghosts have any value.
        boundary: of the integrator, for whom needs `fill_ghosts`.
        scratch: array of the same shape, of any value.
    """


_of_the_law(source, default=source)


@kernel
def advect(velocity, slope, ratio, predicted):
    """What `predict` has to do for a number that is carried along, from rows."""
    for k in range(velocity.size):
        predicted[k] -= ratio * velocity[k] * slope[k]
