"""What people and programs are shown: tables for the ones, JSON for the others."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING

import orjson
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdfast.records import Entity

_STYLES = {
    "succeeded": "green",
    "done": "green",
    "running": "cyan",
    "queued": "yellow",
    "failed": "red",
    "cancelled": "dim",
}


def console() -> Console:
    """Return where results go."""
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def notes() -> Console:
    """Return where progress and remarks go, so that results can be piped."""
    return Console(stderr=True, highlight=False)


def plain(text: object) -> str:
    """Return *text* with control characters spelled out: a name must not drive a terminal."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in str(text)
    )


def print_json(content: object) -> None:
    """Write *content* as one JSON document."""
    sys.stdout.write(orjson.dumps(content, default=_json, option=orjson.OPT_INDENT_2).decode())
    sys.stdout.write("\n")


def fields_of(entity: Entity) -> dict[str, object]:
    """Return an entity's values by name."""
    return {name: value for name, value in vars(entity).items() if not name.startswith("_")}


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], *, right: Sequence[str] = ()
) -> None:
    """Print *rows* under *columns*; those named in *right* are numbers."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(
            column,
            justify="right" if column in right else "left",
            overflow="fold",
            no_wrap=column in ("id", "video", "job"),
        )
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    console().print(table)


def print_facts(facts: Mapping[str, object]) -> None:
    """Print *facts*, a line each."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(name, _cell(value))
    console().print(table)


def clock(seconds: float) -> str:
    """Return *seconds* as 1:02:03.4."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    tail = f"{minutes:02}:{rest / 10:04.1f}" if hours else f"{minutes}:{rest / 10:04.1f}"
    return f"{hours}:{tail}" if hours else tail


def amount(size: int) -> str:
    """Return *size* bytes in a unit that fits."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def moment(time: datetime | None) -> str:
    """Return *time* as the reader's clock shows it."""
    return "" if time is None else time.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def short(identity: object) -> str:
    """Return what of an id is enough to name it."""
    return str(identity)[:8]


def _cell(value: object) -> Text:
    text = plain("" if value is None else value)
    return Text(text, style=_STYLES.get(text, ""))


def _json(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, timedelta):
        return value.total_seconds()
    raise TypeError(f"{type(value).__name__} has no JSON")
