"""The random searches run, find nothing in a short time, and find a bug that is planted."""

import asyncio

import pytest

from holdfast.cache.outage.invalidation_journal import InvalidationJournal
from holdfast.jobs import Workflows
from holdfast.objects.drivers.s3.range_reader import S3RangeReader
from holdfast.objects.transfer import Digest
from hunt import jobs, redis_server, s3_server
from servers import database_on, require


def test_s3_that_misbehaves():
    for seed in range(3):
        s3_server.run_round(seed, steps=60)


def test_redis_that_stalls_closes_and_restarts():
    require("redis-server")
    asyncio.run(redis_server.run_round(1, steps=40))


def test_bytes_that_nobody_checks_are_found(monkeypatch):
    monkeypatch.setattr(Digest, "check", lambda *_: None)
    take = S3RangeReader._take

    def unchecked(self, response):
        take(self, response)
        self._crc32 = None

    monkeypatch.setattr(S3RangeReader, "_take", unchecked)
    with pytest.raises(AssertionError, match="never put"):
        for seed in range(50):
            s3_server.run_round(seed)


def test_an_invalidation_that_is_forgotten_is_found(monkeypatch):
    require("redis-server")
    monkeypatch.setattr(InvalidationJournal, "add", lambda *_: None)
    with pytest.raises((AssertionError, TimeoutError)):
        for seed in range(30):
            asyncio.run(redis_server.run_round(seed))


def test_jobs_steps_signals_and_workflows(tmp_path):
    for seed in range(4):
        asyncio.run(jobs.play("memory://", seed, steps=60))
    asyncio.run(jobs.play(f"sqlite:///{tmp_path}/hunt.db", 4, steps=60))
    with database_on("postgresql") as url:
        asyncio.run(jobs.play(url, 5, steps=60))


def test_a_job_that_is_released_although_it_waits_for_another_is_found(monkeypatch):
    async def nobody(*_):
        return None

    monkeypatch.setattr(Workflows, "_hold", nobody)
    with pytest.raises(AssertionError):
        for seed in range(50):
            asyncio.run(jobs.play("memory://", seed))
