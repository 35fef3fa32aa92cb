"""The real servers of the tests: where they answer, and a database or a bucket of one's own there.

`make services` starts them; what does not answer is skipped with its reason, and a failure where
`HOLDFAST_REQUIRE_SERVERS=1`.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from functools import cache
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from tools.services.endpoints import endpoints


@cache
def _running():
    return endpoints()


def url_of(name):
    """The URL at which the server answers."""
    found = _running().get(name)
    if found is None:
        reason = f"{name} does not run: make services"
        if os.environ.get("HOLDFAST_REQUIRE_SERVERS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return found.url


@contextmanager
def database_on(name):
    """Yield the URL of a new, empty database on the server, and drop it afterwards."""
    server = url_of(name)
    database = f"test_{uuid4().hex}"
    with _administrating(name, server) as execute:
        execute(f"CREATE DATABASE {database}{_NEW[name]}")
        try:
            yield f"{server.rpartition('/')[0]}/{database}"
        finally:
            execute(f"DROP DATABASE {database}{_GONE[name]}")


_NEW = {"postgresql": " TEMPLATE template0 ENCODING 'UTF8'", "mariadb": ""}
_GONE = {"postgresql": " WITH (FORCE)", "mariadb": ""}


@contextmanager
def _administrating(name, server):
    if name == "postgresql":
        import psycopg  # noqa: PLC0415 - optional: only where the server is

        with psycopg.connect(server, autocommit=True) as connection:
            yield connection.execute
        return
    import pymysql  # noqa: PLC0415 - optional: only where the server is

    parts = urlsplit(server)
    connection = pymysql.connect(
        host=parts.hostname,
        port=parts.port,
        user=parts.username,
        password=parts.password or "",
        autocommit=True,
    )
    with connection, connection.cursor() as cursor:
        yield cursor.execute
