"""From a URL to a store: the table of backends.

A backend is imported with the first store of it: what compiles SQL takes half a second.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from holdfast.backend_url import BackendURL, file_path, options_for, shared_options
from holdfast.clock import utc_now
from holdfast.errors import ConfigurationError
from holdfast.extras import needs_extra
from holdfast.offload import Lock, Offload, Serial, TaskLock, ThreadLock, Threads
from holdfast.records.store import Store, opening
from holdfast.records.store_url import parse_store_url
from holdfast.stats import OperationOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from holdfast.opening import Opening
    from holdfast.records.driver import Driver
    from holdfast.records.drivers.sql.server import Server
    from holdfast.records.options import PoolOptions, StoreOptions
    from holdfast.records.schema_diff import Verify
    from holdfast.records.write_hook import WriteHook


def open_store(
    url: str,
    entities: Iterable[type],
    *,
    options: StoreOptions | None = None,
    clock: Callable[[], datetime] = utc_now,
    verify: Verify = "exact",
    hooks: Iterable[WriteHook] = (),
) -> Opening[Store]:
    """Return what opens a store of *entities*, to be entered by `async with`.

    *url* is `memory://`, `sqlite:///relative.db` or `sqlite:////absolute.db`, `postgresql://`,
    `mariadb://` or `mysql://user:password@host:port/database`; the names that other libraries give
    these, such as `postgresql+asyncpg://`, are understood. `dynamodb://region/prefix` are the
    tables of that region whose names begin with the prefix; it needs holdfast[dynamodb]. *options*
    tune the backend, one of the classes of `holdfast.records.options`; a parameter of the same
    name in the URL, `?name=value`, wins. *clock* gives the time of writing, aware. *hooks* are
    told of each row that repositories write (see `holdfast.records.WriteHook`); `audited` entities
    need one, such as `AuditHook`.

    Raises ConfigurationError for an unknown scheme or parameter, for options of another backend,
    and for entities that don't fit together; UnsupportedError for a kind of entity that the
    backend can't hold. Nothing is connected before the block is entered, which raises
    UnavailableError, and SchemaMismatchError when a table that is there lacks a column, or has one
    of another type or nullability; *verify* says how closely it looks (see `Verify`).
    """
    driver = driver_at(url, options=options)
    store = Store(driver, entities, clock=clock, verify=verify, hooks=hooks)
    return opening(store, _operations(url, options))


def open_blocking(
    url: str,
    entities: Iterable[type],
    *,
    options: StoreOptions | None = None,
    clock: Callable[[], datetime] = utc_now,
    verify: Verify = "exact",
    hooks: Iterable[WriteHook] = (),
) -> Opening[Store]:
    """Return what opens a store whose I/O blocks: what `holdfast.sync` steps by hand."""
    driver = driver_at(url, options=options, blocking=True)
    store = Store(driver, entities, clock=clock, verify=verify, blocking=True, hooks=hooks)
    return opening(store, _operations(url, options))


def _operations(url: str, options: StoreOptions | None) -> OperationOptions:
    """Return what *options* and the URL say of a store's operations, whatever the backend."""
    given = options if isinstance(options, OperationOptions) else OperationOptions()
    defaults = OperationOptions(measure=given.measure, slow_operation=given.slow_operation)
    return shared_options(parse_store_url(url), defaults)


def driver_at(url: str, *, options: StoreOptions | None = None, blocking: bool = False) -> Driver:
    """Return the driver of the backend that *url* names, not yet open.

    Raises ConfigurationError for an unknown scheme or parameter, or options of another backend.
    """
    location = parse_store_url(url)
    return _BACKENDS[location.scheme](location, _BLOCKING if blocking else _ASYNC, options)


@dataclass(frozen=True, slots=True)
class Concurrency:
    """How a driver's work runs and how its callers exclude one another."""

    offload: Callable[[str], Offload]
    lock: Callable[[float], Lock]
    blocking: bool


_NOT_IN_URLS = frozenset({"credentials", "expires", "tags"})
_ASYNC = Concurrency(Threads, TaskLock, blocking=False)
_BLOCKING = Concurrency(lambda _name: Serial(), ThreadLock, blocking=True)


def _dynamodb(location: BackendURL, how: Concurrency, options: StoreOptions | None) -> Driver:
    from holdfast.records.options import DynamoDBOptions

    if "@" in location.host or not _NOT_IN_URLS.isdisjoint(location.query):
        raise ConfigurationError(
            "keys, tags and expires don't belong into a dynamodb:// URL: use DynamoDBOptions"
        )
    chosen = options_for(location, DynamoDBOptions(), options)
    with needs_extra("dynamodb", "dynamodb://"):
        from holdfast.records.drivers.dynamodb import DynamoDBDriver
        from holdfast.records.drivers.dynamodb.dynamodb_address import dynamodb_address

    prefix = location.path.strip("/")
    address = dynamodb_address(location.host, prefix, chosen, os.environ)
    return DynamoDBDriver(address, blocking=how.blocking, offload=how.offload, lock=how.lock)


def _memory(location: BackendURL, how: Concurrency, options: StoreOptions | None) -> Driver:
    from holdfast.records.drivers.memory import MemoryDriver
    from holdfast.records.options import MemoryOptions

    if location.host or location.path:
        raise ConfigurationError(f"{location.redacted!r}: memory:// has no host and no path")
    return MemoryDriver(how.lock, options_for(location, MemoryOptions(), options))


def _sqlite(location: BackendURL, how: Concurrency, options: StoreOptions | None) -> Driver:
    from holdfast.records.drivers.sql.sqlite import SQLiteDriver
    from holdfast.records.options import SQLiteOptions

    path = file_path(location)
    if str(path) == ":memory:":
        raise ConfigurationError("for records in memory use memory://")
    return SQLiteDriver(path, options_for(location, SQLiteOptions(), options), how.offload)


def _postgresql(location: BackendURL, how: Concurrency, options: StoreOptions | None) -> Driver:
    from holdfast.records.drivers.sql.postgresql import PostgreSQLServer
    from holdfast.records.options import PostgreSQLOptions

    asked = (PostgreSQLOptions(), options)
    return _on_servers(location, how, PostgreSQLServer, asked, port=5432, user="postgres")


def _mariadb(location: BackendURL, how: Concurrency, options: StoreOptions | None) -> Driver:
    from holdfast.records.drivers.sql.mariadb import MariaDBServer
    from holdfast.records.options import MariaDBOptions

    asked = (MariaDBOptions(), options)
    return _on_servers(location, how, MariaDBServer, asked, port=3306, user="root")


def _mysql(location: BackendURL, how: Concurrency, options: StoreOptions | None) -> Driver:
    from holdfast.records.drivers.sql.mysql import MySQLServer
    from holdfast.records.options import MySQLOptions

    asked = (MySQLOptions(), options)
    return _on_servers(location, how, MySQLServer, asked, port=3306, user="root")


def _on_servers(
    location: BackendURL,
    how: Concurrency,
    server: Callable[..., Server],
    asked: tuple[PoolOptions, StoreOptions | None],
    *,
    port: int,
    user: str,
) -> Driver:
    """Return the driver for the servers of *location*, and for the replicas that it names.

    *asked* are the defaults of the options, and those that the caller gave.
    """
    from holdfast.records.drivers.sql.connections.server_address import (
        replica_addresses,
        server_addresses,
    )
    from holdfast.records.drivers.sql.server_driver import ServerDriver

    addresses, rest = server_addresses(location, port=port, user=user)
    chosen = options_for(rest, *asked)
    primary = server(addresses, chosen, blocking=how.blocking)
    followers = replica_addresses(addresses[0], chosen.replica, port=port)
    if not followers:
        return ServerDriver(primary)
    anywhere = replace(chosen, target_session_attrs="any")
    return ServerDriver(primary, server(followers, anywhere, blocking=how.blocking, spread=True))


_BACKENDS: dict[str, Callable[[BackendURL, Concurrency, StoreOptions | None], Driver]] = {
    "dynamodb": _dynamodb,
    "memory": _memory,
    "mariadb": _mariadb,
    "mysql": _mysql,
    "postgresql": _postgresql,
    "sqlite": _sqlite,
}
