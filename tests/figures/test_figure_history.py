"""Figures: rings of slots that never grow, added to by many, read back in their order."""

import asyncio
from datetime import UTC, datetime

import pytest

from holdfast import open_store
from holdfast.figures import FigureHistory, FigureSlot, Resolution
from servers import empty_store


@pytest.fixture(params=["memory", "postgresql"])
async def history(request, tmp_path, clock):
    with empty_store(request.param, tmp_path) as url:
        async with open_store(url, [FigureSlot], clock=clock) as store:
            await store.create_schema()
            yield FigureHistory(store)


async def last(history, resolution, name="n"):
    _, values = await history.read(resolution, (name,))
    return values[name][-1]


async def test_counts_of_all_who_write_are_added_up_at_each_resolution(history, clock):
    await asyncio.gather(*(history.add({"n": 1}) for _ in range(4)))
    await history.add({"n": 2.5, "other": 1})
    for resolution in Resolution:
        assert await last(history, resolution) == 6.5
    assert await last(history, Resolution.HOUR, "other") == 1
    assert await last(history, Resolution.HOUR, "unknown") is None


async def test_a_slot_is_overwritten_when_its_turn_comes_again(history, clock):
    steps = Resolution.HOUR.slots + 5
    for number in range(steps):
        await history.set(Resolution.HOUR, {"n": number})
        clock.forward(minutes=1)
    starts, values = await history.read(Resolution.HOUR, ("n",))
    assert values["n"] == [*range(steps - 59, steps), None]
    assert starts == sorted(starts)
    assert await history.store.repository(FigureSlot).count() == Resolution.HOUR.slots


async def test_what_is_older_than_the_ring_is_not_taken_for_new(history, clock):
    await history.set(Resolution.HOUR, {"n": 1})
    clock.forward(hours=1)
    assert await last(history, Resolution.HOUR) is None


def test_slots_begin_at_whole_steps():
    moment = datetime(2026, 1, 2, 3, 44, 5, tzinfo=UTC)
    assert Resolution.DAY.start(moment) == datetime(2026, 1, 2, 3, 30, tzinfo=UTC)
