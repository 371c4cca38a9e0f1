"""`Calibration`: what was measured on trajectories that training never saw, and promised since."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from simulations.datasets.publish import published
from simulations.simulation import Simulation
from surrogate.trust import scores
from surrogate.trust.conformal import check_share
from surrogate.trust.domain import Domain

if TYPE_CHECKING:
    from surrogate.emulator import Surrogate

Array = NDArray[np.floating]

Promise = Literal["simultaneous", "fraction", "cell"]
"""What a band promises of a field: that with probability ``coverage`` it holds everywhere at once,
in a share of the stored points, or in each point taken by itself."""


class Bounds(NamedTuple):
    """What is promised of some answers.

    Attributes:
        error: of each field a bound on the relative L2 error of each answer, ``(n,)``.
        half_width: of each field half of the band's width, ``(n, time, *space, *component)``.
        p_values: how usual the inputs are, ``(n,)``.
    """

    error: dict[str, Array]
    half_width: dict[str, Array]
    p_values: Array


@dataclass(frozen=True, eq=False)
class Calibration:
    """Bounds that hold with a given probability for inputs drawn as the calibration inputs were.

    The probability is over a new input *and* the draw of the calibration; it is an average over the
    inputs, and may be less in a corner. Each bound of each field holds by itself; what holds
    jointly is said.

    Attributes:
        coverage: the probability.
        n: calibration trajectories that the levels come from.
        error_bound: of each field, bound on the relative L2 error of one answer, a first frame that
            is given left out.
        half_width: of each field, half of the band's width in its unit,
            ``(time, *space, *component)``. A first frame that is given has none.
        domain: how unusual an input is.
        promise: what the band means.
        fraction: with the promise of this name, which share of the stored points lie in the band.
        joint_error_bound: as ``error_bound``, for all fields at once.
        step_error_bound: of each field, bound on the error of each frame relative to the root mean
            square of the frames, ``(time,)``; for all stored times at once.
        scale: what the bounds of an answer are proportional to, if they differ from input to input.
        scaled_error_bound: of each field, the bound in units of the scale.
        scaled_half_width: the same of the band: a number, or one for each point.
        errors: of each field the errors of the calibration trajectories, ``(n,)``.
        difficulty: their largest scales over fields, ``(n,)``; zeros without a scale.
        difficulty_levels: thresholds for it that were chosen without them, ascending.
        weights_sha256: of the weights that were calibrated.
        origin: where the trajectories come from, in words and numbers, as JSON values.
    """

    coverage: float
    n: int
    error_bound: dict[str, float]
    half_width: dict[str, Array]
    domain: Domain
    promise: Promise = "simultaneous"
    fraction: float = 0.9
    joint_error_bound: dict[str, float] = field(default_factory=dict)
    step_error_bound: dict[str, Array] = field(default_factory=dict)
    scale: scores.Scale | None = None
    scaled_error_bound: dict[str, float] = field(default_factory=dict)
    scaled_half_width: dict[str, Array] = field(default_factory=dict)
    errors: dict[str, Array] = field(default_factory=dict)
    difficulty: Array = field(default_factory=lambda: np.zeros(0))
    difficulty_levels: Array = field(default_factory=lambda: np.zeros(0))
    weights_sha256: str = ""
    origin: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        shown = ", ".join(f"{n} {100 * bound:.2g} %" for n, bound in self.error_bound.items())
        return (
            f"Calibration(errors at most {shown} with probability {100 * self.coverage:g} %, "
            f"{self.promise} bands; {self.n} trajectories)"
        )

    def bounds(
        self, emulator: "Surrogate", inputs: Mapping[str, Array], answer: Mapping[str, Array]
    ) -> Bounds:
        """What is promised of the answers to a batch of inputs.

        Args:
            emulator: who answered.
            inputs: every parameter, ``(n,)``, and field input, ``(n, *space)``.
            answer: of each field ``(n, time, *space, *component)``.
        """
        n = len(next(iter(inputs.values())))
        if self.scale is None:
            error = {name: np.full(n, bound) for name, bound in self.error_bound.items()}
            half_width = {
                name: np.broadcast_to(width, (n, *width.shape))
                for name, width in self.half_width.items()
            }
        else:
            found = self.scale(emulator, self.domain, inputs, answer)
            cells = scores.cells(found, answer, self.half_width)
            error = {name: b * found.error[name] for name, b in self.scaled_error_bound.items()}
            half_width = {name: b * cells[name] for name, b in self.scaled_half_width.items()}
        return Bounds(error, half_width, self.p_values(emulator, inputs, answer))

    def p_values(
        self, emulator: "Surrogate", inputs: Mapping[str, Array], answer: Mapping[str, Array]
    ) -> Array:
        """How usual inputs are, with what the surrogate's answer says about it, ``(n,)``."""
        signals = {}
        if scores.CONSISTENCY in self.domain.scales:
            signals[scores.CONSISTENCY] = scores.self_consistency(emulator, inputs, answer)
        return self.domain.p_values(inputs, **signals)

    def difficulty_of(
        self, emulator: "Surrogate", inputs: Mapping[str, Array], answer: Mapping[str, Array]
    ) -> Array:
        """The largest scale over fields, ``(n,)``: what ``difficulty`` is of calibration inputs."""
        if self.scale is None:
            return np.zeros(len(next(iter(inputs.values()))))
        return scores.largest(self.scale(emulator, self.domain, inputs, answer).error)

    def in_words(self) -> str:
        """What is promised, as a sentence for people."""
        bounds = ", ".join(f"`{n}` {100 * bound:.2g} %" for n, bound in self.error_bound.items())
        band = {
            "simultaneous": "everywhere at once",
            "fraction": f"in {100 * self.fraction:g} % of the points",
            "cell": "in each point taken by itself",
        }[self.promise]
        return (
            f"With probability {100 * self.coverage:g} % the relative L2 error of an answer is at "
            f"most: {bounds}. Bands hold with the same probability {band}. Both are measured on "
            f"{self.n} trajectories that training never saw, and hold for inputs that are drawn "
            "like them."
        )

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the arrays beside the weights; returns what the description of the model keeps."""
        content = save({name: np.ascontiguousarray(a) for name, a in self._arrays().items()})
        digest = hashlib.sha256(content).hexdigest()
        # A name of its own: what a killed run leaves is what the description still names
        name = f"calibration-{digest[:12]}.safetensors"
        with published(folder / name) as temporary:
            temporary.write_bytes(content)
        return {
            "file": name,
            "sha256": digest,
            "weights_sha256": self.weights_sha256,
            "coverage": self.coverage,
            "n": self.n,
            "promise": self.promise,
            "fraction": self.fraction,
            "fields": list(self.error_bound),
            "domain": self.domain.settings(),
            "scale": None if self.scale is None else self.scale.settings(),
            "origin": self.origin,
        }

    def _arrays(self) -> dict[str, Array]:
        arrays: dict[str, Array] = {}
        for group in _NUMBERS:
            named: Mapping[str, float] = getattr(self, group)
            arrays |= {f"{group}/{name}": np.array([value]) for name, value in named.items()}
        for group in _ARRAYS:
            arrays |= {f"{group}/{name}": a for name, a in getattr(self, group).items()}
        arrays |= {name: getattr(self, name) for name in ("difficulty", "difficulty_levels")}
        arrays |= {f"domain/{name}": a for name, a in self.domain.arrays().items()}
        if self.scale is not None:
            arrays |= {f"scale/{name}": a for name, a in self.scale.arrays().items()}
        return arrays


_NUMBERS = ("error_bound", "joint_error_bound", "scaled_error_bound")
_ARRAYS = ("half_width", "step_error_bound", "scaled_half_width", "errors")


def remove_others(folder: Path, kept: Mapping[str, Any] | None) -> None:
    """Delete the calibrations that the description of the model does not name."""
    for path in folder.glob("calibration-*.safetensors"):
        if kept is None or path.name != kept["file"]:
            path.unlink(missing_ok=True)


def load(
    folder: Path, described: Mapping[str, Any], emulator: "Surrogate", weights_sha256: str
) -> Calibration:
    """Inverse of `Calibration.save`. Nothing is executed: JSON and safetensors only.

    Raises:
        ValueError: the description or the arrays are not those of a calibration of these weights.
    """
    simulation = emulator.simulation
    try:
        name, digest = described["file"], described["sha256"]
        if described["weights_sha256"] != weights_sha256:
            raise ValueError("belongs to other weights")
        if not isinstance(name, str) or Path(name).name != name:
            raise ValueError(f"file {name!r}: must be a name in the same folder")
        content = (folder / name).read_bytes()
        if hashlib.sha256(content).hexdigest() != digest:
            raise ValueError(f"{name}: not the numbers that config.json describes")
        groups = _grouped(load_file(folder / name))
        kinds = {kind.kind: kind for kind in (scores.ErrorModel, scores.Spread)}
        scale = None
        if described["scale"] is not None:
            kind = kinds[described["scale"]["kind"]]
            if (kind is scores.Spread) != hasattr(emulator, "mean_and_spread"):
                raise ValueError(f"scale {kind.kind!r}: is not one of {emulator.network_name}")
            scale = kind.of(described["scale"], groups.get("scale", {}), list(simulation.fields))
        numbers: dict[str, Any] = {
            g: {k: float(v[0]) for k, v in groups.get(g, {}).items()} for g in _NUMBERS
        }
        arrays: dict[str, Any] = {g: groups.get(g, {}) for g in _ARRAYS}
        calibration = Calibration(
            coverage=described["coverage"],
            n=described["n"],
            domain=Domain.of(described["domain"], groups["domain"]),
            promise=described["promise"],
            fraction=described["fraction"],
            scale=scale,
            difficulty=groups[""]["difficulty"],
            difficulty_levels=groups[""]["difficulty_levels"],
            weights_sha256=weights_sha256,
            origin=dict(described["origin"]),
            **numbers,
            **arrays,
        )
        _check(calibration, simulation)
    except OSError as error:
        raise ValueError(f"calibration: cannot be read ({error.strerror})") from None
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, SafetensorError) as error:
        raise ValueError(f"calibration: {error}") from None
    return calibration


def _grouped(arrays: Mapping[str, Array]) -> dict[str, dict[str, Array]]:
    groups: dict[str, dict[str, Array]] = {}
    for key, values in arrays.items():
        group, slash, name = key.partition("/")
        group, name = (group, name) if slash else ("", group)
        groups.setdefault(group, {})[name] = values
    return groups


def _check(calibration: Calibration, simulation: Simulation) -> None:
    """Refuse what does not fit the simulation, or would make every answer look good."""
    check_share("coverage", calibration.coverage)
    check_share("fraction", calibration.fraction)
    if calibration.promise not in get_args(Promise):
        raise ValueError(f"promise {calibration.promise!r}: must be of {get_args(Promise)}")
    frames, fields = simulation.times.size, simulation.fields
    if calibration.domain.ranges.keys() != simulation.parameters.keys():
        raise ValueError("the parameters are not those of the simulation")
    if calibration.domain.fields.keys() != simulation.field_inputs.keys():
        raise ValueError("the field inputs are not those of the simulation")
    for name, axes in ((n, f.periodic) for n, f in calibration.domain.fields.items()):
        cells = np.prod(simulation.field_inputs[name].shape(simulation.grid), dtype=int)
        if (
            axes != simulation.grid.periodic
            or calibration.domain.fields[name].average.size != cells
        ):
            raise ValueError(f"{name}: not described on the grid of the simulation")
    shapes = {name: (frames, *f.shape(simulation.grid)) for name, f in fields.items()}
    if {n: w.shape for n, w in calibration.half_width.items()} != shapes:
        raise ValueError("the bands do not have the shapes of the fields")
    for name, width in calibration.scaled_half_width.items():
        if width.shape not in ((), (1,), shapes[name]):
            raise ValueError(f"the scaled band of {name} does not have the shape of the field")
    for group in (*_NUMBERS, *_ARRAYS):
        found = getattr(calibration, group)
        if found.keys() - fields.keys() or (group == "error_bound" and len(found) != len(fields)):
            raise ValueError(f"{group}: not of the fields of the simulation")
        if not all(np.all(np.asarray(values) >= 0) for values in found.values()):
            raise ValueError(f"{group}: has numbers that are no bounds")
    if calibration.scale is not None and not (
        calibration.scaled_error_bound.keys()
        == calibration.scaled_half_width.keys()
        == fields.keys()
    ):
        raise ValueError("the scaled bounds are not of the fields of the simulation")
    if {e.shape for e in calibration.errors.values()} - {(calibration.n,)}:
        raise ValueError("the errors are not as many as the trajectories")
    json.dumps(calibration.origin)
