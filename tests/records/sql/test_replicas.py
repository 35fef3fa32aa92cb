"""Read-only transactions on replicas, and what a program reads after it wrote."""

import time

import pytest
from tools.services.mariadb import MARIADB
from tools.services.postgresql import POSTGRESQL

from holdfast import Entity, Field, key, open_store, sync
from holdfast.errors import ConfigurationError, TransactionError
from records.sql.own_server import OwnServer
from records.sql.standby import Standby
from servers import connected, execute, free_port


class Leaf(Entity, table="leaves"):
    id: Field[int] = key()


@pytest.fixture(scope="module")
def pair():
    """A primary and a standby that follows it."""
    with OwnServer(POSTGRESQL) as primary, Standby(primary) as follower:
        yield primary, follower


@pytest.fixture
def servers(pair):
    primary, follower = pair
    execute(
        primary.url, "DROP TABLE IF EXISTS leaves", "CREATE TABLE leaves (id bigint PRIMARY KEY)"
    )
    caught_up(primary, follower)
    yield pair
    execute(follower.url, "SELECT pg_wal_replay_resume()")


def caught_up(primary, follower):
    """Wait until *follower* has what *primary* has now."""
    with connected(primary.url) as connection:
        (there,) = connection.execute("SELECT pg_current_wal_lsn()").fetchone()
    deadline = time.monotonic() + 120
    with connected(follower.url) as connection:
        connection.autocommit = True
        query = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"
        while not connection.execute(query, (there,)).fetchone()[0]:
            assert time.monotonic() < deadline, "the standby does not follow"
            time.sleep(0.02)


def url_of(pair, **options):
    primary, follower = pair
    chosen = "&".join(f"{name}={value}" for name, value in options.items())
    return f"{primary.url}?replica=127.0.0.1:{follower.port}&{chosen}"


async def seen(store, *, read_only):
    async with store.transaction(read_only=read_only):
        return await store.repository(Leaf).count()


async def test_what_one_wrote_is_read_though_the_replica_lags(servers):
    _, follower = servers
    async with open_store(url_of(servers, replica_delay=3600), [Leaf]) as store:
        assert await seen(store, read_only=True) == 0
        execute(follower.url, "SELECT pg_wal_replay_pause()")
        leaves = store.repository(Leaf)
        await leaves.add(Leaf(id=1))
        assert await seen(store, read_only=True) == 1
    async with open_store(url_of(servers, replica_delay=3600), [Leaf]) as store:
        assert await seen(store, read_only=True) == 0, (
            "a store that wrote nothing reads the replica"
        )
        async with store.transaction():
            await store.repository(Leaf).add(Leaf(id=2))
        assert await seen(store, read_only=True) == 2, "a transaction is a write too"
        async with store.transaction(read_only=True) as outer:
            assert outer is not None
            with pytest.raises(TransactionError):
                async with store.transaction():
                    pass


async def test_reads_that_nobody_asked_to_be_read_only_stay_on_the_primary(servers):
    primary, follower = servers
    execute(follower.url, "SELECT pg_wal_replay_pause()")
    execute(primary.url, "INSERT INTO leaves VALUES (1)")
    async with open_store(url_of(servers, replica_delay=0), [Leaf]) as store:
        leaves = store.repository(Leaf)
        assert await leaves.count() == 1
        assert (await leaves.page(size=5, total=True)).total == 1
        assert await seen(store, read_only=False) == 1
        assert await seen(store, read_only=True) == 0
        async with store.transaction(read_only=True, replica=False):
            assert await leaves.count() == 1
        async with store.transaction(read_only=True, isolation="serializable"):
            assert await leaves.count() == 1, "no standby gives serializable"


def test_blocking_reads_go_there_too(servers):
    primary, follower = servers
    execute(follower.url, "SELECT pg_wal_replay_pause()")
    execute(primary.url, "INSERT INTO leaves VALUES (1)")
    with sync.open_store(url_of(servers, replica_delay=0), [Leaf]) as store:
        leaves = store.repository(Leaf)
        with store.transaction(read_only=True):
            assert leaves.count() == 0
        leaves.add(Leaf(id=2))
        with store.transaction(read_only=True):
            assert leaves.count() == 0, "with no delay a program may read what is older"


async def test_the_primary_answers_while_no_replica_can(servers):
    primary, _ = servers
    execute(primary.url, "INSERT INTO leaves VALUES (1)")
    url = f"{primary.url}?replica=127.0.0.1:{free_port()},127.0.0.1:{free_port()}"
    async with open_store(url, [Leaf]) as store:
        assert await seen(store, read_only=True) == 1
        assert await seen(store, read_only=True) == 1


async def test_a_replica_that_dies_gives_way_to_the_primary(pair):
    primary, _ = pair
    with Standby(primary) as follower:
        execute(primary.url, "CREATE TABLE IF NOT EXISTS leaves (id bigint PRIMARY KEY)")
        caught_up(primary, follower)
        async with open_store(url_of((primary, follower)), [Leaf]) as store:
            before = await seen(store, read_only=True)
            follower.kill()
            assert await seen(store, read_only=True) == before


async def test_mariadb_reads_where_it_is_told(mariadb_url):
    """A second server, which follows nothing, stands for the replica: it shows who answered."""
    database = mariadb_url.rpartition("/")[2]
    with OwnServer(MARIADB) as other:
        execute(other.url, f"CREATE DATABASE {database}")
        there = f"{other.url.rpartition('/')[0]}/{database}"
        async with open_store(there, [Leaf]) as store:
            await store.create_schema()
            await store.repository(Leaf).add(Leaf(id=1))
        url = f"{mariadb_url}?replica=127.0.0.1:{other.port}"
        async with open_store(f"{url}&replica_delay=0", [Leaf]) as store:
            await store.create_schema()
            assert await store.repository(Leaf).count() == 0
            assert await seen(store, read_only=True) == 1
            await store.drop_schema()


@pytest.mark.parametrize("options", ["replica=host:x", "replica=host&replica_delay=-1"])
def test_what_is_no_replica_is_refused(options):
    with pytest.raises(ConfigurationError, match=r"port|replica_delay"):
        with sync.open_store(f"postgresql://127.0.0.1/data?{options}", [Leaf]):
            pass
