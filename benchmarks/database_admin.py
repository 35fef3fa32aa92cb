"""A connection to a database server that makes and drops databases, for the benchmarks."""

from __future__ import annotations

from urllib.parse import urlsplit

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
