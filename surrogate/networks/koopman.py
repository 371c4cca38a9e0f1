"""Linear dynamics of latent observables: all stored times from one encoding.

References:
    Koopman, Hamiltonian systems and transformation in Hilbert space, PNAS 17 (1931) 315.
    Lusch, Kutz, Brunton, Deep learning for universal linear embeddings of nonlinear dynamics,
    Nature Communications 9 (2018) 4950: eigenvalues that depend on the state.
    Mezić, Analysis of fluid flows via spectral properties of the Koopman operator, Annual Review of
    Fluid Mechanics 45 (2013) 357: fields as sums of Koopman modes.
"""

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from surrogate.networks.network import Network, Signature
from surrogate.networks.perceptron import Perceptron
from surrogate.networks.pod import PODInputs, principal_directions

#: Frames from which a basis is computed, at most
SNAPSHOTS = 2000
#: Fastest turns over the stored times of a fresh network
TURNS = 4.0


class Koopman(Network):
    """An encoder, observables that turn and decay at constant rates, a decoder.

        z_0     = encoder(inputs)
        z_{n+1} = K(parameters) z_n,    K = diag(e^(−γ_j / N) R(ω_j / N)),    γ_j ≥ 0
        y_n     = m + Φ decoder(z_n)

    for the stored times n = 1 … N: pairs of observables are rotated by R and damped, so that K
    cannot amplify, whatever its weights, and its powers cost nothing. Rates γ and ω depend on the
    scalar inputs. Fields go in and come out as whitened POD coefficients, of the inputs and of the
    frames. With ``decoder_layers=0`` the decoder is linear and ``Φ decoder`` are the Koopman modes.

    Stored times have to be equidistant. A single step, as a propagator takes it, is N = 1.

    Args:
        observables: pairs of latent variables.
        modes: basis vectors for each field, at most.
        width: of the hidden layers.
        layers: residual blocks of the encoder.
        decoder_layers: residual blocks of the decoder.

    Raises:
        ValueError: if a setting is out of range.
    """

    recipe: ClassVar[dict[str, Any]] = {"epochs": 300, "batch_size": 32, "learning_rate": 2e-3}
    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        observables: int = 64,
        modes: int = 48,
        width: int = 128,
        layers: int = 2,
        decoder_layers: int = 1,
    ) -> None:
        super().__init__(
            observables=observables,
            modes=modes,
            width=width,
            layers=layers,
            decoder_layers=decoder_layers,
        )
        self._check_at_least_one("observables", "modes", "width", "layers")
        if decoder_layers < 0:
            raise ValueError(f"decoder_layers={decoder_layers}: must be 0 or more")

    def create_layers(self, signature: Signature) -> None:
        observables, width = self.config["observables"], self.config["width"]
        points = math.prod(signature.grid)
        self.steps = max(signature.frames, default=1)
        if signature.out_scalars:
            self.steps = max(self.steps, signature.scalar_frames)
        self.ranks = []
        for i, components in enumerate(signature.components):
            self.ranks.append(min(self.config["modes"], points * components))
            self.register_buffer(f"basis_{i}", torch.zeros(self.ranks[-1], points * components))
            self.register_buffer(f"centre_{i}", torch.zeros(points * components))
        self.ranks.append(signature.out_scalars // signature.scalar_frames)
        outputs = sum(self.ranks)
        self.register_buffer("mean", torch.zeros(outputs))
        self.register_buffer("deviation", torch.ones(outputs))
        self.inputs = PODInputs(signature, self.config["modes"] * signature.in_channels)
        self.encoder = Perceptron(self.inputs.size, width, self.config["layers"], 2 * observables)
        self.decoder = Perceptron(2 * observables, width, self.config["decoder_layers"], outputs)
        # softplus(−2) = 0.13: a fresh network forgets little
        decay, turn = torch.full((observables,), -2.0), TURNS * math.pi * torch.rand(observables)
        self.rates = nn.Parameter(torch.stack([decay, turn]))
        self.rates_of = None
        if signature.in_scalars:
            self.rates_of = Perceptron(signature.in_scalars, width, 1, 2 * observables)
            for parameter in self.rates_of.output.parameters():
                parameter.data *= 0.1

    def prepare(
        self, fields: Tensor, scalars: Tensor, out_fields: Tensor, out_scalars: Tensor
    ) -> None:
        self.inputs.fit(fields)
        moments = []
        for i, frames in enumerate(self._by_field(out_fields)):
            snapshots = frames.flatten(0, 1)
            picked = torch.linspace(0, len(snapshots) - 1, min(SNAPSHOTS, len(snapshots))).long()
            snapshots = snapshots[picked].double()
            centre, basis = getattr(self, f"centre_{i}"), getattr(self, f"basis_{i}")
            centre.copy_(snapshots.mean(dim=0))
            vectors = principal_directions(snapshots - snapshots.mean(dim=0), len(basis))
            basis[: len(vectors)] = vectors.to(basis)
            moments.append((snapshots - centre) @ basis.double().T)
        if out_scalars.shape[1]:
            assert self.signature is not None
            series = out_scalars.double().unflatten(1, (-1, self.signature.scalar_frames))
            moments.append(series.transpose(1, 2).flatten(0, 1))
        self.mean.copy_(torch.cat([m.mean(dim=0) for m in moments]))
        self.deviation.copy_(torch.cat([m.std(dim=0) for m in moments]).clamp_min(1e-12))

    def _by_field(self, out_fields: Tensor) -> list[Tensor]:
        """Of each field its frames, ``(samples, frames, points · components)``."""
        assert self.signature is not None
        points = math.prod(self.signature.grid)
        flat = out_fields.reshape(len(out_fields), points, self.signature.out_channels)
        parts = flat.split(list(self.signature.field_channels), dim=-1)
        return [
            part.unflatten(-1, (frames, -1)).transpose(1, 2).flatten(2)
            for part, frames in zip(parts, self.signature.frames, strict=True)
        ]

    def rates_at(self, scalars: Tensor) -> tuple[Tensor, Tensor]:
        """Damping γ and angle ω over all stored times, ``(batch or 1, observables)`` each."""
        rates = self.rates[None]
        if self.rates_of is not None:
            rates = rates + self.rates_of(scalars).unflatten(1, (2, -1))
        return F.softplus(rates[:, 0]), rates[:, 1]

    def observe(self, fields: Tensor, scalars: Tensor) -> Tensor:
        """The observables at all stored times, ``(batch, steps, 2 · observables)``."""
        real, imaginary = self.encoder(self.inputs(fields, scalars))[:, None].chunk(2, dim=-1)
        share = torch.arange(1, self.steps + 1, device=real.device).to(real.dtype) / self.steps
        decay, turn = (share[None, :, None] * rate[:, None] for rate in self.rates_at(scalars))
        size, cos, sin = torch.exp(-decay), torch.cos(turn), torch.sin(turn)
        return torch.cat(
            [size * (cos * real - sin * imaginary), size * (sin * real + cos * imaginary)], dim=-1
        )

    def forward(self, fields: Tensor, scalars: Tensor) -> tuple[Tensor, Tensor]:
        self.check_inputs(fields, scalars)
        assert self.signature is not None
        sizes, batch = self.signature, fields.shape[0]
        decoded = self.decoder(self.observe(fields, scalars))
        *latent, series = torch.addcmul(self.mean, self.deviation, decoded).split(self.ranks, -1)
        parts = [fields.new_empty(batch, math.prod(sizes.grid), 0)]
        for i, (z, frames) in enumerate(zip(latent, sizes.frames, strict=True)):
            basis, centre = getattr(self, f"basis_{i}"), getattr(self, f"centre_{i}")
            values = z[:, self.steps - frames :] @ basis + centre
            values = values.unflatten(2, (parts[0].shape[1], -1)).transpose(1, 2)
            parts.append(values.flatten(2))
        out_scalars = series[:, -min(self.steps, sizes.scalar_frames) :].transpose(1, 2).flatten(1)
        return torch.cat(parts, -1).reshape(batch, *sizes.grid, sizes.out_channels), out_scalars
