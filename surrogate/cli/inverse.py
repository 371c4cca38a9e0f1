"""Commands that ask which inputs fit, which are best and which matter."""

from pathlib import Path
from typing import Annotated, Any

import typer

from surrogate.cli.app import AsJson, Inputs, ModelFolder, app
from surrogate.cli.parsing import parse_inputs, parse_settings
from surrogate.cli.printing import print_json, print_table

Bounds = Annotated[
    list[str],
    typer.Option("--bounds", metavar="NAME=[LOW,HIGH]", help="Within the training range."),
]
SeedOfAll = Annotated[int, typer.Option(help="Of all random numbers.")]


@app.command()
def calibrate(
    model: ModelFolder,
    observations: Annotated[
        Path,
        typer.Argument(
            metavar="OBSERVATIONS",
            help=".nc like an answer, or .csv with columns field, value, time, axes, component.",
        ),
    ],
    noise: Annotated[
        float | None, typer.Option(help="Standard deviation; without one the column of the .csv.")
    ] = None,
    inputs: Inputs = [],  # noqa: B006
    model_error: Annotated[
        float | None, typer.Option(help="Relative error of the surrogate; its own by default.")
    ] = None,
    measured_error: Annotated[
        int, typer.Option(metavar="RUNS", help="Measure that error by so many solver runs.")
    ] = 0,
    delayed: Annotated[
        bool, typer.Option("--delayed", help="Let the solver check every draw: exact.")
    ] = False,
    draws: Annotated[int, typer.Option(help="Of each chain.")] = 200,
    seed: SeedOfAll = 0,
    output: Annotated[
        Path | None, typer.Option("-o", help="NetCDF file for the predicted fields.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find the parameters that explain observations: a posterior, with its spread."""
    import surrogate

    emulator = surrogate.load(model)
    posterior = surrogate.calibrate(
        emulator,
        surrogate.Observations.read(emulator.simulation, observations, noise),
        inputs=parse_inputs(inputs),
        model_error=model_error,
        measured_error=measured_error,
        method="delayed" if delayed else "surrogate",
        draws=draws,
        seed=seed,
    )
    if output is not None:
        posterior.predict().to_netcdf(output, engine="h5netcdf")
    if as_json:
        print_json(posterior.to_json())
        return
    _print_by_name("parameter", posterior.summary())
    typer.echo(f"{posterior.method}; model error: {posterior.model_error}")
    typer.echo(f"solver runs: {posterior.solver_calls}")


@app.command()
def optimise(
    model: ModelFolder,
    minimise: Annotated[
        str | None, typer.Option(metavar="FIELD", help="A field without space.")
    ] = None,
    maximise: Annotated[
        str | None, typer.Option(metavar="FIELD", help="The same, to make large.")
    ] = None,
    inputs: Inputs = [],  # noqa: B006
    bounds: Bounds = [],  # noqa: B006
    tolerance: Annotated[
        float, typer.Option(help="Admissible error of the surrogate, of the field's range.")
    ] = 0.01,
    solver_runs: Annotated[int, typer.Option(help="Budget.")] = 60,
    seed: SeedOfAll = 0,
    as_json: AsJson = False,
) -> None:
    """Find the parameters that make a field smallest or largest, verified by the solver."""
    import surrogate

    field = minimise or maximise
    if field is None or (minimise and maximise):
        raise typer.BadParameter("needs one of --minimise FIELD and --maximise FIELD")
    optimum = surrogate.optimise(
        surrogate.load(model),
        field,
        maximise=maximise is not None,
        bounds=parse_settings(bounds),
        inputs=parse_inputs(inputs),
        tolerance=tolerance,
        solver_runs=solver_runs,
        seed=seed,
    )
    if as_json:
        print_json(optimum.to_json())
        return
    typer.echo(", ".join(f"{name} = {value:.6g}" for name, value in optimum.inputs.items()))
    typer.echo(f"{field}: {optimum.value:.6g} by the solver, {optimum.predicted:.6g} predicted")
    typer.echo(
        f"solver runs: {optimum.solver_calls}; "
        + ("converged" if optimum.converged else "stopped by the budget")
    )


@app.command()
def sensitivity(
    model: ModelFolder,
    n: Annotated[int, typer.Option("-n", help="Base points, a power of 2.")] = 1024,
    control: Annotated[int, typer.Option(help="Solver runs that measure the error.")] = 32,
    inputs: Inputs = [],  # noqa: B006
    bounds: Bounds = [],  # noqa: B006
    seed: SeedOfAll = 0,
    as_json: AsJson = False,
) -> None:
    """Say which parameters matter: Sobol' indices, with what the surrogate's error does to them."""
    import surrogate

    found = surrogate.sensitivity(
        surrogate.load(model),
        n=n,
        control=control,
        bounds=parse_settings(bounds),
        inputs=parse_inputs(inputs),
        seed=seed,
    )
    if as_json:
        print_json(found.to_json())
        return
    rows = []
    for field, parameters in found.first.items():
        for parameter, first in parameters.items():
            total = found.total[field][parameter]
            row: list[Any] = [field, parameter]
            for index in (first, total):
                row += [f"{index.value:.3f}", "{:.3f} to {:.3f}".format(*index.model)]
            rows.append(tuple(row))
    print_table(["field", "parameter", "first", "of the solver", "total", "of the solver"], rows)
    typer.echo(f"solver runs: {found.solver_calls}")


def _print_by_name(title: str, rows: dict[str, dict[str, float]]) -> None:
    columns = list(next(iter(rows.values())))
    cells = [(name, *(f"{row[c]:.4g}" for c in columns)) for name, row in rows.items()]
    print_table([title, *columns], cells)
