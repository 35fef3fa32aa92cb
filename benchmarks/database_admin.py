"""A connection to a database server that makes and drops databases, for the benchmarks."""

from __future__ import annotations

from contextlib import contextmanager
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pymysql


def admin(url):
    """Return a connection that makes and drops databases."""
    parts = urlsplit(url)
    if parts.scheme == "postgresql":
        return psycopg.connect(url, autocommit=True)
    return pymysql.connect(
        host=parts.hostname, port=parts.port, user=parts.username,
        password=parts.password or "", autocommit=True,
    )  # fmt: skip


@contextmanager
def new_database(server):
    """Yield the URL of a new database on *server*, and drop it afterwards."""
    name = f"bench_{uuid4().hex[:12]}"
    force = " WITH (FORCE)" if server.startswith("postgresql") else ""
    with admin(server) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        try:
            yield f"{server.rpartition('/')[0]}/{name}"
        finally:
            cursor.execute(f"DROP DATABASE {name}{force}")
