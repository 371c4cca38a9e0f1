"""Commands about solvers."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from surrogate.cli.app import AsJson, Inputs, Preset, Quiet, Seed, Settings, System, app
from surrogate.cli.parsing import make, parse_inputs
from surrogate.cli.printing import deliver, print_json

if TYPE_CHECKING:
    from simulations import Simulation


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
        described = {name: describe_system(simulations.make(name))}
    else:
        described = {
            known: describe_system(system())
            for known, system in simulations.catalogue().items()
            if system.__module__.startswith("simulations.")
        }
    if as_json:
        print_json(described)
    elif name is None:
        for known, system in described.items():
            typer.echo(f"{known:<24} {system['summary']}")
    else:
        _print_system(name, described[name])


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
    simulation = make(name, settings, preset)
    given = parse_inputs(inputs)
    solution = simulation(seed=seed, **given)
    if errors:
        import simulations

        complete, _ = simulation.complete_inputs(given, solution.attrs["seed"])
        for field, error in simulations.discretisation_errors(simulation, complete).items():
            solution[field].attrs["discretisation_error"] = error.total
    deliver(simulation, solution, output, plot, as_json)


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
        print_json([result.to_json() for result in results])
    failed = [result.check.name for result in results if not result.holds]
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(results)} checks fail: {', '.join(failed)}")


def describe_system(simulation: "Simulation") -> dict[str, Any]:
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


def _plain(settings: dict[str, Any]) -> Iterable[tuple[str, Any]]:
    return ((k, v["distribution"] if isinstance(v, dict) else v) for k, v in settings.items())
