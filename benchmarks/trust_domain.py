"""Whether inputs unlike the training data are told from usual ones, and what a guard makes of it.

One of the sections of `benchmarks.trust`.
"""

import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import table
from benchmarks.trust_cases import Case, cases, solved, trained
from simulations import Simulation
from simulations.inputs import (
    Bounded,
    Distribution,
    GaussianBlobs,
    GaussianRandomField,
    RiemannStates,
    Stretched,
    Thresholded,
)
from simulations.machine import machine_in_words
from simulations.simulation import SimulationDiverged
from surrogate import Surrogate
from surrogate.trust import scores
from surrogate.trust.bounds import answers, calibrate, relative_errors, with_calibration
from surrogate.trust.guard import Guard, GuardWarning
from surrogate.trust.unseen import Solved, training_inputs

CALIBRATION = 200
UNUSUAL = 200
#: Half of the width of the box, in units of that of training.
BEYOND = 1.5
#: Of the guard's stream, this share is beyond the box or rougher.
STRANGE = 0.3
STREAM = 200
TOLERANCES = {"natural-convection": 0.01, "burgers": 0.05, "darcy": 0.06}

Row = dict[str, object]

_BLOBS_OF_NOISE = Stretched(GaussianRandomField(alpha=2.0, tau=5.0))

#: Of each system other draws of its field inputs, by what is different.
FAMILIES: dict[str, dict[str, dict[str, Distribution]]] = {
    "natural-convection": {},
    "darcy": {
        "rougher": {"a": Thresholded(GaussianRandomField(alpha=1.5, tau=9.0), low=3.0, high=12.0)},
        "another family": {"a": Bounded(GaussianRandomField(alpha=2.0, tau=3.0, scale=9.0), 3, 12)},
    },
    "burgers": {
        "rougher": {"u0": GaussianRandomField(alpha=1.2, tau=5.0, scale=5.0)},
        # What does not meet its own beginning, at the boundary that training made periodic
        "another boundary": {"u0": RiemannStates(low=-1.0, high=1.0)},
    },
    "gray-scott": {
        "more blobs": {
            "A0": GaussianBlobs(fewest=60, most=90, low=1.0, high=0.0),
            "B0": GaussianBlobs(fewest=60, most=90, low=0.0, high=1.0),
        },
        "another family": {"A0": _BLOBS_OF_NOISE, "B0": _BLOBS_OF_NOISE},
    },
}


def section(folder: Path, quick: bool) -> str:
    """AUROC of the domain check by kind of input, and guards on mixed streams."""
    n = 60 if quick else CALIBRATION
    rows: list[Row] = []
    guards: list[Row] = []
    for name, case in cases(quick).items():
        emulator, pool = trained(case, folder / name), solved(case, folder / name)
        calibration = calibrate(emulator, pool[:n], training_inputs(emulator), 0.9)
        calibrated = with_calibration(emulator, calibration)
        usual = pool[n:].inputs
        for kind, odd in _unusual(case.simulation, FAMILIES[name]).items():
            rows.append({"system": name, "inputs": kind, **_told_apart(calibrated, usual, odd)})
        if name in TOLERANCES:
            stream = 40 if quick else STREAM
            guards += _guarded(name, case, calibrated, pool[n:], folder / name, stream)
    return f"""## Trust: domain check and guard

{n} trajectories to calibrate, of which two thirds make the p-values. AUROC: probability that an
unusual input has the smaller p-value, of {UNUSUAL} of them against usual ones, half for ties.
*Rejected* is the share with p ≤ 0.02, of unusual and of usual inputs. Parameters beyond the box are
drawn from one {BEYOND} times as wide (of logarithms, where that is the scale), outside of the
training range. *By inputs* is the check that needs the input alone; *with self-consistency* adds
the disagreement of two ways to the same time, where there are two.
Machine: {machine_in_words("physurrogate", "torch")}.

{table(rows)}

Guards on {STREAM if not quick else 40} inputs, {100 * STRANGE:.0f} % of them unusual, without spot
checks: share of all answers with an error above the tolerance, and the largest error over it, by
the bare surrogate and by the guard; speed-up in processor time, calls one by one, with the solver's
runs included.

{table(guards)}
"""


def _unusual(
    simulation: Simulation, families: Mapping[str, Mapping[str, Distribution]]
) -> dict[str, dict[str, Any]]:
    rng = np.random.default_rng(7)
    found = {}
    if simulation.parameters:
        drawn = [_beyond(simulation, rng) for _ in range(UNUSUAL)]
        found[f"parameters {BEYOND} times"] = _stacked(drawn)
    for kind, distributions in families.items():
        drawn = []
        for _ in range(UNUSUAL):
            inputs = simulation.sample(rng)
            for name, distribution in distributions.items():
                inputs[name] = distribution.sample(rng, simulation.grid)
            drawn.append(inputs)
        found[kind] = _stacked(drawn)
    return found


def _beyond(simulation: Simulation, rng: np.random.Generator) -> dict[str, Any]:
    """Inputs with parameters from a wider box, at least one of them out of the training range."""
    inputs: dict[str, Any] = dict(simulation.sample(rng))
    while True:
        outside = False
        for name, parameter in simulation.drawn_parameters.items():
            place = rng.uniform(-BEYOND, BEYOND)
            low, high = parameter.sampling
            if parameter.scale == "log":
                low, high = np.log(low), np.log(high)
            value = (low + high) / 2 + place * (high - low) / 2
            value = float(np.exp(value)) if parameter.scale == "log" else float(value)
            least, most = parameter.admissible
            inputs[name] = min(max(value, least), most)
            span = parameter.sampling
            outside |= not span[0] <= inputs[name] <= span[1]
        if outside:
            return inputs


def _stacked(drawn: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: np.stack([np.asarray(each[name]) for each in drawn]) for name in drawn[0]}


def _told_apart(emulator: Surrogate, usual: Mapping[str, Any], odd: Mapping[str, Any]) -> Row:
    calibration = emulator.calibration
    assert calibration is not None
    near, far = calibration.domain.p_values(usual), calibration.domain.p_values(odd)
    row: Row = {
        "AUROC by inputs": _auroc(near, far),
        "rejected %": 100 * float((far <= 0.02).mean()),
        "usual rejected %": 100 * float((near <= 0.02).mean()),
    }
    if scores.CONSISTENCY in calibration.domain.scales:
        near = calibration.p_values(emulator, usual, answers(emulator, usual))
        far = calibration.p_values(emulator, odd, answers(emulator, odd))
        row["AUROC with self-consistency"] = _auroc(near, far)
    return row


def _auroc(usual: Any, odd: Any) -> float:
    smaller = (odd[:, None] < usual).mean()
    return float(smaller + 0.5 * (odd[:, None] == usual).mean())


def _guarded(
    name: str, case: Case, emulator: Surrogate, pool: Solved, folder: Path, n: int
) -> list[Row]:
    strange = int(STRANGE * n)

    def make() -> Solved:
        """Unusual inputs, as far as the solver can run them."""
        kinds = _unusual(case.simulation, FAMILIES[name])
        drawn, solutions = [], []
        for i in range(UNUSUAL):
            odd = list(kinds.values())[i % len(kinds)]
            inputs = {key: values[i] for key, values in odd.items()}
            try:
                solution = case.simulation.run(case.simulation.check_inputs(inputs))
            except SimulationDiverged:
                continue
            drawn.append(inputs)
            solutions.append({k: v.astype(np.float32) for k, v in solution.items()})
            if len(drawn) == strange:
                break
        return Solved(_stacked(drawn), _stacked(solutions))

    odd = solved(case, folder, f"unusual-{n}", make)
    usual = pool[: n - len(odd)]
    order = np.random.default_rng(0).permutation(len(odd) + len(usual))
    mixed = Solved(
        {k: np.concatenate([v, odd.inputs[k]])[order] for k, v in usual.inputs.items()},
        {k: np.concatenate([v, odd.fields[k]])[order] for k, v in usual.fields.items()},
    )
    rows = []
    streams = {"mixed": mixed, "usual": usual}
    for label, stream in streams.items():
        tolerance = TOLERANCES[name]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", GuardWarning)
            guarded = Guard(emulator, tolerance, 0.9, spot_checks=0.0, clock=time.process_time)
        case.simulation.warm_up()
        bare = scores.largest(
            relative_errors(case.simulation, answers(emulator, stream.inputs), stream.fields)
        )
        # One by one, as calls come
        parts = [
            guarded.predict(**{k: v[i : i + 1] for k, v in stream.inputs.items()})
            for i in range(len(stream))
        ]
        found = {k: np.concatenate([part[k] for part in parts]) for k in parts[0]}
        error = scores.largest(relative_errors(case.simulation, found, stream.fields))
        report = guarded.report
        rows.append(
            {
                "system": name,
                "stream": label,
                "tolerance %": 100 * tolerance,
                "bare above %": 100 * float((bare > tolerance).mean()),
                "bare largest / tolerance": float(bare.max() / tolerance),
                "guard above %": 100 * float((error > tolerance).mean()),
                "guard largest / tolerance": float(error.max() / tolerance),
                "solver: domain": report.solver["domain"],
                "solver: bound": report.solver["bound"],
                "solver calls saved %": 100 * report.surrogate / report.answers,
                "speed-up": report.speed_up,
            }
        )
    return rows
