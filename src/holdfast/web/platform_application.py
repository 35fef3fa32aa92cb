"""The platform's application: its domains' routes under `/api/v1`, behind gate and shield."""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.responses import RedirectResponse, Response

from holdfast.access import ApiKeys
from holdfast.access.gate import Gate, RequestRate, policy_of
from holdfast.console import ConsoleOptions, add_console
from holdfast.errors import ConfigurationError
from holdfast.fastapi import BackgroundJobs, Holdfast, HTTPOptions
from holdfast.fastapi.background_jobs import working
from holdfast.fastapi.route_check import check_routes
from holdfast.jobs import WorkerOptions
from holdfast.option_checks import check_kind
from holdfast.platform import open_platform
from holdfast.settings.backend_options import cursor_secrets
from holdfast.web.cache_routes import cache_routes
from holdfast.web.docs_page import add_docs_page
from holdfast.web.object_routes import object_routes
from holdfast.web.platform_routes import platform_routes
from holdfast.web.serve_options import ServeOptions
from holdfast.web.shield import Shield
from holdfast.web.upkeep import keeping_up

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from holdfast.cache import Cache
    from holdfast.objects import Bucket
    from holdfast.platform import Domain, Platform
    from holdfast.records import Store
    from holdfast.settings import Settings

API = "/api/v1"


def create_application(
    settings: Settings, options: ServeOptions, *, domains: Iterable[Domain] = ()
) -> FastAPI:
    """Return the application of the platform that *settings* name.

    Its lifespan opens the platform, with *domains* beside those of the settings, and ends what
    runs. It refuses to start, by a ConfigurationError, when a route declares no policy, and when
    keys are asked for but nobody could come in.
    """
    check_kind(options, ServeOptions)
    parts = _PlatformParts(settings, domains)
    limits = settings.limits

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        platform = parts.platform
        keys = platform.service(ApiKeys)
        app.state.gate = Gate(
            keys,
            platform.cache,
            is_open=not options.keys,
            requests=RequestRate(limits.request_rate, limits.request_burst),
            refusals=RequestRate(limits.refusal_rate, limits.refusal_burst),
        )
        await require_a_key(platform, options)
        _add_routes(app, platform)
        shown = ConsoleOptions(origins=frozenset(options.allowed_origins))
        console = add_console(app, platform, gate=app.state.gate, options=shown)
        async with aclosing(console.state.console.usage), keeping_up(platform):
            if not options.work:
                yield
                return
            lease = WorkerOptions(lease=platform.settings.lease_time)
            jobs = BackgroundJobs(platform.handlers, lease, platform.schedules)
            async with working(jobs, platform.jobs):
                yield

    app = FastAPI(
        title="Holdfast",
        summary="Projects, videos, jobs and objects of one platform.",
        openapi_url=f"{API}/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    secret, *former = cursor_secrets(settings) or ("",)
    http = HTTPOptions(
        max_body=int(limits.body),
        max_json_depth=limits.json_depth,
        request_time=limits.request_time,
        secret=secret,
        former_secrets=tuple(former),
    )
    Holdfast(app, store=parts.store(), bucket=parts.bucket(), cache=parts.cache(), options=http)
    app.add_middleware(Shield, hosts=options.hosts, origins=frozenset(options.allowed_origins))
    add_docs_page(app)
    app.add_api_route("/", _front, include_in_schema=False, response_model=None)
    return app


async def _front() -> Response:
    return RedirectResponse(f"{ConsoleOptions().path}/")


class _PlatformParts:
    """Store, bucket and cache of one platform, as `Holdfast` takes them: each opened by itself.

    The store is opened first and closed last, and the platform with it.
    """

    def __init__(self, settings: Settings, domains: Iterable[Domain]) -> None:
        self._settings = settings
        self._domains = tuple(domains)
        self._open: Platform | None = None

    @property
    def platform(self) -> Platform:
        """The platform, while its store is open."""
        assert self._open is not None
        return self._open

    @asynccontextmanager
    async def store(self) -> AsyncIterator[Store]:
        async with open_platform(self._settings, domains=self._domains) as platform:
            self._open = platform
            try:
                yield platform.store
            finally:
                self._open = None

    @asynccontextmanager
    async def bucket(self) -> AsyncIterator[Bucket]:
        yield self.platform.bucket

    @asynccontextmanager
    async def cache(self) -> AsyncIterator[Cache[object]]:
        yield self.platform.cache


async def require_a_key(platform: Platform, options: ServeOptions) -> None:
    """Raise ConfigurationError when keys are asked for, and nobody could come in.

    That is when there is none that is good, and no OpenID provider by which people log in.
    """
    if platform.settings.login.issuer or not options.keys:
        return
    if not await platform.service(ApiKeys).has_any():
        raise ConfigurationError(
            "there is no API key yet: `holdfast keys issue NAME --role admin` makes one"
        )


def _add_routes(app: FastAPI, platform: Platform) -> None:
    for router in (
        *platform.routers(),
        object_routes(platform),
        cache_routes(platform.cache),
        platform_routes(platform),
    ):
        app.include_router(router, prefix=API)
    check_routes(app, entities=None, bucket=True, cache=True)
    for route in iter_route_contexts(app.routes):
        if (route.path or "").startswith(API) and route.path != app.openapi_url:
            policy_of(route)
