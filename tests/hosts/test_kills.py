"""kill -9 of a pool at each of its steps, and another that goes on."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

import preloaded
from holdfast.hosts.host_entities import MachineStatus, RequestStatus
from holdfast.hosts.host_pool import HostPool
from hosts.disk_provider import DiskProvider

pytestmark = pytest.mark.anyio
CODE = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from hosts.killed_pool import main
main(*sys.argv[1:])
"""


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "dynamodb"])
def backend(request):
    return request.param


@pytest.fixture
def clock():
    return lambda: datetime.now(UTC)  # as the processes have it


async def test_no_machine_is_lost_or_paid_for_twice_wherever_the_pool_is_killed(
    store, url, tmp_path
):
    ran = preloaded.run(CODE, url, tmp_path)
    assert ran.returncode == 0, ran.stderr
    ends = Counter()
    for number in range(1, int(ran.stdout) + 1):
        provider = DiskProvider(tmp_path / str(number))
        # Another pool goes on from the records, in as many rounds as it likes.
        pool = HostPool(store, [provider], pool=f"pool {number}")
        while await pool.requests.get_active_requests():
            await pool.tend()
        requests = (await pool.requests.get_all()).items
        assert {each.status for each in requests} == {RequestStatus.COMPLETE}, number
        assert len(provider.started()) == 2, number
        machines = (await pool.machines.get_all()).items
        running = {str(each.id) for each in machines if each.status is MachineStatus.RUNNING}
        assert running == provider.living(), number
        assert (await pool.template("a")).live == len(running) == requests[-1].live, number
        settled = (await pool.tend()).reconciled
        assert not any((settled.strangers, settled.gone, settled.orphans)), number
        ends[len(requests), len(running)] += 1
    assert ends.keys() == {(1, 2), (2, 1)}  # killed before a machine was to go back, and after
    assert min(ends.values()) > 10
