"""Numbers and times among options: what is none, or out of bounds, is refused by its name."""

from datetime import timedelta

import pytest

from holdfast import CacheOptions
from holdfast.errors import ConfigurationError
from holdfast.fastapi import DownloadOptions, EventStreamOptions, HTTPOptions
from holdfast.hosts import HostPoolOptions, ScalingPolicy
from holdfast.jobs import Backoff, EnqueueOptions, RetryPolicy, WorkerOptions
from holdfast.objects import DiskOptions, S3Options
from holdfast.records import open_store
from holdfast.records.options import (
    DynamoDBOptions,
    MariaDBOptions,
    MemoryOptions,
    PostgreSQLOptions,
    SQLiteOptions,
)
from holdfast.web.serve_options import ServeOptions

MIB = 1024 * 1024
WHOLE = [
    (CacheOptions, "journal", 1, None),
    (CacheOptions, "near_largest", 1, None),
    (DownloadOptions, "most_ranges", 1, None),
    (DynamoDBOptions, "attempts", 1, 100),
    (DynamoDBOptions, "connections", 1, 1000),
    (DynamoDBOptions, "scan_segments", 1, 64),
    (EnqueueOptions, "max_attempts", 1, None),
    (EventStreamOptions, "most_per_client", 1, None),
    (HTTPOptions, "max_json_depth", 1, None),
    (HostPoolOptions, "attempts", 1, None),
    (HostPoolOptions, "failures", 0, None),
    (RetryPolicy, "attempts", 1, None),
    (ScalingPolicy, "calm", 1, None),
    (ScalingPolicy, "least", 0, None),
    (ServeOptions, "processes", 1, None),
    (WorkerOptions, "concurrency", 1, None),
    (WorkerOptions, "processes", 1, None),
    (DiskOptions, "threads", 1, 64),
    (S3Options, "attempts", 1, 100),
    (S3Options, "connections", 1, 1000),
    (S3Options, "part", 5 * MIB, 5 * 1024 * MIB),
    (S3Options, "threads", 1, 64),
]
NUMBERS = [
    (Backoff, "jitter", 0, 1),
    (CacheOptions, "early", 0, 86_400),
    (CacheOptions, "near", 0, 1),
    (MemoryOptions, "lock_timeout", 0, None),
    (SQLiteOptions, "lock_timeout", 0, None),
]
POSITIVE = [
    (CacheOptions, "timeout"),
    (DiskOptions, "lock_timeout"),
    (DynamoDBOptions, "total_timeout"),
    (S3Options, "read_timeout"),
]
SPANS = [
    (DownloadOptions, "stall"),
    (EventStreamOptions, "heartbeat"),
    (WorkerOptions, "lease"),
    (WorkerOptions, "poll"),
]


def refused(options, name, *values):
    for value in values:
        with pytest.raises(ConfigurationError, match=rf"^{name}=.*: expected a"):
            options(**{name: value})


@pytest.mark.parametrize(("options", "name", "least", "most"), WHOLE)
def test_a_whole_number_is_one_and_within_its_bounds(options, name, least, most):
    assert getattr(options(**{name: least}), name) == least
    refused(options, name, least - 1, str(least), least + 0.5, True)
    if most is not None:
        assert getattr(options(**{name: most}), name) == most
        refused(options, name, most + 1)


@pytest.mark.parametrize(("options", "name", "least", "most"), NUMBERS)
def test_a_number_is_one_and_within_its_bounds(options, name, least, most):
    assert getattr(options(**{name: least}), name) == least
    refused(options, name, least - 0.5, str(least), float("nan"))
    if most is not None:
        assert getattr(options(**{name: most}), name) == most
        refused(options, name, most + 0.5, float("inf"))


@pytest.mark.parametrize(("options", "name"), POSITIVE)
def test_a_number_of_seconds_is_above_0_and_ends(options, name):
    assert getattr(options(**{name: 0.5}), name) == 0.5
    refused(options, name, 0, -1.0, float("inf"), float("nan"), "1")


@pytest.mark.parametrize(("options", "name"), SPANS)
def test_a_time_is_a_timedelta_above_0(options, name):
    assert getattr(options(**{name: timedelta(seconds=1)}), name) == timedelta(seconds=1)
    refused(options, name, timedelta(0), timedelta(seconds=-1), 1, 1.5)


def test_a_grace_may_be_none_at_all():
    assert HostPoolOptions(grace=timedelta(0)).grace == timedelta(0)
    refused(HostPoolOptions, "grace", timedelta(seconds=-1), 0)


@pytest.mark.parametrize(
    ("name", "wrong"), [("pool_size", "5"), ("max_overflow", -1), ("pool_timeout", "30")]
)
@pytest.mark.parametrize("options", [MariaDBOptions, PostgreSQLOptions])
def test_options_of_a_pool_are_refused_when_the_store_is_named(options, name, wrong):
    scheme = "mariadb" if options is MariaDBOptions else "postgresql"
    with pytest.raises(ConfigurationError, match=f"^{name}={wrong!r}: expected a"):
        open_store(f"{scheme}://root@localhost/x", [], options=options(**{name: wrong}))
