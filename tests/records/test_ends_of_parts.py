"""Parts of a transaction whose end fails, or is met by what still goes on in them."""

import asyncio
from contextlib import nullcontext
from contextvars import Context

import pytest

from holdfast import Entity, Field, generated_key, open_store, sync
from holdfast.errors import StorageError, TransactionError

pytestmark = pytest.mark.anyio


class Row(Entity, table="rows"):
    id: Field[int] = generated_key()
    name: Field[str]


class Driver:
    """A driver that has *before* awaited before a part of a transaction ends in the database.

    Or behind the beginning of a part, and the end of a whole one that is undone.
    """

    def __init__(self, driver):
        self.driver = driver
        self.before = None

    async def begin(self, options):
        return Work(await self.driver.begin(options), self)

    def __getattr__(self, name):
        return getattr(self.driver, name)


class Work:
    def __init__(self, work, driver):
        self.work = work
        self.driver = driver

    async def rollback_to(self):
        await self._before()
        await self.work.rollback_to()

    async def release(self):
        await self._before()
        await self.work.release()

    async def rollback(self):
        await self.work.rollback()
        await self._before()

    async def savepoint(self):
        await self.work.savepoint()
        await self._before()

    async def _before(self):
        before, self.driver.before = self.driver.before, None
        if before is not None:
            await before()

    def __getattr__(self, name):
        return getattr(self.work, name)


@pytest.fixture(params=["memory", "sqlite"])
async def store(request, tmp_path):
    url = "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/parts.db"
    async with open_store(url, [Row]) as store:
        await store.create_schema()
        driver = store.driver
        store.driver = Driver(driver)
        yield store
        store.driver = driver


@pytest.fixture
def rows(store):
    return store.repository(Row)


@pytest.mark.parametrize("fails", ["the part", "nothing"])
async def test_a_part_that_can_not_be_ended_ends_the_whole(store, rows, fails):
    full = StorageError("test", "the disk is full")

    async def refused():
        raise full

    with pytest.raises(TransactionError, match="the disk is full") as caught:
        async with store.transaction() as tx:
            await rows.add(Row(name="before"))
            with pytest.raises(KeyError if fails == "the part" else StorageError) as inside:
                async with tx.savepoint():
                    await rows.add(Row(name="inside"))
                    store.driver.before = refused
                    if fails == "the part":
                        raise KeyError("mine")
            told = inside.value.__notes__[0] if fails == "the part" else str(inside.value)
            assert "the disk is full" in told
            for call in (rows.find, rows.count, lambda: rows.add(Row(name="after"))):
                with pytest.raises(TransactionError, match="the disk is full"):
                    await call()
            with pytest.raises(TransactionError, match="the disk is full"):
                async with tx.savepoint():
                    pass
    assert caught.value.__cause__ is full
    assert await rows.count() == 0


async def test_a_block_raises_its_own_error_and_tells_what_failed_while_it_was_undone(store):
    async def refused():
        raise StorageError("test", "the disk is full")

    for before, notes in ((None, 0), (refused, 1)):
        store.driver.before = before
        with pytest.raises(KeyError, match="mine") as caught:
            async with store.transaction():
                raise KeyError("mine")
        told = getattr(caught.value, "__notes__", [])
        assert ["the disk is full" in note for note in told] == [True] * notes


async def test_a_part_that_fails_while_one_inside_it_is_open_ends_the_whole(store, rows):
    opened = asyncio.Event()

    async def forever(tx):
        async with tx.savepoint():
            await rows.add(Row(name="inner"))
            opened.set()
            await asyncio.Event().wait()

    with pytest.raises(TransactionError, match="one inside it was open"):
        async with store.transaction() as tx:
            with pytest.raises(KeyError) as inside:
                async with tx.savepoint():
                    inner = asyncio.create_task(forever(tx))
                    await opened.wait()
                    raise KeyError("mine")
            assert not hasattr(inside.value, "__notes__")
            with pytest.raises(TransactionError):
                await rows.add(Row(name="after"))
    inner.cancel()
    with pytest.raises(asyncio.CancelledError):
        await inner
    assert await rows.count() == 0


async def test_a_part_that_ends_well_while_one_inside_it_is_open_is_not_kept(store, rows):
    opened, go = asyncio.Event(), asyncio.Event()

    async def until_told(tx):
        async with tx.savepoint():
            await rows.add(Row(name="inner"))
            opened.set()
            await go.wait()

    with pytest.raises(TransactionError, match="one inside it was open"):
        async with store.transaction() as tx:
            with pytest.raises(TransactionError, match="a part of it was still open"):
                async with tx.savepoint():
                    inner = asyncio.create_task(until_told(tx))
                    await opened.wait()
    go.set()
    with pytest.raises(TransactionError):
        await inner
    assert await rows.count() == 0


async def test_a_part_that_can_not_begin_leaves_the_turn_to_others(store, rows):
    async def refused():
        raise StorageError("test", "the disk is full")

    async with store.transaction() as tx:
        store.driver.before = refused
        with pytest.raises(StorageError, match="the disk is full"):
            async with tx.savepoint():
                pytest.fail("it did not begin")
        async with asyncio.timeout(30):
            await rows.add(Row(name="after"))
            async with tx.savepoint():
                await rows.add(Row(name="inside"))
    assert await rows.count() == 2


@pytest.mark.parametrize("fails", [True, False])
async def test_what_a_task_does_in_a_part_that_ends_is_refused(store, rows, fails):
    ends, done = asyncio.Event(), asyncio.Event()

    async def ending():
        ends.set()
        await done.wait()

    async def late():
        await ends.wait()
        try:
            await rows.add(Row(name="late"))
        finally:
            done.set()

    async with store.transaction() as tx:
        with pytest.raises(KeyError) if fails else nullcontext():
            async with tx.savepoint():
                task = asyncio.create_task(late())
                store.driver.before = ending
                if fails:
                    raise KeyError("mine")
        with pytest.raises(TransactionError, match="is over"):
            await task
    assert await rows.count() == 0


async def test_who_is_in_a_part_when_the_whole_ends_is_told_unless_it_fails_itself(store, rows):
    for error in (None, KeyError("mine")):
        opened, over = asyncio.Event(), asyncio.Event()

        async def inside(tx, opened=opened, over=over, error=error):
            async with tx.savepoint():
                opened.set()
                await over.wait()
                if error is not None:
                    raise error

        with pytest.raises(TransactionError, match="a part of it was still open"):
            async with store.transaction() as tx:
                task = asyncio.create_task(inside(tx))
                await opened.wait()
        over.set()
        with pytest.raises(TransactionError if error is None else KeyError):
            await task


@pytest.mark.parametrize("ends", ["the part", "the whole"])
async def test_who_waits_beside_a_part_goes_on_when_it_ends_and_is_told_when_all_does(
    store, rows, ends
):
    opened, over = asyncio.Event(), asyncio.Event()
    tasks = []

    async def part(tx):
        async with tx.savepoint():
            opened.set()
            await over.wait()

    async def whole():
        async with store.transaction() as tx:
            tasks.append(asyncio.create_task(part(tx)))
            await opened.wait()
            tasks.append(asyncio.create_task(rows.add(Row(name="beside"))))
            while not tx.scopes.turns._waiting:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0)
            if ends == "the part":
                over.set()
                await asyncio.gather(*tasks)

    if ends == "the part":
        await whole()
    else:
        with pytest.raises(TransactionError, match="still open"):
            await whole()
        over.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(each) for each in found] == [TransactionError] * 2
    assert await rows.count() == (ends == "the part")


async def test_transactions_of_two_stores_in_one_another_have_parts_of_their_own(store, rows):
    heard = []

    async def undone():
        heard.append("undone")

    async with open_store("memory://", [Row]) as other:
        await other.create_schema()
        others = other.repository(Row)
        async with store.transaction() as tx, other.transaction():
            with pytest.raises(KeyError):
                async with tx.savepoint():
                    tx.after_commit(undone)
                    await rows.add(Row(name="undone"))
                    await others.add(Row(name="kept"))
                    raise KeyError("mine")
            await rows.add(Row(name="kept"))
        assert await rows.select(Row.name) == await others.select(Row.name) == [("kept",)]
    assert heard == []


async def test_who_opened_a_block_is_outside_of_it_once_another_task_has_left_it(store, rows):
    block, over = store.transaction(), asyncio.Event()

    async def late():
        await over.wait()
        await rows.add(Row(name="late"))

    await block.__aenter__()
    inside = asyncio.create_task(late())
    await rows.add(Row(name="inside"))
    await asyncio.create_task(block.__aexit__(None, None, None))
    over.set()
    with pytest.raises(TransactionError, match="is over"):
        await inside
    with pytest.raises(TransactionError, match="is over"):
        await block.__aexit__(None, None, None)
    with pytest.raises(TransactionError, match="not open"):
        await store.transaction().__aexit__(None, None, None)
    await rows.add(Row(name="outside"))
    assert await rows.select(Row.name, order_by=Row.id.asc()) == [("inside",), ("outside",)]


def test_a_transaction_of_this_thread_holds_up_no_call_on_another_store():
    with sync.open_store("memory://", [Row]) as one, sync.open_store("memory://", [Row]) as other:
        one.create_schema()
        other.create_schema()
        with one.transaction():
            assert Context().run(other.repository(Row).count) == 0
            with pytest.raises(TransactionError, match="in another context"):
                Context().run(one.repository(Row).count)
