"""Commands about services."""

from typing import Annotated

import typer

from surrogate.cli.app import Quiet, app


@app.command()
def serve(
    models: Annotated[
        list[str], typer.Argument(metavar="MODEL...", help="Folders, or NAME=FOLDER.")
    ],
    host: Annotated[str, typer.Option(help="Address; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any.")] = 8000,
    api_key: Annotated[
        list[str],
        typer.Option(
            envvar="PHYSURROGATE_API_KEY",
            show_envvar=True,
            help="A key that requests need; several by repetition.",
        ),
    ] = [],  # noqa: B006
    guard: Annotated[
        bool, typer.Option("--guard", help="Let the simulation answer where it has to.")
    ] = False,
    tolerance: Annotated[
        float | None, typer.Option(help="The guard's: largest bound of the relative error.")
    ] = None,
    significance: Annotated[
        float, typer.Option(help="The guard's: smallest p-value of the domain.")
    ] = 0.01,
    solve: Annotated[
        bool, typer.Option("--solve/--no-solve", help="Whether the simulation can be asked for.")
    ] = True,
    solve_timeout: Annotated[float, typer.Option(help="Seconds of a simulation.")] = 60.0,
    solves_per_minute: Annotated[float, typer.Option(help="Simulations begun.")] = 60.0,
    max_batch: Annotated[int, typer.Option(help="Samples of a request.")] = 256,
    max_body: Annotated[int, typer.Option(help="Bytes of a request.")] = 8 << 20,
    queue: Annotated[int, typer.Option(help="Samples that may wait.")] = 1024,
    timeout: Annotated[float, typer.Option(help="Seconds that a request may wait.")] = 10.0,
    threads: Annotated[int, typer.Option(min=1, help="Threads of torch.")] = 1,
    page: Annotated[bool, typer.Option("--page/--no-page", help="Whether the page is served.")] = (
        True
    ),
    quiet: Quiet = False,
) -> None:
    """Answer for surrogates over HTTP, with a page for people."""
    from surrogate import server
    from surrogate.server.run import load_models

    options = server.Options(
        api_keys=tuple(api_key),
        guard=guard,
        tolerance=tolerance,
        significance=significance,
        solve=solve,
        solve_timeout=solve_timeout,
        solves_per_minute=solves_per_minute,
        max_batch=max_batch,
        max_body=max_body,
        queue=queue,
        timeout=timeout,
        page=page,
    )
    server.serve(load_models(models), options, host=host, port=port, threads=threads, quiet=quiet)
