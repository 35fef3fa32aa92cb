"""The composition root: assembles, opens and closes everything that the settings name."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Generic, TypeVar

from holdfast.audit.object_events import object_events
from holdfast.domain import Domain, DomainParts, RoleBucket
from holdfast.errors import ConfigurationError
from holdfast.health import Health, HealthState, worst_state
from holdfast.jobs import Jobs
from holdfast.media import MediaLibrary
from holdfast.objects import Bucket
from holdfast.platform.domain_selection import select_domains
from holdfast.platform.import_file import remove_old_imports
from holdfast.platform.matching_rows import MatchingRows
from holdfast.platform.pillars import (
    make_data_folder,
    ready_bucket,
    ready_cache,
    ready_notifier,
    ready_store,
)
from holdfast.records import Store
from holdfast.settings.backend_options import domain_limits
from holdfast.workspace import sweep_workspaces

if TYPE_CHECKING:
    from fastapi import APIRouter

    from holdfast.cache import Cache
    from holdfast.jobs import Handler, Schedule
    from holdfast.metrics import MetricsCollector
    from holdfast.settings import Settings
    from holdfast.settings.settings import BucketRole

T = TypeVar("T")

_ROLES: tuple[tuple[BucketRole, str], ...] = (
    ("video", ""),
    ("models", "models/"),
    ("logs", "logs/"),
)
"""The roles of buckets, and the prefix that each has in a shared one.

Videos have none: their layout has folders of its own.
"""
_PATIENCE = 5.0  # seconds that a part has for its answer to a probe


@dataclass(frozen=True, slots=True)
class Platform:
    """One open installation: records, objects, a cache, and the domains over them.

    *domains* stand in the order in which they were opened.
    """

    settings: Settings
    parts: DomainParts
    bucket: Bucket
    domains: tuple[Domain, ...]

    @property
    def store(self) -> Store:
        """The records."""
        return self.parts.store

    @property
    def cache(self) -> Cache[object]:
        """The cache."""
        return self.parts.cache

    @property
    def buckets(self) -> Mapping[str, RoleBucket]:
        """The bucket of each role: `video`, `models`, `logs`."""
        return self.parts.buckets

    @property
    def jobs(self) -> Jobs:
        """The service of the domain `jobs`. Raises ConfigurationError when that is off."""
        return self.parts.service(Jobs)

    @property
    def library(self) -> MediaLibrary:
        """The service of the domain `media`. Raises ConfigurationError when that is off."""
        return self.parts.service(MediaLibrary)

    def service(self, kind: type[T]) -> T:
        """Return the service of a domain that is a *kind*. Raises ConfigurationError."""
        return self.parts.service(kind)

    @property
    def handlers(self) -> dict[str, Handler]:
        """What a worker of this platform can do, by task.

        Raises ConfigurationError for a task that two domains handle, and for an extra that is
        missing.
        """
        found: dict[str, Handler] = {}
        owners: dict[str, str] = {}
        for domain in self.domains:
            brought = {} if domain.handlers is None else domain.handlers(self.parts)
            if not isinstance(brought, Mapping):
                raise ConfigurationError(
                    f"the domain {domain.name}: handlers gives {brought!r}: expected functions by "
                    "the tasks that they do"
                )
            for task, handler in brought.items():
                if task in found:
                    raise ConfigurationError(
                        f"the domains {owners[task]} and {domain.name} both handle {task!r}"
                    )
                found[task], owners[task] = handler, domain.name
        return {**self.matching_rows.handlers, **found} if self._changes_rows else found

    @property
    def matching_rows(self) -> MatchingRows:
        """Rows of the entities that may be written by hand, changed as many as fit, by a job."""
        editable = [entity for domain in self.domains for entity in domain.editable]
        return MatchingRows(self.store, editable)

    @property
    def _changes_rows(self) -> bool:
        """Whether there are rows to be changed by jobs, and jobs to do it."""
        has_jobs = any(isinstance(each, Jobs) for each in self.parts.services.values())
        return has_jobs and any(domain.editable for domain in self.domains)

    @property
    def schedules(self) -> list[Schedule]:
        """The schedules that the domains bring, as a worker declares them."""
        return [
            schedule
            for domain in self.domains
            if domain.schedules is not None
            for schedule in domain.schedules(self.parts)
        ]

    def routers(self) -> list[APIRouter]:
        """Return the routers of the domains, a new one each time, in the order of the domains."""
        return [domain.routes(self.parts) for domain in self.domains if domain.routes is not None]

    async def upkeep(self) -> None:
        """Remove what was left behind: each domain its own, then files that nobody imported.

        Last what programs that died left: their folders in the folder of work, and uploads in parts
        that are older than the limit `upload_age`, of other programs too. Raises what the first
        that can't raises.
        """
        for domain in self.domains:
            if domain.upkeep is not None:
                await domain.upkeep(self.parts)
        await remove_old_imports(self.bucket, now=self.store.now())
        await asyncio.to_thread(sweep_workspaces, self.settings.work_folder)
        age = timedelta(seconds=self.parts.limits.upload_age)
        for bucket in {id(each): each for each in self._all_buckets()}.values():
            await bucket.sweep_incomplete(age)

    def _all_buckets(self) -> Iterable[Bucket]:
        yield self.bucket
        yield from (place.bucket for place in self.buckets.values())

    async def each_minute(self) -> None:
        """Let each domain do what is due each minute. Raises what the first that can't raises."""
        for domain in self.domains:
            if domain.each_minute is not None:
                await domain.each_minute(self.parts)

    def metrics(self) -> MetricsCollector:
        """Return what collects the figures of every part for Prometheus.

        Raises ConfigurationError when the extra `metrics` is not there.
        """
        from holdfast.metrics import MetricsCollector  # noqa: PLC0415 - an extra

        buckets = {"default": self.bucket}
        for role, place in self.buckets.items():
            if place.bucket is not self.bucket:
                buckets[role] = place.bucket
        jobs = next((each for each in self.parts.services.values() if isinstance(each, Jobs)), None)
        return MetricsCollector(
            {"store": {"default": self.store}, "bucket": buckets, "cache": {"default": self.cache}},
            jobs,
        )

    async def health(self, *, patience: float = _PATIENCE) -> Health:
        """Return the health of every part as one, probed at once: the state is the worst of them.

        A part that does not answer within *patience* seconds is DOWN. A part that is away raises
        nothing. A cache that is away makes the whole DEGRADED: it goes on in this process.
        """
        probes: dict[str, Callable[[], Awaitable[Health]]] = {
            "store": self.store.health,
            "cache": self.cache.health,
            "bucket": self.bucket.health,
        }
        for role, place in self.buckets.items():
            if place.bucket is not self.bucket:
                probes[f"bucket {role}"] = place.bucket.health
        for domain in self.domains:
            if domain.health is not None:
                probes[domain.name] = partial(domain.health, self.parts)
        began = time.perf_counter()
        answers = await asyncio.gather(*(_answer(probe, patience) for probe in probes.values()))
        parts = dict(zip(probes, answers, strict=True))
        state = worst_state(parts)
        detail = "; ".join(f"{name}: {each.detail}" for name, each in parts.items() if each.detail)
        return Health(state, time.perf_counter() - began, detail, parts)


@asynccontextmanager
async def open_platform(
    settings: Settings, *, domains: Iterable[Domain] = ()
) -> AsyncIterator[Platform]:
    """Open what *settings* name, and close it in the reverse order, whatever happens in between.

    The order is: store, cache, buckets, then each domain behind those that it requires. *domains*
    are switched on beside those that the settings name. The data folder and the schema of the
    records are made if need be. When a part fails, those that are open are closed, and a note on
    the error names the part. Nothing is kept outside of the platform that this gives, so any number
    may be open. Raises ConfigurationError, StorageError and UnavailableError.
    """
    chosen = select_domains(settings.domains, domains)
    make_data_folder(settings)
    async with AsyncExitStack() as stack:

        async def entered(part: str, opening: Callable[[], AbstractAsyncContextManager[T]]) -> T:
            return await stack.enter_async_context(_NamedPart(part, opening))

        entities = [entity for domain in chosen for entity in domain.entities]
        audited = tuple(entity for domain in chosen for entity in domain.audited)
        hooks = [hook for domain in chosen if domain.hooks for hook in domain.hooks(audited)]
        notifier = None
        if settings.redis.notify:  # entered first, so that it is there until the store is closed
            notifier = await entered("notifier", partial(ready_notifier, settings))
        store = await entered("store", partial(ready_store, settings, entities, hooks))
        if notifier is not None:
            store.notify_by(notifier)
        told = object_events(store) if settings.audit.objects and hooks else None
        cache = await entered("cache", partial(ready_cache, settings))
        bucket = await entered(
            "bucket", partial(ready_bucket, settings, settings.bucket_url, cache, audit=told)
        )
        buckets: dict[str, RoleBucket] = {}
        for role, prefix in _ROLES:
            own = settings.role_url(role)
            buckets[role] = RoleBucket(bucket, prefix)
            if own:
                opened = await entered(
                    f"bucket {role}", partial(ready_bucket, settings, own, cache, audit=told)
                )
                buckets[role] = RoleBucket(opened)
        services: dict[str, object] = {}
        parts = DomainParts(
            store,
            cache,
            buckets,
            settings.work_folder,
            services,
            domain_limits(settings),
            settings.domain_sections,
        )
        for domain in chosen:
            if domain.service is not None:
                services[domain.name] = await entered(
                    f"domain {domain.name}", partial(domain.service, parts)
                )
        yield Platform(settings, parts, bucket, chosen)


def _enterable(manager: AbstractAsyncContextManager[T]) -> AbstractAsyncContextManager[T]:
    """Return *manager*. Raises ConfigurationError where a domain gave its service itself."""
    if not hasattr(type(manager), "__aenter__"):
        raise ConfigurationError(
            f"{type(manager).__name__} can't be entered by `async with`: for what has nothing to "
            "close say contextlib.nullcontext(...)"
        )
    return manager


class _NamedPart(Generic[T]):
    """Opens and closes one part; an error of either gets a note that names it."""

    def __init__(self, name: str, opening: Callable[[], AbstractAsyncContextManager[T]]) -> None:
        self._name = name
        self._opening = opening

    async def __aenter__(self) -> T:
        try:
            self._manager = _enterable(self._opening())
            return await self._manager.__aenter__()
        except Exception as error:
            error.add_note(f"so the platform's {self._name} could not be opened")
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        try:
            return await self._manager.__aexit__(kind, error, traceback)
        except Exception as another:
            if another is not error:
                another.add_note(f"so the platform's {self._name} could not be closed")
            raise


async def _answer(probe: Callable[[], Awaitable[Health]], patience: float) -> Health:
    try:
        async with asyncio.timeout(patience):
            return await probe()
    except TimeoutError:
        return Health(HealthState.DOWN, patience, f"no answer within {patience:g} s")
