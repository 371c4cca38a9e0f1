"""What one pass over a shard tells about its trajectories, in memory that does not grow with it."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from simulations import residuals
from simulations.datasets import statistics
from simulations.datasets.layout import COMPONENTS
from simulations.datasets.well_format import Variable, variables
from simulations.simulation import Simulation

# Frames are read in blocks of about this size
BLOCK_BYTES = 16 * 1024**2

Moments = statistics.Moments


@dataclass
class Trajectory:
    """What is known of one stored trajectory.

    Attributes:
        file: where it is, relative to the dataset.
        split: train, valid, test, or nothing for a file on its own.
        index: of its draw; its position where there is no such number.
        parameters: numbers that hold for the whole trajectory.
        inputs: hash of parameters, coefficients and initial frames.
        solution: hash of all frames.
        not_finite: number of values by variable, where there are any.
        frozen: first frame that equals the one before it, and how many do; by field, or under
            an empty name if all fields stand still at once.
        repeated: a frame and an earlier one that it equals, further away than the one before.
        extremes: least and largest value of each component, by field.
        drift: largest change of each conserved quantity, relative to its scale.
        defect: of each equation, in spans of time, by how much the frames miss it (`profile`).
        excess: of each equation the largest defect by what it may be, and the frame it is in.
    """

    file: str
    split: str
    index: int
    parameters: dict[str, float] = field(default_factory=dict)
    inputs: bytes = b""
    solution: bytes = b""
    not_finite: dict[str, int] = field(default_factory=dict)
    frozen: dict[str, tuple[int, int]] = field(default_factory=dict)
    repeated: tuple[int, int] | None = None
    extremes: dict[str, tuple[NDArray[np.floating], NDArray[np.floating]]] = field(
        default_factory=dict
    )
    drift: dict[str, float] = field(default_factory=dict)
    defect: dict[str, NDArray[np.floating]] = field(default_factory=dict)
    excess: dict[str, tuple[float, int]] = field(default_factory=dict)


def scan(
    file: h5py.File,
    name: str,
    split: str,
    simulation: Simulation | None,
    moments: dict[str, dict[str, list[Moments]]],
    rounding: float = residuals.ROUNDING,
) -> Iterator[Trajectory]:
    """Read every trajectory of a file once.

    Args:
        file: in this library's or The Well's layout.
        name: what findings call it.
        split: that it belongs to.
        simulation: that made it, if known: its conserved quantities and equations are measured.
        moments: where the moments of each field and its changes are collected.
        rounding: relative error of the stored values.
    """
    stored = list(_all_variables(file))
    indices = file["sample"][:] if "sample" in file else range(int(file.attrs["n_trajectories"]))
    shared = hashlib.blake2b(digest_size=16)
    for variable in stored:
        if not variable.sample_varying and not variable.time_varying:
            shared.update(variable.name.encode() + variable.data[()].tobytes())
    for position, index in enumerate(indices):
        found = Trajectory(name, split, int(index))
        inputs, frames = shared.copy(), _Frames()
        for variable in stored:
            for block in _blocks(variable, position):
                _look_at(variable, block, found, inputs, frames, simulation)
                _add_moments(variable, block, moments)
        found.inputs = inputs.digest()
        frames.judge(found)
        if simulation is not None and simulation.conserved and not found.not_finite:
            found.drift = drift(simulation, _fields(file, simulation, position))
        if simulation is not None and not found.not_finite:
            _balance(found, simulation, file, position, rounding)
        yield found


def _balance(
    found: Trajectory, simulation: Simulation, file: h5py.File, position: int, rounding: float
) -> None:
    """By how much the frames of a trajectory miss the equations, where there are any."""
    if not residuals.has_equations(simulation) or simulation.parameters.keys() - found.parameters:
        return
    solution = _fields(file, simulation, position)
    inputs: dict[str, Any] = {name: found.parameters[name] for name in simulation.parameters}
    for name, given in simulation.field_inputs.items():
        start = given.initial_of
        values = file[name][position] if start is None else solution[start][0]
        inputs[name] = np.asarray(values, dtype=np.float64)
    for name, balance in residuals.balances(simulation, solution, inputs, rounding).items():
        excess = balance.excess
        found.defect[name] = residuals.profile(balance.defect)
        found.excess[name] = (float(excess.max()), int(excess.argmax()))


def drift(simulation: Simulation, solution: Mapping[str, NDArray[np.floating]]) -> dict[str, float]:
    """Largest change of each conserved quantity, relative to its value without cancellation."""
    values = simulation.diagnostics(solution)
    sizes = simulation.diagnostics({name: np.abs(v) for name, v in solution.items()})
    return {
        name: float(
            np.abs(values[name] - values[name][0]).max()
            / max(np.abs(sizes[name]).max(), np.finfo(np.float32).tiny)
        )
        for name in simulation.conserved
    }


@dataclass(frozen=True)
class Block:
    """Consecutive frames; all but the first block begin with the last frame of the one before."""

    values: NDArray[Any]
    is_first: bool

    @property
    def new(self) -> NDArray[Any]:
        return self.values if self.is_first else self.values[1:]


class _Frames:
    """Hashes of the frames of a trajectory, by variable."""

    def __init__(self) -> None:
        self.hashes: dict[str, list[bytes]] = {}
        self.spatial: list[str] = []

    def add(self, variable: Variable, frames: Iterable[NDArray[Any]]) -> None:
        hashes = self.hashes.setdefault(variable.name, [])
        if variable.spatial and variable.name not in self.spatial:
            self.spatial.append(variable.name)
        hashes += [hashlib.blake2b(f.tobytes(), digest_size=16).digest() for f in frames]

    def judge(self, found: Trajectory) -> None:
        joint = [b"".join(frame) for frame in zip(*self.hashes.values(), strict=True)]
        found.solution = hashlib.blake2b(b"".join(joint), digest_size=16).digest()
        together = _standing(joint)
        if together:
            found.frozen[""] = (together[0], len(together))
        for name in self.spatial:
            alone = sorted(set(_standing(self.hashes[name])) - set(together))
            # A field that never changes while others do may well be zero
            if alone and len(set(self.hashes[name])) > 1:
                found.frozen[name] = (alone[0], len(alone))
        first_seen: dict[bytes, int] = {}
        for frame, value in enumerate(joint):
            earlier = first_seen.setdefault(value, frame)
            if earlier < frame and joint[frame - 1] != value:
                found.repeated = (frame, earlier)
                return


def _standing(hashes: list[bytes]) -> list[int]:
    return [frame for frame in range(1, len(hashes)) if hashes[frame] == hashes[frame - 1]]


def _all_variables(file: h5py.File) -> Iterator[Variable]:
    """Those of The Well's groups, and vectors without space, for which it has no place."""
    seen = set()
    for variable in variables(file):
        seen.add(variable.name)
        yield variable
    for name, data in file.items():
        if isinstance(data, h5py.Dataset) and not data.is_scale and name not in seen:
            order = sum(dim.label in COMPONENTS for dim in data.dims)
            yield Variable(name, data, order, False, True, bool(data.attrs["time_varying"]))


def _blocks(variable: Variable, position: int) -> Iterator[Block]:
    """The values of one trajectory, some frames at a time; without time, all as one frame."""
    data, where = variable.data, (position,) if variable.sample_varying else ()
    if not variable.time_varying:
        if variable.sample_varying:
            yield Block(np.asarray(data[where])[None], True)
        return
    n = data.shape[len(where)]
    frame = data.dtype.itemsize * int(np.prod(data.shape[len(where) + 1 :]))
    size = max(2, BLOCK_BYTES // frame)
    for start in range(0, n, size):
        begin = max(0, start - 1)
        yield Block(np.asarray(data[(*where, slice(begin, start + size))]), start == 0)


def _look_at(
    variable: Variable,
    block: Block,
    found: Trajectory,
    inputs: Any,
    frames: _Frames,
    simulation: Simulation | None,
) -> None:
    name, values = variable.name, block.new
    bad = int(values.size - np.isfinite(values).sum())
    if bad:
        found.not_finite[name] = found.not_finite.get(name, 0) + bad
    if not variable.time_varying:
        inputs.update(name.encode() + values.tobytes())
        if values.size == 1 and not variable.spatial:
            found.parameters[name] = float(values.item())
            return
    else:
        frames.add(variable, values)
        starts = simulation.field_inputs.values() if simulation is not None else ()
        if block.is_first and (
            simulation is None or any(given.initial_of == name for given in starts)
        ):
            inputs.update(name.encode() + values[0].tobytes())
    axes = tuple(range(values.ndim - variable.order))
    least, largest = values.min(axis=axes), values.max(axis=axes)
    if name in found.extremes:
        before = found.extremes[name]
        least, largest = np.minimum(before[0], least), np.maximum(before[1], largest)
    found.extremes[name] = (least, largest)


def _add_moments(
    variable: Variable, block: Block, moments: dict[str, dict[str, list[Moments]]]
) -> None:
    if not variable.time_varying and not variable.spatial:
        return
    kinds = {"value": block.new}
    if variable.time_varying and len(block.values) > 1:
        kinds["delta"] = np.diff(block.values, axis=0)
    known = moments.setdefault(variable.name, {})
    for kind, values in kinds.items():
        part = statistics.moments(values, variable.order)
        known[kind] = [statistics.merge([*known.get(kind, []), part])]


def _fields(
    file: h5py.File, simulation: Simulation, position: int
) -> dict[str, NDArray[np.floating]]:
    return {name: file[name][position].astype(np.float64) for name in simulation.fields}
