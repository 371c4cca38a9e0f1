"""`Surrogate`: a trained network in the place of the simulation it has learnt."""

import hashlib
import json
import time
import warnings
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

import simulations
from simulations.datasets.publish import publish_text, published
from simulations.simulation import Inputs, InvalidInput, Simulation, check_setting, package_version
from surrogate import networks
from surrogate.encoding import Encoding
from surrogate.networks.network import Network, Signature
from surrogate.propagation import Propagator, Rollout
from surrogate.trust import calibration as calibrations
from surrogate.trust.calibration import Calibration

Array = NDArray[np.floating]

FORMAT = "physurrogate-surrogate"
ENSEMBLE_FORMAT = "physurrogate-ensemble"
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
        calibration: what is promised of its answers, see `surrogate.calibrated`.
    """

    def __init__(
        self,
        simulation: Simulation,
        network: nn.Module,
        encoding: Encoding,
        training: Mapping[str, Any] | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        self.simulation = simulation
        self.network = network.eval().to("cpu")
        self.encoding = encoding
        self.training = dict(training or {})
        self.calibration = calibration

    @property
    def learner(self) -> nn.Module:
        """The network that has been trained: of a roll-out, the one that makes its steps."""
        return self.network.network if isinstance(self.network, Rollout) else self.network

    @property
    def network_name(self) -> str:
        """What the network is called, such as "FNO" or "FNO propagator"."""
        name = type(self.learner).__name__
        return f"{name} propagator" if isinstance(self.network, Rollout) else name

    def __repr__(self) -> str:
        count = sum(p.numel() for p in self.network.parameters())
        error = self.training.get("test_relative_l2", {})
        shown = ", ".join(f"{key} {100 * value:.2g} %" for key, value in error.items())
        return (
            f"Surrogate({type(self.simulation).__name__} by {self.network_name}, {count:,} weights"
            + (f"; test error {shown})" if shown else ")")
        )

    def __call__(self, *, seed: int | None = None, **inputs: Any) -> xarray.Dataset:
        """Answer like the simulation: same arguments, same labelled dataset.

        With a calibration the dataset has, for each field ``u``, the ends ``u_lower`` and
        ``u_upper`` of its band, and ``error_bound`` by ``field``; its attributes say with which
        ``coverage``, what the band promises, and the input's ``domain_p_value``.

        Warns:
            OutOfDomainWarning: a parameter lies outside the range of the training data.

        Raises:
            InvalidInput: as the simulation does.
        """
        complete, seed = self.simulation.complete_inputs(inputs, seed)
        start = time.perf_counter()
        batch = {name: np.asarray(value)[None] for name, value in complete.items()}
        answer = self.predict(**batch)
        return self.label(answer, complete, seed, time.perf_counter() - start)

    def label(
        self, answer: Mapping[str, Array], inputs: Inputs, seed: int, seconds: float
    ) -> xarray.Dataset:
        """What a call returns, from the answer to a batch of one.

        Args:
            answer: of each field ``(1, time, *space, *component)``.
            inputs: all of them, as the simulation takes them.
            seed: that they were drawn from.
            seconds: that the answer took.
        """
        attributes = {
            "seed": seed,
            "wall_time_seconds": seconds,
            "answered_by": f"surrogate ({self.network_name})",
        }
        solution = {name: values[0] for name, values in answer.items()}
        labelled = self.simulation.label(solution, inputs, attributes)
        if self.calibration is None:
            return labelled
        batch = {name: np.asarray(value)[None] for name, value in inputs.items()}
        return self._with_bounds(labelled, batch, answer)

    def _with_bounds(
        self, labelled: xarray.Dataset, batch: Mapping[str, Array], answer: Mapping[str, Array]
    ) -> xarray.Dataset:
        assert self.calibration is not None
        found = self.calibration.bounds(self, batch, answer)
        for name in answer:
            field = labelled[name]
            for end, sign in (("lower", -1.0), ("upper", 1.0)):
                values = (answer[name][0] + sign * found.half_width[name][0]).astype(np.float32)
                described = f"{end} end of the band of {field.attrs['long_name']}"
                attributes = {"units": field.attrs["units"], "long_name": described}
                labelled[f"{name}_{end}"] = (field.dims, values, attributes)
        labelled["error_bound"] = (
            "field",
            [float(found.error[name][0]) for name in answer],
            {"units": "1", "long_name": "bound on the relative L2 error"},
        )
        labelled = labelled.assign_coords(field=list(answer))
        return labelled.assign_attrs(
            coverage=self.calibration.coverage,
            band=self.calibration.promise,
            domain_p_value=float(found.p_values[0]),
        )

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
        self._check_batch(batch)
        return self.answer(batch)

    def answer(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """What `predict` does of a batch that is known to be complete, wherever it lies."""
        n = len(next(iter(inputs.values())))
        fields, scalars = self.encoding.encode_inputs(inputs, inputs, n)
        with torch.inference_mode():
            fields_out, scalars_out = self.network(fields, scalars)
        return self.encoding.decode(fields_out, scalars_out, inputs)

    def rollout(
        self,
        frames: Mapping[str, ArrayLike],
        steps: int,
        /,
        *,
        time_steps: ArrayLike | None = None,
        **inputs: ArrayLike,
    ) -> dict[str, Array]:
        """Continue from given frames, for as many steps as wanted: of a propagator only.

        Args:
            frames: of each field that has an initial condition its latest frames, the present one
                last, ``(batch, history, *space, *component)``. Of more than the network sees the
                last ones count.
            steps: how many; each as long as the time between stored ones.
            time_steps: length of each step, ``(steps,)``: needed where stored times are not
                equidistant, and refused where they are.
            **inputs: every parameter, ``(batch,)``, and every field input that is no initial
                condition, ``(batch, *space, *component)``.

        Returns:
            Of each field the frames after the given ones, ``(batch, steps, *space, *component)``.

        Warns:
            OutOfDomainWarning: a parameter or time step lies outside the range of the training
                data.

        Raises:
            InvalidInput: the network is no propagator, or an argument is missing, unknown or of the
                wrong shape.
        """
        if not isinstance(self.network, Rollout):
            raise InvalidInput(
                f"{self.network_name}: answers all stored times at once; only a propagator can be "
                "rolled out"
            )
        check_setting("steps", steps, 1, integer=True)
        given = self._check_frames({name: np.asarray(value) for name, value in frames.items()})
        field_inputs = self.simulation.field_inputs
        starts = {n: f.initial_of for n, f in field_inputs.items() if f.initial_of}
        needed = {*self.simulation.parameters, *field_inputs} - starts.keys()
        if inputs.keys() != needed:
            raise InvalidInput(f"inputs={sorted(inputs)}: rollout needs each of {sorted(needed)}")
        batch = {name: np.asarray(value) for name, value in inputs.items()}
        present = {name: given[field][:, -1] for name, field in starts.items()}
        n = self._check_batch({**present, **batch})
        intervals = self._check_time_steps(time_steps, steps)
        history = []
        for back in range(self.network.problem.history, 0, -1):
            sources = {**batch, **{name: given[field][:, -back] for name, field in starts.items()}}
            history.append(self.encoding.encode_inputs(batch, sources, n))
        with torch.inference_mode():
            return self.network.continued(history, self.network.encode_intervals(intervals))

    def _check_frames(self, frames: dict[str, Array]) -> dict[str, Array]:
        assert isinstance(self.network, Rollout)
        names, history = self.network.state_fields, self.network.problem.history
        if frames.keys() != set(names):
            raise InvalidInput(f"frames={list(frames)}: must be those of {list(names)}")
        length = frames[names[0]].shape[:2]
        for name, values in frames.items():
            shape = self.simulation.fields[name].shape(self.simulation.grid)
            if values.ndim < 2 or values.shape != (*length, *shape):
                wanted = ", ".join(map(str, ("batch", "history", *shape)))
                raise InvalidInput(
                    f"frames of {name} have shape {values.shape}: must be ({wanted}), of the same "
                    "batch and history for all fields"
                )
        if length[1] < history:
            raise InvalidInput(f"frames: {length[1]} are given, a step sees {history}")
        return frames

    def _check_time_steps(self, given: ArrayLike | None, steps: int) -> Array:
        assert isinstance(self.network, Rollout)
        stored = self.network.intervals
        if not self.network.is_timed:
            if given is not None:
                raise InvalidInput(f"time_steps: all steps are {stored[0]:g} long, none can be set")
            return np.full(steps, stored[0])
        if given is None:
            raise InvalidInput("time_steps: needed, as the stored times are not equidistant")
        intervals = np.asarray(given, np.float64)
        if intervals.shape != (steps,) or not (intervals > 0).all():
            raise InvalidInput(f"time_steps={given!r}: must be {steps} positive numbers")
        low, high = stored.min(), stored.max()
        # To the rounding of stored times, whose differences are not exact
        outside = (intervals < low * (1 - 1e-6)) | (intervals > high * (1 + 1e-6))
        if outside.any():
            warnings.warn(
                f"time_steps={intervals[outside][0]:g} is outside the training range "
                f"[{low:g}, {high:g}]",
                OutOfDomainWarning,
                stacklevel=3,
            )
        return intervals

    def check_batch(self, batch: Mapping[str, Array]) -> int:
        """The number of samples in a batch, or `InvalidInput` if `predict` cannot take it."""
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
        return n

    def _check_batch(self, batch: Mapping[str, Array]) -> int:
        n = self.check_batch(batch)
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

    def weights_sha256(self) -> str:
        """Checksum of the weights: of the file that `save` would write them to."""
        return hashlib.sha256(save(self._state())).hexdigest()

    def _state(self) -> dict[str, Tensor]:
        return {name: value.contiguous() for name, value in self.learner.state_dict().items()}

    def save(self, path: str | Path) -> None:
        """Write a folder of ``config.json``, ``model.safetensors`` and a model card.

        Raises:
            ValueError: the network is not one of the library's and cannot be rebuilt from a name,
                or its calibration belongs to other weights.
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
        weights = save(self._state())
        digest = hashlib.sha256(weights).hexdigest()
        kept = self.save_calibration(folder, digest)
        with published(folder / "model.safetensors") as temporary:
            temporary.write_bytes(weights)
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
            "weights_sha256": digest,
            "training": self.training,
            "calibration": kept,
        }
        publish_text(folder / "README.md", self.model_card())
        publish_text(folder / "config.json", json.dumps(config, indent=2) + "\n")
        calibrations.remove_others(folder, kept)

    def save_calibration(self, folder: Path, weights_sha256: str) -> dict[str, Any] | None:
        """Write the calibration, if there is one; returns what the description says about it.

        Raises:
            ValueError: it belongs to other weights.
        """
        if self.calibration is None:
            return None
        if self.calibration.weights_sha256 not in ("", weights_sha256):
            raise ValueError(
                "calibration: belongs to weights that have been changed since; calibrate again"
            )
        return replace(self.calibration, weights_sha256=weights_sha256).save(folder)

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
            f"{summary} Learnt by {self.network_name}.",
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
        if self.calibration is not None:
            lines += ["", self.calibration.in_words()]
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
    if config["format"] == ENSEMBLE_FORMAT:
        from surrogate.trust.ensemble import load_ensemble

        return load_ensemble(folder, config)
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
    emulator = Surrogate(simulation, answering, encoding, training)
    emulator.calibration = load_calibration(folder, config, emulator, expected_digest)
    return emulator


def load_calibration(
    folder: Path, config: Mapping[str, Any], emulator: Surrogate, weights_sha256: str
) -> Calibration | None:
    """The calibration that the description of a saved surrogate names, if it does.

    Raises:
        SurrogateFileError: it is not one of these weights.
    """
    described = config.get("calibration")  # files from before there were any have none
    if described is None:
        return None
    try:
        return calibrations.load(folder, described, emulator, weights_sha256)
    except ValueError as error:
        raise SurrogateFileError(f"{folder}/config.json: {error}") from None


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        raise SurrogateFileError(f"{folder}: not a saved surrogate (there is no config.json)")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        kind, found = config["format"], config["format_version"]
    except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError):
        raise SurrogateFileError(f"{path}: not the description of a surrogate") from None
    if kind not in (FORMAT, ENSEMBLE_FORMAT):
        raise SurrogateFileError(f"{path}: format {kind!r}, not {FORMAT!r}")
    if found != FORMAT_VERSION:
        raise SurrogateFileError(
            f"{path}: format version {found}; this package reads {FORMAT_VERSION}"
        )
    return config


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
