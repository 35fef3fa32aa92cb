"""Cancellation at every await: the store is as before or as after, and works on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeAlias

from holdfast.records.conformance.case import case
from holdfast.records.conformance.sample_entities import Author, Setting, Tally
from holdfast.records.driver import StoreCapability
from holdfast.records.expressions.predicates import everything
from holdfast.records.transactions.transaction import Transaction

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator

    from holdfast.records.conformance.lab import Lab

Work: TypeAlias = "Callable[[Lab], Awaitable[object]]"
STEPS = 60
"""More awaits than any work here has; reaching them means that it never ends."""


class CancelledAt:
    """Awaits *work*, and cancels the task that does so at its *step*-th suspension.

    When *late*, only once what is waited for has come, just before the task is woken.
    """

    def __init__(self, work: Coroutine[object, None, object], step: int, *, late: bool) -> None:
        self._work = work
        self._step = step
        self._late = late

    def __await__(self) -> Generator[object, None, object]:
        task = asyncio.current_task()
        assert task is not None
        thrown: BaseException | None = None
        step = 0
        while True:
            try:
                waiting = self._work.send(None) if thrown is None else self._work.throw(thrown)
            except StopIteration as stop:
                return stop.value
            if step == self._step:
                if self._late and isinstance(waiting, asyncio.Future):
                    waiting.add_done_callback(lambda _done: task.cancel())
                else:
                    task.cancel()
            step += 1
            thrown = None
            try:
                yield waiting
            except BaseException as error:  # noqa: BLE001 - the work decides what it means
                thrown = error


async def _add(lab: Lab) -> None:
    await lab.repository(Setting).add(Setting(name="new"))


async def _add_many(lab: Lab) -> None:
    await lab.repository(Setting).add_many([Setting(name=f"new{each}") for each in range(5)])


async def _update(lab: Lab) -> None:
    tally = await lab.repository(Tally).get_one("t")
    tally.total = 99
    await lab.repository(Tally).update(tally)


async def _patch(lab: Lab) -> None:
    await lab.repository(Tally).patch("t", Tally.total.increment(1), when=Tally.total < 99)


async def _upsert(lab: Lab) -> None:
    await lab.repository(Author).upsert(Author(name="known", born=7), on=[Author.name])


async def _delete(lab: Lab) -> None:
    await lab.repository(Setting).delete_where(everything())


async def _read(lab: Lab) -> None:
    await lab.repository(Author).page(size=1, total=True, load=[Author.books])
    async for _each in lab.repository(Setting).stream(
        batch=1,
    ):
        pass


@case("CANCEL-1", tasks_only=True)
async def single_writes_survive_cancellation_at_every_await(lab: Lab) -> None:
    for work in (_add, _add_many, _update, _patch, _upsert, _delete, _read):
        await _cancel_everywhere(lab, work)


async def _transaction(lab: Lab) -> None:
    async with lab.store.transaction():
        await _add(lab)
        await _patch(lab)
        await _upsert(lab)


@case("CANCEL-1", needs=(StoreCapability.TRANSACTIONS,), tasks_only=True)
async def a_transaction_survives_cancellation_at_every_await(lab: Lab) -> None:
    await _cancel_everywhere(lab, _transaction)


async def _savepoints(lab: Lab) -> None:
    async with lab.store.transaction() as tx:
        await _add(lab)
        async with tx.savepoint():
            await _patch(lab)
            async with tx.savepoint():
                await _upsert(lab)


async def _snapshot(lab: Lab) -> None:
    async with lab.store.transaction(read_only=True):
        await lab.repository(Setting).find()
        await lab.repository(Tally).find()


@case("CANCEL-1", needs=(StoreCapability.TRANSACTIONS, StoreCapability.SAVEPOINTS), tasks_only=True)
async def savepoints_survive_cancellation_at_every_await(lab: Lab) -> None:
    await _cancel_everywhere(lab, _savepoints)
    if lab.has_snapshots:
        await _cancel_everywhere(lab, _snapshot)


@case("CANCEL-3", needs=(StoreCapability.TRANSACTIONS,), tasks_only=True)
async def what_comes_after_a_commit_comes_though_its_task_is_cancelled(lab: Lab) -> None:
    settings = lab.repository(Setting)
    done: list[int] = []

    async def work() -> None:
        transaction = lab.store.transaction()
        assert isinstance(transaction, Transaction)
        async with transaction as tx:
            await settings.add(Setting(name="a"))

            async def callback() -> None:
                done.append(1)
                await asyncio.sleep(0)
                done.append(2)

            tx.after_commit(callback)

    for late in (False, True):
        for step in range(STEPS):
            await settings.delete_where(everything())
            done.clear()
            cancelled = await _cancelled(work(), step, late=late)
            for _ in range(STEPS):
                await settings.count(Setting.name == "other")
                await asyncio.sleep(0)  # what is on its way goes on
            assert done == ([1, 2] if await settings.count() else []), (step, late)
            if not cancelled:
                break
        else:
            raise AssertionError("the work never ends")


@case("CANCEL-2", needs=(StoreCapability.TRANSACTIONS, StoreCapability.SAVEPOINTS), tasks_only=True)
async def a_transaction_goes_on_after_a_part_of_it_was_cancelled(lab: Lab) -> None:
    settings = lab.repository(Setting)

    async def part(tx: object) -> None:
        async with tx.savepoint():  # type: ignore[attr-defined]
            await settings.add(Setting(name="inner"))

    for late in (False, True):
        for step in range(STEPS):
            await settings.delete_where(everything())
            done = False
            try:
                async with lab.store.transaction() as tx:
                    await settings.add(Setting(name="a"))
                    try:
                        async with tx.savepoint():
                            await settings.add(Setting(name="outer"))
                            done = await _cancelled(part(tx), step, late=late) is False
                            names = [each.name for each in await settings.find()]
                            assert names in (["a", "inner", "outer"], ["a", "outer"]), names
                            raise ZeroDivisionError
                    except ZeroDivisionError:
                        pass
                    names = [each.name for each in await settings.find()]
                    assert names == ["a"], (step, late, names)
                    await settings.add(Setting(name="b"))
            finally:
                names = [each.name for each in await settings.find()]
            assert names == ["a", "b"], (step, late, names)
            if done:
                break
        else:
            raise AssertionError("the work never ends")


async def _cancelled(work: Coroutine[object, None, object], step: int, *, late: bool) -> bool:
    """Run *work* in this task, cancelled at *step*; tell whether the cancellation came through."""

    async def run() -> object:
        return await CancelledAt(work, step, late=late)

    try:
        await run()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        assert task is not None
        task.uncancel()
        return True
    return False


async def _cancel_everywhere(lab: Lab, work: Work) -> None:
    """Hold that *work*, cancelled at any await, is done whole or not at all, and harms nothing."""
    for late in (False, True):
        for step in range(STEPS):
            await _reset(lab)
            before = await lab.contents()

            async def run(step: int = step, late: bool = late) -> object:
                async def whole() -> object:
                    return await work(lab)

                return await CancelledAt(whole(), step, late=late)

            task = asyncio.ensure_future(run())
            cancelled = False
            try:
                await task
            except asyncio.CancelledError:
                cancelled = True
            await _still_works(lab)  # a later write waits for what is still on its way
            found = await lab.contents()
            if not cancelled:
                break
            if found != before:
                await _reset(lab)
                await work(lab)
                assert _shape(found) == _shape(await lab.contents()), (work, step, late)
        else:
            raise AssertionError(f"{work} never ends")


async def _reset(lab: Lab) -> None:
    for entity in (Setting, Tally, Author):
        await lab.repository(entity).delete_where(everything())
    await lab.repository(Setting).add_many([Setting(name="x"), Setting(name="y")])
    await lab.repository(Tally).add(Tally(id="t"))
    await lab.repository(Author).add(Author(name="known"))


def _shape(contents: dict[str, list[dict[str, object]]]) -> list[object]:
    """Return *contents* without the keys that are new each time."""
    return [
        {name: value for name, value in row.items() if entity != "Author" or name != "id"}
        for entity, rows in contents.items()
        for row in rows
    ]


async def _still_works(lab: Lab) -> None:
    repository = lab.repository(Setting)
    async with asyncio.timeout(3):
        await repository.upsert(Setting(name="works", value="on"))
        assert (await repository.get_one("works")).value == "on"
        assert await repository.delete("works") is True
