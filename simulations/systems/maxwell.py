"""Electromagnetic waves in the plane among dielectric inclusions."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Literal, Self

import numpy as np

from simulations.grid import Axis, Boundary, Grid
from simulations.inputs import Distribution, GaussianBlobs, GaussianRandomField, Thresholded
from simulations.numerics import staggered
from simulations.simulation import (
    Array,
    Field,
    FieldInput,
    Inputs,
    InvalidInput,
    Simulation,
    Solution,
    check_setting,
)

ENDS: dict[str, tuple[int, Boundary]] = {
    "periodic": (staggered.PERIODIC, "periodic"),
    "wall": (staggered.ODD, "wall"),
    "open": (staggered.LAYER, "open"),
}


@dataclass(frozen=True)
class Maxwell(Simulation):
    """Maxwell's equations in the plane, electric field across it (TM).

        ε(x, y) ∂E/∂t = ∂H_y/∂x − ∂H_x/∂y,    ∂H_x/∂t = −∂E/∂y,    ∂H_y/∂t = ∂E/∂x

    No charges, currents or magnetic matter. Normalised: lengths in units of L, times in L/c, E in
    units of E₀, H in E₀ times √(ε₀/μ₀), so that c = ε₀ = μ₀ = 1; ε is the relative permittivity.

    Yee's scheme, of second order: E at the centres of cells, H across their faces half a step
    later. H is given at the centres; it starts from zero, and its divergence stays zero to
    round-off. The step follows from the smallest ε.

    Between periodic ends and walls that conduct perfectly (E = 0), the energy ∫ (εE² + H²)/2 is
    conserved. What is reported is its discrete form, which the scheme conserves to round-off.
    Beyond open ends the medium goes on unchanged for a layer of cells that absorbs and counts as
    part of the energy.

    Args:
        n: cells along each side.
        length: side of the square in units of L.
        boundary: ``periodic``, ``wall`` or ``open``, on all sides.
        t_end: last stored time in L/c.
        n_times: stored times, the initial one included.
        initial: distribution of the initial electric field.
        medium: distribution of the relative permittivity.

    References:
        Yee, IEEE Transactions on Antennas and Propagation 14 (1966) 302: the scheme.
        Taflove and Hagness, Computational Electrodynamics (2005): dispersion, absorbing layers.
    """

    n: int = 128
    length: float = 1.0
    boundary: Literal["periodic", "wall", "open"] = "open"
    t_end: float = 1.0
    n_times: int = 21
    initial: Distribution = GaussianBlobs(fewest=1, most=3)
    medium: Distribution = Thresholded(GaussianRandomField(alpha=4.0, tau=6.0), 1.0, 4.0)

    fields: ClassVar[Mapping[str, Field]] = {
        "electric": Field("electric field across the plane", "1"),
        "magnetic": Field("magnetic field in the plane", "1", order=1),
        "energy": Field("mean density of energy", "1", spatial=False),
    }
    time_unit: ClassVar[str] = "1"

    def __post_init__(self) -> None:
        check_setting("n", self.n, 8, 2**20, integer=True)
        check_setting("length", self.length, 1e-6, 1e6)
        check_setting("t_end", self.t_end, 1e-9, 1e9)
        check_setting("n_times", self.n_times, 2, 1e6, integer=True)
        if self.boundary not in ENDS:
            raise InvalidInput(f"boundary={self.boundary!r}: must be one of {list(ENDS)}")

    @property
    def field_inputs(self) -> Mapping[str, FieldInput]:
        return {
            "electric0": FieldInput(
                "initial electric field", "1", self.initial, initial_of="electric"
            ),
            "permittivity": FieldInput(
                "relative permittivity", "1", self.medium, (1e-3, 1e6), None, True
            ),
        }

    @cached_property
    def grid(self) -> Grid:
        if self.boundary == "periodic":
            return Grid(tuple(Axis.periodic(name, self.n, self.length) for name in "xy"))
        bounds, (_, end) = (0.0, self.length), ENDS[self.boundary]
        return Grid(tuple(Axis.cells(name, self.n, bounds, "1", (end, end)) for name in "xy"))

    @cached_property
    def times(self) -> Array:
        return np.linspace(0.0, self.t_end, self.n_times)

    def solve(self, inputs: Inputs) -> Solution:
        end, _ = ENDS[self.boundary]
        electric0, permittivity = np.asarray(inputs["electric0"]), inputs["permittivity"]
        electric, flux, energy = staggered.integrate(
            electric0,
            1.0 / np.asarray(permittivity),
            np.ones(self.grid.shape),
            self.length / self.n,
            [(end, end)] * 2,
            self.times,
        )
        # The flux of the scalar is (−H_y, H_x)
        magnetic = np.stack([flux[..., 1], -flux[..., 0]], axis=-1)
        magnetic[0] = 0.0
        return {"electric": electric, "magnetic": magnetic, "energy": energy / self.length**2}

    def rescaled(self, factor: float) -> Self:
        return replace(self, n=round(self.n * factor))

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """Energy, which is conserved; with open ends it decays."""
        return {"energy": solution["energy"]}

    @property
    def conserved(self) -> Mapping[str, float]:
        return {} if self.boundary == "open" else {"energy": 0.0}
