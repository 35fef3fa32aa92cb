"""The frame of a store: entered once, its options, health, figures and capabilities."""

import sqlite3
import subprocess
import sys

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from holdfast import Entity, Field, StoreCapability, field, generated_key, open_store, sync
from holdfast.errors import (
    ConfigurationError,
    InvalidQueryError,
    LockTimeoutError,
    SerializationError,
    UnavailableError,
    UnsupportedError,
)
from holdfast.health import HealthState
from holdfast.records.connect import driver_at
from holdfast.records.options import MemoryOptions, SQLiteOptions
from holdfast.records.store import Store, opening
from records.sql.conftest import mariadb_url, postgresql_url

__all__ = ["mariadb_url", "postgresql_url"]


class Note(Entity, table="frame_notes"):
    id: Field[int] = generated_key()
    text: Field[str] = field(max_length=50, unique=True)


class Base(DeclarativeBase):
    pass


class Row(Base):
    __tablename__ = "frame_rows"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(10))


@pytest.fixture(params=["memory", "sqlite", "postgresql", "mariadb"])
def url(request, tmp_path):
    if request.param == "memory":
        return "memory://"
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db?synchronous=normal"
    return request.getfixturevalue(f"{request.param}_url")


async def test_an_opening_is_entered_once(url):
    opened = open_store(url, [Note])
    async with opened as store:
        assert isinstance(store, Store)
    with pytest.raises(RuntimeError, match="open_store again"):
        await opened.__aenter__()
    blocking = sync.open_store(url, [Note])
    with blocking as store:
        assert isinstance(store, sync.Store)
    with pytest.raises(RuntimeError, match="open_store again"):
        blocking.__enter__()


async def test_a_store_is_healthy_while_its_backend_answers(url):
    async with open_store(url, [Note]) as store:
        health = await store.health()
    assert (health.state, health.detail) == (HealthState.UP, "")
    assert health.latency >= 0
    with sync.open_store(url, [Note]) as blocking:
        assert blocking.health().state is HealthState.UP


async def test_a_backend_that_is_away_is_down_and_nothing_is_raised():
    driver = driver_at("memory://")

    async def away():
        raise UnavailableError("nobody answers")

    driver.probe = away
    async with opening(Store(driver, [Note])) as store:
        health = await store.health()
    assert health.state is HealthState.DOWN
    assert "nobody answers" in health.detail


async def test_a_closed_store_is_down(tmp_path):
    async with open_store(f"sqlite:///{tmp_path}/store.db", [Note]) as store:
        pass
    assert (await store.health()).state is HealthState.DOWN


async def test_transactions_and_retries_are_counted(url):
    async with open_store(url, [Note]) as store:
        await store.create_schema()
        before = store.stats().counters
        assert (before["committed"], before["rolled_back"], before["retries"]) == (0, 0, 0)
        async with store.transaction(), store.transaction():
            pass
        with pytest.raises(KeyError):
            async with store.transaction():
                raise KeyError
        tries = []

        async def work():
            tries.append(1)
            if len(tries) < 3:
                raise SerializationError("another was quicker")

        await store.retrying(work)
        counters = store.stats().counters
        await store.drop_schema()
    assert (counters["committed"], counters["rolled_back"], counters["retries"]) == (2, 3, 2)


def test_a_blocking_store_counts_too(url):
    with sync.open_store(url, [Note]) as store:
        with store.transaction():
            pass
        assert store.stats().counters["committed"] == 1
        assert store.capabilities == store.asynchronous.capabilities


async def test_memory_tells_how_many_rows_it_holds():
    async with open_store("memory://", [Note]) as store:
        await store.create_schema()
        await store.repository(Note).add_many([Note(text="a"), Note(text="b")])
        assert store.stats().gauges["rows"] == 2


async def test_what_a_backend_lacks_is_said_and_refused(url):
    driver = driver_at(url)
    assert {StoreCapability.TRANSACTIONS, StoreCapability.SAVEPOINTS} <= driver.capabilities
    async with open_store(url, [Note]) as store:
        async with store.transaction() as tx:
            if StoreCapability.SQL_STATEMENTS in store.capabilities:
                assert tx.lender is tx.work
            else:
                with pytest.raises(UnsupportedError, match="SQL statements"):
                    _ = tx.lender
    if StoreCapability.MAPPED_CLASSES in driver.capabilities:
        open_store(url, [Row])
    else:
        with pytest.raises(UnsupportedError, match="mapped classes"):
            open_store(url, [Row])


def test_options_are_taken_typed_and_the_url_wins(tmp_path):
    file = tmp_path / "store.db"
    options = SQLiteOptions(lock_timeout=0.0)
    held = sqlite3.connect(file, isolation_level=None)
    with sync.open_store(f"sqlite:///{file}", [Note], options=options) as store:
        store.create_schema()
        held.execute("BEGIN IMMEDIATE")
        with pytest.raises(LockTimeoutError):
            store.repository(Note).add(Note(text="a"))
        held.execute("ROLLBACK")
        store.repository(Note).add(Note(text="a"))
    held.close()
    given = driver_at(f"sqlite:///{file}?lock_timeout=7", options=options)
    assert given._options.lock_timeout == 7


def test_options_of_another_backend_are_refused_at_the_call():
    with pytest.raises(ConfigurationError, match="takes options=MemoryOptions"):
        open_store("memory://", [Note], options=SQLiteOptions())
    with pytest.raises(ConfigurationError, match="takes options=MemoryOptions"):
        sync.open_store("memory://", [Note], options=SQLiteOptions())
    assert open_store("memory://", [Note], options=MemoryOptions(lock_timeout=1.0))


async def test_a_query_that_is_refused_leaves_the_counts(url):
    async with open_store(url, [Note]) as store:
        with pytest.raises(InvalidQueryError):
            await store.retrying(lambda: None, attempts=0)
        assert store.stats().counters["retries"] == 0


def test_a_mapped_class_needs_no_import_of_the_integration(tmp_path):
    program = (
        "import sys, sqlalchemy as sa\n"
        "from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column\n"
        "from holdfast.sync import open_store\n"
        "class Base(DeclarativeBase): pass\n"
        "class User(Base):\n"
        "    __tablename__ = 'users'\n"
        "    id: Mapped[int] = mapped_column(primary_key=True)\n"
        "    name: Mapped[str] = mapped_column(sa.String(10))\n"
        "assert 'holdfast.integrations' not in sys.modules\n"
        f"with open_store('sqlite:///{tmp_path}/own.db', [User]) as store:\n"
        "    store.create_schema()\n"
        "    users = store.repository(User)\n"
        "    users.add(User(name='a'))\n"
        "    print(users.count(User.name == 'a'))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (done.stdout, done.stderr) == (b"1\n", b"")


def test_a_class_of_no_library_is_refused_without_loading_one():
    program = (
        "import sys\n"
        "from holdfast import open_store\n"
        "from holdfast.errors import ConfigurationError\n"
        "try:\n    open_store('memory://', [int])\n"
        "except ConfigurationError as error:\n    print('is not an entity' in str(error))\n"
        "print('sqlalchemy' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.split() == [b"True", b"False"]
