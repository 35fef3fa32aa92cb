"""The command that serves the platform over HTTP: serve."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from holdfast.cli.options import Data, Traceback
from holdfast.cli.output import note
from holdfast.cli.runner import settings_of


def serve(  # noqa: PLR0913, PLR0917 - options of a command
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.", min=1, max=65535)] = 8000,
    processes: Annotated[int, typer.Option(help="How many processes serve.", min=1)] = 1,
    reload: Annotated[
        bool, typer.Option("--reload", help="Start again when the code changes: for development.")
    ] = False,
    work: Annotated[
        bool, typer.Option("--worker/--no-worker", help="Run jobs in the same process.")
    ] = True,
    keys: Annotated[bool, typer.Option("--keys", help="Ask everybody for an API key.")] = False,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Another name that the server answers to."),
    ] = None,
    allowed_origin: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="An origin whose pages may write here."),
    ] = None,
    data: Data = None,
    traceback: Traceback = False,
) -> None:
    """Serve the HTTP API until stopped: Ctrl-C and SIGTERM let requests end first.

    Programs of this machine need no key, unless --keys is given. A server that others can reach
    is refused without: `holdfast keys issue NAME --role admin` makes the first.
    """
    from holdfast.extras import needs_extra

    with needs_extra("serve", "holdfast serve"):
        from holdfast.web import uvicorn_server
        from holdfast.web.serve_options import ServeOptions

    options = ServeOptions(
        host=host,
        port=port,
        processes=processes,
        reload=reload,
        work=work,
        keys=keys,
        allowed_hosts=tuple(allowed_host or ()),
        allowed_origins=tuple(allowed_origin or ()),
        data=None if data is None else str(data),
    )
    settings = settings_of(data)
    uvicorn_server.check_start(settings, options)
    uvicorn_server.serve(options, partial(_announce, f"http://{host}:{port}"))


def _announce(url: str) -> None:
    note(f"Serving on {url}/console/; its API is told at {url}/docs")
    note("Ctrl-C stops.")
