"""The commands that move a database's schema: migrate create, upgrade, downgrade ..."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperCommand

from holdfast.cli.entity_names import imported_entities
from holdfast.cli.exit_codes import Exit
from holdfast.cli.options import AsJson, Traceback
from holdfast.cli.output import console, note, plain, print_json, print_table
from holdfast.cli.runner import settings_of
from holdfast.errors import ConfigurationError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typer._click.core import Context

    from holdfast.records.migration_types import MigrationResult
    from holdfast.settings import Settings
    from holdfast.sync import Migrations

migrate = typer.Typer(
    name="migrate",
    help="Bring the tables of a database to what the entities ask for.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Url = Annotated[
    str,
    typer.Option(
        "--url",
        metavar="URL",
        help="The database. [default: the setting store]",
        show_default=False,
    ),
]
Entities = Annotated[
    list[str] | None,
    typer.Option(
        "--entities",
        metavar="MODULE:NAME",
        help="An entity, or several in a list; may be given again. "
        "[default: the setting migrations.entities, else the platform's]",
        show_default=False,
    ),
]
Folder = Annotated[
    Path | None,
    typer.Option(
        "--folder",
        metavar="DIR",
        help="Where the files of the migrations are. [default: the setting migrations.folder]",
        show_default=False,
    ),
]
AsSql = Annotated[bool, typer.Option("--sql", help="Print the SQL; connect to nothing.")]


@migrate.command()
def create(  # noqa: PLR0913 - options of a command
    *,
    message: Annotated[
        str, typer.Option("-m", "--message", metavar="TEXT", help="What changes, in a few words.")
    ],
    empty: Annotated[
        bool, typer.Option("--empty", help="Compare nothing: a file to be filled by hand.")
    ] = False,
    url: Url = "",
    entities: Entities = None,
    folder: Folder = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Write a file with what the entities have and the database lacks."""
    made = _migrations(url, entities, folder).create(message, empty=empty)
    if as_json:
        print_json({"file": None if made is None else str(made)})
    elif made is None:
        note("the database has all that the entities ask for; no file was written")
    else:
        console().print(plain(made))
        note("read it before it is run: nobody can tell a rename from a column lost and one new")


@migrate.command()
def upgrade(  # noqa: PLR0913
    *,
    revision: Annotated[
        str, typer.Argument(metavar="[REVISION]", help="Where to; with --sql also FROM:TO.")
    ] = "head",
    as_sql: AsSql = False,
    url: Url = "",
    entities: Entities = None,
    folder: Folder = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Run the migrations up to REVISION, by default all of them."""
    migrations = _migrations(url, entities, folder)
    if as_sql:
        start, _, end = revision.rpartition(":")
        console().print(migrations.sql(start or "base", end), end="")
    else:
        _say(migrations.upgrade(revision), as_json=as_json)


class BackCommand(TyperCommand):
    """A command that takes -1, -2 and so on for its argument, not for an option."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Let a -1 be an argument."""
        steps = [each for each in args if each[:1] == "-" and each[1:].isdecimal()]
        if steps and "--" not in args:
            args = [*(each for each in args if each not in steps), "--", *steps]
        return super().parse_args(ctx, args)


@migrate.command(cls=BackCommand)
def downgrade(  # noqa: PLR0913
    *,
    revision: Annotated[
        str,
        typer.Argument(
            metavar="REVISION", help="Where to, base, or -1 for one back; with --sql FROM:TO."
        ),
    ],
    as_sql: AsSql = False,
    url: Url = "",
    entities: Entities = None,
    folder: Folder = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Undo the migrations after REVISION, the newest first."""
    migrations = _migrations(url, entities, folder)
    if as_sql:
        start, colon, end = revision.rpartition(":")
        if not colon:
            raise ConfigurationError(f"{revision!r} with --sql: expected FROM:TO, as in head:base")
        console().print(migrations.sql(start, end), end="")
    else:
        _say(migrations.downgrade(revision), as_json=as_json)


@migrate.command()
def stamp(
    *,
    revision: Annotated[str, typer.Argument(metavar="[REVISION]")] = "head",
    url: Url = "",
    entities: Entities = None,
    folder: Folder = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Say that the database stands at REVISION, and change nothing of it."""
    _say(_migrations(url, entities, folder).stamp(revision), as_json=as_json)


@migrate.command()
def check(
    url: Url = "",
    entities: Entities = None,
    folder: Folder = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Say in what the database differs from files and entities; exit code 8 when it does."""
    found = _migrations(url, entities, folder).check()
    if as_json:
        print_json([{**asdict(each), "text": str(each)} for each in found])
    else:
        for each in found:
            console().print(plain(each))
        if not found:
            note("the database is what the entities ask for")
    if found:
        raise typer.Exit(Exit.SCHEMA_DIFFERS)


@migrate.command()
def history(
    url: Url = "",
    entities: Entities = None,
    folder: Folder = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """List the migrations, newest first, and where the database stands."""
    found = _migrations(url, entities, folder).history()
    if as_json:
        print_json([{**asdict(each), "path": str(each.path)} for each in found])
        return
    rows = [
        (each.id, "here" if each.current else "applied" if each.applied else "", each.message)
        for each in found
    ]
    print_table(("revision", "state", "message"), rows, folded=("message",))


def _say(moved: MigrationResult, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(moved))
        return
    for step in moved.steps:
        console().print(plain(step))
    after = ", ".join(moved.after) or "no revision"
    none = "; no migration was left to run: `holdfast migrate check` says whether its tables fit"
    note(f"the database stands at {after}{'' if moved.steps else none}")


def _migrations(url: str, names: list[str] | None, folder: Path | None) -> Migrations:
    from holdfast.platform import platform_entities
    from holdfast.sync import Migrations

    entities = _entities(names or (), "--entities")
    if entities and url and folder is not None:
        return Migrations(url, entities, folder=folder)
    settings = settings_of(None)
    own = settings.migrations
    entities = (
        entities
        or _entities(own.entities, "the setting migrations.entities,")
        or list(platform_entities(settings))
    )
    return Migrations(url or _store_url(settings), entities, folder=folder or own.folder)


def _entities(names: Iterable[str], given_by: str) -> list[type]:
    return [each for name in names for each in imported_entities(name, given_by=given_by)]


def _store_url(settings: Settings) -> str:
    if not settings.store:
        try:
            settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"{settings.data} can't be made: {error.strerror}") from error
    return settings.store_url
