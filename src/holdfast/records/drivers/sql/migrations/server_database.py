"""What PostgreSQL, MariaDB and MySQL have in common as migrations reach them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import LockTimeoutError
from holdfast.records.entities.identifiers import check_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import sqlalchemy as sa

    from holdfast.records.drivers.sql.connections.server_address import ServerAddress
    from holdfast.records.options import PoolOptions

FOREVER = 31_536_000  # seconds


class ServerDatabase:
    """What the servers share."""

    def __init__(self, places: Sequence[ServerAddress], options: PoolOptions) -> None:
        options.check()
        self._places = places
        self._options = options

    @property
    def _where(self) -> str:
        return ", ".join(map(str, self._places))

    def before(self, connection: sa.Connection) -> Callable[[], None]:  # noqa: ARG002
        """See `Database`."""
        return lambda: None

    @property
    def _schema(self) -> str:
        """That of the URL, which the session is in."""
        if self._options.schema:
            check_schema("the store", self._options.schema)
        return self._options.schema


def busy(wait: float) -> LockTimeoutError:
    """Return the error for another migration that did not end within *wait* seconds."""
    return LockTimeoutError(f"another migration is under way; waited {wait} s, nothing was done")
