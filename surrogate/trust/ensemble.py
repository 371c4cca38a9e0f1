"""`Ensemble`: surrogates that differ in their random beginnings, and whose disagreement tells."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from simulations.datasets.publish import publish_text
from simulations.simulation import InvalidInput, package_version
from surrogate.emulator import (
    ENSEMBLE_FORMAT,
    FORMAT_VERSION,
    Surrogate,
    SurrogateFileError,
    load,
    load_calibration,
)
from surrogate.trust import calibration as calibrations

Array = NDArray[np.floating]


class Mean(nn.Module):
    """The mean of what several networks answer."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, fields: Tensor, scalars: Tensor) -> tuple[Tensor, Tensor]:
        answers = [network(fields, scalars) for network in self.networks]
        return (
            torch.stack([answer[0] for answer in answers]).mean(0),
            torch.stack([answer[1] for answer in answers]).mean(0),
        )


class Ensemble(Surrogate):
    """Surrogates trained on the same data from different seeds, as one: it answers their mean.

    Their standard deviation says in which inputs, and where in the answer, the error is likely to
    be large. It is no error bar by itself; `surrogate.calibrated` makes one of it.

    Args:
        members: at least two surrogates of one simulation, with the same encoding.

    Raises:
        InvalidInput: there are fewer, or they are not of the same problem and data.

    References:
        Lakshminarayanan, Pritzel, Blundell, Simple and scalable predictive uncertainty estimation
        using deep ensembles, NeurIPS 2017; Mouli et al., ICML 2024, arXiv:2403.10642 (operators).
    """

    def __init__(self, members: Sequence[Surrogate]) -> None:
        if len(members) < 2:
            raise InvalidInput(f"members: {len(members)} are no ensemble; at least 2 are needed")
        first = members[0]
        for other in members[1:]:
            if other.simulation != first.simulation:
                raise InvalidInput(
                    f"members: have learnt {first.simulation} and {other.simulation}; must be of "
                    "one simulation"
                )
            if json.dumps(other.encoding.to_json()) != json.dumps(first.encoding.to_json()):
                raise InvalidInput("members: were trained on different data; must be on the same")
        self.members = tuple(members)
        trainings = [member.training for member in members]
        known: dict[str, Any] = {
            key: trainings[0][key]
            for key in ("dataset", "data_seconds", "trajectories", "versions")
            if key in trainings[0]
        }
        seconds = sum(training.get("seconds", 0.0) for training in trainings)
        network = Mean([member.network for member in members])
        super().__init__(first.simulation, network, first.encoding, {**known, "seconds": seconds})

    @property
    def network_name(self) -> str:
        names = dict.fromkeys(member.network_name for member in self.members)
        return f"ensemble of {len(self.members)} {', '.join(names)}"

    def mean_and_spread(
        self, inputs: Mapping[str, Array]
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Mean and standard deviation of the members' answers to a batch.

        Args:
            inputs: every parameter, ``(batch,)``, and every field input, ``(batch, *space)``.

        Returns:
            Of each field two arrays ``(batch, time, *space, *component)``.
        """
        answers = [member.answer(inputs) for member in self.members]
        mean, spread = {}, {}
        for name in answers[0]:
            stacked = np.stack([answer[name] for answer in answers])
            mean[name] = stacked.mean(axis=0)
            spread[name] = stacked.std(axis=0, ddof=1)
        return mean, spread

    def spread(self, **inputs: Any) -> dict[str, Array]:
        """Standard deviation of the members' answers; arguments and shapes as for `predict`."""
        batch = {name: np.asarray(value) for name, value in inputs.items()}
        self.check_batch(batch)
        return self.mean_and_spread(batch)[1]

    def weights_sha256(self) -> str:
        """Checksum of the weights of all members."""
        return _joined([member.weights_sha256() for member in self.members])

    def save(self, path: str | Path) -> None:
        """Write a folder with one folder for each member, ``config.json`` and a model card.

        Raises:
            ValueError: a member cannot be saved, or the calibration belongs to other weights.
        """
        folder = Path(path)
        names = [f"member-{i}" for i in range(len(self.members))]
        for name, member in zip(names, self.members, strict=True):
            member.save(folder / name)
        digest = self.weights_sha256()
        kept = self.save_calibration(folder, digest)
        config = {
            "format": ENSEMBLE_FORMAT,
            "format_version": FORMAT_VERSION,
            "package": f"physurrogate {package_version()}",
            "members": names,
            "weights_sha256": digest,
            "calibration": kept,
        }
        publish_text(folder / "README.md", self.model_card())
        publish_text(folder / "config.json", json.dumps(config, indent=2) + "\n")
        calibrations.remove_others(folder, kept)


def load_ensemble(folder: Path, config: Mapping[str, Any]) -> Ensemble:
    """The ensemble in a folder; see `surrogate.load`.

    Raises:
        SurrogateFileError: a member is not one, or they do not belong together.
    """
    names = config.get("members")
    # Flat names: no member is an ensemble, and none lies elsewhere
    if not (
        isinstance(names, list)
        and all(isinstance(name, str) and Path(name).name == name for name in names)
        and not any(".." in name for name in names)
    ):
        raise SurrogateFileError(f"{folder}/config.json: members={names!r}: must be folders in it")
    members = []
    for name in names:
        described = folder / name / "config.json"
        if described.is_file() and ENSEMBLE_FORMAT in described.read_text(errors="replace"):
            raise SurrogateFileError(f"{described}: a member cannot be an ensemble")
        members.append(load(folder / name))
    try:
        ensemble = Ensemble(members)
    except InvalidInput as error:
        raise SurrogateFileError(f"{folder}/config.json: {error}") from None
    digest = ensemble.weights_sha256()
    if digest != config.get("weights_sha256"):
        raise SurrogateFileError(f"{folder}: the members are not those that config.json describes")
    ensemble.calibration = load_calibration(folder, config, ensemble, digest)
    return ensemble


def _joined(digests: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()
