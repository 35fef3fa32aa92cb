"""SQLite's connections when the process is forked.

SQLite keeps in the process what it has locked. A child that went on with connections of the
parent, or opened the file beside them, would believe to hold locks that only the parent has. So
they are closed in the child, right after the fork and before anything can be opened there. That
is safe while none of them is within a call, which is waited for, and none has changed anything in
an open transaction, which its end would undo in the memory that both processes share.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol
from weakref import WeakSet

if TYPE_CHECKING:
    import sqlite3

    from holdfast.offload import Offload

_PATIENCE = 5.0  # seconds that a fork waits for a call that is under way


class Watched(Protocol):
    """A connection that forks have to know of."""

    offload: Offload

    @property
    def raw(self) -> sqlite3.Connection | None:
        """SQLite's own, None when it is not open."""
        ...


_watched: WeakSet[Watched] = WeakSet()
_paused: list[Watched] = []
_left: list[sqlite3.Connection] = []
"""The parent's connections that could not be closed: kept, as dropping them would close them."""


def watch(connection: Watched) -> None:
    """Close *connection* in each child that is forked from here on."""
    _watched.add(connection)


def inherited_open() -> bool:
    """Return whether this process is a child that still has a connection of its parent's."""
    return bool(_left)


def _before() -> None:
    _paused[:] = [each for each in tuple(_watched) if each.offload.pause(_PATIENCE)]


def _in_parent() -> None:
    while _paused:
        _paused.pop().offload.resume()


def _in_child() -> None:
    for connection in tuple(_watched):
        raw = connection.raw
        if raw is None:
            continue
        if any(each is connection for each in _paused) and not _changing(raw):
            raw.close()
        else:
            _left.append(raw)
    _watched.clear()
    _in_parent()


def _changing(raw: sqlite3.Connection) -> bool:
    """Return whether *raw* is in a transaction that may have changed something."""
    return raw.in_transaction and not raw.execute("PRAGMA query_only").fetchone()[0]


os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
