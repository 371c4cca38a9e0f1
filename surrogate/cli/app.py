"""The application that commands join, and the options that several of them have."""

from pathlib import Path
from typing import Annotated

import typer

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
