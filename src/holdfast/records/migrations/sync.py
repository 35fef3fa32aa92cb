"""The blocking twin of migrations: the same names without `await`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.blocking import run
from holdfast.offload import Inline
from holdfast.records.migrations.migrations import Migrations as AsyncMigrations

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from holdfast.records.migration_types import MigrationResult, Revision
    from holdfast.records.schema_diff import Difference


class Migrations:
    """The migrations of *entities*; see `holdfast.Migrations`."""

    def __init__(
        self,
        url: str,
        entities: Iterable[type],
        *,
        folder: str | Path = "migrations",
        wait: float = 600.0,
    ) -> None:
        self.asynchronous = AsyncMigrations(
            url, entities, folder=folder, wait=wait, runner=Inline()
        )

    def create(self, message: str, *, empty: bool = False) -> Path | None:
        return run(self.asynchronous.create(message, empty=empty))

    def upgrade(self, revision: str = "head") -> MigrationResult:
        return run(self.asynchronous.upgrade(revision))

    def downgrade(self, revision: str) -> MigrationResult:
        return run(self.asynchronous.downgrade(revision))

    def stamp(self, revision: str = "head") -> MigrationResult:
        return run(self.asynchronous.stamp(revision))

    def check(self) -> tuple[Difference, ...]:
        return run(self.asynchronous.check())

    def history(self) -> tuple[Revision, ...]:
        return run(self.asynchronous.history())

    def sql(self, start: str = "base", end: str = "head") -> str:
        return run(self.asynchronous.sql(start, end))
