"""Drawing, solving and storing the trajectories of one shard."""

import hashlib
import io
import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from simulations.datasets import layout, provenance, statistics
from simulations.datasets.publish import publish_text, published
from simulations.datasets.reader import Dataset
from simulations.designs import ATTEMPT_STRIDE, Draws
from simulations.generation.plan import ShardPlan
from simulations.generation.quarantine import Failure
from simulations.simulation import Inputs, SimulationDiverged, Solution

MAX_ATTEMPTS = 10


def produce(
    draws: Draws,
    folder: Path,
    plan: ShardPlan,
    quarantined: Mapping[int, Failure],
    working_on: Callable[[int | None], None],
) -> int:
    """Solve and store one shard.

    Args:
        draws: where the inputs come from.
        folder: the dataset.
        plan: what the shard is to hold.
        quarantined: draws that are not to be tried, by index.
        working_on: called with the index of each draw before it is solved, and with None after.

    Returns:
        The number of draws that were given up.

    Raises:
        SimulationDiverged: ten draws in a row failed.
        OSError: the shard cannot be written.
    """
    draws.given(plan.indices[0])  # lays out all points, before a clock runs
    simulation = draws.simulation
    samples = layout.empty_trajectories(simulation, len(plan.indices))
    failures: list[Failure] = []
    wall_times = []
    for position, index in enumerate(plan.indices):
        start = time.perf_counter()
        draw, inputs, solution = _solve_one(draws, index, quarantined, failures.append, working_on)
        wall_times.append(time.perf_counter() - start)
        samples.indices[position] = draw
        for name, stored in (*samples.parameters.items(), *samples.field_inputs.items()):
            stored[position] = inputs[name]
        for name, stored in samples.fields.items():
            stored[position] = solution[name]
    working_on(None)
    compression = Dataset(folder).compression
    samples = layout.as_stored(samples, compression)
    # In memory first: the file is then written in one go, and what stops that has a clear name
    shard = io.BytesIO()
    layout.write_shard(shard, simulation, samples, draws.seed, draws.design, compression)
    content = shard.getbuffer()
    record = {
        "planned": list(plan.indices),
        "indices": samples.indices.tolist(),
        "parameters": {name: values.tolist() for name, values in samples.parameters.items()},
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": content.nbytes,
        "wall_time_seconds": wall_times,
        "made": provenance.of_shard(),
        "failures": failures,
        "moments": statistics.shard_moments(simulation, samples),
    }
    try:
        with published(plan.data_path(folder)) as temporary:
            temporary.write_bytes(content)
        # Waiting for the disk once more would cost as much as a short run; a lost record is remade
        publish_text(plan.record_path(folder), json.dumps(record) + "\n", durable=False)
    except OSError as error:
        raise OSError(
            f"{plan.data_path(folder)}: cannot be written ({error.strerror}). What is finished is "
            f"kept in {folder}: run the same command again to continue"
        ) from error
    return len(failures)


def _solve_one(
    draws: Draws,
    index: int,
    quarantined: Mapping[int, Failure],
    report: Callable[[Failure], None],
    working_on: Callable[[int | None], None],
) -> tuple[int, Inputs, Solution]:
    """Solve draw ``index``, or the first replacement of it that does not fail."""
    for attempt in range(MAX_ATTEMPTS):
        draw = index + attempt * ATTEMPT_STRIDE
        inputs = draws.inputs(draw)
        if draw in quarantined:
            failure = quarantined[draw]
        else:
            working_on(draw)
            try:
                return draw, inputs, draws.simulation.run(inputs)
            except SimulationDiverged as error:
                failure = {"kind": "diverged", "time": error.time, "reason": error.reason}
        # Fields are not written out: they are drawn again from the index
        parameters = {name: float(inputs[name]) for name in draws.simulation.parameters}
        report({"index": draw, **failure, "inputs": parameters})
    raise SimulationDiverged(
        math.nan if failure["time"] is None else failure["time"],
        f"{MAX_ATTEMPTS} draws in a row, the last with {failure['reason']}",
    )
