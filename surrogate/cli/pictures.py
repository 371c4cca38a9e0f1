"""Commands that draw."""

from pathlib import Path
from typing import Annotated

import typer

from surrogate.cli.app import app


@app.command()
def gallery(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Systems; all without.")
    ] = None,
    output: Annotated[Path, typer.Option("-o", help="Folder of the pictures.")] = Path("gallery"),
) -> None:
    """Draw a picture of each system, of the run that it declares as its showcase."""
    from surrogate.plot import save_gallery

    for path in save_gallery(output, names):
        typer.echo(path)
