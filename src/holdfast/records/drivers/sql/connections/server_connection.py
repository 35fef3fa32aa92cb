"""One connection to a server, as executors see it, whichever driver makes it."""

from __future__ import annotations

import importlib
import select
import socket
from typing import TYPE_CHECKING, Protocol

from holdfast.extras import needs_extra

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from types import ModuleType

    import sqlalchemy as sa

    from holdfast.records.drivers.sql.failure import Failure


class ServerConnection(Protocol):
    """One connection of a driver. Outside a transaction each statement commits by itself.

    Its methods are awaited; those of a blocking driver never suspend. They raise the driver's own
    exceptions, and `failure` says what these mean.
    """

    driver: str
    """The driver's name."""

    @property
    def raw(self) -> object:
        """The driver's own connection, for code that speaks to it in the driver's words."""
        ...

    def fetch(
        self, sql: str, values: Sequence[object]
    ) -> Coroutine[object, None, Sequence[Sequence[object]]]:
        """Run one statement and return its rows."""
        ...

    async def execute(self, sql: str, values: Sequence[object]) -> int:
        """Run one statement and return how many rows it found."""
        ...

    async def command(self, sql: str) -> str:
        """Run statements without parameters and return what the last one answered."""
        ...

    def failure(self, error: Exception) -> Failure | None:
        """Return what *error* was; None when neither the server nor the network said it."""
        ...

    def stale(self) -> bool:
        """Tell, without waiting, whether the other side has hung up already."""
        ...

    async def close(self) -> None:
        """End the session. Idempotent, and silent when nobody is there."""
        ...

    def abandon(self) -> None:
        """Let go of it at once, without a word to the server."""
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


class Numbering(Protocol):
    """A connection that tells the number that a row got."""

    async def insert(self, sql: str, values: Sequence[object]) -> int:
        """Run the insertion of a row without a key and return the number that the server gave."""
        ...


class Copying(Protocol):
    """A connection that can copy rows into a table."""

    async def copy(
        self, table: sa.Table, columns: Sequence[str], rows: Sequence[Sequence[object]]
    ) -> None:
        """Add all *rows*, or none when one of them is refused."""
        ...


class Listening(Protocol):
    """A connection that hears what others tell on a channel."""

    async def listen(self, channel: str, heard: Callable[[str | None], None]) -> None:
        """Call *heard* with each text, first with None, until cancelled; see `Notifier.listen`."""
        ...


def connection_module(driver: str, *, server: str, extra: str) -> ModuleType:
    """Return the module that makes connections by *driver*.

    Raises ConfigurationError, which names the *extra* to install, when the driver is not there.
    """
    with needs_extra(extra, server):
        return importlib.import_module(f"{__package__}.{driver}_connection")


def open_socket(path: str, patience: float) -> socket.socket:
    """Connect to the socket at *path* of the file system, waiting *patience* seconds at the most.

    Raises OSError, which names the path.
    """
    link = socket.socket(socket.AF_UNIX)
    try:
        link.settimeout(patience)
        link.connect(path)
    except OSError as error:
        link.close()
        raise OSError(error.errno, f"{path}: {error.strerror}") from error
    return link


def has_input(descriptor: int) -> bool:
    """Tell, without waiting, whether there is something to read on a socket.

    On an idle connection that is the end: nobody speaks on it but to say that it is over.
    """
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
