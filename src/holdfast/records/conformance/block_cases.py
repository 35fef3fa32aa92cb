"""The blocks of a transaction: beside one another, left elsewhere, and with a failure inside."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, cast

from holdfast.errors import (
    ConfigurationError,
    SerializationError,
    TransactionError,
    UnavailableError,
)
from holdfast.records.conformance.case import case
from holdfast.records.conformance.sample_entities import Setting, Tally
from holdfast.records.conformance.transaction_cases import SAVEPOINTS, TRANSACTIONS, Oops
from holdfast.records.driver import StoreCapability
from holdfast.records.expressions.predicates import everything
from holdfast.records.transactions.transaction import Transaction

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

    from holdfast.records.conformance.lab import Lab
    from holdfast.records.driver import Driver, DriverTransaction
    from holdfast.records.driver_requests import Select, TransactionOptions


async def _names(lab: Lab) -> str:
    return "".join(each.name for each in await lab.repository(Setting).find())


# --- beside one another -------------------------------------------------------------------------


@case("TX-11", needs=SAVEPOINTS)
async def parts_beside_one_another_are_each_whole(lab: Lab) -> None:
    settings = lab.repository(Setting)

    async def pay(name: str) -> str:
        try:
            async with lab.store.transaction():
                await settings.add(Setting(name=name, value="first"))
                await settings.patch(name, Setting.value.to("second"))
                async with lab.store.transaction():
                    await settings.add(Setting(name=name.upper()))
                if name in "bd":
                    raise Oops
                await settings.patch(name, Setting.value.to("third"))
        except Oops:
            return "undone"
        return "kept"

    async with lab.store.transaction():
        await settings.add(Setting(name="0"))
        outcomes = await lab.together([lambda name=name: pay(name) for name in "abcde"])  # type: ignore[misc]
        assert outcomes == ["kept", "undone", "kept", "undone", "kept"]
    assert await _names(lab) == "0ACEace"
    assert await settings.count(Setting.value == "third") == 3


@case("TX-11", needs=SAVEPOINTS)
async def what_stands_beside_a_part_is_not_undone_with_it(lab: Lab) -> None:
    settings = lab.repository(Setting)

    async def failing(name: str) -> None:
        try:
            async with lab.store.transaction():
                for number in range(5):
                    await settings.add(Setting(name=f"{name}{number}"))
                raise Oops
        except Oops:
            pass

    async def plain(name: str) -> None:
        await settings.add(Setting(name=name))
        assert (await settings.get_one(name)).name == name
        assert await settings.count(Setting.name > "b") == 0, "a part was seen"

    steps = ((failing, "x"), (plain, "a"), (failing, "y"), (plain, "b"))
    calls: list[Callable[[], Coroutine[object, None, None]]] = [
        partial(work, name) for work, name in steps
    ]
    async with lab.store.transaction():
        assert await lab.together(calls) == [None] * 4
    assert await _names(lab) == "ab"


@case("TX-11", needs=SAVEPOINTS)
async def a_callback_belongs_to_the_part_that_added_it(lab: Lab) -> None:
    done: list[str] = []

    async def part(name: str, tx: Transaction) -> None:
        async def callback() -> None:
            done.append(name)

        try:
            async with lab.store.transaction():
                tx.after_commit(callback)
                await lab.repository(Setting).add(Setting(name=name))
                if name == "b":
                    raise Oops
        except Oops:
            pass

    transaction = lab.store.transaction()
    assert isinstance(transaction, Transaction)
    async with transaction as tx:
        await lab.together([lambda name=name: part(name, tx) for name in "abc"])  # type: ignore[misc]
    assert sorted(done) == ["a", "c"]


@case("TX-12", needs=SAVEPOINTS, tasks_only=True)
async def a_part_that_is_still_open_is_never_committed(lab: Lab) -> None:
    settings = lab.repository(Setting)
    opened, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        async with lab.store.transaction():
            await settings.add(Setting(name="half"))
            opened.set()
            await go_on.wait()
            await settings.add(Setting(name="whole"))

    async with lab.refused(TransactionError):
        async with lab.store.transaction():
            await settings.add(Setting(name="a"))
            task = asyncio.create_task(slow())
            await opened.wait()
    go_on.set()
    (outcome,) = await asyncio.gather(task, return_exceptions=True)
    assert type(outcome) is TransactionError
    await settings.add(Setting(name="b"))
    assert await _names(lab) == "b"


@case("TX-8", needs=SAVEPOINTS, tasks_only=True)
async def what_outlives_its_part_of_a_transaction_is_told(lab: Lab) -> None:
    settings = lab.repository(Setting)
    go_on = asyncio.Event()

    async def late() -> None:
        await go_on.wait()
        await settings.add(Setting(name="late"))

    async with lab.store.transaction() as tx:
        async with tx.savepoint():
            task = asyncio.create_task(late())
            await settings.add(Setting(name="a"))
        go_on.set()
        (outcome,) = await asyncio.gather(task, return_exceptions=True)
        assert type(outcome) is TransactionError
        await settings.add(Setting(name="b"))
    assert await _names(lab) == "ab"


# --- left elsewhere -----------------------------------------------------------------------------


@case("TX-12", needs=TRANSACTIONS, tasks_only=True)
async def an_abandoned_generator_is_undone_and_leaves_no_lock(lab: Lab) -> None:
    settings = lab.repository(Setting)
    closed: list[bool] = []
    lost: list[int] = []

    async def rows() -> AsyncIterator[Setting]:
        try:
            async with lab.store.transaction():
                for name in "xyz":
                    yield await settings.add(Setting(name=name))
        finally:
            closed.append(True)

    async def consume() -> None:
        async for each in rows():
            assert each.name == "x"
            break
        # It may not be closed yet: what comes now is no part of its transaction all the same.
        lost.append(await asyncio.wait_for(settings.count(Setting.name == "x"), 60))
        while not closed:  # noqa: ASYNC110 - the loop closes it, and tells nobody
            await asyncio.sleep(0)
        assert await settings.count() == 0
        await settings.add(Setting(name="after"))

    for _ in range(20):  # more than any pool has connections
        closed.clear()
        await asyncio.create_task(consume())
        assert await _names(lab) == "after"
        await settings.delete("after")
    assert not any(lost), "who left the generator was still inside of its transaction"
    async with aclosing(rows()) as generator:  # type: ignore[type-var]
        async for _each in generator:
            break
    assert await settings.count() == 0


@case("TX-12", needs=TRANSACTIONS)
async def a_block_left_in_another_context_is_undone(lab: Lab) -> None:
    settings = lab.repository(Setting)
    for number in range(20):
        transaction = lab.store.transaction(read_only=lab.has_snapshots and number % 2 == 0)
        assert isinstance(transaction, Transaction)
        enter = lab.outside(transaction.__aenter__)
        leave = lab.outside(lambda: transaction.__aexit__(None, None, None))
        await enter()
        try:
            await leave()
        except TransactionError as refused:
            assert "def" in str(refused), "the habit that causes it is named"
        else:
            raise AssertionError("nobody told that the calls in between were not inside of it")
        error = Oops()
        transaction = lab.store.transaction()
        assert isinstance(transaction, Transaction)
        enter = lab.outside(transaction.__aenter__)
        leave = lab.outside(lambda: transaction.__aexit__(Oops, error, None))
        await enter()
        await leave()
        assert "def" in "".join(error.__notes__), "the habit that causes it is named"
    await settings.add(Setting(name="a"))
    assert await _names(lab) == "a"


# --- with a failure inside ----------------------------------------------------------------------


class _Stopping:
    """A driver whose transactions' reads are stopped while *on*, as by a statement timeout."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self.on = False

    @classmethod
    @contextmanager
    def around(cls, lab: Lab) -> Iterator[_Stopping]:
        driver = lab.store.driver
        stopping = cls(driver)
        lab.store.driver = cast("Driver", stopping)
        try:
            yield stopping
        finally:
            lab.store.driver = driver

    async def begin(self, options: TransactionOptions) -> DriverTransaction:
        return cast("DriverTransaction", _Stopped(await self._driver.begin(options), self))

    def __getattr__(self, name: str) -> object:
        return getattr(self._driver, name)


class _Stopped:
    def __init__(self, work: DriverTransaction, stopping: _Stopping) -> None:
        self._work = work
        self._stopping = stopping

    async def find(self, select: Select[object]) -> object:
        if self._stopping.on:
            raise UnavailableError("the statement was stopped")
        return await self._work.find(select)

    def __getattr__(self, name: str) -> object:
        return getattr(self._work, name)


@case("TX-13", needs=SAVEPOINTS)
async def a_read_that_is_stopped_ends_the_block_around_it(lab: Lab) -> None:
    with _Stopping.around(lab) as stopping:
        settings = lab.repository(Setting)

        async def stopped() -> None:
            stopping.on = True
            try:
                await settings.find()
            finally:
                stopping.on = False

        async with lab.refused(TransactionError) as caught:
            async with lab.store.transaction():
                await settings.add(Setting(name="a"))
                with suppress(UnavailableError):
                    await stopped()
                for call in (settings.find, lambda: settings.add(Setting(name="b"))):
                    try:
                        await call()
                    except TransactionError:
                        continue
                    raise AssertionError("nothing more can be done in the block")
        assert not isinstance(caught.error, SerializationError), "doing it again would not help"
        assert isinstance(caught.error.__cause__, UnavailableError)
        async with lab.store.transaction() as tx:
            await settings.add(Setting(name="a"))
            try:
                async with tx.savepoint():
                    await settings.add(Setting(name="b"))
                    await stopped()
            except UnavailableError:
                pass
            try:
                async with tx.savepoint():
                    with suppress(UnavailableError):
                        await stopped()
            except TransactionError as undone:
                assert isinstance(undone.__cause__, UnavailableError)
            else:
                raise AssertionError("a part with a stopped read in it can't end well")
            await settings.add(Setting(name="c"))
        assert await _names(lab) == "ac"


@case("CONC-6", needs=(*TRANSACTIONS, StoreCapability.SERIALIZABLE_QUERIES))
async def serializable_transactions_leave_no_write_skew(lab: Lab) -> None:
    tallies = lab.repository(Tally)

    async def leave(name: str) -> None:
        async def work() -> None:
            if await tallies.count(Tally.total == 1) > 1:  # one of them has to stay on call
                await tallies.patch(name, Tally.total.to(0))

        await lab.store.retrying(work, attempts=200, isolation="serializable")

    for _ in range(10):
        await tallies.delete_where(everything())
        await tallies.add_many([Tally(id=name, total=1) for name in "ab"])
        outcomes = await lab.together([lambda: leave("a"), lambda: leave("b")])
        assert outcomes == [None, None]
        assert await tallies.count(Tally.total == 1) == 1


# --- in another event loop ----------------------------------------------------------------------


@case("LOOP-1", needs=TRANSACTIONS, tasks_only=True)
async def another_event_loop_is_told_so_at_once(lab: Lab) -> None:
    settings = lab.repository(Setting)

    async def write() -> None:
        await settings.add(Setting(name="b"))

    async def transact() -> None:
        async with lab.store.transaction():
            pass

    await settings.add(Setting(name="a"))

    async def read() -> None:
        await settings.find()

    reads = (read,) if lab.store.affinity.strict else ()
    for call in (write, transact, lab.store.create_schema, lab.store.health, *reads):
        try:
            await asyncio.to_thread(lambda: asyncio.run(call()))
        except ConfigurationError as error:
            assert "event loop" in str(error)
        else:
            raise AssertionError("nobody told that the store belongs to another event loop")
    assert await _names(lab) == "a"
