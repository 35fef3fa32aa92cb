"""Options that many commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


class ProgramState:
    """What one run of the program remembers of its own options."""

    traceback = False


def _remember_traceback(context: typer.Context, value: bool) -> bool:
    if value:
        context.find_object(ProgramState).traceback = True  # type: ignore[union-attr]
    return value


Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help="The folder with everything in it. [default: ./holdfast-data]",
        show_default=False,
        readable=False,  # what can't be used is said by what uses it
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Traceback = Annotated[
    bool,
    typer.Option(
        "--traceback",
        help="Show where an error comes from.",
        callback=_remember_traceback,
        is_eager=True,
    ),
]
VideoName = Annotated[
    str, typer.Argument(metavar="VIDEO", help="An id, the start of one, or a file name.")
]
