"""A server that dies, restarts, or ends sessions: nothing acknowledged is lost, nothing is half."""

import asyncio
import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from tools.services.mariadb import MARIADB
from tools.services.mysql import MYSQL
from tools.services.postgresql import POSTGRESQL

from holdfast import open_store
from holdfast.blocking import run
from holdfast.errors import UnavailableError
from holdfast.records.connect import open_blocking
from records.sql.notes import ENTITIES, Counter, Note, end_sessions, sessions
from records.sql.own_server import OwnServer

WRITES, WRITERS, BATCH = 10_000, 8, 50


@pytest.fixture(scope="module", params=[POSTGRESQL, MARIADB], ids=lambda each: each.name)
def server(request):
    with OwnServer(request.param) as started:
        yield started


@pytest.fixture
async def store(server):
    async with open_store(server.url, ENTITIES) as opened:
        await opened.create_schema()
        yield opened
    async with open_store(server.url, ENTITIES) as again:
        await again.drop_schema()


class Account:
    """What was acknowledged and what may or may not have happened, as a client knows it."""

    def __init__(self):
        self.kept, self.unknown = set(), set()
        self.counted = self.uncounted = 0
        self.batches = self.written = 0
        self.lock = threading.Lock()

    def next_batch(self):
        with self.lock:
            if self.written >= WRITES:
                return None
            self.batches += 1
            self.written += BATCH + 2
            return self.batches


async def write(store, account, pause):
    """Write batches, single rows and increments until there are enough, each only once."""
    notes, counters = store.repository(Note), store.repository(Counter)
    while (number := account.next_batch()) is not None:
        rows = [Note(id=f"{number}-{each}", batch=number, text="x" * 50) for each in range(BATCH)]
        single = Note(id=f"{number}", batch=-1)
        for made in (rows, [single]):
            ids = {each.id for each in made}
            try:
                await (notes.add_many(made) if len(made) > 1 else notes.add(made[0]))
            except UnavailableError:
                account.unknown |= ids
            else:
                account.kept |= ids
        try:
            await counters.patch(number % WRITERS, Counter.total.increment(1))
        except UnavailableError:
            account.uncounted += 1
            while not await answers(store):
                await pause(0.01)
        else:
            account.counted += 1


async def answers(store):
    try:
        await store.repository(Counter).count()
    except UnavailableError:
        return False
    return True


async def sleep(seconds):
    time.sleep(seconds)  # noqa: ASYNC251 - of a thread that has nothing else to do


async def check(store, account):
    notes, counters = store.repository(Note), store.repository(Counter)
    found = {each[0]: each[1] for each in await notes.select(Note.id, Note.batch)}
    assert account.kept <= found.keys(), "what was acknowledged is lost"
    assert found.keys() <= account.kept | account.unknown, "there is what nobody wrote"
    sizes = {}
    for batch in found.values():
        sizes[batch] = sizes.get(batch, 0) + 1
    assert {size for batch, size in sizes.items() if batch > 0} <= {BATCH}, "half a batch is there"
    total = sum(each.total for each in await counters.find())
    assert account.counted <= total <= account.counted + account.uncounted
    assert len(account.kept) > WRITES / 2, "the server died too early for this to mean much"
    assert account.unknown, "the server did not die in the middle"


def kill_in_the_middle(server, account, done):
    """Kill the server when a third is written, and start it again."""
    while account.written < WRITES / 3 and not done.is_set():
        done.wait(0.005)
    server.kill()
    server.start()


# MySQL takes long to begin, and its connections are MariaDB's: once is enough.
on_mysql_too = pytest.mark.parametrize(
    "server", [POSTGRESQL, MARIADB, MYSQL], indirect=True, ids=lambda each: each.name
)


@on_mysql_too
async def test_a_killed_server_loses_nothing_acknowledged(server, store):
    account, done = Account(), threading.Event()
    for each in range(WRITERS):
        await store.repository(Counter).add(Counter(id=each))
    killer = asyncio.ensure_future(asyncio.to_thread(kill_in_the_middle, server, account, done))

    try:
        async with asyncio.timeout(60):
            await asyncio.gather(*(write(store, account, asyncio.sleep) for _ in range(WRITERS)))
    finally:
        done.set()
        await killer
    await check(store, account)


async def test_a_killed_server_loses_nothing_acknowledged_by_threads(server, store):
    account, done = Account(), threading.Event()
    for each in range(WRITERS):
        await store.repository(Counter).add(Counter(id=each))

    def work():
        killer = threading.Thread(target=kill_in_the_middle, args=(server, account, done))
        killer.start()
        with ThreadPoolExecutor(WRITERS) as threads:
            writers = [threads.submit(run, write(blocking, account, sleep)) for _ in range(WRITERS)]
        done.set()
        killer.join()
        for each in writers:
            each.result()
        run(check(blocking, account))

    opening = open_blocking(server.url, ENTITIES)
    blocking = run(opening.__aenter__())
    try:
        await asyncio.to_thread(work)
    finally:
        run(opening.__aexit__(None, None, None))


async def test_ended_sessions_are_replaced_and_no_read_fails(server, store):
    notes = store.repository(Note)
    await notes.add(Note(id="a"))
    await asyncio.gather(*(notes.get("a") for _ in range(5)))
    for _ in range(3):
        assert end_sessions(server.url)
        assert (await notes.get("a")).id == "a"
        assert end_sessions(server.url)
        found = await asyncio.gather(*(notes.get("a") for _ in range(10)))
        assert all(each.id == "a" for each in found)


async def test_blocking_reads_outlive_ended_sessions_too(server, store):
    await store.repository(Note).add(Note(id="a"))

    def work():
        opening = open_blocking(server.url, ENTITIES)
        blocking = run(opening.__aenter__())
        notes = blocking.repository(Note)
        for _ in range(3):
            assert run(notes.get("a")).id == "a"
            assert end_sessions(server.url)
            assert run(notes.patch("a", Note.batch.increment(1))).id == "a", "it was known as dead"
        run(opening.__aexit__(None, None, None))

    await asyncio.to_thread(work)
    assert (await store.repository(Note).get_one("a")).batch == 3


@on_mysql_too
async def test_a_write_whose_session_is_ended_is_not_done_again(server, store):
    counters = store.repository(Counter)
    await counters.add(Counter(id=1))
    told = 0
    stop = asyncio.Event()

    async def end_now_and_then():
        while not stop.is_set():
            await asyncio.to_thread(end_sessions, server.url)

    ending = asyncio.ensure_future(end_now_and_then())
    unknown = 0
    for _ in range(400):
        try:
            await counters.patch(1, Counter.total.increment(1))
        except UnavailableError:
            unknown += 1
        else:
            told += 1
    stop.set()
    await ending
    total = (await counters.get_one(1)).total
    assert told <= total <= told + unknown


async def test_a_transaction_whose_session_is_ended_is_undone(server, store):
    notes = store.repository(Note)
    with pytest.raises(UnavailableError):
        async with store.transaction():
            await notes.add(Note(id="half"))
            end_sessions(server.url)
            await notes.add(Note(id="other half"))
    assert await notes.count() == 0


async def test_a_restarted_server_is_found_again(server, store):
    notes = store.repository(Note)
    await notes.add(Note(id="before"))
    await asyncio.gather(*(notes.get("before") for _ in range(5)))
    await asyncio.to_thread(server.restart)
    assert (await notes.get("before")).id == "before"
    await notes.add(Note(id="after"))
    assert await notes.count() == 2


async def test_a_server_that_is_down_is_unavailable_and_leaks_nothing(server, store):
    notes = store.repository(Note)
    await notes.add(Note(id="a"))
    await asyncio.to_thread(server.kill)
    for _ in range(20):  # more than the pool may hold
        with pytest.raises(UnavailableError):
            await notes.get("a")
        with pytest.raises(UnavailableError):
            await notes.patch("a", Note.batch.increment(1))
    with pytest.raises(UnavailableError):
        async with store.transaction():
            raise AssertionError("the transaction began on a dead server")
    await asyncio.to_thread(server.start)
    assert (await notes.get_one("a")).batch == 0
    assert len(await asyncio.to_thread(sessions, server.url)) <= 2
    with contextlib.suppress(UnavailableError):
        await notes.get("a")
