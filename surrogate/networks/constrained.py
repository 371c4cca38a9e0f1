"""Networks whose answers keep what is known exactly: `Constrained`."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from surrogate.networks.constraints import Constraint, Scope, constraints_of
from surrogate.networks.network import Network, Scaling, Signature


class Constrained(Network):
    """A network with hard constraints as its last layer.

        z = N(inputs),    fields = P(z)

        Constrained(FNO(), velocity="divergence_free", pressure="zero_mean")
        Constrained(FNO(), density="conserved_mean", concentration="positive")
        Constrained(FNO(), temperature={"walls": [[1, 0], null]})

    Each ``P`` holds for every stored time, in physical units and to round-off, whatever the
    weights; a network that learns the step of a `Propagator` obeys it in every state. All but
    ``positive`` are projections, which change nothing that satisfies them already. Data that
    violate a constraint cannot be learnt beyond that violation: the divergence is the spectral
    one, and means are those of the trapezoidal rule.

    ======================  ====================================================================
    ``"zero_mean"``         ∫p dx = 0, each component
    ``"conserved_mean"``    ∫p dx = ∫p₀ dx, of the given first frame (of a step: the present one)
    ``"positive"``          p > 0
    ``"divergence_free"``   ∇·p = 0, vectors on periodic grids of two or three axes
    ``{"walls": g}``        p = g in the points on walls, see `surrogate.networks.constraints.Walls`
    ======================  ====================================================================

    Args:
        network: an unbuilt network, or its name, or ``{"name": …, "config": {…}}``.
        **constraints: by field one of the above; a vector may be ``divergence_free`` and have one
            of the means. Other fields are as the network gives them.

    Raises:
        ValueError: no such network or constraint; on building, no such field, or one that is not
            what its constraint needs.

    References:
        T. Beucler et al., "Enforcing analytic constraints in neural networks emulating physical
        systems", Phys. Rev. Lett. 126 (2021), arXiv:1909.00912.
    """

    first_frames: Tensor
    mean: Tensor
    std: Tensor
    change: Tensor
    from_first: Tensor
    lengths: Tensor

    def __init__(self, network: Network | str | Mapping[str, Any], **constraints: Any) -> None:
        from surrogate.networks import by_name

        if isinstance(network, str):
            network = by_name(network)()
        elif isinstance(network, Mapping):
            if not {"name"} <= set(network) <= {"name", "config"}:
                raise ValueError(f"network={network!r}: must have a name and may have a config")
            network = by_name(network["name"])(**network.get("config", {}))
        if not isinstance(network, Network):
            raise ValueError(
                f"network={type(network).__name__}: must be derived from "
                "surrogate.networks.Network, or the name of one that is"
            )
        described = {"name": type(network).__name__, "config": network.config}
        super().__init__(network=described, **constraints)
        self._declared = {name: constraints_of(name, c) for name, c in constraints.items()}
        if not self._declared:
            raise ValueError("Constrained: needs a constraint for at least one field")
        self.network = network
        self.any_grid = network.any_grid
        self.constraints: dict[int, list[Constraint]] = {}

    @property
    def recipe(self) -> Mapping[str, Any]:
        """How the network inside wants to be trained."""
        return getattr(self.network, "recipe", {})

    @property
    def is_fitted(self) -> bool:
        return self.network.is_fitted

    def create_layers(self, signature: Signature) -> None:
        for name, constraints in self._declared.items():
            if name not in signature.names:
                raise ValueError(
                    f"{name}={self.config[name]!r}: no such field on the grid; there are "
                    f"{', '.join(signature.names) or 'none'}"
                )
            field = signature.names.index(name)
            for constraint in constraints:
                try:
                    constraint.check(signature, field)
                except ValueError as error:
                    raise ValueError(f"{name}={self.config[name]!r}: {error}") from None
            self.constraints[field] = constraints
        self.network.build(signature)
        sources = torch.tensor(signature.first_frames, dtype=torch.long)
        self.register_buffer("first_frames", sources, persistent=False)
        self.register_buffer("mean", torch.zeros(signature.out_channels))
        self.register_buffer("std", torch.ones(signature.out_channels))
        self.register_buffer("change", torch.ones(signature.out_channels))
        self.register_buffer("from_first", torch.zeros(signature.out_channels))
        self.register_buffer("lengths", torch.ones(len(signature.grid), dtype=torch.float64))

    def calibrate(self, scaling: Scaling) -> None:
        self.network.calibrate(scaling)
        for name in ("mean", "std", "change", "from_first", "lengths"):
            getattr(self, name).copy_(getattr(scaling, name))

    def prepare(
        self, fields: Tensor, scalars: Tensor, out_fields: Tensor, out_scalars: Tensor
    ) -> None:
        if not self.is_fitted:
            return
        targets = self._each(fields, out_fields, lambda c, z, scope: c.targets(z, scope))
        self.network.prepare(fields, scalars, targets, out_scalars)

    def forward(self, fields: Tensor, scalars: Tensor) -> tuple[Tensor, Tensor]:
        self.check_inputs(fields, scalars)
        out_fields, out_scalars = self.network(fields, scalars)
        # Not in the half precision of autocast: a constraint is to hold to round-off
        out_fields = out_fields.to(fields.dtype)
        return self._each(fields, out_fields, lambda c, z, scope: c(z, scope)), out_scalars

    def _each(self, fields: Tensor, out_fields: Tensor, act: Any) -> Tensor:
        """Let the constraints of each field act on its channels; others are passed on."""
        signature = self.signature
        assert signature is not None
        known = fields.index_select(-1, self.first_frames.clamp_min(0)) if fields.shape[-1] else 0.0
        first = torch.where(self.first_frames >= 0, known, torch.zeros_like(out_fields))
        parts, end = [], 0
        for field, count in enumerate(signature.field_channels):
            part = slice(end, end + count)
            end += count
            y = out_fields[..., part]
            if field in self.constraints:
                start = self.from_first[part] * first[..., part]
                z = start + self.change[part] * y
                moments = self.mean[part], self.std[part]
                scope = Scope(signature, field, first[..., part], *moments, self.lengths)
                for constraint in self.constraints[field]:
                    z = act(constraint, z, scope)
                y = (z - start) / self.change[part]
            parts.append(y)
        return torch.cat(parts, dim=-1)
