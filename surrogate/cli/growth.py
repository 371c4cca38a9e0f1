"""The command that grows a dataset round by round."""

from pathlib import Path
from typing import Annotated

import typer

from surrogate.cli.app import AsJson, Preset, Quiet, Settings, System, app
from surrogate.cli.parsing import make, parse_settings
from surrogate.cli.printing import print_json, print_table


@app.command()
def grow(
    name: System,
    output: Annotated[Path, typer.Option("-o", help="Folder for everything.")],
    budget: Annotated[int, typer.Option(help="Trajectories to solve in all.")],
    rounds: Annotated[int, typer.Option(help="Rounds after the first trajectories.")] = 4,
    method: Annotated[
        str, typer.Option(help="How inputs are chosen: sbal, lcmd, coreset, sobol or random.")
    ] = "sbal",
    initial: Annotated[
        int | None, typer.Option(help="Trajectories of the first round; a third by default.")
    ] = None,
    settings: Settings = [],  # noqa: B006
    preset: Preset = None,
    network: Annotated[
        list[str], typer.Option(help="Architecture, such as PODNet; several are one member each.")
    ] = [],  # noqa: B006
    network_settings: Annotated[
        list[str],
        typer.Option("--network-set", metavar="NAME=VALUE", help="A setting of the network."),
    ] = [],  # noqa: B006
    members: Annotated[int | None, typer.Option(help="Surrogates after each round.")] = None,
    selection: Annotated[
        list[str],
        typer.Option("--select", metavar="NAME=VALUE", help="How to choose, such as pool=5000."),
    ] = [],  # noqa: B006
    more: Annotated[
        list[str],
        typer.Option("--recipe", metavar="NAME=VALUE", help="How to train, such as epochs=100."),
    ] = [],  # noqa: B006
    seed: Annotated[int, typer.Option(help="Of the dataset and the trainings.")] = 0,
    workers: Annotated[int | None, typer.Option(help="Processes; all cores by default.")] = None,
    device: Annotated[str, typer.Option(help="Torch device of the trainings.")] = "cpu",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Generate, train and choose in rounds; the same command continues what was interrupted."""
    import surrogate
    from surrogate import networks

    if network_settings and len(network) != 1:
        raise typer.BadParameter("--network-set needs one --network")
    chosen = [networks.by_name(each)(**parse_settings(network_settings)) for each in network]
    grown = surrogate.grow(
        make(name, settings, preset),
        output,
        budget=budget,
        rounds=rounds,
        method=method,
        initial=initial,
        network=chosen[0] if len(chosen) == 1 else chosen or None,
        members=members,
        seed=seed,
        recipe=parse_settings(more),
        selection=parse_settings(selection),
        workers=workers,
        device=device,
        progress=not quiet,
    )
    if as_json:
        print_json({"path": str(grown.dataset.path), "rounds": grown.rounds})
        return
    columns = ["trajectories", "solver s", "training s", "selection s", "error"]
    print_table(columns, grown.rows())
