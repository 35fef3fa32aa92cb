"""The real servers of the tests: where they answer, and a database of one's own there.

`make services` starts them, and `HOLDFAST_TEST_<NAME>_URL` says where one's own is. What does not
answer is skipped with its reason, and is a failure where `HOLDFAST_REQUIRE_SERVERS=1`.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import sqlite3
from functools import cache
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from tools.services.endpoints import endpoints


def absent(reason):
    """End the test for *reason*: skipped, or failed where no server may be missing."""
    if os.environ.get("HOLDFAST_REQUIRE_SERVERS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@cache
def _running():
    return endpoints()


def url_of(name):
    """The URL at which the server answers."""
    found = _running().get(name)
    if found is None:
        absent(f"{name} does not run: make services")
    return found.url


def require(program):
    """End the test where *program*, which it starts itself, is not installed."""
    if shutil.which(program) is None:
        absent(f"{program} is not installed")


def free_port():
    """Return a port below those of outgoing connections: one of them to a server that is down
    could else be given the server's own port, and connect to itself."""
    while True:
        port = random.randrange(12_000, 32_000)
        with socket.socket() as taken, contextlib.suppress(OSError):
            taken.bind(("127.0.0.1", port))
            return port


@contextlib.contextmanager
def empty_store(kind, folder):
    """Yield the URL of an empty store: memory, SQLite in *folder*, or a server by its name."""
    match kind:
        case "memory":
            yield "memory://"
        case "sqlite":
            yield f"sqlite:///{folder}/store.db"
        case server:
            with database_on(server) as url:
                yield url


@contextlib.contextmanager
def database_on(name):
    """Yield the URL of a new, empty database on the server, and drop it afterwards."""
    server = url_of(name)
    database = f"test_{uuid4().hex}"
    execute(server, f"CREATE DATABASE {database}{_NEW[name]}")
    try:
        yield f"{server.rpartition('/')[0]}/{database}"
    finally:
        execute(server, f"DROP DATABASE {database}{_GONE[name]}")


_NEW = {"postgresql": " TEMPLATE template0 ENCODING 'UTF8'", "mariadb": "", "mysql": ""}
_GONE = {"postgresql": " WITH (FORCE)", "mariadb": "", "mysql": ""}


def execute(url, *statements):
    """Run statements past Holdfast, each a transaction of its own; return the last one's rows."""
    with contextlib.closing(connected(url)) as connection:
        for statement in statements:
            cursor = connection.cursor()
            cursor.execute(statement)
            rows = cursor.fetchall() if cursor.description else []
            cursor.close()
        return rows


def connected(url):
    """Return a plain connection, past Holdfast, that commits each statement."""
    url = url.partition("?")[0]
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        connection.execute("PRAGMA foreign_keys = ON")
        return connection
    if parts.scheme == "postgresql":
        psycopg = pytest.importorskip("psycopg")
        return psycopg.connect(url, autocommit=True)
    pymysql = pytest.importorskip("pymysql")
    return pymysql.connect(
        host=parts.hostname,
        port=parts.port,
        user=parts.username,
        password=parts.password or "",
        database=parts.path.removeprefix("/") or None,
        autocommit=True,
        ssl_disabled=True,  # or each connection reads the system's certificates, on CPU
    )
