"""Commands that hand a surrogate over, and that look at where everything runs."""

from pathlib import Path
from typing import Annotated

import typer

from surrogate.cli.app import FAILED, AsJson, ModelFolder, app
from surrogate.cli.printing import print_json


@app.command()
def export(
    model: ModelFolder,
    to: Annotated[str, typer.Option(help="onnx, torch, wheel or fmu.")],
    output: Annotated[Path, typer.Option("-o", help="File to write; of a wheel the folder.")],
    name: Annotated[
        str | None, typer.Option(help="Of a wheel or an FMU, such as cavity-heat.")
    ] = None,
    version: Annotated[str, typer.Option(help="Of a wheel or an FMU.")] = "1.0.0",
    licence: Annotated[
        str | None, typer.Option(help="Of a wheel or an FMU, as SPDX has it, such as MIT.")
    ] = None,
    author: Annotated[str | None, typer.Option(help="Of a wheel or an FMU.")] = None,
) -> None:
    """Write a surrogate for programs that have neither this package nor its solver."""
    import surrogate

    written = surrogate.export(
        surrogate.load(model),
        output,
        to,
        name=name,
        version=version,
        licence=licence,
        author=author,
    )
    typer.echo(f"{written}: {written.stat().st_size:,} bytes")


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Look for what is wrong with this installation and this machine, and say what mends it."""
    from surrogate.doctor import examine

    findings = examine()
    if as_json:
        print_json([finding.to_json() for finding in findings])
    else:
        for finding in findings:
            typer.echo(finding.text())
    if any(finding.level == "error" for finding in findings):
        raise typer.Exit(FAILED)
