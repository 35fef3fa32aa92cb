"""The program `holdfast`: its commands, and how it ends."""

from __future__ import annotations

import asyncio
import os
import sys
import traceback
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from holdfast.cli.commands.audit import audit
from holdfast.cli.commands.cache import cache
from holdfast.cli.commands.cases import cases
from holdfast.cli.commands.clips import clips
from holdfast.cli.commands.config import config
from holdfast.cli.commands.demo import demo
from holdfast.cli.commands.detect import detect
from holdfast.cli.commands.doctor import doctor
from holdfast.cli.commands.hosts import hosts
from holdfast.cli.commands.ingest import ingest
from holdfast.cli.commands.jobs import jobs
from holdfast.cli.commands.keys import keys
from holdfast.cli.commands.migrate import migrate
from holdfast.cli.commands.models import models
from holdfast.cli.commands.objects import objects
from holdfast.cli.commands.queues import queues
from holdfast.cli.commands.records import records
from holdfast.cli.commands.report import report
from holdfast.cli.commands.schedules import schedules
from holdfast.cli.commands.serve import serve
from holdfast.cli.commands.show import show
from holdfast.cli.commands.upkeep import upkeep
from holdfast.cli.commands.videos import videos
from holdfast.cli.commands.webhooks import webhooks
from holdfast.cli.commands.worker import worker
from holdfast.cli.commands.workflows import workflows
from holdfast.cli.domain_commands import ProgramGroup
from holdfast.cli.exit_codes import Exit, exit_of
from holdfast.cli.options import ProgramState
from holdfast.cli.output import ReaderLeftError, complain, note, plain
from holdfast.errors import HoldfastError, InvalidSettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable

app = typer.Typer(
    name="holdfast",
    cls=ProgramGroup,
    help="Videos in, what moves in them out; records, objects and jobs in one place.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    demo, serve, ingest, worker, detect, videos, show, clips, report, config, doctor, upkeep,
):  # fmt: skip
    app.command()(command)
for group in (
    migrate, records, objects, cache, models, keys, jobs, workflows, schedules, queues, audit,
    cases, webhooks, hosts,
):  # fmt: skip
    app.add_typer(group)


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"holdfast {version('holdfast')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _program(
    context: typer.Context,
    _version: Annotated[
        bool,
        typer.Option("--version", help="Say which version this is.", callback=_say_version),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(Exit.USAGE)


def main() -> NoReturn:
    """Run the program and exit; an error is one line that says what was wrong.

    Of several settings that can't be used each has a line of its own.
    """
    state = ProgramState()
    try:
        code = app(prog_name="holdfast", obj=state, standalone_mode=False)
    except typer.TyperException as error:
        _end(f"{error.format_message().rstrip('.')}; {_help_of(error)}", Exit.USAGE)
    except (KeyboardInterrupt, typer.Abort):
        code = Exit.INTERRUPTED
    except asyncio.CancelledError:
        _end("stopped", Exit.TERMINATED)
    except ReaderLeftError:
        _leave_pipe()
        sys.exit(Exit.DONE)
    except HoldfastError as error:
        if state.traceback:
            traceback.print_exc()
        if isinstance(error, InvalidSettingsError) and len(error.faults) > 1:
            _end(f"{len(error.faults)} settings can't be used:", exit_of(error), error.faults)
        _end("; ".join((str(error), *getattr(error, "__notes__", ()))), exit_of(error))
    except Exception as error:
        if state.traceback:
            raise
        _end(f"{type(error).__name__}: {error} (a bug; --traceback shows where)", Exit.BUG)
    if code == Exit.INTERRUPTED:  # Typer makes it a code of a KeyboardInterrupt
        _end("interrupted", Exit.INTERRUPTED)
    sys.exit(code or Exit.DONE)


def _help_of(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    return f"`{context.command_path if context else 'holdfast'} --help` tells what is expected"


def _leave_pipe() -> None:
    """Point standard output at nothing: its reader has left, as `head` does."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)


def _end(message: str, code: Exit, details: Iterable[object] = ()) -> NoReturn:
    complain(message)
    for each in details:
        note(f"  {plain(each)}", style="red")
    sys.exit(code)
