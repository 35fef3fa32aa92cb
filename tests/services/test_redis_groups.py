"""The cluster and the Sentinels: real processes, made whole, found whole again."""

import os
import signal

import pytest
from tools.services import source
from tools.services.endpoints import endpoints
from tools.services.lifecycle import start
from tools.services.redis_cluster import REDIS_CLUSTER
from tools.services.redis_protocol import session
from tools.services.redis_sentinel import REDIS_SENTINEL
from tools.services.state import load

GROUPS = (REDIS_CLUSTER, REDIS_SENTINEL)
pytestmark = pytest.mark.skipif(
    source.find(REDIS_CLUSTER.source) is None, reason=REDIS_CLUSTER.source.how()
)


def begin(folder):
    for outcome in start(GROUPS, folder, say=lambda _: None):
        assert outcome.failure is None, outcome.failure
    return {name: record.pids for name, record in load(folder).servers.items()}


def test_both_are_whole_and_one_that_was_killed_is_all_that_starts_again(folder):
    first = begin(folder)
    assert begin(folder) == first
    os.kill(first["redis-cluster"]["redis-cluster-6"], signal.SIGKILL)
    os.kill(first["redis-sentinel"]["redis-sentinel-3"], signal.SIGKILL)
    second = begin(folder)
    changed = {
        launch
        for name, pids in first.items()
        for launch, pid in pids.items()
        if second[name][launch] != pid
    }
    assert changed == {"redis-cluster-6", "redis-sentinel-3"}

    [*hosts] = endpoints(folder)["redis-cluster"].address.hosts
    assert len(hosts) == 6
    with session(*hosts[0]) as ask:
        nodes = [line.split() for line in str(ask("CLUSTER", "NODES")).splitlines()]
    assert sum("slave" in node[2] for node in nodes) == 3
    slots = [range_ for node in nodes for range_ in node[8:]]
    assert sorted(slots) == ["0-5460", "10922-16383", "5461-10921"]
    assert len(endpoints(folder)["redis-sentinel"].address.hosts) == 3
