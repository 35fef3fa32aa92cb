"""The program `holdfast`: its commands, and how it ends."""

from __future__ import annotations

import sys
import traceback
from importlib.metadata import version
from typing import Annotated, NoReturn

import typer

from holdfast.cli.bringing import ingest, worker
from holdfast.cli.demonstrating import demo
from holdfast.cli.exits import Exit, exit_of
from holdfast.cli.listing import clips, jobs, show, videos
from holdfast.cli.options import Session
from holdfast.cli.reporting import report
from holdfast.cli.show import notes, plain
from holdfast.errors import HoldfastError

app = typer.Typer(
    name="holdfast",
    help="Videos in, what moves in them out; records, objects and jobs in one place.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for command in (demo, ingest, worker, videos, show, clips, jobs, report):
    app.command()(command)


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"holdfast {version('holdfast')}")
        raise typer.Exit


@app.callback()
def _program(
    _version: Annotated[
        bool,
        typer.Option("--version", help="Say which version this is.", callback=_say_version),
    ] = False,
) -> None:
    pass


def main() -> NoReturn:
    """Run the program and exit; an error is one line that says what was wrong."""
    session = Session()
    try:
        code = app(obj=session, standalone_mode=False)
    except typer.TyperException as error:
        _end(error.format_message(), Exit(error.exit_code))
    except (KeyboardInterrupt, typer.Abort):
        _end("interrupted", Exit.INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read has left; nobody is there to be told
        sys.exit(Exit.DONE)
    except HoldfastError as error:
        if session.traceback:
            traceback.print_exc()
        _end(str(error), exit_of(error))
    except Exception as error:
        if session.traceback:
            raise
        _end(f"{type(error).__name__}: {error} (a bug; --traceback shows where)", Exit.BUG)
    sys.exit(code or Exit.DONE)


def _end(message: str, code: Exit) -> NoReturn:
    notes().print(f"holdfast: {plain(message)}", markup=False, style="red", soft_wrap=True)
    sys.exit(code)
