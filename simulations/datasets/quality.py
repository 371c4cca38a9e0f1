"""Whether a dataset is whole and its data are what they should be.

`check` never raises for what it finds in a file: everything is a `Problem`. It reads each shard
once; what it remembers are a few hundred bytes a trajectory.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from simulations import residuals
from simulations.datasets import content, integrity, statistics, well_format
from simulations.datasets.content import Trajectory
from simulations.datasets.integrity import Problem
from simulations.datasets.layout import SPLITS
from simulations.datasets.reader import Dataset
from simulations.datasets.untrusted import DatasetError, open_untrusted
from simulations.simulation import InvalidInput, Simulation

# Values further from the mean of the train split than so many of its deviations are looked at …
FAR = 5.0
# … and reported where the others have no such tails: logarithms of the largest deviations are
# compared by their median and spread, which is taken to be at least this
LEAST_SPREAD = 0.2
ENOUGH_TO_COMPARE = 8

# Sums of float32 numbers drift by this, relative to the sum of their sizes
ROUNDING = 1e-6
# Two frames are compared, of quantities up to the second power: bits that were dropped on purpose
# may count as often as this
POWERS = 4

Moments = dict[str, dict[str, list[statistics.Moments]]]


@dataclass
class Quality:
    """What a check has found.

    Attributes:
        path: what was checked.
        simulation: that made the data, where it is known.
        dataset: the folder, if it can be understood.
        problems: errors first.
        trajectories: what is known of each one that could be read.
        records: what was written down about each shard.
    """

    path: Path
    simulation: Simulation | None = None
    dataset: Dataset | None = None
    problems: list[Problem] = field(default_factory=list)
    trajectories: list[Trajectory] = field(default_factory=list)
    records: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def errors(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.severity == "error"]

    @property
    def warnings(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.severity == "warning"]

    @property
    def rounding(self) -> float:
        """What may drift because numbers are stored with so many bits."""
        return ROUNDING + POWERS * self._dropped

    @property
    def precision(self) -> float:
        """Relative error of a stored value."""
        return residuals.ROUNDING + self._dropped

    @property
    def _dropped(self) -> float:
        """Relative error by bits that were dropped on purpose."""
        compression = self.dataset.compression if self.dataset is not None else None
        return compression.attributes.get("relative_error_bound", 0.0) if compression else 0.0

    @property
    def failures(self) -> list[dict[str, Any]]:
        """The draws that diverged."""
        return [
            failure for record in self.records.values() for failure in record.get("failures", ())
        ]

    @property
    def drift(self) -> dict[str, float]:
        """The largest drift of each conserved quantity, relative to its scale."""
        names = self.simulation.conserved if self.simulation is not None else ()
        found = {n: [t.drift[n] for t in self.trajectories if n in t.drift] for n in names}
        return {name: max(values) for name, values in found.items() if values}

    @property
    def defect(self) -> dict[str, float]:
        """By how much half of all trajectories miss each equation in their median span of time.

        Relative to the largest term; it contains the error of the derivatives.
        """
        found: dict[str, list[float]] = defaultdict(list)
        for trajectory in self.trajectories:
            for name, values in trajectory.defect.items():
                found[name].append(float(np.median(values)))
        return {name: float(np.median(values)) for name, values in found.items()}

    @property
    def verdict(self) -> str:
        counts = f"{len(self.trajectories)} trajectories"
        if self.problems:
            found = [(len(self.errors), "error"), (len(self.warnings), "warning")]
            said = [f"{n} {what}{'s' * (n > 1)}" for n, what in found if n]
            return f"{self.path}: {' and '.join(said)} in {counts}"
        return f"{self.path}: {counts}, nothing to complain about"

    def to_json(self) -> dict[str, Any]:
        """Everything but the single trajectories, as JSON values."""
        counts = {s: sum(t.split == s for t in self.trajectories) for s in ("", *SPLITS)}
        return {
            "path": str(self.path),
            "verdict": self.verdict,
            "trajectories": {split: n for split, n in counts.items() if n},
            "drift": self.drift,
            "defect": self.defect,
            "problems": [dataclasses.asdict(problem) for problem in self.problems],
        }


def check(path: str | Path) -> Quality:
    """Check a dataset of this library, a folder in The Well's layout, or one of its files.

    Args:
        path: the folder or file.

    Returns:
        All problems, and what is known of the trajectories.

    Raises:
        DatasetError: there is nothing of the kind.
    """
    path = Path(path)
    quality = Quality(path)
    moments: dict[str, Moments] = {split: {} for split in ("", *SPLITS)}
    if path.is_file():
        _scan(quality, path, path.name, "", moments[""])
    elif (path / "dataset.json").exists() or (path / "data").is_dir():
        dataset = _open(quality)
        quality.records = integrity.shard_records(path)
        if dataset is not None:
            quality.problems += integrity.file_problems(dataset, quality.records)
        # What is not as written is not read: the library of the format may hang on it
        changed = {p.file for p in quality.problems if p.kind in ("size", "checksum")}
        for split in SPLITS:
            folder = path / "data" / split
            shards = [p for p in folder.glob("*.h*5") if not p.name.startswith(".")]
            for shard in sorted(shards):
                name = shard.relative_to(path).as_posix()
                if name not in changed:
                    _scan(quality, shard, name, split, moments[split], dataset)
        incomplete = ("missing file", "size", "checksum", "unreadable", "format", "not finite")
        if not any(p.kind in incomplete and "data/train" in p.file for p in quality.problems):
            _check_statistics(quality, moments["train"])
    else:
        raise DatasetError(f"{path}: neither a dataset nor a file of one")
    quality.problems += _repetitions(quality.trajectories)
    quality.problems += _outliers(quality.trajectories, moments["train"] or moments[""])
    quality.problems += _defects(quality.trajectories)
    quality.problems.sort(key=lambda problem: problem.severity)
    return quality


def _open(quality: Quality) -> Dataset | None:
    """The dataset, if it can be understood; without, it is a folder of The Well's files."""
    if not (quality.path / "dataset.json").exists():
        return None
    try:
        dataset = Dataset(quality.path)
        fractions = [float(fraction) for fraction in dataset.manifest["splits"]]
        if len(fractions) != len(SPLITS) or len(dataset) < 1 or dataset.seed < 0:
            raise DatasetError("n, splits or seed are not those of a dataset")
        dataset.compression  # noqa: B018 (raises if it is unknown)
        quality.simulation, quality.dataset = dataset.simulation, dataset
    except (DatasetError, InvalidInput, ValueError, TypeError, AttributeError, KeyError) as error:
        quality.problems.append(Problem("error", "description", "dataset.json", str(error)))
        return None
    return dataset


def _scan(
    quality: Quality,
    path: Path,
    name: str,
    split: str,
    moments: Moments,
    dataset: Dataset | None = None,
) -> None:
    """Look at one file; of its trajectories those that can be read are kept."""
    found: list[Trajectory] = []
    try:
        with open_untrusted(path) as file:
            broken = list(well_format.violations(file))
            quality.problems += [Problem("error", "format", name, text) for text in broken]
            if dataset is not None and name in quality.records:
                quality.problems += integrity.header_problems(
                    file, name, dataset.simulation, quality.records[name], dataset.seed
                )
            if not broken:
                simulation = quality.simulation
                with np.errstate(all="ignore"):
                    for trajectory in content.scan(
                        file, name, split, simulation, moments, quality.precision
                    ):
                        found.append(trajectory)
    except Exception as error:  # a damaged file may raise anything, and is one finding
        text = f"cannot be read to its end ({type(error).__name__}: {error})"
        quality.problems.append(Problem("error", "unreadable", name, text))
    quality.trajectories += found
    quality.problems += _content_problems(name, found, quality)


def _content_problems(
    name: str, found: Sequence[Trajectory], quality: Quality
) -> Iterator[Problem]:
    """One finding for each kind of problem and each field of a file."""
    bad: dict[str, dict[int, int]] = defaultdict(dict)
    frozen: dict[str, dict[int, tuple[int, int]]] = defaultdict(dict)
    for trajectory in found:
        for variable, count in trajectory.not_finite.items():
            bad[variable][trajectory.index] = count
        for variable, standing in trajectory.frozen.items():
            frozen[variable][trajectory.index] = standing
    for variable, counts in bad.items():
        text = f"{variable} has {sum(counts.values())} values that are not finite, {_in(counts)}"
        yield Problem("error", "not finite", name, text, tuple(counts))
    for variable, standing_by_index in frozen.items():
        first = min(frame for frame, _ in standing_by_index.values())
        what = f"{variable} alone stands" if variable else "all fields stand"
        text = f"{what} still from frame {first} on at the earliest, {_in(standing_by_index)}"
        yield Problem("warning", "frozen", name, text, tuple(standing_by_index))
    repeated = {t.index: t.repeated for t in found if t.repeated is not None}
    if repeated:
        frame, earlier = next(iter(repeated.values()))
        text = f"frame {frame} is frame {earlier} again, {_in(repeated)}"
        yield Problem("warning", "repeated frame", name, text, tuple(repeated))
    conserved = quality.simulation.conserved if quality.simulation is not None else {}
    for quantity, own in conserved.items():
        allowed = own + quality.rounding
        drifts = {t.index: t.drift[quantity] for t in found if quantity in t.drift}
        far = {index: value for index, value in drifts.items() if not value <= allowed}
        if far:
            text = (
                f"{quantity} is conserved and drifts by up to {max(far.values()):.2g} of its "
                f"scale ({allowed:.2g} is allowed), {_in(far)}"
            )
            yield Problem("error", "conservation", name, text, tuple(far))


def _defects(trajectories: Sequence[Trajectory]) -> Iterator[Problem]:
    """Equations that do not hold, and trajectories that miss one by far more than the others."""
    for name in dict.fromkeys(name for t in trajectories for name in t.defect):
        measured = [t for t in trajectories if name in t.defect]
        wrong = {t.index: t for t in measured if t.excess[name][0] > 1.0}
        by_file: dict[str, dict[int, float]] = defaultdict(dict)
        for index, trajectory in wrong.items():
            by_file[trajectory.file][index] = trajectory.excess[name][0]
        for file, excesses in by_file.items():
            index = max(excesses, key=lambda i: excesses[i])
            times, frame = wrong[index].excess[name]
            text = (
                f"the frames miss the equation of {name} by {times:.3g} times what their spacing, "
                f"rounding and {residuals.NEGLIGIBLE:.0%} of its largest term allow, most in frame "
                f"{frame} of trajectory {index}, {_in(excesses)}"
            )
            yield Problem("warning", "residual", file, text, tuple(excesses))
        if len(measured) < ENOUGH_TO_COMPARE:
            continue
        logs = np.log(np.maximum([t.defect[name] for t in measured], residuals.NEGLIGIBLE))
        middle = np.median(logs, axis=0)
        spread = np.maximum(LEAST_SPREAD, 1.4826 * np.median(np.abs(logs - middle), axis=0))
        distance = ((logs - middle) / spread).max(axis=1)
        for position in np.flatnonzero(distance > FAR):
            trajectory = measured[position]
            if trajectory.index not in wrong:
                worst = int(((logs - middle) / spread)[position].argmax())
                text = (
                    f"trajectory {trajectory.index} misses the equation of {name} by "
                    f"{np.exp(logs[position, worst]):.3g} of its largest term, half of all by less "
                    f"than {np.exp(middle[worst]):.3g} at that time"
                )
                yield Problem("warning", "residual", trajectory.file, text, (trajectory.index,))


def _in(indices: Sequence[int] | dict[int, Any], most: int = 5) -> str:
    listed = ", ".join(str(index) for index in list(indices)[:most])
    more = f" and {len(indices) - most} more" if len(indices) > most else ""
    return f"trajectory {listed}{more}" if len(indices) == 1 else f"trajectories {listed}{more}"


def _check_statistics(quality: Quality, train: Moments) -> None:
    if train and ((quality.path / "stats.yaml").exists() or quality.records):
        merged = {
            name: {kind: statistics.merge(parts) for kind, parts in kinds.items()}
            for name, kinds in train.items()
        }
        quality.problems += integrity.statistics_problems(quality.path, merged)


def _repetitions(trajectories: Sequence[Trajectory]) -> Iterator[Problem]:
    """The same inputs, or the same solution, more than once: across splits, a leak."""
    for what in ("inputs", "solution"):
        seen: dict[bytes, Trajectory] = {}
        for trajectory in trajectories:
            if trajectory.not_finite:
                continue
            first = seen.setdefault(getattr(trajectory, what), trajectory)
            if first is trajectory or (what == "solution" and first.inputs == trajectory.inputs):
                continue
            twins = (first.index, trajectory.index)
            text = (
                f"trajectory {trajectory.index} has the {what} of trajectory {first.index} "
                f"in {first.file}"
            )
            if first.split != trajectory.split:
                severity: Any = "error" if what == "inputs" else "warning"
                yield Problem(severity, "leak", trajectory.file, f"{text}: a leak", twins)
            else:
                yield Problem("warning", "duplicate", trajectory.file, text, twins)


def _outliers(trajectories: Sequence[Trajectory], moments: Moments) -> Iterator[Problem]:
    """Trajectories that reach further from the mean than 5σ and than the tails of the others."""
    for name, kinds in moments.items():
        merged = statistics.merge(kinds["value"])
        mean = np.asarray(merged["mean"])
        deviation = np.sqrt(np.asarray(merged["centred"]) / merged["count"])
        usable = [t for t in trajectories if name in t.extremes and name not in t.not_finite]
        if len(usable) < ENOUGH_TO_COMPARE or not np.any(deviation > 0):
            continue
        scale = np.where(deviation > 0, deviation, np.inf)
        reach = np.array(
            [max(np.max(np.abs(side - mean) / scale) for side in t.extremes[name]) for t in usable]
        )
        logs = np.log(np.maximum(reach, 1e-12))
        middle = np.median(logs)
        spread = max(LEAST_SPREAD, 1.4826 * float(np.median(np.abs(logs - middle))))
        is_far = (reach > FAR) & (logs > middle + FAR * spread)
        for trajectory, distance in ((usable[i], reach[i]) for i in np.flatnonzero(is_far)):
            text = (
                f"{name} reaches {distance:.3g} deviations from the mean in trajectory "
                f"{trajectory.index}; half of all stay within {np.exp(middle):.3g}"
            )
            yield Problem("warning", "outlier", trajectory.file, text, (trajectory.index,))
