"""Shear layers in a periodic rectangle that roll up, and a tracer that shows it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from simulations.grid import Axis, Grid
from simulations.inputs import Distribution
from simulations.numerics import dealiased, exponential
from simulations.simulation import (
    NO_INPUTS,
    Array,
    Field,
    FieldInput,
    Inputs,
    InvalidInput,
    Parameter,
    Sampling,
    Showcase,
    Simulation,
    SimulationDiverged,
    Solution,
    check_setting,
)
from simulations.systems.vorticity_transport import VorticityTransport


@dataclass(frozen=True)
class ShearLayers(Distribution):
    """Parallel layers in x of alternating direction, evenly spaced in y, and what disturbs them.

    The profile, which a draw as a distribution is, and the velocity across it are

        ½ + Σ ±½ tanh(10 η),   0.1 Σ ±sin(π blobs x/L_x) exp(−100 η²)

    with η = layers (y − y₁)/(L_y width) in each layer at y₁.

    Args:
        layers: numbers of layers to draw from; even, or the flow would not be periodic.
        blobs: numbers of half waves along x of the disturbance.
        widths: thicknesses, relative to a tenth of the layers' distance.

    References:
        Ohana et al., The Well (2024): initial conditions of the dataset ``shear_flow``.
    """

    layers: tuple[int, ...] = (2, 4)
    blobs: tuple[int, ...] = (2, 3, 4, 5)
    widths: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 4.0)

    def __post_init__(self) -> None:
        for name, lowest in (("layers", 2), ("blobs", 1), ("widths", 1e-6)):
            values = getattr(self, name)
            try:
                values = tuple(values)
                is_right = bool(values) and all(lowest <= value < 1e6 for value in values)
                if name != "widths":
                    is_right = is_right and all(value == int(value) for value in values)
                if name == "layers":
                    is_right = is_right and all(value % 2 == 0 for value in values)
            except TypeError:
                is_right = False
            if not is_right:
                kind = {"layers": "even numbers", "blobs": "whole numbers"}.get(name, "numbers")
                raise ValueError(f"{name}={values!r}: must be {kind} of at least {lowest:g}")
            object.__setattr__(self, name, values)

    def velocity(self, rng: np.random.Generator, grid: Grid) -> Array:
        """Both components ``(2, *shape)``; not without divergence."""
        own = np.random.default_rng(rng.integers(2**63))
        layers, blobs = int(own.choice(self.layers)), int(own.choice(self.blobs))
        width = float(own.choice(self.widths))
        x, y = (axis.points[:, None] if a == 0 else axis.points for a, axis in enumerate(grid.axes))
        length, height = (axis.bounds[1] - axis.bounds[0] for axis in grid.axes)
        bottom = grid.axes[1].bounds[0]
        u, v = np.full(grid.shape, 0.5), np.zeros(grid.shape)
        for layer in range(layers):
            sign = 2 * (layer % 2) - 1
            centre = bottom + height * (layer + 0.5) / layers
            eta = layers * (y - centre) / (height * width)
            u += 0.5 * sign * np.tanh(10 * eta)
            v += 0.1 * sign * np.sin(np.pi * blobs * x / length) * np.exp(-100 * eta**2)
        return np.stack([u, v])

    def sample(self, rng: np.random.Generator, grid: Grid) -> Array:
        return self.velocity(rng, grid)[0]


@dataclass(frozen=True)
class ShearFlow(Simulation):
    """Two-dimensional incompressible flow in a periodic rectangle with a passive tracer.

        ∂u/∂t + u·∇u + ∇p = Δu / Re,   ∇·u = 0
        ∂s/∂t + u·∇s = Δs / (Re Sc)

    in units of the width of the rectangle and the difference of velocity across a layer. Solved as
    the transport of the vorticity and of the tracer: Fourier pseudo-spectral, free of aliasing by
    the 2/3 rule, fifth-order exponential time differencing with controlled steps. The pressure is
    that of the stored velocity, −Δp = ∇·∇·(uu), with mean zero. The tracer starts as the velocity
    along the layers. What is drawn has no divergence; of a given velocity the part that is a
    gradient is left out after the first stored frame, as the pressure would do it.

    The preset ``the_well`` has their domain (−1 ≤ y ≤ 1), grid as stored, times, pairs of numbers
    and initial conditions. They solved on a grid twice as fine, store the Reynolds number under the
    name Rayleigh in some files, and a pressure of zero at t = 0, where here it is the right one.

    Args:
        nx: grid points along the layers.
        ny: grid points across them.
        length: width of the rectangle.
        height: height of the rectangle.
        t_end: last stored time.
        n_times: stored times, the initial one included.
        tolerance: admissible error of a time step relative to the L2 norm of vorticity and tracer.
        initial: distribution of the initial layers, a `ShearLayers`.

    References:
        Ohana et al., The Well (2024): dataset ``shear_flow``.
    """

    nx: int = 64
    ny: int = 128
    length: float = 1.0
    height: float = 2.0
    t_end: float = 10.0
    n_times: int = 21
    tolerance: float = 1e-4
    initial: ShearLayers = ShearLayers(
        layers=(2,), widths=(0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0)
    )

    time_unit: ClassVar[str] = "1"
    parameters: ClassVar[Mapping[str, Parameter]] = {
        "reynolds": Parameter("Reynolds number", "1", (1.0, 1e7), (1e3, 5e3), "log"),
        "schmidt": Parameter("Schmidt number", "1", (1e-3, 1e3), (0.1, 2.0), "log"),
    }
    fields: ClassVar[Mapping[str, Field]] = {
        "tracer": Field("tracer", "1"),
        "pressure": Field("pressure", "1"),
        "velocity": Field("velocity", "1", order=1),
    }
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "the_well": {
            "nx": 256,
            "ny": 512,
            "t_end": 19.9,
            "n_times": 200,
            "initial": ShearLayers(),
            "sampling": Sampling(
                cases=[
                    {"reynolds": reynolds, "schmidt": schmidt}
                    for reynolds in (1e4, 5e4, 1e5, 5e5)
                    for schmidt in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
                ]
            ),
        }
    }
    showcase: ClassVar[Showcase] = Showcase(
        settings={"nx": 96, "ny": 192, "n_times": 3}, inputs={"reynolds": 5e3, "schmidt": 1.0}
    )

    def __post_init__(self) -> None:
        check_setting("nx", self.nx, 8, 16384, integer=True)
        check_setting("ny", self.ny, 8, 16384, integer=True)
        check_setting("length", self.length, 1e-6, 1e6)
        check_setting("height", self.height, 1e-6, 1e6)
        check_setting("t_end", self.t_end, 1e-9, 1e9)
        check_setting("n_times", self.n_times, 2, 1e6, integer=True)
        check_setting("tolerance", self.tolerance, 1e-13, 1e-1)
        if not isinstance(self.initial, ShearLayers):
            raise InvalidInput(f"initial={self.initial!r}: must be ShearLayers")

    @property
    def field_inputs(self) -> Mapping[str, FieldInput]:
        return {
            "tracer0": FieldInput("initial tracer", "1", self.initial, initial_of="tracer"),
            "velocity0": FieldInput(
                "initial velocity", "1", self.initial, initial_of="velocity", order=1
            ),
        }

    @cached_property
    def grid(self) -> Grid:
        x = Axis.periodic("x", self.nx, self.length)
        across = Axis.periodic("y", self.ny, self.height)
        half = 0.5 * self.height
        return Grid((x, replace(across, points=across.points - half, bounds=(-half, half))))

    @cached_property
    def times(self) -> Array:
        return np.linspace(0.0, self.t_end, self.n_times)

    def _transport(self, mean: Array) -> VorticityTransport:
        return VorticityTransport(self.grid.shape, (self.length, self.height), 1, mean)

    def sample(
        self, rng: np.random.Generator, given: Inputs = NO_INPUTS
    ) -> dict[str, float | Array]:
        """Tracer and velocity belong together."""
        drawn = super().sample(rng, given)
        velocity = self.initial.velocity(rng, self.grid)
        transport = self._transport(velocity.mean(axis=(1, 2)))
        drawn["tracer0"] = velocity[0]
        solenoidal = transport.velocity(transport.vorticity(velocity))
        drawn["velocity0"] = np.ascontiguousarray(np.moveaxis(solenoidal, 0, -1))
        return {**drawn, **given}

    def solve(self, inputs: Inputs) -> Solution:
        tracer0, velocity0 = np.asarray(inputs["tracer0"]), np.asarray(inputs["velocity0"])
        transport = self._transport(velocity0.mean(axis=(0, 1)))
        squared = dealiased.squared(transport.k)
        viscosity = 1 / inputs["reynolds"]
        linear = -squared * np.reshape([viscosity, viscosity / inputs["schmidt"]], (2, 1, 1))
        vorticity = transport.vorticity(np.moveaxis(velocity0, -1, 0))
        spectra = np.stack([vorticity, dealiased.spectrum_of(tracer0, 2)])

        tracer = np.empty((self.n_times, *tracer0.shape))
        pressure, velocity = np.empty_like(tracer), np.empty((self.n_times, *velocity0.shape))

        def store(frame: int, spectra: np.ndarray) -> None:
            tracer[frame] = dealiased.fields_of(spectra[1], self.grid.shape)
            u, v = transport.velocity(spectra[0])
            velocity[frame, ..., 0], velocity[frame, ..., 1] = u, v
            kx, ky = transport.k[0][:, None], transport.k[1]
            uu, uv, vv = dealiased.spectrum_of(np.stack([u * u, u * v, v * v]), 2)
            source = -(kx**2 * uu + 2 * kx * ky * uv + ky**2 * vv)
            spectrum = source / np.where(squared > 0.0, squared, np.inf)
            pressure[frame] = dealiased.fields_of(spectrum, self.grid.shape)

        store(0, spectra)
        tracer[0], velocity[0] = tracer0, velocity0
        march = exponential.march(spectra, linear, transport, self.times, self.tolerance)
        try:
            for frame, reached in enumerate(march, start=1):
                store(frame, reached)
        except exponential.StepUnderflow as error:
            raise SimulationDiverged(error.time, "no time step meets the tolerance") from None
        return {"tracer": tracer, "pressure": pressure, "velocity": velocity}

    def rescaled(self, factor: float) -> Self:
        return replace(self, nx=round(self.nx * factor), ny=round(self.ny * factor))

    def coarsened(self) -> Iterator[Self]:
        """Fewer points and looser steps."""
        return self.coarser_and_looser((1e-3, 1e-2))

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """Mean and mean square of the tracer, mean kinetic energy.

        The first is conserved, the others decay by diffusion alone.
        """
        tracer, velocity = solution["tracer"], solution["velocity"]
        return {
            "tracer": tracer.mean(axis=(1, 2)),
            "tracer_square": (tracer**2).mean(axis=(1, 2)),
            "energy": 0.5 * (velocity**2).sum(axis=-1).mean(axis=(1, 2)),
        }

    @property
    def conserved(self) -> Mapping[str, float]:
        return {"tracer": 0.0}
