"""Commands about datasets."""

import csv
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from surrogate.cli.app import FAILED, AsJson, DatasetFolder, Preset, Quiet, Settings, System, app
from surrogate.cli.parsing import make, parse_levels, parse_part
from surrogate.cli.printing import deliver, print_json, print_table, print_tree

if TYPE_CHECKING:
    from concurrent.futures import Executor


@app.command()
def generate(
    name: System,
    n: Annotated[int, typer.Option("-n", help="Number of trajectories.")],
    output: Annotated[Path, typer.Option("-o", help="Folder of the dataset.")],
    settings: Settings = [],  # noqa: B006
    preset: Preset = None,
    seed: Annotated[int, typer.Option(help="Seed of the dataset.")] = 0,
    design: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE",
            help="Where the parameters lie: independent, latin-hypercube, sobol, grid, or a table "
            "(.csv, .parquet).",
        ),
    ] = "independent",
    levels: Annotated[
        list[str],
        typer.Option(
            metavar="N|NAME=N|NAME=[VALUE,…]", help="Of a grid: values of all, or of a parameter."
        ),
    ] = [],  # noqa: B006
    workers: Annotated[int | None, typer.Option(help="Processes; all cores by default.")] = None,
    dask: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Scheduler of a Dask cluster, or 'local' for one."),
    ] = None,
    part: Annotated[
        str | None,
        typer.Option("--range", metavar="I/M", help="Be job I of M jobs, counted from 0."),
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds after which a trajectory is given up.")
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Make shards again whose checksum is wrong.")
    ] = False,
    compression: Annotated[
        str | None, typer.Option(metavar="METHOD", help="Compress the fields: gzip.")
    ] = None,
    keep_bits: Annotated[
        int | None,
        typer.Option(metavar="BITS", help="Round the fields to so many bits of mantissa, 1 to 23."),
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Generate a dataset; the same command continues one that was interrupted."""
    import simulations
    from simulations import designs

    stored = None
    if compression is not None:
        stored = simulations.datasets.Compression(compression, keep_bits=keep_bits)
    elif keep_bits is not None:
        raise typer.BadParameter("--keep-bits needs --compression")
    simulation = make(name, settings, preset)
    with _dask_executor(dask, workers) as executor:
        dataset = simulations.generate(
            simulation,
            n,
            output,
            seed=seed,
            design=designs.by_name(design, parse_levels(levels)),
            workers=workers,
            executor=executor,
            part=parse_part(part),
            timeout=timeout,
            verify=verify,
            compression=stored,
            progress=not quiet,
        )
    if as_json:
        counts = {split: dataset.count(split) for split in simulations.datasets.SPLITS}
        print_json({"path": str(output), **counts, "solver_seconds": dataset.solver_seconds})
    else:
        typer.echo(repr(dataset))


@app.command()
def info(
    path: Annotated[
        Path, typer.Argument(metavar="DIR|FILE|MODEL", help="A dataset, a shard, a surrogate.")
    ],
    as_json: AsJson = False,
) -> None:
    """Say what a dataset, a single shard or a saved surrogate is."""
    from surrogate.description import describe

    described = describe(path)
    if as_json:
        print_json(described)
    else:
        print_tree(described)


@app.command()
def reproduce(
    dataset: DatasetFolder,
    sample: Annotated[int, typer.Option(help="Index of the trajectory.")],
    as_json: AsJson = False,
) -> None:
    """Run a trajectory of a dataset again and compare it, bit for bit, with what is stored."""
    _use_one_thread()
    import simulations

    found = simulations.reproduce(dataset, sample)
    if as_json:
        print_json(found.to_json())
    else:
        typer.echo(found.text())
    if not found.is_exact:
        raise RuntimeError(f"sample {sample} does not come out as it is stored")


@app.command()
def replay(
    dataset: DatasetFolder,
    failure: Annotated[int, typer.Option(help="Line in failures.jsonl, from 0.")],
    output: Annotated[Path | None, typer.Option("-o", help="NetCDF file to write.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Picture to write, .png or .svg.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run a draw of a dataset again that failed; an error if it fails as it did."""
    _use_one_thread()
    import simulations

    solution = simulations.replay(dataset, failure)
    deliver(simulations.Dataset(dataset).simulation, solution, output, plot, as_json)


@app.command()
def query(
    dataset: DatasetFolder,
    question: Annotated[
        str, typer.Argument(metavar="SQL", help="About the tables samples and failures.")
    ],
    as_csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask about parameters, outputs, failures and timings of a dataset in SQL."""
    from simulations.datasets.query import query as ask

    names, rows = ask(dataset, question)
    if as_json:
        print_json([dict(zip(names, row, strict=True)) for row in rows])
    elif as_csv:
        csv.writer(sys.stdout, lineterminator="\n").writerows([names, *rows])
    else:
        print_table(names, rows)


@app.command()
def check(
    dataset: Annotated[
        Path, typer.Argument(metavar="DIR", help="A dataset, or one of its files; also The Well's.")
    ],
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as failures.")] = False,
    html: Annotated[Path | None, typer.Option("--html", help="HTML report to write.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check the files and the content of a dataset."""
    from simulations.datasets import quality

    found = quality.check(dataset)
    if html is not None:
        from surrogate.quality_report import write_quality_report

        write_quality_report(html, found)
    if as_json:
        print_json(found.to_json())
    else:
        for problem in found.problems:
            typer.echo(f"{problem.severity}: {problem.file}: {problem.kind}: {problem.message}")
        typer.echo(found.verdict)
    if found.errors or (strict and found.problems):
        raise typer.Exit(FAILED)


@app.command()
def convert(
    dataset: Annotated[Path, typer.Argument(metavar="DIR", help="A dataset, or one shard of it.")],
    to: Annotated[str, typer.Option(help="netcdf, xdmf, vtkhdf, parquet or pdebench.")],
    output: Annotated[Path, typer.Option("-o", help="Folder to write to.")],
) -> None:
    """Write a dataset in another layout."""
    from simulations.datasets.convert import convert as write

    typer.echo(f"{len(write(dataset, to, output))} files in {output}")


@contextmanager
def _dask_executor(address: str | None, workers: int | None) -> "Iterator[Executor | None]":
    """The workers of a Dask cluster, which is made here if the address is ``local``."""
    if address is None:
        yield None
        return
    from distributed import Client, KilledWorker

    where: dict[str, Any] = {"address": address}
    if address == "local":
        where = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None}
    with Client(**where) as client:
        try:
            yield client.get_executor()
        except KilledWorker as error:
            raise RuntimeError(f"{error} The same command continues") from None


def _use_one_thread() -> None:
    """As generation does, so that sums are in the same order; before numpy is imported."""
    for library in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
        os.environ[f"{library}_NUM_THREADS"] = "1"
