"""Commands that judge: the suite, and roll-outs made elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from surrogate.cli.app import AsJson, Quiet, app
from surrogate.cli.printing import print_json


@app.command()
def benchmark(
    systems: Annotated[
        list[str] | None, typer.Argument(metavar="[SYSTEM]...", help="All systems by default.")
    ] = None,
    minutes: Annotated[float, typer.Option(help="Of one core, for each system.")] = 1.0,
    seeds: Annotated[int, typer.Option(help="Trainings with random initial weights.")] = 3,
    output: Annotated[
        Path, typer.Option("-o", help="Folder of the runs; RESULTS.md is beside it.")
    ] = Path("benchmarks/results"),
    against: Annotated[
        Path | None, typer.Option(metavar="OLD.json", help="A former run: show what moved.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Measure again, with the data and models there are.")
    ] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Compare surrogates with their solvers, for the whole catalogue; a killed run continues."""
    from surrogate import markdown
    from surrogate.comparison import suite_results
    from surrogate.comparison.suite import run_suite

    former = None if against is None else suite_results.read_run(against)
    files = suite_results.files(output)
    run = run_suite(
        systems or (),
        minutes=minutes,
        seeds=seeds,
        folder=files["work"],
        again=again,
        progress=not quiet,
    )
    entries = []
    for entry in run:
        entries.append(entry)
        # What is written survives a kill of the next one
        everything = suite_results.merged(output, entries)
        suite_results.write_run(files["run"], everything)
        markdown.replace_section("suite", suite_results.section(everything), files["results"])
        if not as_json:
            typer.echo(f"{entry.system}: {entry.verdict}")
    suite_results.write_overview(files["page"], everything)
    rows = [] if former is None else suite_results.moved(former, entries)
    if as_json:
        print_json({"entries": [entry.to_json() for entry in entries], "moved": rows})
        return
    if rows:
        typer.echo(markdown.table(rows))
    typer.echo(f"{files['run']}, {files['page']}, {files['results']}")


@app.command()
def score(
    rollout: Annotated[
        Path, typer.Argument(metavar="ROLLOUT", help="Predictions: .npy, .npz or .nc.")
    ],
    dataset: Annotated[Path, typer.Option(metavar="DIR", help="The dataset they are for.")],
    split: Annotated[str, typer.Option(help="Whose inputs were answered, in order.")] = "test",
    seconds: Annotated[float | None, typer.Option(help="Of one answer, on one thread.")] = None,
    rungs_on: Annotated[
        int, typer.Option(help="Trajectories on which the solver runs beside; 0 for none.")
    ] = 8,
    as_json: AsJson = False,
) -> None:
    """Score predictions made elsewhere by every metric, and against the solver's versions."""
    from simulations import open_dataset
    from surrogate.comparison.score import read_rollout
    from surrogate.comparison.score import score as measured

    data = open_dataset(dataset)
    answers = read_rollout(rollout, data.simulation)
    scored = measured(data, answers, split=split, seconds=seconds, rungs_on=rungs_on)
    if as_json:
        print_json(scored.to_json())
    else:
        typer.echo(scored.table())
        typer.echo(scored.verdict)
