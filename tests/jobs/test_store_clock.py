import time
from datetime import timedelta
from types import SimpleNamespace

import pytest

from holdfast.clock import utc_now
from holdfast.errors import LeaseLostError
from holdfast.jobs import Jobs, store_clock
from holdfast.jobs.store_clock import StoreClock

pytestmark = pytest.mark.anyio
SKEW = timedelta(minutes=10)
HAVE_CLOCKS = ("postgresql", "mariadb", "mysql")


def skewed(store, by):
    """The jobs of *store* in a process whose clock is off."""
    jobs = Jobs(store)
    jobs.clock = StoreClock(store, local=lambda: utc_now() + by)
    jobs.now = jobs.clock.now
    return jobs


async def test_workers_whose_clocks_differ_hold_and_take_leases_as_others_do(every_live_store):
    store = every_live_store
    if store.backend not in HAVE_CLOCKS:
        assert await store.server_time() is None
        return
    assert abs(await store.server_time() - utc_now()) < SKEW / 2  # one machine
    right, early, late = Jobs(store), skewed(store, SKEW), skewed(store, -SKEW)
    for _ in range(2):
        await right.enqueue("t")
    held = await late.claim("late", lease=timedelta(minutes=1))
    assert held is not None
    assert (await early.claim("early", lease=timedelta(minutes=1))).job.id != held.job.id
    assert await early.claim("early") is None  # and not the one whose lease is not over
    assert (await late.complete(held)).finished_at - held.job.started_at < SKEW / 2


async def test_a_clock_that_a_store_is_opened_with_rules(every_jobs, every_store, clock):
    await every_jobs.enqueue("t")
    claim = await every_jobs.claim("w", lease=timedelta(minutes=1))
    assert claim.job.started_at == clock.time
    clock.forward(minutes=1)
    with pytest.raises(LeaseLostError):
        await every_jobs.complete(claim)


async def test_a_clock_that_is_set_and_a_machine_that_slept_change_nothing(
    every_live_store, monkeypatch
):
    store = every_live_store
    if store.backend not in HAVE_CLOCKS:
        return
    set_by = [timedelta(0)]
    clock = StoreClock(store, local=lambda: utc_now() + set_by[0])
    await clock.compare()
    for set_by[0] in (timedelta(hours=2), timedelta(hours=-2), timedelta(0)):
        assert abs(clock.now() - utc_now()) < SKEW / 2, "before anybody looked"
        await clock.compare()
        assert abs(clock.now() - utc_now()) < SKEW / 2
    uncounted = SimpleNamespace(monotonic=lambda: time.monotonic() - 3600)
    monkeypatch.setattr(store_clock, "time", uncounted)
    assert utc_now() - clock.now() > SKEW, "asleep for an hour"
    await clock.compare()
    assert abs(clock.now() - utc_now()) < SKEW / 2
