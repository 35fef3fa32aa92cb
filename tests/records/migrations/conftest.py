"""A database of its own for each test, on SQLite and on the servers that answer."""

from contextlib import ExitStack
from uuid import uuid4

import pytest

from servers import database_on, execute

KINDS = ("sqlite", "postgresql", "mariadb")


@pytest.fixture
def make_database(tmp_path):
    """Make databases; each is a `Database`, and is gone after the test."""
    with ExitStack() as made:

        def make(kind):
            if kind == "sqlite":
                return Database(kind, f"sqlite:///{tmp_path}/{uuid4().hex}.db")
            return Database(kind, made.enter_context(database_on(kind)))

        yield make


@pytest.fixture(params=KINDS)
def database(request, make_database):
    return make_database(request.param)


class Database:
    """One database: its kind, its URL, and a way to it that is not Holdfast's."""

    def __init__(self, kind, url):
        self.kind = kind
        self.url = url

    def execute(self, *statements):
        """Run statements, each a transaction of its own; return the last one's rows."""
        return execute(self.url, *statements)
