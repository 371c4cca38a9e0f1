"""Surrogates against the solvers they replace, at equal error: the demonstration and alternatives.

The whole catalogue is the matter of `surrogate benchmark`.

    python -m benchmarks.surrogates [FOLDER]

Data and models are kept in FOLDER, and what is there is not made again.
"""

import dataclasses
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.report import replace_section, table
from benchmarks.timing import pin_to_one_core
from simulations.machine import machine_in_words
from surrogate import FNO, PODNet, PODPolynomial, demo
from surrogate.comparison import Comparison, wording
from surrogate.networks import Network

SEEDS = (0, 1, 2)
HELD_OUT = 32

#: For each case of the demonstration the ways that were tried, the one it uses first
WAYS: dict[str, dict[str, Callable[[], Network]]] = {
    "natural-convection": {
        "PODPolynomial": PODPolynomial,
        "PODPolynomial, 40 modes": lambda: PODPolynomial(modes=40),
        "PODPolynomial, 120 terms": lambda: PODPolynomial(max_terms=120),
        "PODNet": PODNet,
    },
    "burgers": {"FNO": lambda: FNO(modes=16, width=32)},
}


def comparisons(
    folder: Path, case: demo.Case, way: str, make: Callable[[], Network]
) -> list[Comparison]:
    """One comparison for each seed; a fit in closed form knows no seed."""
    seeds = SEEDS[:1] if issubclass(type(make()), PODPolynomial) else SEEDS
    made = []
    for seed in seeds:
        recipe = {**case.recipe, "seed": seed}
        tried = dataclasses.replace(case, network=make, recipe=recipe, held_out=HELD_OUT)
        name = f"{way}-{seed}".replace(", ", "-").replace(" ", "-").lower()
        made.append(demo.run_case(tried, folder, model=name, progress=False))
    return made


def row(way: str, made: list[Comparison]) -> dict[str, object]:
    """Median over seeds of every figure, and the range of the errors."""
    errors = [comparison.surrogate.error for comparison in made]
    middle = made[int(np.argsort(errors)[len(errors) // 2])]
    spread = f" ({100 * min(errors):.2g} to {100 * max(errors):.2g})" if len(errors) > 1 else ""
    batch = middle.surrogate.batch_seconds
    return {
        "surrogate": way,
        "error %": f"{100 * np.median(errors):.2g}{spread}",
        "error of the data %": f"{100 * middle.data_error:.2g}",
        "training s": float(middle.training["seconds"]),
        "solver at equal error ms": wording.marked(middle.solver_seconds, 1e3),
        "surrogate µs a call": 1e6 * middle.surrogate.seconds,
        "in batches of 64": "" if batch is None else 1e6 * batch,
        "speed-up": wording.marked(middle.speed_up()),
        "in batches": wording.marked(middle.speed_up(batched=True)),
    }


def sections(folder: Path) -> Iterator[str]:
    """For each case a table of the ways and the verdict on the one that the demonstration uses."""
    for name, case in demo.cases().items():
        made = {
            way: comparisons(folder / name, case, way, make) for way, make in WAYS[name].items()
        }
        first = next(iter(made.values()))[0]
        yield (
            f"### {type(case.simulation).__name__}\n\n"
            f"{case.trajectories} trajectories, {HELD_OUT} held-out inputs.\n\n"
            f"{table([row(way, each) for way, each in made.items()])}\n\n{first.verdict}\n"
        )


def main() -> None:
    pin_to_one_core()
    chosen = sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="surrogates-")
    here = machine_in_words("physurrogate", "numba", "torch")
    body = "\n".join(sections(Path(chosen)))
    text = f"""## Surrogates against their solvers

By `surrogate.compare`: errors are relative L2 against a finer reference, mean over fields and
held-out inputs; times are processor seconds on one thread; the solver's time at the surrogate's
error is interpolated between its own cheaper versions. Networks with random initial weights are
trained with three seeds: median, and smallest and largest error. Machine: {here}.

{body}
"""
    print(text)
    replace_section("surrogates", text)


if __name__ == "__main__":
    main()
