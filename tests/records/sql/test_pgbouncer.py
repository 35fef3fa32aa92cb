"""Behind PgBouncer in transaction mode: many clients, few sessions, and nothing left in them."""

import asyncio
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import psycopg
import pytest
from tools.services.postgresql import PGBOUNCER

from holdfast import open_store
from holdfast.errors import ConfigurationError
from holdfast.records.conformance import KeepingHarness, StoreConformance
from records.sql.notes import ENTITIES, Counter, Note, sessions
from records.sql.own_server import OwnServer
from servers import database_on, execute

SESSIONS = 4


@pytest.fixture(scope="module")
def postgresql_url():
    """A database of this module's: the suite leaves tables that refer to one another."""
    with database_on("postgresql") as url:
        yield url


@pytest.fixture(scope="module")
def bouncer(postgresql_url):
    """The URL of a database through a PgBouncer that opens *SESSIONS* sessions at the most."""
    execute(postgresql_url, f"ALTER DATABASE {urlsplit(postgresql_url).path[1:]} SET jit = off")
    upstream = urlsplit(postgresql_url).port
    few = f"default_pool_size = {SESSIONS}\nserver_lifetime = 2\n"
    with OwnServer(PGBOUNCER, ports={"postgresql": upstream}, files=few) as server:
        yield f"{server.url.rpartition('/')[0]}{urlsplit(postgresql_url).path}?pgbouncer=true"


class TestPgBouncer(StoreConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls, bouncer):
        return KeepingHarness(bouncer)


async def test_many_clients_share_few_sessions(bouncer, postgresql_url):
    async with AsyncExitStack() as opened:
        openings = [open_store(bouncer, ENTITIES) for _ in range(10)]
        stores = [await opened.enter_async_context(each) for each in openings]
        try:
            await stores[0].create_schema()
            await stores[0].repository(Counter).add(Counter(id=1))

            async def work(store, number):
                counters, notes = store.repository(Counter), store.repository(Note)
                for each in range(10):
                    await counters.patch(1, Counter.total.increment(1))
                    async with store.transaction():
                        made = await notes.add(Note(id=f"{number}-{each}", batch=number))
                        await counters.patch(1, Counter.total.increment(1))
                    assert await notes.get(made.id) == made
                    assert await notes.count(Note.batch == number) == each + 1

            await asyncio.gather(
                *(work(stores[number % len(stores)], number) for number in range(40))
            )
            assert (await stores[0].repository(Counter).get_one(1)).total == 800
            assert len(await asyncio.to_thread(sessions, postgresql_url)) <= SESSIONS
        finally:
            await stores[0].drop_schema()


async def test_nothing_is_left_in_a_session_that_others_get(bouncer, postgresql_url):
    async with open_store(bouncer, ENTITIES) as store:
        await store.create_schema()
        async with store.transaction(isolation="serializable"):
            await store.repository(Note).add(Note(id="a"))
        async with store.transaction(read_only=True):
            await store.repository(Note).count()
        await asyncio.gather(*(store.repository(Note).get("a") for _ in range(20)))
        plain = bouncer.partition("?")[0]
        for _ in range(SESSIONS):
            with psycopg.connect(plain, autocommit=True, prepare_threshold=None) as session:
                assert session.execute(
                    "SELECT count(*) FROM pg_prepared_statements"
                ).fetchone() == (0,)
                for name, fresh in (
                    ("transaction_isolation", "read committed"),
                    ("transaction_read_only", "off"),
                    ("lock_timeout", "0"),
                    ("statement_timeout", "0"),
                ):
                    assert session.execute(f"SHOW {name}").fetchone() == (fresh,)
        await store.drop_schema()


@pytest.mark.parametrize("name", ["lock_timeout", "statement_timeout"])
def test_a_timeout_that_could_not_be_kept_is_refused(bouncer, name):
    with pytest.raises(ConfigurationError, match="ALTER ROLE"):
        open_store(f"{bouncer}&{name}=5", ENTITIES)
