"""Commands about what answers are worth."""

from pathlib import Path
from typing import Annotated

import typer

from surrogate.cli.app import AsJson, ModelFolder, Quiet, app
from surrogate.cli.printing import print_json


@app.command()
def bound(
    model: ModelFolder,
    n: Annotated[int, typer.Option("-n", help="Trajectories to solve.")] = 200,
    coverage: Annotated[float, typer.Option(help="Probability that a bound holds.")] = 0.9,
    promise: Annotated[
        str, typer.Option(help="Where bands hold: simultaneous, fraction or cell.")
    ] = "simultaneous",
    fraction: Annotated[
        float, typer.Option(help="Share of the points, for the promise of this name.")
    ] = 0.9,
    same: Annotated[
        bool, typer.Option("--same", help="The same bounds for all inputs, however hard.")
    ] = False,
    data: Annotated[
        Path | None, typer.Option(help="Solved trajectories to take instead of new ones.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Of --data; by default all.")] = None,
    training: Annotated[
        Path | None, typer.Option(help="The training data, if they have been moved.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the trajectories.")] = 0,
    output: Annotated[
        Path | None, typer.Option("-o", help="Folder to save to, by default MODEL itself.")
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Measure bounds of a surrogate's error on trajectories it has not seen, and save them."""
    import surrogate

    calibrated = surrogate.calibrated(
        surrogate.load(model),
        n,
        coverage,
        promise=promise,  # type: ignore[arg-type]
        fraction=fraction,
        scale="none" if same else "auto",
        data=data,
        split=split,
        training=training,
        seed=seed,
        progress=not quiet,
    )
    calibrated.save(model if output is None else output)
    calibration = calibrated.calibration
    assert calibration is not None
    if as_json:
        print_json(
            {
                "coverage": calibration.coverage,
                "n": calibration.n,
                "promise": calibration.promise,
                "error_bound": calibration.error_bound,
                "joint_error_bound": calibration.joint_error_bound,
                "origin": calibration.origin,
            }
        )
    else:
        typer.echo(calibration.in_words())
