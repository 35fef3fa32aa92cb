"""What people hold: the migrations of one set of entities, in one folder, for one database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar

from holdfast.blocking import run
from holdfast.errors import ConfigurationError
from holdfast.extras import needs_extra
from holdfast.offload import Inline
from holdfast.records.connect import open_blocking
from holdfast.records.model_set import models_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from holdfast.records.drivers.sql.migrations.migrator import Migrator
    from holdfast.records.migration_types import MigrationResult, Revision
    from holdfast.records.schema_diff import Difference

T = TypeVar("T")
P = ParamSpec("P")


class Runner(Protocol):
    """Where the blocking work of a migration runs."""

    async def run(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what *call* returns."""
        ...


class Migrations:
    """The migrations of *entities*, files in *folder*, for the database at *url*.

    The files are Alembic's, in `versions`; they run on SQLite, PostgreSQL and MariaDB alike,
    whichever they were written for. Views are left to files that are written by hand. Upgrades of
    several processes wait for one another, up to *wait* seconds. A caller that is cancelled stops
    waiting; the migration goes on to its end.
    """

    def __init__(
        self,
        url: str,
        entities: Iterable[type],
        *,
        folder: str | Path = "migrations",
        wait: float = 600.0,
        runner: Runner | None = None,
    ) -> None:
        """Raises ConfigurationError for a bad URL, entities that don't fit, a missing extra."""
        self._runner: Runner = Hop() if runner is None else runner
        models = models_of(entities)
        for model in models:
            if model.adapter is not None:
                raise ConfigurationError(
                    f"{model.name} is a mapped class, and its table is its own: migrate it with "
                    "the tools of the library that maps it, and leave it out here"
                )
        own = [model for model in models if not model.view]
        self._migrator = _migrator()(url, own, Path(folder), wait=wait)
        self._searched = any(model.search is not None for model in models)
        self._url, self._entities = url, [model.entity for model in models]

    async def create(self, message: str, *, empty: bool = False) -> Path | None:
        """Write a file for what the entities have and the database lacks; None if nothing.

        The file is to be read, and put right where it says so, before it is run. An *empty* one is
        for changes of data. Raises ConfigurationError while the database stands behind the files.
        """
        return await self._runner.run(self._migrator.create, message, empty=empty)

    async def upgrade(self, revision: str = "head") -> MigrationResult:
        """Move the database forward to *revision*, an id or the start of one.

        On SQLite and PostgreSQL all migrations are one transaction. Behind that of "head" the words
        of rows are made ready to be searched (`Store.build_search`). Raises MigrationError for one
        that fails, LockTimeoutError when another process is at it for too long.
        """
        result = await self._runner.run(self._migrator.upgrade, revision)
        if self._searched and revision == "head":
            await self._runner.run(self._build_search)
        return result

    def _build_search(self) -> None:
        async def build() -> None:
            async with open_blocking(self._url, self._entities, verify="off") as store:
                await store.build_search()

        run(build())

    async def downgrade(self, revision: str) -> MigrationResult:
        """Move the database back to *revision*, or to "base", before all of them."""
        return await self._runner.run(self._migrator.downgrade, revision)

    async def stamp(self, revision: str = "head") -> MigrationResult:
        """Say that the database stands at *revision*, and change nothing else of it.

        So a database that `create_schema` made is taken over by migrations.
        """
        return await self._runner.run(self._migrator.stamp, revision)

    async def check(self) -> tuple[Difference, ...]:
        """Return all in which the database differs from the files and the entities."""
        return await self._runner.run(self._migrator.check)

    async def history(self) -> tuple[Revision, ...]:
        """Return the migrations, the newest first, and which of them the database has."""
        return await self._runner.run(self._migrator.history)

    async def sql(self, start: str = "base", end: str = "head") -> str:
        """Return the SQL that moves a database from *start* to *end*, without connecting.

        Raises UnsupportedError where the text depends on the tables that are there, as on SQLite
        when a table has to be copied.
        """
        return await self._runner.run(self._migrator.sql, start, end)


class Hop(Inline):
    """Runs each call on a thread of the event loop's own, which waits for it when it ends."""

    async def run(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what *call* returns, done on a thread."""
        from asyncio import to_thread  # noqa: PLC0415 - slow to import, and for migrations alone

        return await to_thread(call, *args, **kwargs)


def _migrator() -> type[Migrator]:
    with needs_extra("migrations", "a migration"):
        from holdfast.records.drivers.sql.migrations.migrator import Migrator  # noqa: PLC0415
    return Migrator
