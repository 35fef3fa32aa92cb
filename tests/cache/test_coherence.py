"""After an invalidation nobody reads what was there before, whatever happens to the store."""

import pytest

from cache.coherence import plant, run
from servers import require

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def server():
    require("redis-server")


async def test_two_clients_read_nothing_stale_through_random_faults():
    record = await run(5, seed=1)
    assert record.stale == []
    assert record.counts["reads"] > 200
    assert record.counts["applied"] > 20
    assert record.counts["pending"] > 0


async def test_nor_with_copies_in_the_clients():
    record = await run(5, seed=3, near=0.03)
    assert record.stale == []
    assert record.counts["near hits"] > 200
    assert record.counts["applied"] > 20


@pytest.mark.parametrize("bug", ["unfenced", "forgetful", "deaf", "hasty"])
async def test_a_planted_bug_is_found(bug):
    mend = plant(bug)
    near = 0.05 if bug in {"deaf", "hasty"} else 0.0
    try:
        record = await run(40, seed=2, faults=bug == "forgetful", near=near)
    finally:
        mend()
    assert record.stale
