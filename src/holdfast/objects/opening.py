"""From a URL to an open bucket."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qsl, unquote_to_bytes, urlsplit

from holdfast.errors import ConfigurationError
from holdfast.objects.bucket import Bucket
from holdfast.objects.drivers.disk import DiskDriver
from holdfast.objects.drivers.memory import MemoryDriver
from holdfast.offload import Threads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from holdfast.objects.driver import Driver
    from holdfast.offload import Offload


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskOptions:
    """How a bucket on disk works.

    *lock_timeout*: seconds that a write waits for others on the same key. *threads*: how many
    blocking calls the async bucket has under way at once.
    """

    lock_timeout: float = 30.0
    threads: int = 4

    def __post_init__(self) -> None:
        if not 0 < self.lock_timeout < float("inf"):
            raise ConfigurationError(
                f"lock_timeout: expected a positive number of seconds, got {self.lock_timeout}"
            )
        if not 1 <= self.threads <= 64:
            raise ConfigurationError(f"threads: expected 1 to 64, got {self.threads}")


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked URL: how many threads an async bucket takes, and how its driver is made ready."""

    threads: int
    start: Callable[[Offload], AbstractAsyncContextManager[Driver]]


def open_bucket(
    url: str | Path, *, options: DiskOptions | None = None
) -> AbstractAsyncContextManager[Bucket]:
    """Return a context manager that opens the bucket at *url* and sweeps it.

    ``memory://`` is a new bucket that ends with the block. ``file:///absolute/folder``, or a
    pathlib.Path, is a folder, made when it is not there; many processes may share it. What
    *options* sets may be a query parameter of the same name instead. Raises ConfigurationError
    for what can't be opened, on entry StorageError for what the disk refuses.
    """
    return _opened(plan_of(url, options))


@asynccontextmanager
async def _opened(plan: Plan) -> AsyncIterator[Bucket]:
    offload = Threads("objects", count=plan.threads)
    try:
        async with started(plan, offload) as bucket:
            yield bucket
    finally:
        offload.close()


@asynccontextmanager
async def started(plan: Plan, offload: Offload) -> AsyncIterator[Bucket]:
    """Open and sweep what *plan* names, its blocking work done by *offload*."""
    async with plan.start(offload) as driver:
        bucket = Bucket(driver, offload)
        await bucket.sweep()
        yield bucket


def plan_of(url: str | Path, options: DiskOptions | None) -> Plan:
    """Return what *url* and *options* ask for. Raises ConfigurationError. No I/O."""
    if isinstance(url, Path):
        return _disk_plan(url.absolute(), options or DiskOptions())
    parts = urlsplit(url)
    plan = _PLANS.get(parts.scheme)
    if plan is None:
        raise ConfigurationError(
            f"bucket URL {url!r}: unknown scheme {parts.scheme!r}, known are "
            + ", ".join(f"{scheme}://" for scheme in sorted(_PLANS))
        )
    if parts.fragment:
        raise ConfigurationError(f"bucket URL {url!r}: write '#' as %23")
    return plan(url, parts, options)


def _plan_memory(url: str, parts: SplitResult, options: DiskOptions | None) -> Plan:
    if options is not None:
        raise ConfigurationError("memory:// takes no options")
    if parts.query:
        raise ConfigurationError(f"bucket URL {url!r}: memory:// knows no parameters")
    if parts.netloc or parts.path:
        raise ConfigurationError(
            f"bucket URL {url!r}: expected memory:// alone; each opening is a new bucket"
        )

    @asynccontextmanager
    async def start(_offload: Offload) -> AsyncIterator[Driver]:
        yield MemoryDriver()

    return Plan(DiskOptions().threads, start)


def _plan_file(url: str, parts: SplitResult, options: DiskOptions | None) -> Plan:
    if parts.netloc not in {"", "localhost"} or not parts.path.startswith("/"):
        raise ConfigurationError(f"bucket URL {url!r}: expected file:///absolute/folder")
    folder = os.fsdecode(unquote_to_bytes(parts.path))
    if "\0" in folder:
        raise ConfigurationError(f"bucket URL {url!r}: a path holds no NUL")
    if options is not None and parts.query:
        raise ConfigurationError(f"bucket URL {url!r}: parameters and options exclude each other")
    return _disk_plan(Path(folder), options or _disk_options(url, parts.query))


def _disk_plan(folder: Path, options: DiskOptions) -> Plan:
    @asynccontextmanager
    async def start(offload: Offload) -> AsyncIterator[Driver]:
        driver = DiskDriver(folder, offload, lock_timeout=options.lock_timeout)
        await driver.prepare()
        yield driver

    return Plan(options.threads, start)


def _disk_options(url: str, query: str) -> DiskOptions:
    known = [field.name for field in fields(DiskOptions)]
    given: dict[str, str] = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            raise ConfigurationError(
                f"bucket URL {url!r}: unknown parameter {name!r}, known are {', '.join(known)}"
            )
        if name in given:
            raise ConfigurationError(f"bucket URL {url!r}: {name} is there twice")
        given[name] = text
    default = DiskOptions()
    try:
        return DiskOptions(
            lock_timeout=float(given.get("lock_timeout", default.lock_timeout)),
            threads=int(given.get("threads", default.threads)),
        )
    except ValueError as error:
        raise ConfigurationError(f"bucket URL {url!r}: expected numbers, {error}") from None


_PLANS: dict[str, Callable[[str, SplitResult, DiskOptions | None], Plan]] = {
    "file": _plan_file,
    "memory": _plan_memory,
}
