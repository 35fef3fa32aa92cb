"""Figures of every part for Prometheus, read by its own parser."""

import subprocess
import sys
from contextlib import nullcontext

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from holdfast.errors import NotFoundError
from holdfast.media import Project
from holdfast.metrics import MetricsCollector
from holdfast.platform import open_platform
from holdfast.settings import Settings
from holdfast.stats import OperationRecorder
from servers import database_on


def samples(text):
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def labels(*, backend, name="default", **more):
    return tuple(sorted({"name": name, "backend": backend, **more}.items()))


async def test_a_platform_tells_the_figures_of_all_parts(tmp_path):
    objects = {"logs_bucket": "memory://"}
    async with open_platform(Settings(data=tmp_path, objects=objects)) as platform:
        await platform.bucket.put("k", b"12345")
        with pytest.raises(NotFoundError):
            await platform.bucket.get("none")
        await platform.cache.set("k", 1)
        await platform.cache.get("k")
        async with platform.store.transaction():
            await platform.library.project("p")
        for _ in range(3):
            await platform.jobs.enqueue("x")
        claim = await platform.jobs.claim("w")
        await platform.jobs.complete(claim)
        await platform.jobs.write_figures()
        found = samples(await platform.metrics().exposition())
    disk = labels(backend="disk", operation="put")
    assert found["holdfast_bucket_operation_seconds_count", *disk] == 1
    assert found["holdfast_bucket_operation_bytes_total", *disk] == 5
    got = labels(backend="disk", operation="get")
    assert found["holdfast_bucket_operation_errors_total", *got] == 1
    assert found["holdfast_cache_hits_total", *labels(backend="memory")] == 1
    assert found["holdfast_store_committed_total", *labels(backend="sqlite")] >= 1
    assert found["holdfast_store_connections_open", *labels(backend="sqlite")] >= 1
    assert found["holdfast_bucket_retries_total", *labels(backend="memory", name="logs")] == 0
    assert found["holdfast_jobs", ("queue", "default"), ("status", "queued")] == 2
    assert ("holdfast_jobs", ("queue", "default"), ("status", "failed")) not in found
    task = (("queue", "default"), ("status", "succeeded"), ("task", "x"))
    assert found["holdfast_job_ends_total", *task] == 1
    buckets = {
        dict(pairs)["le"]: value
        for (name, *pairs), value in found.items()
        if name == "holdfast_job_attempt_seconds_bucket"
    }
    assert len(buckets) == 21
    assert buckets["+Inf"] == 1
    assert ("holdfast_jobs_oldest_due_seconds", ("queue", "default")) in found


@pytest.mark.parametrize("name", ["memory", "sqlite", "postgresql"])
async def test_operations_on_records_have_their_latencies_on_every_backend(tmp_path, name):
    with database_on(name) if name == "postgresql" else nullcontext("memory://") as url:
        store = "" if name == "sqlite" else url
        settings = Settings(data=tmp_path, store=store, bucket="memory://")
        async with open_platform(settings) as opened:
            project = await opened.library.project("p")
            await opened.store.repository(Project).get_one(project.id)
            async with opened.store.transaction():
                await opened.store.repository(Project).find()
            found = samples(await opened.metrics().exposition())
    for operation in ("get", "find", "begin", "commit"):
        of_it = labels(backend=name, operation=operation)
        count = found["holdfast_store_operation_seconds_count", *of_it]
        assert count >= 1
        assert 0 < found["holdfast_store_operation_seconds_sum", *of_it] < 60 * count


def test_a_histogram_counts_up_to_every_edge():
    recorder = OperationRecorder()
    for seconds in (1e-6, 1e-5, 3e-5, 0.01, 5000.0):
        recorder.record("x", seconds, failed=False)
    buckets = recorder.operations()["x"].buckets
    edges = [edge for edge, _ in buckets]
    assert edges[:3] == [1e-5, 4e-5, 1.6e-4]
    counts = dict(buckets)
    assert (counts[1e-5], counts[4e-5], counts[1.6e-4]) == (2, 3, 3)
    assert next(count for edge, count in buckets if edge > 0.011) == 4
    assert buckets[-1][1] == 4  # the longest is beyond the last edge


def test_a_registry_takes_several_parts_of_one_kind():
    registry = CollectorRegistry()
    registry.register(MetricsCollector({}, None))
    assert list(registry.collect()) == []


def test_without_prometheus_client_the_extra_is_named():
    program = (
        "import sys; sys.modules['prometheus_client'] = None\n"
        "from holdfast.errors import ConfigurationError\n"
        "try:\n    import holdfast.metrics\n"
        "except ConfigurationError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert "pip install 'holdfast[metrics]'" in done.stdout, done.stderr
