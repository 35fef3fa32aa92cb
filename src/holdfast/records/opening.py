"""From a URL to a store: the table of backends.

What is SQL is imported when the first store of it is opened: SQLAlchemy takes half a second.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.backend_url import BackendURL, file_path, options_for, parse_url
from holdfast.errors import ConfigurationError
from holdfast.offload import Lock, Offload, Serial, TaskLock, ThreadLock, Threads
from holdfast.records.drivers.memory import MemoryDriver
from holdfast.records.drivers.memory.driver import MemoryOptions
from holdfast.records.store import Store, utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from holdfast.records.driver import Driver
    from holdfast.records.structure import Verify


def open_store(
    url: str,
    entities: Iterable[type],
    *,
    clock: Callable[[], datetime] = utc_now,
    verify: Verify = "exact",
) -> Store:
    """Return a store of *entities* at *url*; enter it with `async with` to connect.

    `memory://`, `sqlite:///relative.db` or `sqlite:////absolute.db`, `postgresql://` or
    `mariadb://user:password@host:port/database`, with `?name=value` for the backend's options.
    *clock* gives the time of writing, aware. Raises ConfigurationError for an unknown scheme or
    parameter, and for entities that don't fit together.

    Entering it raises SchemaMismatchError when a table that is there lacks a column, or has one
    of another type or nullability; *verify* says how closely it looks (see `Verify`).
    """
    return Store(_driver(url, _ASYNC), entities, clock=clock, verify=verify)


def open_blocking(
    url: str,
    entities: Iterable[type],
    *,
    clock: Callable[[], datetime] = utc_now,
    verify: Verify = "exact",
) -> Store:
    """Return a store like `open_store`'s whose I/O blocks: what `holdfast.sync` is made of."""
    return Store(_driver(url, _BLOCKING), entities, clock=clock, pause=_sleep, verify=verify)


async def _sleep(seconds: float) -> None:
    time.sleep(seconds)  # noqa: ASYNC251 - of a blocking store: nothing else waits on this thread


@dataclass(frozen=True, slots=True)
class Concurrency:
    """How a driver's work runs and how its callers exclude one another."""

    offload: Callable[[str], Offload]
    lock: Callable[[float], Lock]
    blocking: bool


_ASYNC = Concurrency(Threads, TaskLock, blocking=False)
_BLOCKING = Concurrency(lambda _name: Serial(), ThreadLock, blocking=True)


def _memory(location: BackendURL, how: Concurrency) -> Driver:
    if location.host or location.path:
        raise ConfigurationError(f"{location.redacted!r}: memory:// names no place")
    return MemoryDriver(how.lock, options_for(location, MemoryOptions()))


def _sqlite(location: BackendURL, how: Concurrency) -> Driver:
    from holdfast.records.drivers.sql.sqlite import SQLiteDriver, SQLiteOptions

    path = file_path(location)
    if str(path) == ":memory:":
        raise ConfigurationError("for records in memory use memory://")
    return SQLiteDriver(path, options_for(location, SQLiteOptions()), how.offload)


def _postgresql(location: BackendURL, how: Concurrency) -> Driver:
    from holdfast.records.drivers.sql.postgresql import PostgreSQLOptions, PostgreSQLServer
    from holdfast.records.drivers.sql.server_address import server_address
    from holdfast.records.drivers.sql.server_driver import ServerDriver

    place = server_address(location, port=5432, user="postgres")
    options = options_for(location, PostgreSQLOptions())
    return ServerDriver(PostgreSQLServer(place, options, blocking=how.blocking))


def _mariadb(location: BackendURL, how: Concurrency) -> Driver:
    from holdfast.records.drivers.sql.mariadb import MariaDBOptions, MariaDBServer
    from holdfast.records.drivers.sql.server_address import server_address
    from holdfast.records.drivers.sql.server_driver import ServerDriver

    place = server_address(location, port=3306, user="root")
    options = options_for(location, MariaDBOptions())
    return ServerDriver(MariaDBServer(place, options, blocking=how.blocking))


_BACKENDS: dict[str, Callable[[BackendURL, Concurrency], Driver]] = {
    "memory": _memory,
    "mariadb": _mariadb,
    "mysql": _mariadb,  # as MariaDB's servers are often named; MySQL's own are refused
    "postgresql": _postgresql,
    "sqlite": _sqlite,
}


def _driver(url: str, how: Concurrency) -> Driver:
    location = parse_url(url, tuple(_BACKENDS))
    return _BACKENDS[location.scheme](location, how)
