"""Answers, for people and for scripts."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    import xarray

    from simulations import Simulation


def deliver(
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
        print_json(_summary(solution))
    elif output is None and plot is None:
        typer.echo(str(solution))


def _summary(solution: "xarray.Dataset") -> dict[str, Any]:
    """Attributes, parameters, bounds and, of each variable, its value or its range."""
    variables: dict[str, Any] = {}
    bounds: dict[str, Any] = {}
    for name, values in solution.data_vars.items():
        if name == "error_bound":
            bounds = dict(zip(values.field.values.tolist(), values.values.tolist(), strict=True))
            continue
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
    shown = {"error_bound": bounds} if bounds else {}
    return {**attributes, **shown, "fields": variables}


def print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, default=str))  # dates and decimals of a query


def print_tree(described: dict[str, Any], indent: str = "") -> None:
    for key, value in described.items():
        if isinstance(value, dict) and any(isinstance(v, dict) for v in value.values()):
            typer.echo(f"{indent}{key}:")
            print_tree(value, indent + "  ")
            continue
        if isinstance(value, dict):
            value = ", ".join(f"{k} {v}" for k, v in value.items())
        typer.echo(f"{indent}{key}: {value}")


def print_table(names: list[str], rows: list[tuple[Any, ...]]) -> None:
    cells = [names, *(["" if value is None else str(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo(line.rstrip())
