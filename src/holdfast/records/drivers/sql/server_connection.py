"""A connection to a server, and what a failure on it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import sqlalchemy as sa


@dataclass(frozen=True, slots=True)
class Fault:
    """What a driver's error says. *code* is SQLSTATE or errno as text; *lost*: it hung up."""

    code: str
    constraint: str | None = None
    lost: bool = False


class Connection(Protocol):
    """One connection of a driver. Outside a transaction each statement commits by itself."""

    driver: str
    """The driver's name."""
    raw: Any
    """The driver's own connection, for who speaks to it in the driver's words."""

    async def fetch(self, sql: str, values: Sequence[object]) -> Sequence[Sequence[object]]:
        """Run one statement and return its rows."""
        ...

    async def execute(self, sql: str, values: Sequence[object]) -> int:
        """Run one statement and return how many rows it found."""
        ...

    async def command(self, sql: str) -> str:
        """Run statements without parameters and return what the last one answered."""
        ...

    def fault(self, error: Exception) -> Fault | None:
        """Return what *error* was; None when it is no word of the server's or the network's."""
        ...

    def stale(self) -> bool:
        """Tell, without waiting, whether the other side has hung up already."""
        ...

    async def close(self) -> None:
        """Say goodbye. Idempotent, and silent when nobody is there."""
        ...

    def abandon(self) -> None:
        """Let go of it at once."""
        ...


class SeveralAtOnce(Protocol):
    """A connection that takes several statements in one message."""

    async def several(
        self, sql: str, values: Sequence[object]
    ) -> list[tuple[int, Sequence[Sequence[object]]]]:
        """Run the statements of one text; return of each how many rows it found, and the rows.

        The first one that fails is the last one that is run.
        """
        ...


class Copying(Protocol):
    """A connection that can pour rows into a table."""

    async def copy(
        self, table: sa.Table, columns: Sequence[str], rows: Sequence[Sequence[object]]
    ) -> None:
        """Add all *rows*, or none when one of them is refused."""
        ...
