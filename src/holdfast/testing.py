"""Backends for tests: embedded ones and real servers, empty for each test."""

from __future__ import annotations

import hashlib
import os
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit
from uuid import uuid4

from holdfast.errors import ConfigurationError
from holdfast.extras import needs_extra
from holdfast.records.store_url import parse_store_url
from holdfast.sync import open_bucket, open_cache, open_store

with needs_extra("conformance", "holdfast.testing"):
    import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from holdfast.opening import BlockingOpening
    from holdfast.records import WriteHook
    from holdfast.sync import Store

Kind = Literal["embedded", "servers"]
"""Which backends: SQLite, a folder and memory; or those that the environment names."""

VARIABLES = {
    "store": "HOLDFAST_TEST_STORE_URL",
    "bucket": "HOLDFAST_TEST_BUCKET_URL",
    "cache": "HOLDFAST_TEST_CACHE_URL",
}
"""Where a test's servers are."""
REQUIRED = "HOLDFAST_REQUIRE_SERVERS"
"""The environment variable that makes a missing server a failure, by ``1``; else it is a skip."""


@dataclass(frozen=True, slots=True)
class _StoreContent:
    """What a store is opened with: its entities, and what is told of writes."""

    entities: tuple[type, ...]
    hooks: tuple[WriteHook, ...] = ()

    @property
    def tables(self) -> tuple[type, ...]:
        """The classes that have tables in it."""
        return (*self.entities, *(kept for hook in self.hooks for kept in hook.entities))

    def open(self, url: str) -> BlockingOpening[Store]:
        return open_store(url, self.entities, hooks=self.hooks)


class Backends:
    """URLs of a store, a bucket and a cache that are empty, and this test's alone.

    Each is made when it is first asked for. *kind* tells which backends they are. The store has
    the tables of the fixture's entities. On servers the store is a database of the test run's own,
    the bucket one beside the named one, and the cache a namespace of its own: what the named
    places hold is never touched.
    """

    def __init__(
        self, kind: Kind, folder: Path, content: _StoreContent, places: _ServerPlaces
    ) -> None:
        self.kind = kind
        self._folder = folder
        self._content = content
        self._places = places
        self._used = ExitStack()

    @cached_property
    def store(self) -> str:
        """The URL of a store with empty tables. Skips the test when the server is not named."""
        if self.kind == "servers":
            url = self._places.store(self._content)
            self._used.callback(_clear, url, self._content)
            return url
        url = f"sqlite:///{self._folder}/test.db"
        with self._content.open(url) as store:
            store.create_schema()
        return url

    @cached_property
    def bucket(self) -> str:
        """The URL of an empty bucket. Skips the test when the server is not named."""
        if self.kind == "servers":
            url = self._places.bucket()
            self._used.callback(_empty, url)
            return url
        return f"file://{self._folder}/bucket"

    @cached_property
    def cache(self) -> str:
        """The URL of an empty cache. Skips the test when the server is not named."""
        if self.kind == "servers":
            url = self._places.cache()
            self._used.callback(_forget, url)
            return url
        return "memory://"

    def clear(self) -> None:
        """Empty what was used on servers; the fixture does it at the end of the test."""
        self._used.close()


def backends_fixture(
    entities: Iterable[type],
    *,
    hooks: Iterable[WriteHook] = (),
    kinds: Sequence[Kind] = ("embedded", "servers"),
) -> Callable[..., Iterator[Backends]]:
    """Return a pytest fixture that runs a test once on each of *kinds* of backends.

    In conftest.py: `backends = backends_fixture([Project, Video])`. A test that has a parameter
    `backends` finds the URLs there. It works beside any plugin for async tests, as it opens
    nothing in an event loop. *hooks* are those that the application opens its store with: the
    tables that they need are made too. Raises ConfigurationError for an unknown kind.
    """
    content = _StoreContent(tuple(entities), tuple(hooks))
    if isinstance(kinds, str) or not kinds or not set(kinds) <= {"embedded", "servers"}:
        raise ConfigurationError(f"kinds={kinds!r}: expected some of 'embedded', 'servers'")

    @pytest.fixture(params=list(kinds))
    def backends(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backends]:
        """A store, a bucket and a cache, by their URLs."""
        found = Backends(request.param, tmp_path, content, _places_of(request))
        try:
            yield found
        finally:
            found.clear()

    return backends


class _ServerPlaces:
    """What a test run has made for itself on servers, until its end."""

    def __init__(self) -> None:
        self._run = uuid4().hex[:12]
        self._databases: dict[tuple[type, ...], str] = {}
        self._made = ExitStack()

    def store(self, content: _StoreContent) -> str:
        """Return the URL of the run's database with the tables of *content*."""
        tables = content.tables
        if tables not in self._databases:
            url = self._made.enter_context(fresh_database(_named("store")))
            with content.open(url) as store:
                store.create_schema()
            self._databases[tables] = url
        return self._databases[tables]

    def bucket(self) -> str:
        """Return the URL of a bucket of this checkout and worker; one can't be removed again."""
        scheme, _, rest = _named("bucket").partition("://")
        name, mark, query = rest.partition("?")
        worker = f"{Path.cwd()} {os.environ.get('PYTEST_XDIST_WORKER', '')}"
        own = hashlib.sha256(worker.encode()).hexdigest()[:12]
        more = "" if "create=" in query else f"{'&' if mark and query else ''}create=true"
        return f"{scheme}://{name[:48]}-{own}?{query}{more}"

    def cache(self) -> str:
        """Return the URL of a namespace of the run's own."""
        place, _, query = _named("cache").partition("?")
        kept = [each for each in query.split("&") if each and not each.startswith("prefix=")]
        return f"{place}?{'&'.join([*kept, f'prefix=test-{self._run}'])}"

    def remove(self) -> None:
        """Drop the databases."""
        self._made.close()


_PLACES = pytest.StashKey[_ServerPlaces]()


def _places_of(request: pytest.FixtureRequest) -> _ServerPlaces:
    stash = request.config.stash
    if _PLACES not in stash:
        stash[_PLACES] = places = _ServerPlaces()
        request.config.add_cleanup(places.remove)
    return stash[_PLACES]


def _named(part: str) -> str:
    """Return the URL that the environment has for *part*; skip the test when there is none."""
    url = os.environ.get(VARIABLES[part], "")
    if url:
        return url
    reason = f"no {part} on a server: {VARIABLES[part]} is not set"
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def fresh_database(url: str) -> Iterator[str]:
    """Make an empty database on the server of *url*, give its URL, and drop it afterwards.

    The user in *url* must be allowed to create databases. Raises ConfigurationError for a URL of
    another kind than PostgreSQL, MariaDB and MySQL.
    """
    scheme = parse_store_url(url).scheme
    name = f"holdfast_test_{uuid4().hex}"
    parts = urlsplit(url)
    if scheme == "postgresql":
        new, gone = " TEMPLATE template0 ENCODING 'UTF8'", " WITH (FORCE)"
    elif scheme in ("mariadb", "mysql"):
        new = gone = ""
    else:
        raise ConfigurationError(
            f"{VARIABLES['store']}: expected postgresql://, mariadb:// or mysql://, got {scheme}://"
        )
    _execute(scheme, url, f"CREATE DATABASE {name}{new}")
    try:
        yield parts._replace(path=f"/{name}").geturl()
    finally:
        _execute(scheme, url, f"DROP DATABASE {name}{gone}")


def _execute(scheme: str, url: str, statement: str) -> None:
    """Run *statement* by itself: no database takes these in a transaction."""
    parts = urlsplit(url)
    if scheme == "postgresql":
        import psycopg  # noqa: PLC0415 - where it is used alone

        plain = parts._replace(scheme="postgresql", query="").geturl()
        with closing(psycopg.connect(plain, autocommit=True)) as connection:
            connection.execute(statement.encode())
        return
    import pymysql  # noqa: PLC0415

    with (
        closing(
            pymysql.connect(
                host=parts.hostname,
                port=parts.port or 3306,
                user=parts.username,
                password=parts.password or "",
                autocommit=True,
            )
        ) as connection,
        closing(connection.cursor()) as cursor,
    ):
        cursor.execute(statement)


def _clear(url: str, content: _StoreContent) -> None:
    with content.open(url) as store:
        store.clear()
        if content.hooks:
            store.clear()  # what the hooks wrote of the first


def _empty(url: str) -> None:
    with open_bucket(url) as bucket:
        bucket.delete_many([info.key for info in bucket.list()])


def _forget(url: str) -> None:
    with open_cache(url) as cache:
        cache.invalidate(pattern="*")
