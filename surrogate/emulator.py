"""`Surrogate`: a trained network in the place of the simulation it has learnt."""

import hashlib
import json
import time
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

import simulations
from simulations.datasets.publish import publish_text, published
from simulations.simulation import InvalidInput, Simulation, package_version
from surrogate import networks
from surrogate.encoding import Encoding
from surrogate.networks.network import Network, Signature
from surrogate.propagation import Propagator, Rollout

Array = NDArray[np.floating]

FORMAT = "physurrogate-surrogate"
FORMAT_VERSION = 1


class SurrogateFileError(ValueError):
    """A folder is not the saved surrogate it should be; the message says what is wrong."""


class OutOfDomainWarning(UserWarning):
    """An input lies outside the range the surrogate was trained in."""


class Surrogate:
    """A network that answers in the place of a simulation: the same call, the same dataset back.

    Args:
        simulation: the system it replaces, with the settings of its training data.
        network: a built network (or any module with the same ``forward``), or the `Rollout` of
            one.
        encoding: the map between physical arrays and the network's tensors.
        training: what is known of how it came to be: history, seeds, errors, cost.
    """

    def __init__(
        self,
        simulation: Simulation,
        network: nn.Module,
        encoding: Encoding,
        training: Mapping[str, Any] | None = None,
    ) -> None:
        self.simulation = simulation
        self.network = network.eval().to("cpu")
        self.encoding = encoding
        self.training = dict(training or {})

    @property
    def learner(self) -> nn.Module:
        """The network that has been trained: of a roll-out, the one that makes its steps."""
        return self.network.network if isinstance(self.network, Rollout) else self.network

    def __repr__(self) -> str:
        name = type(self.learner).__name__
        count = sum(p.numel() for p in self.network.parameters())
        error = self.training.get("test_relative_l2", {})
        shown = ", ".join(f"{key} {100 * value:.2g} %" for key, value in error.items())
        return f"Surrogate({type(self.simulation).__name__} by {name}, {count:,} weights" + (
            f"; test error {shown})" if shown else ")"
        )

    def __call__(self, *, seed: int | None = None, **inputs: Any) -> xarray.Dataset:
        """Answer like the simulation: same arguments, same labelled dataset.

        Warns:
            OutOfDomainWarning: a parameter lies outside the range of the training data.

        Raises:
            InvalidInput: as the simulation does.
        """
        complete, seed = self.simulation.complete_inputs(inputs, seed)
        start = time.perf_counter()
        batch = {name: np.asarray(value)[None] for name, value in complete.items()}
        answer = self.predict(**batch)
        wall_time = time.perf_counter() - start
        attributes = {
            "seed": seed,
            "wall_time_seconds": wall_time,
            "answered_by": f"surrogate ({type(self.learner).__name__})",
        }
        solution = {name: values[0] for name, values in answer.items()}
        return self.simulation.label(solution, complete, attributes)

    def predict(self, **inputs: ArrayLike) -> dict[str, Array]:
        """The hot path: a batch of inputs to plain float32 arrays.

        Args:
            **inputs: every parameter, ``(batch,)``, and every field input, ``(batch, *space)``.

        Returns:
            Of each field an array ``(batch, time, *space, *component)``.

        Raises:
            InvalidInput: an input is missing, unknown, or of the wrong shape.
        """
        batch = {name: np.asarray(value) for name, value in inputs.items()}
        n = self._check_batch(batch)
        fields, scalars = self.encoding.encode_inputs(batch, batch, n)
        with torch.inference_mode():
            fields_out, scalars_out = self.network(fields, scalars)
        return self.encoding.decode(fields_out, scalars_out, batch)

    def _check_batch(self, batch: Mapping[str, Array]) -> int:
        parameters, field_inputs = self.simulation.parameters, self.simulation.field_inputs
        if batch.keys() != {*parameters, *field_inputs}:
            needed, given = [*parameters, *field_inputs], list(batch)
            raise InvalidInput(f"inputs={given}: predict needs each of {needed}")
        n = len(next(iter(batch.values())))
        for name, values in batch.items():
            grid = self.simulation.grid
            expected = (n, *field_inputs[name].shape(grid)) if name in field_inputs else (n,)
            if values.shape != expected:
                raise InvalidInput(f"{name} has shape {values.shape}: must have {expected}")
        for name, (low, high) in self.encoding.ranges.items():
            values = batch[name]
            smallest, largest = values.min(), values.max()
            if not (low <= smallest and largest <= high):  # also catches NaN
                worst = smallest if not smallest >= low else largest
                warnings.warn(
                    f"{name}={worst:g} is outside the training range [{low:g}, {high:g}]",
                    OutOfDomainWarning,
                    stacklevel=3,
                )
        return n

    def save(self, path: str | Path) -> None:
        """Write a folder of ``config.json``, ``model.safetensors`` and a model card.

        Raises:
            ValueError: the network is not one of the library's and cannot be rebuilt from a name.
        """
        learner = self.learner
        if not isinstance(learner, Network):
            raise ValueError(
                f"{type(learner).__name__}: only networks derived from "
                "surrogate.networks.Network can be saved, because a file names no code"
            )
        assert learner.signature is not None
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        weights = folder / "model.safetensors"
        state = {name: value.contiguous() for name, value in learner.state_dict().items()}
        with published(weights) as temporary:
            save_file(state, temporary)
        config = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "package": f"physurrogate {package_version()}",
            "system": type(self.simulation).__name__,
            "settings": self.simulation.settings,
            "network": type(learner).__name__,
            "network_config": learner.config,
            "signature": asdict(learner.signature),
            "problem": self._describe_problem(),
            "encoding": self.encoding.to_json(),
            "weights_sha256": _sha256(weights),
            "training": self.training,
        }
        publish_text(folder / "README.md", self.model_card())
        publish_text(folder / "config.json", json.dumps(config, indent=2) + "\n")

    def _describe_problem(self) -> dict[str, Any] | None:
        if not isinstance(self.network, Rollout):
            return None
        described = asdict(self.network.problem)
        return {"kind": "propagator", "settings": described, "deviations": self.network.deviations}

    def model_card(self) -> str:
        """What a stranger has to know before using the surrogate, as Markdown."""
        system = type(self.simulation)
        summary = (system.__doc__ or "").strip().splitlines()[0]
        lines = [
            "---",
            "library_name: physurrogate",
            "tags: [surrogate, physics, simulation]",
            "---",
            f"# {system.__name__} surrogate",
            "",
            f"{summary} Learnt by {type(self.learner).__name__}.",
            "",
            "| parameter | meaning | unit | trained from | to |",
            "|---|---|---|---|---|",
        ]
        for name, parameter in self.simulation.parameters.items():
            low, high = self.encoding.ranges[name]
            lines.append(
                f"| `{name}` | {parameter.description} | {parameter.unit} | {low:g} | {high:g} |"
            )
        lines += ["", "| field | meaning | unit | relative L2 error on the test split |"]
        lines += ["|---|---|---|---|"]
        errors = self.training.get("test_relative_l2", {})
        for name, field in self.simulation.fields.items():
            error = f"{100 * errors[name]:.2g} %" if name in errors else "not measured"
            lines.append(f"| `{name}` | {field.description} | {field.unit} | {error} |")
        lines += ["", "```python", "import surrogate", ""]
        lines += ['emulator = surrogate.load("path/to/this/folder")', "emulator(seed=0)", "```", ""]
        return "\n".join(lines)


def load(path: str | Path) -> Surrogate:
    """Load a saved surrogate. Nothing in the folder is executed: JSON and safetensors only.

    Raises:
        SurrogateFileError: the folder is not a saved surrogate, is of a newer format, its weights
            are not those it was saved with, or they do not fit the network it names.
    """
    folder = Path(path)
    config = _read_config(folder)
    weights = folder / "model.safetensors"
    try:
        simulation = simulations.make(config["system"], config["settings"])
        network_type = networks.by_name(config["network"])
        network = network_type(**config["network_config"])
        signature = Signature(**config["signature"])
        encoding = Encoding(
            simulation,
            {name: tuple(moment) for name, moment in config["encoding"]["moments"].items()},
            {name: tuple(limits) for name, limits in config["encoding"]["ranges"].items()},
        )
        expected_digest, training = config["weights_sha256"], config["training"]
        problem = config.get("problem")  # files from before there were propagators have none
        answering: nn.Module = network
        expected_signature = encoding.signature
        if problem is not None:
            if problem["kind"] != "propagator":
                raise ValueError(f"problem {problem['kind']!r}: must be 'propagator' or null")
            settings = Propagator(**problem["settings"])
            answering = Rollout(network, encoding, settings, problem["deviations"])
            expected_signature = answering.signature
        if signature != expected_signature:
            raise ValueError("the sizes of the network are not those of the simulation")
        if set(encoding.ranges) != set(simulation.parameters):
            raise ValueError("the parameters are not those of the simulation")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SurrogateFileError(f"{folder}/config.json: {error}") from None
    if not weights.is_file():
        raise SurrogateFileError(f"{weights}: the weights are missing")
    if _sha256(weights) != expected_digest:
        raise SurrogateFileError(f"{weights}: not the weights that config.json describes")
    try:
        state = load_file(weights)
        network.build(signature)
        network.load_state_dict(state)
    except (SafetensorError, RuntimeError, ValueError) as error:
        raise SurrogateFileError(f"{weights}: does not fit the network ({error})") from None
    return Surrogate(simulation, answering, encoding, training)


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        raise SurrogateFileError(f"{folder}: not a saved surrogate (there is no config.json)")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        kind, found = config["format"], config["format_version"]
    except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError):
        raise SurrogateFileError(f"{path}: not the description of a surrogate") from None
    if kind != FORMAT:
        raise SurrogateFileError(f"{path}: format {kind!r}, not {FORMAT!r}")
    if found != FORMAT_VERSION:
        raise SurrogateFileError(
            f"{path}: format version {found}; this package reads {FORMAT_VERSION}"
        )
    return config


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
