"""The command line. It parses, calls the library and prints; numba and torch are imported late."""

import csv
import json
import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from concurrent.futures import Executor

    import xarray

    from simulations import Simulation

OK, FAILED, MISUSED = 0, 1, 2

app = typer.Typer(
    help="Physics solvers, the datasets they generate, and surrogates that replace them.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Inputs = Annotated[
    list[str],
    typer.Option("-p", "--input", metavar="NAME=VALUE", help="An input: a number or a .npy file."),
]
Settings = Annotated[
    list[str], typer.Option("--set", metavar="NAME=VALUE", help="A setting of the simulation.")
]
Preset = Annotated[
    str | None, typer.Option(help="Settings of a published dataset; see 'surrogate list'.")
]
Seed = Annotated[int | None, typer.Option(help="Seed of all inputs that are not given.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a script to read.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bar.")]
ModelFolder = Annotated[Path, typer.Argument(metavar="MODEL", help="Folder of a saved surrogate.")]
DatasetFolder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a dataset.")]
System = Annotated[str, typer.Argument(metavar="NAME", help="A system; see 'surrogate list'.")]


@app.command("list")
def list_systems(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Describe this system in full.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the systems, or the parameters, settings and fields of one."""
    import simulations

    if name is not None:
        described = {name: _describe(simulations.make(name))}
    else:
        described = {
            known: _describe(system())
            for known, system in simulations.catalogue().items()
            if system.__module__.startswith("simulations.")
        }
    if as_json:
        _print_json(described)
    elif name is None:
        for known, system in described.items():
            typer.echo(f"{known:<24} {system['summary']}")
    else:
        _print_system(name, described[name])


def _print_system(name: str, system: dict[str, Any]) -> None:
    typer.echo(f"{name}: {system['summary']}")
    for parameter, p in system["parameters"].items():
        low, high = p["admissible"]
        typer.echo(f"  -p {parameter:<12} {p['description']}, {low:g} to {high:g} {p['unit']}")
    for field_input, f in system["field_inputs"].items():
        typer.echo(f"  -p {field_input:<12} {f['description']}, field in {f['unit']}")
    for field, f in system["fields"].items():
        typer.echo(f"  -> {field:<12} {f['description']}, {f['unit']}")
    typer.echo(f"  --set {' '.join(f'{k}={v}' for k, v in _plain(system['settings']))}")
    if system["presets"]:
        typer.echo(f"  --preset {' | '.join(system['presets'])}")


@app.command()
def simulate(
    name: System,
    inputs: Inputs = [],  # noqa: B006
    settings: Settings = [],  # noqa: B006
    preset: Preset = None,
    seed: Seed = None,
    output: Annotated[Path | None, typer.Option("-o", help="NetCDF file to write.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Picture to write, .png or .svg.")] = None,
    errors: Annotated[
        bool, typer.Option("--errors", help="Estimate the discretisation error of each field.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run a simulation once."""
    simulation = _make(name, settings, preset)
    given = _parse_inputs(inputs)
    solution = simulation(seed=seed, **given)
    if errors:
        import simulations

        complete, _ = simulation.complete_inputs(given, solution.attrs["seed"])
        for field, error in simulations.discretisation_errors(simulation, complete).items():
            solution[field].attrs["discretisation_error"] = error.total
    _deliver(simulation, solution, output, plot, as_json)


@app.command()
def verify(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A system; the whole catalogue without.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Leave out what takes long.")] = False,
    output: Annotated[Path | None, typer.Option("-o", help="Markdown page to write.")] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Hold a solver against exact solutions and published values."""
    from simulations import verification

    results = []
    for check in verification.checks(name):
        if check.slow and quick:
            continue
        result = verification.run(check)
        results.append(result)
        if not (quiet or as_json):
            typer.echo(result.text())
    if output is not None:
        output.write_text(verification.page(results), encoding="utf-8")
    if as_json:
        _print_json([result.to_json() for result in results])
    failed = [result.check.name for result in results if not result.holds]
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(results)} checks fail: {', '.join(failed)}")


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
    simulation = _make(name, settings, preset)
    with _dask_executor(dask, workers) as executor:
        dataset = simulations.generate(
            simulation,
            n,
            output,
            seed=seed,
            design=designs.by_name(design, _parse_levels(levels)),
            workers=workers,
            executor=executor,
            part=_parse_part(part),
            timeout=timeout,
            verify=verify,
            compression=stored,
            progress=not quiet,
        )
    if as_json:
        counts = {split: dataset.count(split) for split in simulations.datasets.SPLITS}
        _print_json({"path": str(output), **counts, "solver_seconds": dataset.solver_seconds})
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
        _print_json(described)
    else:
        _print_tree(described)


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
        _print_json(found.to_json())
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
    _deliver(simulations.Dataset(dataset).simulation, solution, output, plot, as_json)


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
        _print_json([dict(zip(names, row, strict=True)) for row in rows])
    elif as_csv:
        csv.writer(sys.stdout, lineterminator="\n").writerows([names, *rows])
    else:
        _print_table(names, rows)


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
        _print_json(found.to_json())
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


@app.command()
def train(
    dataset: Annotated[Path, typer.Argument(metavar="DIR", help="Folder or file of a dataset.")],
    output: Annotated[Path, typer.Option("-o", help="Folder for the surrogate.")],
    network: Annotated[
        str | None, typer.Option(help="Architecture, such as FNO; chosen by default.")
    ] = None,
    network_settings: Annotated[
        list[str], typer.Option("--set", metavar="NAME=VALUE", help="A setting of the network.")
    ] = [],  # noqa: B006
    epochs: Annotated[int | None, typer.Option(help="Passes over the train split.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Budget in minutes.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Trajectories in a step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak of the schedule.")] = None,
    propagator: Annotated[
        bool, typer.Option("--propagator", help="Learn the step from one stored time to the next.")
    ] = False,
    propagator_settings: Annotated[
        list[str], typer.Option("--step", metavar="NAME=VALUE", help="A setting of the propagator.")
    ] = [],  # noqa: B006
    more: Annotated[
        list[str],
        typer.Option("--recipe", metavar="NAME=VALUE", help="How to train, such as clip=1."),
    ] = [],  # noqa: B006
    seed: Annotated[int, typer.Option(help="Of the weights and the batches.")] = 0,
    device: Annotated[str, typer.Option(help="Torch device.")] = "cpu",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train a surrogate; the same command continues a training that was interrupted."""
    import surrogate
    from simulations import open_dataset
    from surrogate import networks
    from surrogate.recipe import Recipe

    data = open_dataset(dataset)
    chosen = None
    if network is not None:
        chosen = networks.by_name(network)(**_parse_settings(network_settings))
    elif network_settings:
        raise typer.BadParameter("--set needs --network")
    given = {
        "epochs": epochs,
        "minutes": minutes,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "seed": seed,
    }
    recipe = _parse_settings(more)
    Recipe.check_names(recipe)
    for name in given.keys() & recipe.keys():
        option = "--" + name.replace("_", "-")
        raise typer.BadParameter(f"--recipe {name}={recipe[name]}: has its own option, {option}")
    recipe |= {name: value for name, value in given.items() if value is not None}
    problem = None
    if propagator:
        settings = _parse_settings(propagator_settings)
        known = list(surrogate.Propagator.__dataclass_fields__)
        for name in settings:
            if name not in known:
                raise typer.BadParameter(f"--step {name}: must be one of {known}")
        problem = surrogate.Propagator(**settings)
    elif propagator_settings:
        raise typer.BadParameter("--step needs --propagator")
    output.mkdir(parents=True, exist_ok=True)
    emulator = surrogate.train(
        data,
        chosen,
        problem=problem,
        checkpoint=output / "checkpoint.safetensors",
        device=device,
        progress=not quiet,
        **recipe,
    )
    emulator.save(output)
    (output / "checkpoint.safetensors").unlink()
    if as_json:
        kept = ("epochs", "best_epoch", "seconds", "test_relative_l2")
        _print_json({key: emulator.training[key] for key in kept if key in emulator.training})
    else:
        typer.echo(repr(emulator))


@app.command()
def predict(
    model: ModelFolder,
    inputs: Inputs = [],  # noqa: B006
    seed: Seed = None,
    output: Annotated[Path | None, typer.Option("-o", help="NetCDF file to write.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Picture to write, .png or .svg.")] = None,
    as_json: AsJson = False,
) -> None:
    """Ask a surrogate what the simulation would answer."""
    import surrogate

    emulator = surrogate.load(model)
    solution = emulator(seed=seed, **_parse_inputs(inputs))
    _deliver(emulator.simulation, solution, output, plot, as_json)


@app.command()
def export(
    model: ModelFolder,
    to: Annotated[str, typer.Option(help="onnx or torch.")],
    output: Annotated[Path, typer.Option("-o", help="File to write.")],
) -> None:
    """Write a surrogate to one file for programs that have neither this package nor its solver."""
    import surrogate

    written = surrogate.export(surrogate.load(model), output, to)
    typer.echo(f"{written}: {written.stat().st_size:,} bytes")


@app.command()
def compare(
    model: ModelFolder,
    dataset: Annotated[
        Path | None, typer.Option(help="Its training data, for the trivial rivals.")
    ] = None,
    n: Annotated[int, typer.Option("-n", help="Held-out inputs.")] = 16,
    seed: Annotated[int, typer.Option(help="Of the held-out inputs.")] = 0,
    output: Annotated[Path | None, typer.Option("-o", help="HTML report to write.")] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Compare a surrogate with its simulation at equal error."""
    import surrogate

    emulator = surrogate.load(model)
    comparison = surrogate.compare(
        emulator.simulation, emulator, dataset=dataset, n=n, seed=seed, progress=not quiet
    )
    if output is not None:
        comparison.save_report(output)
    if as_json:
        _print_json(comparison.to_json())
    else:
        typer.echo(comparison.table())
        typer.echo(comparison.verdict)


@app.command()
def demo(
    output: Annotated[Path, typer.Option("-o", help="Folder for everything.")] = Path("demo"),
    quiet: Quiet = False,
) -> None:
    """Generate, train, compare and report: natural convection and Burgers, in minutes."""
    from surrogate.demo import run

    typer.echo(f"report: {run(output, progress=not quiet)}")


def main(arguments: list[str] | None = None) -> None:
    """Entry point: errors are one line on stderr, and the exit code says whose they are."""
    sys.exit(_run(arguments))


def _run(arguments: list[str] | None) -> int:
    warnings.showwarning = _warn
    try:
        code = app(arguments or sys.argv[1:] or ["--help"], standalone_mode=False)
    except KeyboardInterrupt:
        return _complain("interrupted; the same command continues", 130)
    except Exception as error:
        usage_message = getattr(error, "format_message", None)
        if usage_message is not None:
            return _complain(usage_message(), MISUSED)
        if isinstance(error, typer.Abort):
            return _complain("aborted", FAILED)
        if isinstance(error, ModuleNotFoundError):
            extras = {"dask": "dask", "distributed": "dask", "onnx": "onnx", "onnxscript": "onnx"}
            extra = extras.get(error.name or "", "surrogate")
            return _complain(f"{error}: pip install 'physurrogate[{extra}]'", FAILED)
        if isinstance(error, ValueError):
            return _complain(str(error), MISUSED)
        if isinstance(error, (RuntimeError, OSError, MemoryError)):
            return _complain(str(error) or type(error).__name__, FAILED)
        raise
    return code or OK


def _complain(message: str, code: int) -> int:
    typer.echo("surrogate: " + " ".join(message.split()), err=True)
    return code


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    _complain(f"warning: {message}", OK)


def _make(name: str, settings: Iterable[str], preset: str | None = None) -> "Simulation":
    import simulations

    given = _parse_settings(settings)
    if preset is None:
        return simulations.make(name, given)
    return type(simulations.make(name)).preset(preset, **given)


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


def _parse_part(text: str | None) -> tuple[int, int]:
    if text is None:
        return 0, 1
    job, slash, jobs = text.partition("/")
    if not (slash and job.isdecimal() and jobs.isdecimal() and int(job) < int(jobs)):
        raise typer.BadParameter(f"--range={text}: must be I/M with integers 0 <= I < M")
    return int(job), int(jobs)


def _pairs(assignments: Iterable[str]) -> Iterable[tuple[str, str]]:
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not (name and equals and value):
            raise typer.BadParameter(f"{assignment!r}: must be NAME=VALUE")
        yield name, value


def _parse_settings(assignments: Iterable[str]) -> dict[str, Any]:
    """Values are JSON where they can be read as such, and text otherwise."""
    parsed: dict[str, Any] = {}
    for name, value in _pairs(assignments):
        try:
            parsed[name] = json.loads(value)
        except json.JSONDecodeError:
            parsed[name] = value
    return parsed


def _parse_levels(levels: list[str]) -> int | dict[str, Any] | None:
    """One number for all parameters, or numbers or lists of values by name."""
    if len(levels) == 1 and levels[0].isdecimal():
        return int(levels[0])
    return _parse_settings(levels) or None


def _parse_inputs(assignments: Iterable[str]) -> dict[str, Any]:
    """Numbers as such and fields from files; what is neither is for the simulation to refuse."""
    import numpy as np

    parsed: dict[str, Any] = {}
    for name, value in _pairs(assignments):
        if value.endswith(".npy"):
            parsed[name] = np.load(value, allow_pickle=False)
            continue
        try:
            parsed[name] = float(value)
        except ValueError:
            parsed[name] = value
    return parsed


def _deliver(
    simulation: "Simulation",
    solution: "xarray.Dataset",
    output: Path | None,
    plot: Path | None,
    as_json: bool,
) -> None:
    if output is not None:
        solution.to_netcdf(output, engine="h5netcdf")
    if plot is not None:
        from surrogate.plot import save_solution

        save_solution(simulation, solution, plot)
    if as_json:
        _print_json(_summary(solution))
    elif output is None and plot is None:
        typer.echo(str(solution))


def _summary(solution: "xarray.Dataset") -> dict[str, Any]:
    """Attributes, parameters and, of each variable, its value or its range."""
    variables: dict[str, Any] = {}
    for name, values in solution.data_vars.items():
        described = {k: v for k, v in values.attrs.items() if k != "long_name"}
        if values.size == 1:
            variables[str(name)] = {"value": values.item(), **described}
        else:
            variables[str(name)] = {
                "min": float(values.min()),
                "max": float(values.max()),
                "shape": list(values.shape),
                **described,
            }
    attributes = {
        key: json.loads(value) if key in ("settings", "parameters") else value
        for key, value in solution.attrs.items()
    }
    return {**attributes, "fields": variables}


def _describe(simulation: "Simulation") -> dict[str, Any]:
    summary = (type(simulation).__doc__ or "").strip().splitlines()[0]
    return {
        "summary": summary,
        "parameters": {
            name: {
                "description": p.description,
                "unit": p.unit,
                "admissible": list(p.admissible),
                "sampling": list(p.sampling),
                "scale": p.scale,
            }
            for name, p in simulation.drawn_parameters.items()
        },
        "field_inputs": {
            name: {
                "description": f.description,
                "unit": f.unit,
                "shape": f.shape(simulation.grid),
            }
            for name, f in simulation.field_inputs.items()
        },
        "fields": {
            name: {"description": f.description, "unit": f.unit, "order": f.order}
            for name, f in simulation.fields.items()
        },
        "settings": simulation.settings,
        "presets": list(simulation.presets),
    }


def _plain(settings: dict[str, Any]) -> Iterable[tuple[str, Any]]:
    return ((k, v["distribution"] if isinstance(v, dict) else v) for k, v in settings.items())


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, default=str))  # dates and decimals of a query


def _print_tree(described: dict[str, Any], indent: str = "") -> None:
    for key, value in described.items():
        if isinstance(value, dict) and any(isinstance(v, dict) for v in value.values()):
            typer.echo(f"{indent}{key}:")
            _print_tree(value, indent + "  ")
            continue
        if isinstance(value, dict):
            value = ", ".join(f"{k} {v}" for k, v in value.items())
        typer.echo(f"{indent}{key}: {value}")


def _print_table(names: list[str], rows: list[tuple[Any, ...]]) -> None:
    cells = [names, *(["" if value is None else str(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo(line.rstrip())


def _use_one_thread() -> None:
    """As generation does, so that sums are in the same order; before numpy is imported."""
    for library in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
        os.environ[f"{library}_NUM_THREADS"] = "1"
