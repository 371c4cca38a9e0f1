"""Fisher–KPP equation: fronts of a population that spreads."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar

from simulations.differential import Derivatives, Equations
from simulations.inputs import Bounded, Distribution, GaussianRandomField, SineWaves, Stretched
from simulations.simulation import Array, Field, Inputs, Parameter, Sampling, Showcase
from simulations.systems.periodic_scalar import IsotropicScalar, Nonlinear, Symbol


@dataclass(frozen=True)
class FisherKPP(IsotropicScalar):
    """Fisher–KPP equation in a periodic box of one to three dimensions.

        ∂u/∂t = D Δu + r u (1 − u)

    Fourier pseudo-spectral in space, on an interval free of aliasing; fifth-order exponential time
    differencing with controlled steps in time: spectral accuracy in space.

    The preset ``pdebench`` is the one-dimensional reaction and diffusion of PDEBench: its domain,
    grid, stored times, the sixteen pairs of D and r (its ν and ρ), and its initial sines with their
    absolute values and windows, stretched to [0, 1]. Its own solver splits the two terms.

    Args:
        ndim: dimensions of the box, 1 to 3.
        n: grid points along each side.
        length: side of the box.
        t_end: last stored time.
        n_times: stored times, the initial one included.
        tolerance: admissible relative L2 error of a time step; the stored frames have about this
            error too.
        initial: distribution of the initial density, which must not be negative: below
            zero, densities run away.

    References:
        Fisher, Annals of Eugenics 7 (1937) 355. Ablowitz and Zeppetella, Bulletin of Mathematical
        Biology 41 (1979) 835: an exact travelling wave.
        Takamoto et al., PDEBench (2022): the preset.
    """

    n: int = 256
    length: float = 1.0
    t_end: float = 1.0
    n_times: int = 51
    initial: Distribution = Bounded(
        GaussianRandomField(alpha=3.0, tau=8.0, scale=1500.0), low=0.0, high=1.0
    )

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "diffusivity": Parameter("diffusivity", "1", (1e-6, 100.0), (5e-4, 5e-3), "log"),
        "rate": Parameter("growth rate", "1", (0.0, 1000.0), (1.0, 10.0), "log"),
    }
    fields: ClassVar[Mapping[str, Field]] = {"u": Field("density", "1")}
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "pdebench": {
            "n": 1024,
            "t_end": 1.0,
            "n_times": 101,
            "initial": Stretched(
                SineWaves(waves=2, highest=4, absolute=0.1, negative=0.5, windowed=0.1), 0.0, 1.0
            ),
            "sampling": Sampling(
                cases=[
                    {"diffusivity": nu, "rate": rho}
                    for nu, rho in product((0.5, 1.0, 2.0, 5.0), (1.0, 2.0, 5.0, 10.0))
                ]
            ),
        }
    }
    showcase: ClassVar[Showcase] = Showcase(
        settings={"ndim": 2, "n": 128, "n_times": 11}, inputs={"diffusivity": 5e-4, "rate": 10.0}
    )
    admissible: ClassVar[tuple[float, float]] = (0.0, 100.0)

    def linear(self, k: tuple[Array, ...], squared: Array, inputs: Inputs) -> Symbol:
        return inputs["rate"] - inputs["diffusivity"] * squared

    def nonlinear(self, k: tuple[Array, ...], squared: Array, inputs: Inputs) -> Nonlinear:
        return 1.0, (-inputs["rate"],)

    def equations(self, fields: Mapping[str, Any], inputs: Inputs, d: Derivatives) -> Equations:
        u = fields["u"]
        spread, growth = -inputs["diffusivity"] * d.laplacian(u), -inputs["rate"] * u * (1 - u)
        return {"population": {"rate": d.time(u), "diffusion": spread, "growth": growth}}

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """Population ∫u."""
        return {"population": self.integral(solution["u"])}
