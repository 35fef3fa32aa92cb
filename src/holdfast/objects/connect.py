"""Opens a bucket from its URL; each driver is loaded with the first bucket that needs it."""

from __future__ import annotations

import os
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes, urlsplit

from holdfast.backend_url import BackendURL, options_for, parse_url, redacted
from holdfast.errors import ConfigurationError
from holdfast.extras import needs_extra
from holdfast.objects.bucket import Bucket
from holdfast.objects.drivers.s3.aws_hosts import access_point_of
from holdfast.objects.drivers.s3.options import S3Options, address_of, with_environment
from holdfast.objects.instrumentation import NO_HOOKS, Hooks
from holdfast.opening import Opening
from holdfast.option_checks import check_kind, check_positive, check_whole

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from holdfast.objects.driver import BucketDriver
    from holdfast.offload import Offload

_SECRET = re.compile("credential|secret|token|access_?key", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskOptions:
    """How a bucket on disk works.

    *lock_timeout*: seconds that a write waits for others on the same key. *threads*: how many
    blocking calls the async bucket has under way at once. What is made is for this user alone;
    without *private* it is for whom the process's umask lets in.
    """

    lock_timeout: float = 30.0
    threads: int = 4
    private: bool = True

    def __post_init__(self) -> None:
        check_positive(self, "lock_timeout")
        check_whole(self, "threads", most=64)


Options = DiskOptions | S3Options


@dataclass(frozen=True, slots=True)
class BucketPlan:
    """What a URL and options ask for, checked.

    *threads* is how many an async bucket takes; *start* makes the driver ready, with an offload,
    for a blocking bucket or an async one.
    """

    threads: int
    start: Callable[[Offload, bool], AbstractAsyncContextManager[BucketDriver]]


def open_bucket(
    url: str | Path, *, options: Options | None = None, hooks: Hooks = NO_HOOKS
) -> Opening[Bucket]:
    """Return a context manager that opens the bucket at *url* and sweeps it.

    ``memory://`` is a new bucket that ends with the block. ``file:///absolute/folder``, or a
    pathlib.Path, is a folder, made when it is not there; many processes may share it.
    ``s3://name?endpoint_url=...`` is a bucket on S3 or on a compatible server, where the name may
    be the ARN of an access point; it needs holdfast[s3]. A query parameter of the URL sets the
    option of the same name, and wins over *options*. *hooks* are called while the bucket works.
    Raises ConfigurationError for what can't be opened; on entry also StorageError for what the disk
    refuses, ServiceError for what the service refuses, and UnavailableError when it can't be
    reached.
    """
    check_kind(hooks, Hooks, "hooks")
    return Opening(_opened(plan_of(url, options), hooks), "bucket")


@asynccontextmanager
async def _opened(plan: BucketPlan, hooks: Hooks) -> AsyncIterator[Bucket]:
    from holdfast.offload import Threads  # noqa: PLC0415 - asyncio, which blocking code never needs

    offload = Threads("objects", count=plan.threads, survive_forks=True)
    try:
        async with connected(plan, offload, hooks, blocking=False) as bucket:
            yield bucket
    finally:
        offload.close()


@asynccontextmanager
async def connected(
    plan: BucketPlan, offload: Offload, hooks: Hooks, *, blocking: bool
) -> AsyncIterator[Bucket]:
    """Open the bucket of *plan* and sweep it; *offload* runs its blocking work."""
    async with plan.start(offload, blocking) as driver:
        bucket = Bucket(driver, offload, hooks)
        await bucket.sweep()
        yield bucket


def plan_of(url: str | Path, options: Options | None) -> BucketPlan:
    """Return what *url* and *options* ask for. Raises ConfigurationError.

    No I/O but for the file of the AWS profile, with s3://.
    """
    if isinstance(url, Path):
        folder = url.absolute()
        if options is not None and not isinstance(options, DiskOptions):
            raise ConfigurationError(
                f"a folder takes options=DiskOptions(...), not {type(options).__name__}"
            )
        return _disk_plan(folder, options or DiskOptions())
    location = parse_url(url, tuple(sorted(_PLANS)))
    if "#" in url:
        raise ConfigurationError(f"{redacted(url)!r}: write '#' as %23")
    return _PLANS[location.scheme](location, options)


def _plan_memory(location: BackendURL, options: Options | None) -> BucketPlan:
    if options is not None:
        raise ConfigurationError("memory:// takes no options")
    if location.query:
        raise ConfigurationError(f"{location.redacted!r}: memory:// has no parameters")
    if location.host or location.path:
        raise ConfigurationError(
            f"{location.redacted!r}: expected memory:// alone; each opening is a new bucket"
        )

    @asynccontextmanager
    async def start(_offload: Offload, _blocking: bool) -> AsyncIterator[BucketDriver]:
        from holdfast.objects.drivers.memory import MemoryBucketDriver  # noqa: PLC0415

        yield MemoryBucketDriver()

    return BucketPlan(DiskOptions().threads, start)


def _plan_file(location: BackendURL, options: Options | None) -> BucketPlan:
    path = urlsplit(location.url).path  # a folder's name may be bytes that are no UTF-8
    if location.host not in {"", "localhost"} or not path.startswith("/"):
        raise ConfigurationError(f"{location.redacted!r}: expected file:///absolute/folder")
    folder = os.fsdecode(unquote_to_bytes(path))
    if "\0" in folder:
        raise ConfigurationError(f"{location.redacted!r}: a path holds no NUL")
    return _disk_plan(Path(folder), options_for(location, DiskOptions(), options))


def _disk_plan(folder: Path, options: DiskOptions) -> BucketPlan:
    @asynccontextmanager
    async def start(offload: Offload, _blocking: bool) -> AsyncIterator[BucketDriver]:
        from holdfast.objects.drivers.disk.driver import DiskDriver  # noqa: PLC0415

        driver = DiskDriver(
            folder, offload, lock_timeout=options.lock_timeout, private=options.private
        )
        await driver.prepare()
        yield driver

    return BucketPlan(options.threads, start)


def _plan_s3(location: BackendURL, options: Options | None) -> BucketPlan:
    bucket = location.host
    if bucket.startswith("arn:"):
        bucket += location.path.rstrip("/")
    elif location.path not in ("", "/"):
        raise ConfigurationError(f"{location.redacted!r}: expected s3://bucket and no path")
    if "@" in location.host or any(_SECRET.search(name) for name in location.query):
        raise ConfigurationError("keys don't belong into an s3:// URL: use S3Options.credentials")
    settled = with_environment(options_for(location, S3Options(), options), os.environ)
    point = access_point_of(bucket)
    if point is not None:
        settled = replace(settled, region=point.region)
    address = address_of(bucket, settled)
    with needs_extra("s3", "s3://"):
        from holdfast.objects.drivers.s3.connect import started  # noqa: PLC0415 - an optional extra

    def start(offload: Offload, blocking: bool) -> AbstractAsyncContextManager[BucketDriver]:
        return started(address, settled, offload, blocking=blocking)

    return BucketPlan(settled.threads, start)


_PLANS: dict[str, Callable[[BackendURL, Options | None], BucketPlan]] = {
    "file": _plan_file,
    "memory": _plan_memory,
    "s3": _plan_s3,
}
