"""Timeouts, the pool's limits, and what is logged, on both servers."""

import asyncio
import contextlib
import logging
import threading
import time

import pytest

from holdfast import open_store, sync
from holdfast.errors import (
    ConfigurationError,
    DuplicateError,
    LockTimeoutError,
    TransactionError,
    UnavailableError,
    UnsupportedError,
)
from records.sql.notes import ENTITIES, Counter, Note, Ticket, end_sessions, sessions
from servers import connected


@pytest.fixture(params=["postgresql", "mariadb", "mysql"])
def url(request):
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
async def store(url):
    async with open_store(url, ENTITIES) as opened:
        await opened.create_schema()
        yield opened
        await opened.drop_schema()


def opened(url, **options):
    return open_store(f"{url}?{'&'.join(f'{n}={v}' for n, v in options.items())}", ENTITIES)


# --- timeouts -------------------------------------------------------------------------------


@pytest.mark.parametrize(("lock_timeout", "least", "most"), [(0, 0, 0.9), (1, 0.9, 10)])
async def test_a_lock_is_waited_for_as_long_as_was_said(store, url, lock_timeout, least, most):
    if lock_timeout == 0 and url.startswith("mysql"):
        least, most = 0.9, 10  # it knows no shorter wait than a second
    await store.repository(Counter).add(Counter(id=1))
    async with opened(url, lock_timeout=lock_timeout) as other:
        async with store.transaction():
            await store.repository(Counter).patch(1, Counter.total.increment(1))

            async def elsewhere():
                began = time.monotonic()
                with pytest.raises(LockTimeoutError):
                    await other.repository(Counter).patch(1, Counter.total.increment(1))
                return time.monotonic() - began

            assert least <= await asyncio.create_task(elsewhere()) < most
    assert (await store.repository(Counter).get_one(1)).total == 1


def slowly(url):
    """Return SQL that takes five seconds or more, past what Holdfast itself would run."""
    if url.startswith("postgresql"):
        return "SELECT pg_sleep(5)"
    if url.startswith("mariadb"):
        return "SELECT SLEEP(5) FROM DUAL"
    tables = ", ".join(f"information_schema.collations t{each}" for each in range(5))
    return f"SELECT count(*) FROM {tables}"  # MySQL ends a SLEEP alone without an error


async def test_a_statement_that_takes_too_long_is_stopped(store, url):
    async with opened(url, statement_timeout=0.2, pool_size=1) as quick:
        with pytest.raises(UnavailableError, match="stopped"):  # else it gives its rows
            await quick.driver.session().read(lambda rows: rows.fetch(None, slowly(url), ()))
        assert await quick.repository(Note).count() == 0, "the connection is of use again"


def locked(url):
    """Return a connection past Holdfast that lets nobody read the notes while it is open."""
    holder = connected(url)
    cursor = holder.cursor()
    if url.startswith("postgresql"):
        cursor.execute("BEGIN")
        cursor.execute("LOCK TABLE notes IN ACCESS EXCLUSIVE MODE")
    else:
        cursor.execute("LOCK TABLES notes WRITE")
    return holder


async def test_a_read_that_is_stopped_ends_its_transaction_on_each_server_alike(store, url):
    async with opened(url, statement_timeout=0.3) as quick:
        notes, counters = quick.repository(Note), quick.repository(Counter)
        with pytest.raises(TransactionError, match="stopped") as caught:
            async with quick.transaction():
                await counters.add(Counter(id=1))
                with contextlib.closing(locked(url)):
                    with pytest.raises(UnavailableError, match="stopped"):
                        await notes.find()
                with pytest.raises(TransactionError, match="can't go on"):
                    await counters.get(1)
        assert not isinstance(caught.value, UnavailableError), "it invites no repetition"
        assert await counters.get(1) is None
        async with quick.transaction() as tx:
            await counters.add(Counter(id=2))
            with contextlib.closing(locked(url)), pytest.raises(UnavailableError):
                async with tx.savepoint():
                    await counters.add(Counter(id=3))
                    await notes.find()
            await counters.add(Counter(id=4))
        assert [each.id for each in await counters.find()] == [2, 4]


# --- the pool -------------------------------------------------------------------------------


async def test_the_pool_tells_what_it_holds_and_what_it_lost(url):
    async with opened(url, pool_size=1, max_overflow=0) as store:
        driver = store.driver
        assert driver.stats().gauges == {
            "connections_open": 1,
            "connections_idle": 1,
            "connections_waiting": 0,
        }
        async with store.transaction():
            assert driver.stats().gauges["connections_idle"] == 0
            probe = asyncio.create_task(driver.probe())
            while not driver.stats().gauges["connections_waiting"]:  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0)
        await probe
        assert driver.stats().gauges["connections_waiting"] == 0
        assert driver.stats().counters == {"connections_opened": 1, "connections_lost": 0}

        assert end_sessions(url) >= 1
        await driver.probe()
        assert driver.stats().counters == {"connections_opened": 2, "connections_lost": 1}
        assert driver.stats().gauges["connections_open"] == 1


async def test_no_more_connections_are_opened_than_were_said(store, url):
    async with opened(url, pool_size=2, max_overflow=1, pool_timeout=30, idle_timeout=0) as small:
        notes = small.repository(Note)
        await asyncio.gather(*(notes.add(Note(id=f"{each}")) for each in range(50)))
        assert await notes.count() == 50
        # one of `store`; what was over is closed again, which a server may notice a bit later
        await until(lambda: len(sessions(url)) <= 3)


async def test_waves_of_calls_open_no_connection_anew(store, url):
    async with opened(url, pool_size=2, max_overflow=6, idle_timeout=3600) as waves:
        notes = waves.repository(Note)
        for _ in range(10):
            await asyncio.gather(*(notes.count() for _ in range(20)))
        assert waves.stats().counters["connections_opened"] <= 8


@pytest.mark.parametrize(("idle_timeout", "kept"), [(0, 2), (0.05, 2), (3600, 8)])
async def test_the_overflow_is_kept_as_long_as_was_said(store, url, idle_timeout, kept):
    async with opened(url, pool_size=2, max_overflow=6, idle_timeout=idle_timeout) as waves:
        counts = await asyncio.gather(*(waves.repository(Note).count() for _ in range(20)))
        assert counts == [0] * 20
        assert waves.stats().gauges["connections_open"] >= (8 if idle_timeout == 3600 else 2)
        while waves.stats().gauges["connections_open"] != kept:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.01)


def test_the_overflow_of_threads_is_closed_too(url):
    options = "pool_size=1&max_overflow=3&idle_timeout=0.05"
    with sync.open_store(f"{url}?{options}", ENTITIES) as small:
        small.create_schema()
        together = threading.Barrier(4)

        def hold():
            with small.transaction():
                together.wait(30)

        threads = [threading.Thread(target=hold) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        deadline = time.monotonic() + 30
        while small.stats().gauges["connections_open"] > 1:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        small.drop_schema()


async def test_who_finds_no_connection_in_time_is_told_which_option_to_change(store, url):
    async with opened(url, pool_size=1, max_overflow=0, pool_timeout=0.1) as small:
        async with small.transaction():
            await small.repository(Note).count()
            with pytest.raises(UnavailableError, match="pool_timeout"):
                await asyncio.create_task(outside(small))
        assert await small.repository(Note).count() == 0


async def test_without_pool_timeout_nobody_waits(store, url):
    async with opened(url, pool_size=1, max_overflow=0, pool_timeout=0) as small:
        async with small.transaction():
            with pytest.raises(UnavailableError, match="pool_timeout"):
                await asyncio.create_task(outside(small))


async def outside(store):
    """A call beside the transaction that the task was started in."""
    return await store.driver.session().read(lambda rows: rows.fetch(None, "SELECT 1", ()))


async def test_a_connection_is_replaced_when_it_is_old(store, url):
    async with opened(url, pool_size=1, pool_recycle=0.05) as short:
        await short.repository(Note).count()
        before = set(sessions(url))
        await asyncio.to_thread(threading.Event().wait, 0.1)
        await short.repository(Note).count()
        await until(lambda: len(before - set(sessions(url))) == 1)


async def test_a_write_on_a_connection_that_is_dead_works_with_pre_ping(store, url):
    async with opened(url, pool_pre_ping="true") as careful:
        notes = careful.repository(Note)
        for each in range(5):
            await notes.add(Note(id=f"{each}"))
            end_sessions(url)
        assert await notes.count() == 5


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("pool_size=0", "pool_size=0: expected a whole number, 1 or more"),
        ("lock_timeout=-1", "lock_timeout=-1.0: expected a number, 0 or more"),
        ("pool_sise=1", "unknown parameter 'pool_sise'"),
    ],
)
def test_a_number_that_makes_no_sense_is_refused_at_once(url, options, said):
    with pytest.raises(ConfigurationError, match=said.replace("?", ".")):
        open_store(f"{url}?{options}", ENTITIES)


# --- keys -----------------------------------------------------------------------------------


async def test_numbers_given_and_numbers_made_at_once_never_meet(store, url):
    tickets = store.repository(Ticket)

    def ticket(number):
        made = Ticket(text="given")
        vars(made)["id"] = number
        return made

    async def given(number):
        with contextlib.suppress(DuplicateError):  # a number that was made before it was given
            await tickets.add(ticket(number))

    made = [tickets.add(Ticket(text="made")) for _ in range(60)]
    await asyncio.gather(*made, *(given(number) for number in range(5, 200, 10)))
    assert await tickets.count(Ticket.text == "made") == 60
    last = (await tickets.add(Ticket())).id
    assert last == max(each[0] for each in await tickets.select(Ticket.id))


# --- logs -----------------------------------------------------------------------------------


async def test_slow_statements_are_logged_without_their_values(store, url, caplog):
    async with opened(url, slow_statement=0.000001) as watched:
        await watched.repository(Note).add(Note(id="secret"))
    slow = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert any("slow statement" in each.getMessage() for each in slow)
    assert any("INSERT INTO notes" in each.getMessage() for each in slow)
    assert "secret" not in caplog.text


async def test_echo_logs_each_statement(store, url, caplog):
    caplog.set_level(logging.INFO, "holdfast.records.sql")
    async with opened(url, echo="true") as watched:
        async with watched.transaction():
            await watched.repository(Note).add(Note(id="secret"))
    said = [each.getMessage() for each in caplog.records if each.name == "holdfast.records.sql"]
    for wanted in ("INSERT INTO notes", "COMMIT"):
        assert any(wanted in each for each in said), wanted
    assert "secret" not in "".join(said)


async def test_nothing_is_logged_unasked(store, url, caplog):
    caplog.set_level(logging.INFO, "holdfast.records.sql")
    await store.repository(Note).add(Note(id="a"))
    assert not [each for each in caplog.records if each.name == "holdfast.records.sql"]


# --- blocking -------------------------------------------------------------------------------


def test_threads_share_the_pool_and_its_limits(url):
    with sync.open_store(f"{url}?pool_size=1&max_overflow=0&pool_timeout=0.1", ENTITIES) as small:
        small.create_schema()
        holding, done = threading.Event(), threading.Event()

        def hold():
            with small.transaction():
                small.repository(Note).add(Note(id="a"))
                holding.set()
                done.wait(10)

        thread = threading.Thread(target=hold)
        thread.start()
        assert holding.wait(10)
        with pytest.raises(UnavailableError, match="pool_timeout"):
            small.repository(Note).count()
        done.set()
        thread.join()
        assert small.repository(Note).count() == 1
        small.drop_schema()


async def until(condition):
    def look():
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline

    await asyncio.to_thread(look)


async def test_what_another_program_locks_is_waited_for_and_told(store, url):
    """The lock of a whole table, as a migration takes it."""
    locked = "BEGIN; LOCK TABLE notes IN ACCESS EXCLUSIVE MODE"
    if not url.startswith("postgresql"):
        locked = "LOCK TABLES notes WRITE"
    async with opened(url, lock_timeout=0) as other:
        with connected(url) as connection, connection.cursor() as cursor:
            cursor.execute(locked)
            with pytest.raises(LockTimeoutError):
                await other.repository(Note).count()
            cursor.execute("ROLLBACK" if url.startswith("postgresql") else "UNLOCK TABLES")
        assert await other.repository(Note).count() == 0


async def test_a_batch_larger_than_a_packet_is_stored_whole(store, url):
    notes = store.repository(Note)
    rows = [Note(id=f"{each}", text="'" * 1_000_000) for each in range(9)]
    await notes.add_many(rows)
    upserted = await notes.upsert_many(rows)
    assert [each.created for each in upserted] == [False] * 9
    assert await notes.count(Note.text == "'" * 1_000_000) == 9


@pytest.mark.parametrize(
    ("letter", "count"), [("x", 17_000_000), ("'", 8_500_000), ("\u00e9", 20_000_000)]
)
async def test_a_row_too_large_for_mariadb_is_refused_and_the_connection_lives(
    mariadb_url, letter, count
):
    async with open_store(mariadb_url, ENTITIES) as store:
        await store.create_schema()
        notes = store.repository(Note)
        made = Note(id="a", text=letter * count)
        with pytest.raises(UnsupportedError):
            await notes.add(made)
        with pytest.raises(UnsupportedError):
            await notes.add_many([made, Note(id="b")])
        small = await notes.add(Note(id="a"))
        with pytest.raises(UnsupportedError):
            await notes.patch("a", Note.text.to(made.text))
        assert await notes.find() == [small]
        await store.drop_schema()
