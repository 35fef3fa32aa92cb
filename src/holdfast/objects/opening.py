"""From a URL to an open bucket."""

from __future__ import annotations

import os
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote_to_bytes, urlsplit

from holdfast.aws.streams import StreamNetwork
from holdfast.aws.tls import verifying
from holdfast.backend_url import BackendURL, options_for, parse_url, redacted
from holdfast.errors import ConfigurationError
from holdfast.objects.bucket import Bucket
from holdfast.objects.drivers.disk import DiskDriver
from holdfast.objects.drivers.memory import MemoryDriver
from holdfast.objects.drivers.s3.options import S3Options, place_of, with_environment
from holdfast.objects.watching import Hooks
from holdfast.offload import Threads

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from holdfast.aws.network import Network
    from holdfast.objects.driver import Driver
    from holdfast.offload import Offload

    Networking = Callable[[Callable[[], ssl.SSLContext]], Network]

O = TypeVar("O")  # noqa: E741 - options
_SECRET = re.compile("credential|secret|token|access_?key", re.IGNORECASE)


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
    start: Callable[[Offload, Networking], AbstractAsyncContextManager[Driver]]


Options = DiskOptions | S3Options

_QUIET = Hooks()


def open_bucket(
    url: str | Path, *, options: Options | None = None, hooks: Hooks = _QUIET
) -> AbstractAsyncContextManager[Bucket]:
    """Return a context manager that opens the bucket at *url* and sweeps it.

    ``memory://`` is a new bucket that ends with the block. ``file:///absolute/folder``, or a
    pathlib.Path, is a folder, made when it is not there; many processes may share it.
    ``s3://name?endpoint_url=...`` is a bucket on S3 or on what speaks it; it needs holdfast[s3].
    What *options* sets may be a query parameter of the same name instead. *hooks* are told what
    the bucket does. Raises
    ConfigurationError for what can't be opened, on entry also StorageError for what the disk,
    ServiceError for what the service refuses and UnavailableError when it can't be reached.
    """
    return _opened(plan_of(url, options), hooks)


@asynccontextmanager
async def _opened(plan: Plan, hooks: Hooks) -> AsyncIterator[Bucket]:
    offload = Threads("objects", count=plan.threads)
    try:
        async with started(plan, offload, StreamNetwork, hooks) as bucket:
            yield bucket
    finally:
        offload.close()


@asynccontextmanager
async def started(
    plan: Plan, offload: Offload, networking: Networking, hooks: Hooks = _QUIET
) -> AsyncIterator[Bucket]:
    """Open and sweep what *plan* names, its work done by *offload* and *networking*."""
    async with plan.start(offload, networking) as driver:
        bucket = Bucket(driver, offload, hooks)
        await bucket.sweep()
        yield bucket


def plan_of(url: str | Path, options: Options | None) -> Plan:
    """Return what *url* and *options* ask for. Raises ConfigurationError. No I/O."""
    if isinstance(url, Path):
        return _disk_plan(url.absolute(), _chosen("a folder", DiskOptions(), options))
    location = parse_url(url, tuple(sorted(_PLANS)))
    if "#" in url:
        raise ConfigurationError(f"{redacted(url)!r}: write '#' as %23")
    if options is not None and location.query:
        raise ConfigurationError(f"{redacted(url)!r}: parameters and options exclude each other")
    return _PLANS[location.scheme](location, options)


def _plan_memory(location: BackendURL, options: Options | None) -> Plan:
    if options is not None:
        raise ConfigurationError("memory:// takes no options")
    if location.query:
        raise ConfigurationError(f"{location.redacted!r}: memory:// knows no parameters")
    if location.host or location.path:
        raise ConfigurationError(
            f"{location.redacted!r}: expected memory:// alone; each opening is a new bucket"
        )

    @asynccontextmanager
    async def start(_offload: Offload, _networking: Networking) -> AsyncIterator[Driver]:
        yield MemoryDriver()

    return Plan(DiskOptions().threads, start)


def _plan_file(location: BackendURL, options: Options | None) -> Plan:
    path = urlsplit(location.url).path  # a folder's name may be bytes that are no UTF-8
    if location.host not in {"", "localhost"} or not path.startswith("/"):
        raise ConfigurationError(f"{location.redacted!r}: expected file:///absolute/folder")
    folder = os.fsdecode(unquote_to_bytes(path))
    if "\0" in folder:
        raise ConfigurationError(f"{location.redacted!r}: a path holds no NUL")
    given = options_for(location, DiskOptions())
    return _disk_plan(Path(folder), _chosen("file://", given, options))


def _disk_plan(folder: Path, options: DiskOptions) -> Plan:
    @asynccontextmanager
    async def start(offload: Offload, _networking: Networking) -> AsyncIterator[Driver]:
        driver = DiskDriver(folder, offload, lock_timeout=options.lock_timeout)
        await driver.prepare()
        yield driver

    return Plan(options.threads, start)


def _plan_s3(location: BackendURL, options: Options | None) -> Plan:
    if location.path not in ("", "/"):
        raise ConfigurationError(f"{location.redacted!r}: expected s3://bucket and no path")
    if "@" in location.host or any(_SECRET.search(name) for name in location.query):
        raise ConfigurationError("keys don't belong into an s3:// URL: use S3Options.credentials")
    given = _chosen("s3://", options_for(location, S3Options()), options)
    settled = with_environment(given, os.environ)
    place = place_of(location.host, settled)
    try:
        from holdfast.objects.drivers.s3.assembly import assembled  # noqa: PLC0415 - optional
    except ImportError as error:
        if error.name != "httptools":
            raise
        raise ConfigurationError("s3:// needs httptools: install holdfast[s3]") from None

    @asynccontextmanager
    async def start(offload: Offload, networking: Networking) -> AsyncIterator[Driver]:
        network = networking(partial(verifying, settled.ca_bundle or None))
        driver, client = assembled(place, settled, network, offload)
        try:
            await driver.prepare()
            yield driver
        finally:
            client.close()

    return Plan(settled.threads, start)


def _chosen(place: str, given: O, options: Options | None) -> O:
    if options is None:
        return given
    if not isinstance(options, type(given)):
        raise ConfigurationError(
            f"{place} takes {type(given).__name__}, not {type(options).__name__}"
        )
    return options


_PLANS: dict[str, Callable[[BackendURL, Options | None], Plan]] = {
    "file": _plan_file,
    "memory": _plan_memory,
    "s3": _plan_s3,
}
