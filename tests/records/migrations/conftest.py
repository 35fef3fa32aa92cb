"""A database of its own for each test, on SQLite and on the servers that answer."""

import os
import sqlite3
from contextlib import closing
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from tools.services.endpoints import endpoints

KINDS = ("sqlite", "postgresql", "mariadb")


@pytest.fixture(scope="session")
def servers():
    return {name: endpoint.url for name, endpoint in endpoints().items()}


@pytest.fixture
def make_database(servers, tmp_path):
    """Make databases; each is a `Database`, and is gone after the test."""
    made = []

    def make(kind):
        name = f"migrations_{uuid4().hex}"
        if kind == "sqlite":
            database = Database(kind, f"sqlite:///{tmp_path}/{name}.db", None)
        else:
            if kind not in servers:
                reason = f"no {kind} was found: `make services` starts one"
                if os.environ.get("HOLDFAST_REQUIRE_SERVERS") == "1":
                    pytest.fail(reason)
                pytest.skip(reason)
            url = f"{servers[kind].rpartition('/')[0]}/{name}"
            database = Database(kind, url, servers[kind])
            options = " TEMPLATE template0 ENCODING 'UTF8'" if kind == "postgresql" else ""
            database.on_server(f"CREATE DATABASE {name}{options}")
        made.append(database)
        return database

    yield make
    for database in made:
        if database.server is not None:
            name = database.url.rpartition("/")[2]
            force = " WITH (FORCE)" if database.kind == "postgresql" else ""
            database.on_server(f"DROP DATABASE {name}{force}")


@pytest.fixture(params=KINDS)
def database(request, make_database):
    return make_database(request.param)


class Database:
    """One database: its kind, its URL, and a way to it that is not Holdfast's."""

    def __init__(self, kind, url, server):
        self.kind = kind
        self.url = url
        self.server = server

    def execute(self, *statements):
        """Run statements, each a transaction of its own; return the last one's rows."""
        with closing(self._connect(self.url)) as connection:
            for statement in statements:
                rows = _run(connection, statement)
            return rows

    def on_server(self, statement):
        with closing(self._connect(self.server)) as connection:
            _run(connection, statement)

    def _connect(self, url):
        if self.kind == "sqlite":
            path = url.removeprefix("sqlite:///")
            connection = sqlite3.connect(path, isolation_level=None)
            connection.execute("PRAGMA foreign_keys = ON")
            return connection
        if self.kind == "postgresql":
            psycopg = pytest.importorskip("psycopg")
            return psycopg.connect(url, autocommit=True)
        pymysql = pytest.importorskip("pymysql")
        parts = urlsplit(url)
        return pymysql.connect(
            host=parts.hostname,
            port=parts.port,
            user=parts.username,
            password=parts.password or "",
            database=parts.path.removeprefix("/"),
            autocommit=True,
        )


def _run(connection, statement):
    cursor = connection.cursor()
    cursor.execute(statement)
    return cursor.fetchall() if cursor.description else []
