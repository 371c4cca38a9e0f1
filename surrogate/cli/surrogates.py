"""Commands about surrogates."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from surrogate.cli.app import AsJson, Inputs, ModelFolder, Quiet, Seed, app
from surrogate.cli.parsing import parse_inputs, parse_settings
from surrogate.cli.printing import deliver, print_json, print_table

if TYPE_CHECKING:
    from surrogate.propagation import Propagator

DatasetPath = Annotated[Path, typer.Argument(metavar="DIR", help="Folder or file of a dataset.")]
IsPropagator = Annotated[
    bool, typer.Option("--propagator", help="Learn the step from one stored time to the next.")
]
StepSettings = Annotated[
    list[str], typer.Option("--step", metavar="NAME=VALUE", help="A setting of the propagator.")
]
RecipeFields = Annotated[
    list[str], typer.Option("--recipe", metavar="NAME=VALUE", help="How to train, such as clip=1.")
]


@app.command()
def train(
    dataset: DatasetPath,
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
    propagator: IsPropagator = False,
    propagator_settings: StepSettings = [],  # noqa: B006
    more: RecipeFields = [],  # noqa: B006
    seed: Annotated[int, typer.Option(help="Of the weights and the batches.")] = 0,
    device: Annotated[str, typer.Option(help="Torch device.")] = "cpu",
    report: Annotated[
        Path | None, typer.Option(help="HTML page about the training to write.")
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train a surrogate; the same command continues a training that was interrupted."""
    import surrogate
    from simulations import open_dataset
    from surrogate import networks
    from surrogate.distributed import team
    from surrogate.recipe import Recipe

    data = open_dataset(dataset)
    chosen = None
    if network is not None:
        chosen = networks.by_name(network)(**parse_settings(network_settings))
    elif network_settings:
        raise typer.BadParameter("--set needs --network")
    given = {
        "epochs": epochs,
        "minutes": minutes,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "seed": seed,
    }
    recipe = parse_settings(more)
    Recipe.check_names(recipe)
    for name in given.keys() & recipe.keys():
        option = "--" + name.replace("_", "-")
        raise typer.BadParameter(f"--recipe {name}={recipe[name]}: has its own option, {option}")
    recipe |= {name: value for name, value in given.items() if value is not None}
    problem = _problem(propagator, propagator_settings)
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
    if not team().leads:
        return
    emulator.save(output)
    (output / "checkpoint.safetensors").unlink()
    if report is not None:
        surrogate.training_report(emulator, report, data)
    if as_json:
        kept = ("epochs", "best_epoch", "seconds", "test_relative_l2")
        print_json({key: emulator.training[key] for key in kept if key in emulator.training})
    else:
        typer.echo(repr(emulator))


def _problem(propagator: bool, assignments: list[str]) -> "Propagator | None":
    from surrogate.propagation import Propagator

    if not propagator:
        if assignments:
            raise typer.BadParameter("--step needs --propagator")
        return None
    settings = parse_settings(assignments)
    known = list(Propagator.__dataclass_fields__)
    for name in settings:
        if name not in known:
            raise typer.BadParameter(f"--step {name}: must be one of {known}")
    return Propagator(**settings)


@app.command()
def tune(
    dataset: DatasetPath,
    output: Annotated[Path, typer.Option("-o", help="Folder for the best surrogate and all else.")],
    minutes: Annotated[float, typer.Option(help="Budget of all trainings together.")] = 30.0,
    network: Annotated[
        list[str], typer.Option(help="An architecture to try; by default all that fit.")
    ] = [],  # noqa: B006
    propagator: IsPropagator = False,
    propagator_settings: StepSettings = [],  # noqa: B006
    more: RecipeFields = [],  # noqa: B006
    seed: Annotated[int, typer.Option(help="Of the choices and the trainings.")] = 0,
    device: Annotated[str, typer.Option(help="Torch device.")] = "cpu",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Search for the best network and recipe; the same command continues a search."""
    import surrogate

    found = surrogate.tune(
        dataset,
        output,
        minutes=minutes,
        candidates=network or None,
        problem=_problem(propagator, propagator_settings),
        seed=seed,
        device=device,
        progress=not quiet,
        **parse_settings(more),
    )
    if as_json:
        print_json(found.to_json())
    else:
        header, *rows = found.rows()
        print_table(list(header), list(rows))
        typer.echo(repr(found.best))


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
    solution = emulator(seed=seed, **parse_inputs(inputs))
    deliver(emulator.simulation, solution, output, plot, as_json)


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
        print_json(comparison.to_json())
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
