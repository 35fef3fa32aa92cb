"""The blocking twin of migrations: the same names without `await`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.blocking import BlockingTwin, blocking
from holdfast.offload import Inline
from holdfast.records.migrations.migrations import Migrations as AsyncMigrations

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class Migrations(BlockingTwin[AsyncMigrations]):
    """The migrations of *entities*, files in *folder*, for the database at *url*; blocking.

    Upgrades of several processes wait for one another, up to *wait* seconds.
    """

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

    create = blocking(AsyncMigrations.create)
    upgrade = blocking(AsyncMigrations.upgrade)
    downgrade = blocking(AsyncMigrations.downgrade)
    stamp = blocking(AsyncMigrations.stamp)
    check = blocking(AsyncMigrations.check)
    history = blocking(AsyncMigrations.history)
    sql = blocking(AsyncMigrations.sql)
