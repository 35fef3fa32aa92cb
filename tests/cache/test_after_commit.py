"""Transactions say when they are committed."""

import asyncio
from uuid import UUID

import pytest

from holdfast import Entity, Field, field, key, open_store, sync, uuid7
from holdfast.errors import ConflictError, TransactionError

pytestmark = pytest.mark.anyio


class Row(Entity, table="rows"):
    id: Field[UUID] = key(default_factory=uuid7)
    name: Field[str] = field(unique=True)


@pytest.fixture(params=["memory://", "sqlite"])
async def store(request, tmp_path):
    url = f"sqlite:///{tmp_path}/t.db" if request.param == "sqlite" else request.param
    async with open_store(url, [Row]) as opened:
        await opened.create_schema()
        yield opened


def told(heard, word):
    async def callback():
        heard.append(word)

    return callback


async def test_callbacks_run_in_order_after_the_commit_and_outside(store):
    heard = []
    rows = store.repository(Row)

    async def look():
        heard.append(await rows.count())
        async with store.transaction():
            await rows.add(Row(name="from the callback"))

    async with store.transaction() as tx:
        await rows.add(Row(name="a"))
        tx.after_commit(told(heard, "first"))
        tx.after_commit(look)
        assert heard == []
    assert heard == ["first", 1]
    assert await rows.count() == 2


async def test_a_rollback_runs_none(store):
    heard = []
    with pytest.raises(KeyError):
        async with store.transaction() as tx:
            tx.after_commit(told(heard, "never"))
            raise KeyError
    assert heard == []


async def test_a_commit_that_fails_runs_none(store, monkeypatch):
    heard = []
    rows = store.repository(Row)
    with pytest.raises(ConflictError):
        async with store.transaction() as tx:
            tx.after_commit(told(heard, "never"))
            await rows.add(Row(name="a"))
            await rows.add(Row(name="a"))
    assert heard == []
    assert await rows.count() == 0


async def test_a_savepoint_that_is_undone_takes_its_callbacks_with_it(store):
    heard = []
    async with store.transaction() as tx:
        tx.after_commit(told(heard, "before"))
        with pytest.raises(KeyError):
            async with store.transaction() as part:
                part.after_commit(told(heard, "undone"))
                async with part.savepoint() as inner:
                    inner.after_commit(told(heard, "undone with its outer one"))
                raise KeyError
        async with tx.savepoint() as kept:
            kept.after_commit(told(heard, "kept"))
        assert heard == []
    assert heard == ["before", "kept"]


async def test_what_a_callback_raises_escapes_and_the_others_run(store):
    heard = []

    async def fail():
        raise LookupError("mine")

    rows = store.repository(Row)
    with pytest.raises(LookupError, match="mine"):
        async with store.transaction() as tx:
            await rows.add(Row(name="a"))
            tx.after_commit(fail)
            tx.after_commit(told(heard, "still"))
    assert heard == ["still"]
    assert await rows.count() == 1
    with pytest.raises(ExceptionGroup):
        async with store.transaction() as tx:
            tx.after_commit(fail)
            tx.after_commit(fail)


async def test_cancelling_one_callback_keeps_the_others_running(store):
    heard = []

    async def cancelled():
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        async with store.transaction() as tx:
            tx.after_commit(cancelled)
            tx.after_commit(told(heard, "still"))
    assert heard == ["still"]


async def test_a_transaction_that_is_over_takes_no_callback(store):
    async with store.transaction() as tx:
        pass
    with pytest.raises(TransactionError):
        tx.after_commit(told([], "never"))


def test_blocking_transactions_tell_too(tmp_path):
    heard = []
    with sync.open_store(f"sqlite:///{tmp_path}/t.db", [Row]) as store:
        store.create_schema()
        rows = store.repository(Row)
        with store.transaction() as tx:
            rows.add(Row(name="a"))
            tx.after_commit(lambda: heard.append(rows.count()))
            with pytest.raises(KeyError), tx.savepoint() as part:
                part.after_commit(lambda: heard.append("undone"))
                raise KeyError
            assert heard == []
        with pytest.raises(TransactionError):
            tx.after_commit(print)
    assert heard == [1]
