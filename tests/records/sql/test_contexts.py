"""Transactions whose context is copied, as web frameworks do it, and generators that are left."""

import asyncio
import contextlib
import contextvars
import gc
from concurrent.futures import ThreadPoolExecutor

import pytest

from holdfast import open_store, sync
from holdfast.errors import LockTimeoutError, TransactionError
from records.sql.notes import ENTITIES, Note


@pytest.fixture(params=["memory", "sqlite", "postgresql", "mariadb"])
def url(request, tmp_path):
    if request.param == "memory":
        return "memory://?lock_timeout=5"
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/contexts.db?synchronous=normal&lock_timeout=5"
    return f"{request.getfixturevalue(f'{request.param}_url')}?pool_size=2&max_overflow=0"


@pytest.fixture
def store(url):
    with sync.open_store(url, ENTITIES) as opened:
        opened.create_schema()
        yield opened
        opened.drop_schema()


def in_copy(call, *args):
    return contextvars.copy_context().run(call, *args)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_plain_dependency_in_a_copy_of_the_context_is_told_so(store, threads):
    """The route runs in another copy: outside of the transaction that the dependency opened."""
    notes = store.repository(Note)

    def dependency():
        with store.transaction() as tx:
            yield tx

    with contextlib.ExitStack() as pools:
        pool = [pools.enter_context(ThreadPoolExecutor(1)) for _ in range(threads)]

        def run(number, call, *args):
            return pool[number % threads].submit(in_copy, call, *args).result(60)

        for _ in range(5):
            manager = contextlib.contextmanager(dependency)()
            run(0, manager.__enter__)
            if threads == 1:
                with pytest.raises(TransactionError, match="def"):
                    run(0, notes.add, Note(id="route"))
                with pytest.raises(TransactionError, match="def"):
                    run(0, store.transaction)
            with pytest.raises(TransactionError, match="async def"):
                run(1, manager.__exit__, None, None, None)
            manager = contextlib.contextmanager(dependency)()
            run(0, manager.__enter__)
            error = KeyError("of the route")
            assert not run(1, manager.__exit__, KeyError, error, None)
            assert "async def" in error.__notes__[0]
    assert notes.count() == 0
    notes.add(Note(id="after"))


def test_a_dependency_in_the_context_of_the_route_takes_part(store):
    """As an `async def` dependency does: the route inherits its context, in whatever thread."""
    notes = store.repository(Note)
    with ThreadPoolExecutor(1) as pool:
        for fails in (True, False):
            with contextlib.suppress(ZeroDivisionError), store.transaction():
                route = contextvars.copy_context()
                pool.submit(route.run, notes.add, Note(id="route")).result(60)
                assert notes.count() == 1
                if fails:
                    raise ZeroDivisionError
            assert notes.count() == (0 if fails else 1)


def test_a_generator_that_is_dropped_in_another_thread_is_undone(store):
    notes = store.repository(Note)

    def rows():
        with store.transaction():
            for name in "ab":
                yield notes.add(Note(id=name))

    for _ in range(5):
        with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
            generator = one.submit(in_copy, lambda: iter(rows())).result(60)
            assert one.submit(in_copy, next, generator).result(60).id == "a"
            other.submit(in_copy, generator.close).result(60)
        assert notes.count() == 0
    for _each in rows():
        break
    gc.collect()
    assert notes.count() == 0
    notes.add(Note(id="after"))


def test_threads_that_share_a_transaction_take_turns(store):
    notes = store.repository(Note)

    def pay(number):
        with contextlib.suppress(ZeroDivisionError), store.transaction():
            for part in "ab":
                notes.add(Note(id=f"{number}{part}", batch=number))
            notes.patch(f"{number}a", Note.text.to("paid"))
            if number % 2:
                raise ZeroDivisionError

    with ThreadPoolExecutor(6) as pool, store.transaction():
        done = [pool.submit(contextvars.copy_context().run, pay, each) for each in range(12)]
        singles = [
            pool.submit(contextvars.copy_context().run, notes.add, Note(id=f"s{each}"))
            for each in range(6)
        ]
        for each in (*done, *singles):
            each.result(120)
    assert notes.count(Note.batch.in_([1, 3, 5, 7, 9, 11])) == 0
    assert notes.count(Note.text == "paid") == 6
    assert notes.count(Note.id.startswith("s")) == 6


async def test_a_part_that_waits_for_what_waits_for_it_is_told_in_time(url):
    place, _, options = url.partition("?")
    kept = "&".join(each for each in options.split("&") if each and "lock_timeout" not in each)
    async with open_store(f"{place}?{kept}&lock_timeout=0", ENTITIES) as store:
        await store.create_schema()
        notes = store.repository(Note)
        async with store.transaction() as tx:
            go_on = asyncio.Event()

            async def beside():
                await go_on.wait()
                with pytest.raises(LockTimeoutError, match="part of the transaction"):
                    await notes.add(Note(id="beside"))
                with pytest.raises(LockTimeoutError, match="part of the transaction"):
                    async with store.transaction():
                        raise AssertionError("two parts are open beside one another")

            task = asyncio.create_task(beside())
            async with tx.savepoint():
                await notes.add(Note(id="inside"))
                go_on.set()
                await task
        assert [each.id for each in await notes.find()] == ["inside"]
        await store.drop_schema()


async def test_steps_of_a_generator_in_tasks_of_their_own_are_told_so(url):
    """As `asyncio.wait_for` runs each step on Python 3.11."""
    async with open_store(url, ENTITIES) as store:
        await store.create_schema()
        notes = store.repository(Note)

        async def rows():
            async with store.transaction():
                yield 1

        for _ in range(5):
            generator = rows()
            await asyncio.create_task(anext(generator))
            with pytest.raises(TransactionError, match="context"):
                await asyncio.create_task(anext(generator))
        await notes.add(Note(id="after"))
        assert await notes.count() == 1
        await store.drop_schema()


async def test_a_failure_on_the_way_out_leaves_no_lock_and_the_blocks_own_error(url):
    async with open_store(url, ENTITIES) as store:
        await store.create_schema()
        notes = store.repository(Note)

        class Failing:
            def check(self):
                raise TransactionError("ended by a statement")

            async def close(self):
                raise OSError("the borrower's own")

        for _ in range(5):
            with pytest.raises(OSError, match="own"):
                async with store.transaction() as tx:
                    await notes.add(Note(id="a"))
                    tx.lend_to(Failing())
        await notes.add(Note(id="after"))
        assert [each.id for each in await notes.find()] == ["after"]
        await store.drop_schema()
