"""The console's application, mounted into that of a platform or anybody's own."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from fastapi import Depends, FastAPI
from fastapi.routing import iter_route_contexts
from starlette.datastructures import MutableHeaders
from starlette.routing import Mount

from holdfast.access import ApiKeys, LoginSessions
from holdfast.access.gate import Gate, policy_of
from holdfast.console.buckets.usage_counts import UsageCounts
from holdfast.console.console_options import ConsoleOptions
from holdfast.console.console_site import ConsoleSite
from holdfast.console.error_pages import install_error_pages
from holdfast.console.logins.login_pages import login_routes
from holdfast.console.logins.openid_pages import openid_routes
from holdfast.console.navigation import SECTIONS
from holdfast.console.page import environment
from holdfast.console.static_files import static_routes
from holdfast.console.uploads.upload_sessions import UploadSessions
from holdfast.console.visits.content_policy import POLICY_HEADER, content_policy
from holdfast.console.visits.forgery_check import check_forgery
from holdfast.console.visits.session_gate import SessionGate
from holdfast.errors import ConfigurationError
from holdfast.option_checks import check_kind
from holdfast.settings.backend_options import cursor_secrets, login_provider

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from holdfast.platform import Platform
    from holdfast.settings import Settings

_DEFAULTS = ConsoleOptions()


def add_console(
    app: FastAPI,
    platform: Platform,
    *,
    gate: Gate | None = None,
    options: ConsoleOptions = _DEFAULTS,
) -> FastAPI:
    """Mount the console of *platform* in *app*, and return it: an application of its own.

    It is for the lifespan of *app*, in which *platform* is open. *gate* is that of an API beside
    it, with which it shares the counts of requests; one is made where there is none. Raises
    ConfigurationError when a page declares no policy, when something is at the path already, when
    the settings of the login let nobody in, and when the extra `console` (or `oidc`, where an
    OpenID provider is set) is missing.
    """
    check_kind(options, ConsoleOptions)
    environment()  # says which extra is missing
    _check_place(app, options.path)
    if gate is None:
        gate = Gate(platform.service(ApiKeys), platform.cache, is_open=options.is_open)
    login = platform.settings.login
    provider = login_provider(platform.settings)
    sessions = LoginSessions(
        platform.store,
        life=options.session_life,
        issuer=login.issuer,
        person_life=timedelta(hours=login.hours),
    )
    sections = tuple(each for each in SECTIONS if each.fits(platform))
    uploads = _uploads_of(platform.settings)
    site = ConsoleSite(
        platform,
        options,
        gate,
        sessions,
        sections,
        uploads,
        UsageCounts(platform.store.now),
        provider,
        cursor_secrets(platform.settings),
    )
    console = FastAPI(
        title="Holdfast console",
        openapi_url=None,
        dependencies=[Depends(check_forgery)],
    )
    console.state.console = site
    console.state.gate = SessionGate(gate, sessions)
    if provider is not None:
        console.include_router(openid_routes(site, provider))
    for routes in (static_routes, login_routes, *(each.routes for each in sections)):
        console.include_router(routes(site))
    console.add_middleware(_PageHeaders, policy=content_policy(options))
    install_error_pages(console)
    check_policies(console)
    app.mount(options.path, console, name="console")
    return console


def check_policies(console: FastAPI) -> None:
    """Raise ConfigurationError for a route that says not who may use it, or escapes the check.

    The check is that of forged writes; a sub-application would get round it.
    """
    for route in iter_route_contexts(console.routes):
        policy_of(route)
        calls = [each.call for each in route.dependant.dependencies]
        if check_forgery not in calls:
            raise ConfigurationError(f"{route.path}: the route takes forged writes")


def _check_place(app: FastAPI, path: str) -> None:
    if any(isinstance(route, Mount) and route.path == path for route in app.routes):
        raise ConfigurationError(f"something is mounted at {path!r} already")


def _uploads_of(settings: Settings) -> UploadSessions:
    age = timedelta(seconds=settings.limits.upload_age)
    return UploadSessions(settings.work_folder / "console-uploads", age=age)


class _PageHeaders:
    """Middleware that gives every answer of the console the headers that bound what it may do."""

    def __init__(self, app: ASGIApp, policy: str) -> None:
        self._app = app
        self._headers = {
            POLICY_HEADER: policy,
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
            "Cache-Control": "no-store",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def bounded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, bounded)
