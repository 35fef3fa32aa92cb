"""An application on Holdfast: what it opens, how it answers, and when it starts and stops."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

from fastapi.routing import APIRoute

from holdfast.cache import open_cache
from holdfast.errors import ConfigurationError
from holdfast.fastapi.background_jobs import BackgroundJobs, working
from holdfast.fastapi.exchange import Resources
from holdfast.fastapi.exchange_middleware import ExchangeMiddleware
from holdfast.fastapi.health_routes import add_health_routes
from holdfast.fastapi.http_options import HTTPOptions
from holdfast.fastapi.idempotency import IdempotentRoute
from holdfast.fastapi.problems.error_handlers import install_error_handlers
from holdfast.fastapi.problems.problem_schema import describe_problems
from holdfast.fastapi.route_check import check_routes
from holdfast.jobs import Job, Jobs
from holdfast.objects import open_bucket
from holdfast.option_checks import check_kind
from holdfast.records import open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping
    from contextlib import AbstractAsyncContextManager

    from fastapi import FastAPI

    from holdfast.cache import Cache
    from holdfast.jobs import Handler
    from holdfast.objects import Bucket
    from holdfast.opening import Opening
    from holdfast.records import Store, WriteHook


class Holdfast:
    """Puts *app* on Holdfast: what it opens at its start, how it answers, its health.

    *store*, *bucket* and *cache* are URLs, or what `open_store`, `open_bucket` and `open_cache`
    return. *entities* and *hooks* (see `holdfast.records.WriteHook`) are those of the store's URL.
    They are opened before the application's own lifespan begins, and closed after it has ended, in
    the reverse order. *worker* are handlers of jobs by task: a worker runs them in this process,
    from the start to the end; it stops first, and ends what it runs. `BackgroundJobs` says more of
    it.

    Every error is answered by a problem document (RFC 9457). At the start the routes are looked
    at, and what can't work is a ConfigurationError then: see `check_routes`.
    """

    def __init__(  # noqa: PLR0913 - what an application is made of
        self,
        app: FastAPI,
        *,
        store: str | Opening[Store] | AbstractAsyncContextManager[Store],
        entities: Iterable[type] = (),
        hooks: Iterable[WriteHook] = (),
        bucket: str | Opening[Bucket] | AbstractAsyncContextManager[Bucket] | None = None,
        cache: str
        | Opening[Cache[object]]
        | AbstractAsyncContextManager[Cache[object]]
        | None = None,
        worker: BackgroundJobs | Mapping[str, Handler] | None = None,
        options: HTTPOptions | None = None,
    ) -> None:
        self.app = app
        self.options = HTTPOptions() if options is None else options
        check_kind(self.options, HTTPOptions)
        self._resources = Resources(self.options)
        self._places = (store, bucket, cache)
        self._jobs = (
            worker
            if worker is None or isinstance(worker, BackgroundJobs)
            else BackgroundJobs(worker)
        )
        self._entities = tuple(entities)
        self._hooks = tuple(hooks)
        if not isinstance(store, str) and (self._entities or self._hooks):
            raise ConfigurationError(
                "entities and hooks go with a store's URL; "
                "open_store(url, entities, hooks=...) has them already"
            )
        if self._jobs is not None and isinstance(store, str) and Job not in self._entities:
            self._entities = (*self._entities, Job)
        app.add_middleware(cast("Any", ExchangeMiddleware), resources=self._resources)
        install_error_handlers(app)
        describe_problems(app)
        if self.options.health:
            add_health_routes(app, self._resources)
        if app.router.route_class is APIRoute:
            app.router.route_class = IdempotentRoute
        app.state.holdfast = self
        self._own_lifespan = app.router.lifespan_context
        app.router.lifespan_context = cast("Any", self._lifespan)

    @property
    def store(self) -> Store:
        """The store. Raises ConfigurationError before the start and after the end."""
        return self._resources.store

    @property
    def bucket(self) -> Bucket:
        """The bucket. Raises ConfigurationError when there is none, or none yet."""
        return self._resources.bucket

    @property
    def cache(self) -> Cache[object]:
        """The cache. Raises ConfigurationError when there is none, or none yet."""
        return self._resources.cache

    @asynccontextmanager
    async def _lifespan(self, app: FastAPI) -> AsyncIterator[Mapping[str, Any] | None]:
        store, bucket, cache = self._places
        opened = self._resources
        kept = (*self._entities, *(entity for hook in self._hooks for entity in hook.entities))
        check_routes(
            self.app,
            entities=kept if isinstance(store, str) else None,
            bucket=bucket is not None,
            cache=cache is not None,
        )
        install_error_handlers(self.app)  # again, for what was mounted since
        async with AsyncExitStack() as stack:
            stack.callback(self._forget)
            opened.opened_store = await stack.enter_async_context(
                open_store(store, self._entities, hooks=self._hooks)
                if isinstance(store, str)
                else store
            )
            if self.options.create_schema or opened.opened_store.driver.name == "memory":
                await opened.opened_store.create_schema()
            if bucket is not None:
                opened.opened_bucket = await stack.enter_async_context(
                    open_bucket(bucket) if isinstance(bucket, str) else bucket
                )
            if cache is not None:
                opened.opened_cache = await stack.enter_async_context(
                    open_cache(cache) if isinstance(cache, str) else cache
                )
            state = await stack.enter_async_context(self._own_lifespan(app))
            if self._jobs is not None:
                await stack.enter_async_context(working(self._jobs, Jobs(opened.opened_store)))
            yield state

    def _forget(self) -> None:
        self._resources.opened_store = None
        self._resources.opened_bucket = None
        self._resources.opened_cache = None
