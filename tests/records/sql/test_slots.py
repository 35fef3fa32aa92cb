"""Who waits for a connection of a pool: in their order, each for the same time."""

import asyncio

import pytest

from holdfast.records.drivers.sql.connections.pool import TaskSlots


async def waiting(slots, count):
    """Return *count* tasks that wait for one of *slots*, in their order."""
    tasks = [asyncio.create_task(slots.acquire()) for _ in range(count)]
    await asyncio.sleep(0)
    assert slots.waiting == count
    return tasks


async def test_who_waits_is_served_in_turn_and_nobody_comes_between():
    slots = TaskSlots(1, 30)
    assert slots.take()
    first, second = await waiting(slots, 2)
    slots.release()
    assert not slots.take()
    assert await first
    assert not second.done()
    slots.release()
    assert await second


async def test_a_slot_handed_to_a_task_that_is_cancelled_in_that_moment_goes_to_the_next():
    slots = TaskSlots(1, 30)
    assert slots.take()
    first, second = await waiting(slots, 2)
    slots.release()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await second
    slots.release()
    assert slots.take()


async def test_a_task_that_was_cancelled_while_it_waited_is_passed_over():
    slots = TaskSlots(1, 30)
    assert slots.take()
    first, second = await waiting(slots, 2)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert slots.waiting == 1
    slots.release()
    assert await second


async def test_each_of_those_that_wait_gives_up_at_its_time():
    slots = TaskSlots(1, 0.02)
    assert slots.take()
    (first,) = await waiting(slots, 1)
    assert not await first
    second, third = await waiting(slots, 2)
    assert [await second, await third] == [False, False]
    assert slots.waiting == 0
    slots.release()
    assert slots.take()
