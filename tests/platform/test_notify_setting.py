"""The setting by which the workers of a platform are woken through the cache's Redis."""

import asyncio

import pytest

from cache.servers import RedisServer
from holdfast.errors import InvalidSettingsError
from holdfast.platform import open_platform
from holdfast.settings import read_settings
from servers import require

pytestmark = pytest.mark.anyio
CHANNEL = "holdfast_jobs"


async def test_two_platforms_on_sqlite_tell_each_other_of_jobs(monkeypatch, tmp_path):
    require("redis-server")
    told = asyncio.Queue()
    with RedisServer(tmp_path) as redis:
        monkeypatch.setenv("HOLDFAST_CACHE", redis.url)
        monkeypatch.setenv("HOLDFAST_REDIS_NOTIFY", "true")
        async with (
            open_platform(read_settings()) as server,
            open_platform(read_settings()) as worker,
            worker.store.listening(CHANNEL, told.put_nowait),
            asyncio.timeout(60),
        ):
            assert await told.get() is None  # it listens
            await server.jobs.enqueue("resize")
            assert await told.get() == "default"


async def test_without_the_setting_nothing_goes_to_redis(monkeypatch, tmp_path):
    require("redis-server")
    with RedisServer(tmp_path) as redis:
        monkeypatch.setenv("HOLDFAST_CACHE", redis.url)
        async with (
            open_platform(read_settings()) as platform,
            platform.store.listening(CHANNEL, lambda _: None),
        ):
            await platform.jobs.enqueue("resize")
        assert "cmdstat_publish" not in redis.say("INFO", "commandstats")
        assert "cmdstat_subscribe" not in redis.say("INFO", "commandstats")


def test_it_is_refused_where_the_cache_is_in_memory(monkeypatch):
    monkeypatch.setenv("HOLDFAST_REDIS_NOTIFY", "true")
    with pytest.raises(InvalidSettingsError) as refused:
        read_settings()
    (fault,) = refused.value.faults
    assert (fault.name, fault.expected) == (
        "HOLDFAST_REDIS_NOTIFY", "false, as the cache is in memory",
    )  # fmt: skip
