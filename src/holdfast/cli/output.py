"""Output of commands: tables for people, JSON for programs.

Rich takes a third of the program's start-up, and is imported with the first line that it prints.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from holdfast.records import Entity

_UNBROKEN = 100_000  # columns: wider than any line

_STYLES = {
    "succeeded": "green",
    "done": "green",
    "running": "cyan",
    "queued": "yellow",
    "failed": "red",
    "cancelled": "dim",
}


class ReaderLeftError(Exception):
    """Nobody reads standard output any longer; no OSError, which Typer takes for a failure."""


def console() -> Console:
    """Return where results go; lines are broken for a terminal only."""
    from rich.console import Console

    class Results(Console):
        def on_broken_pipe(self) -> None:
            raise ReaderLeftError

    width = None if sys.stdout.isatty() else _UNBROKEN
    return Results(highlight=False, markup=False, emoji=False, width=width)


def notes() -> Console:
    """Return where progress and remarks go, so that results can be piped."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def note(text: str, *, style: str = "") -> None:
    """Print *text* where remarks go, as one line however long."""
    notes().print(text, style=style, soft_wrap=True)


def complain(error: object) -> None:
    """Print what went wrong, as one line."""
    note(f"holdfast: {plain(error)}", style="red")


def plain(text: object) -> str:
    """Return *text* with control characters spelled out: a name must not drive a terminal."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in str(text)
    )


def print_json(content: object) -> None:
    """Write *content* as one JSON document, what would drive a terminal being escaped in it."""
    text = orjson.dumps(content, default=_json, option=orjson.OPT_INDENT_2).decode()
    try:
        print(_escaped(text), flush=True)  # noqa: T201 - as it is, for programs
    except BrokenPipeError:
        raise ReaderLeftError from None


def fields_of(entity: Entity) -> dict[str, object]:
    """Return an entity's values by name."""
    return {name: value for name, value in vars(entity).items() if not name.startswith("_")}


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    right: Sequence[str] = (),
    folded: Sequence[str] = (),
) -> None:
    """Print *rows* under *columns*, two spaces apart.

    Those named in *right* are numbers; those in *folded* go on in a further line where the
    terminal is too narrow.
    """
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(
            column,
            justify="right" if column in right else "left",
            overflow="fold",
            no_wrap=column not in folded,
        )
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    _print_trimmed(table)


def print_facts(facts: Mapping[str, object]) -> None:
    """Print *facts*, a line each."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(name, _cell(value))
    _print_trimmed(table)


def _print_trimmed(table: Table) -> None:
    """Print *table* without the spaces that would fill its last column."""
    from rich.text import Text

    out = console()
    for line in out.render_lines(table, pad=False):
        while line and not line[-1].text.strip():
            line.pop()
        if line:
            text = Text.assemble(*((part.text, part.style or "") for part in line), end="")
            text.rstrip()
            out.print(text, no_wrap=True, crop=False, overflow="ignore")
        else:
            out.print()


def clock(seconds: float) -> str:
    """Return *seconds* as 1:02:03.4."""
    tenths = int(seconds * 10 + 1e-6)  # as a clock shows it: what is not over does not count
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    tail = f"{minutes:02}:{rest / 10:04.1f}" if hours else f"{minutes}:{rest / 10:04.1f}"
    return f"{hours}:{tail}" if hours else tail


def moment(time: datetime | None) -> str:
    """Return *time* as the reader's clock shows it."""
    return "" if time is None else time.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def lately(time: datetime, now: datetime) -> str:
    """Return *time* in ten characters at most: the time of a day that is today, else the date."""
    local, today = time.astimezone(), now.astimezone()
    return local.strftime("%H:%M" if local.date() == today.date() else "%Y-%m-%d")


def short(identity: UUID) -> str:
    """Return the start of a video's id: enough to name it."""
    return str(identity)[:8]


def _cell(value: object) -> Text:
    from rich.text import Text

    text = plain("" if value is None else value)
    return Text(text, style=_STYLES.get(text, ""))


def _escaped(text: str) -> str:
    """Return a JSON *text* whose unprintable characters, all of them in strings, are escaped."""
    if text.isascii():  # the encoder escapes the control characters of ASCII itself
        return text.replace("\x7f", r"\u007f")
    return "".join(
        char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text
    )


def _json(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, timedelta):
        return value.total_seconds()
    raise TypeError(f"{type(value).__name__} has no JSON")
