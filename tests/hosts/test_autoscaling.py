"""Workers as the queue of jobs needs them."""

from datetime import timedelta

import pytest

from holdfast import open_store
from holdfast.errors import ConfigurationError
from holdfast.hosts import Autoscaler, HostPool, ScalingPolicy, Template
from holdfast.hosts.host_entities import HOST_ENTITIES
from holdfast.jobs import EnqueueOptions, Job, Jobs
from hosts.disk_provider import DiskProvider

pytestmark = pytest.mark.anyio


async def test_workers_come_at_once_and_go_when_few_have_been_enough_for_some_looks(
    tmp_path, clock
):
    async with open_store("memory://", [*HOST_ENTITIES, Job], clock=clock) as store:
        await store.create_schema()
        jobs, provider = Jobs(store), DiskProvider(tmp_path / "machines")
        pool = HostPool(store, [provider])
        await pool.add_template(Template(name="a", provider_type="disk", max_number=10))
        policy = ScalingPolicy(least=1, most=4, jobs_each=2, calm=3)
        scaler = Autoscaler(pool, store, policy)

        async def look():
            told = await scaler.look()
            assert len(provider.living()) == sum(
                each.status.value == "running" for each in await pool.machines.get_live()
            )
            return told.jobs, told.workers, told.wanted, len(provider.living())

        assert await look() == (0, 0, 1, 1)
        for _ in range(5):
            await jobs.enqueue("t")
        await jobs.enqueue("t", options=EnqueueOptions(delay=timedelta(hours=1)))
        await jobs.enqueue("t", options=EnqueueOptions(queue="other"))
        assert await look() == (5, 1, 3, 3)
        claims = [await jobs.claim("w") for _ in range(5)]
        assert await look() == (5, 3, 3, 3)  # what runs counts as well
        for each in claims:
            await jobs.complete(each, None)
        newest = (await pool.machines.get_live())[-1].id
        assert await look() == (0, 3, 1, 3)
        assert await look() == (0, 3, 1, 3)
        assert await look() == (0, 3, 1, 1)
        assert str(newest) not in provider.living()
        provider.away = True  # what was asked for is not asked for again
        for _ in range(9):
            await jobs.enqueue("t")
        assert await look() == (9, 1, 4, 1)
        assert await look() == (9, 4, 4, 1)


def test_a_policy_is_bounded():
    policy = ScalingPolicy(least=2, most=5, jobs_each=10)
    assert [policy.workers_for(jobs) for jobs in (0, 20, 21, 1000)] == [2, 2, 3, 5]
    for wrong in ({"least": 5}, {"least": -1}, {"jobs_each": 0}, {"calm": 0}):
        with pytest.raises(ConfigurationError):
            ScalingPolicy(**wrong)
