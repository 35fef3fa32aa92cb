"""After an invalidation nobody reads what was there before, whatever happens to the store."""

import pytest

from cache.coherence import Trial, run
from cache.planted import BUGS, NEAR, plant
from servers import require

pytestmark = pytest.mark.anyio

READS = ("get_or_set", "get_or_set_many", "get_many")


@pytest.fixture(autouse=True)
def server():
    require("redis-server")


LONGEST = 600.0  # seconds more for a machine that is busy; nothing stale is found sooner or later


def much(record):
    """Whether a trial has done what its test asks for."""
    return (
        all(record.counts[kind] > 100 for kind in READS)
        and record.counts["invalidations applied"] > 20
        and record.counts["invalidations pending"] > 0
        and record.counts["first after it"] > 100
        and record.faults.total() > 3
    )


def much_near(record):
    return record.near_hits() > 200 and record.counts["invalidations applied"] > 20


async def test_two_clients_read_nothing_stale_through_random_faults():
    record = await run(Trial(seconds=5, seed=1, enough=much, longest=LONGEST))
    assert record.stale == []
    assert all(record.counts[kind] > 100 for kind in READS)
    assert record.counts["invalidations applied"] > 20
    assert record.counts["invalidations pending"] > 0
    assert record.counts["first after it"] > 100
    assert record.faults.total() > 3


async def test_nor_with_copies_in_the_clients():
    record = await run(Trial(seconds=5, seed=3, near=0.2, enough=much_near, longest=LONGEST))
    assert record.stale == []
    assert record.counts["near hits"] > 200
    assert record.counts["invalidations applied"] > 20


@pytest.mark.parametrize("bug", BUGS)
async def test_a_planted_bug_is_found(bug):
    """Also one by which a stale read is possible for five milliseconds alone."""
    mend = plant(bug)
    near = 0.05 if bug in NEAR else 0.0
    try:
        record = await run(Trial(seconds=LONGEST, seed=2, faults=bug == "forgetful", near=near))
    finally:
        mend()
    assert record.stale
