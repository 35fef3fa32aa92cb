"""Login by an OpenID provider: the way there, the way back, and the way out."""

from __future__ import annotations

import base64
import binascii
import logging
from typing import TYPE_CHECKING, Annotated

import msgspec
from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from holdfast.access.gate import anybody
from holdfast.access.login_attempt import LoginAttempt
from holdfast.console.console_site import ConsoleSite, site_of
from holdfast.console.logins.login_form import login_form, own_address
from holdfast.console.page import PageHead, page
from holdfast.console.visits.visit import keep_visit
from holdfast.errors import ConfigurationError, UnauthenticatedError, UnavailableError

if TYPE_CHECKING:
    from holdfast.access import Person
    from holdfast.access.openid_provider import OpenIDProvider

_log = logging.getLogger("holdfast.console")
_Next = Annotated[str, Query(max_length=2000)]
_COOKIE = "holdfast_login"
_AGE = 600  # seconds in which somebody has to be back


class _Attempted(msgspec.Struct, frozen=True):
    """What the browser keeps of a login on its way: the attempt's secret, and where it leads."""

    secret: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]{43}$")]
    wanted: str


def openid_routes(site: ConsoleSite, provider: OpenIDProvider) -> APIRouter:
    """Return the routes of logins by *provider*, which anybody may use."""
    router = APIRouter()

    @router.get("/login/openid", dependencies=[Depends(anybody)])
    async def go(request: Request, next: _Next = "") -> Response:  # noqa: A002 - a query
        """Send the browser to the provider."""
        attempt = LoginAttempt()
        try:
            target = await provider.login_url(attempt, _answer_url(request))
        except (UnavailableError, ConfigurationError) as error:
            return _unavailable(request, provider, error, next)
        response = RedirectResponse(target, 303)
        _keep(response, request, _Attempted(attempt.secret, next))
        return response

    @router.get("/login/openid/answer", dependencies=[Depends(anybody)])
    async def answer(request: Request) -> Response:
        """Open a session for whom the provider names, and go where the visitor wanted."""
        response = await _answered(site, provider, request)
        response.delete_cookie(
            _cookie(request), path=_path(request), secure=_is_secure(request), httponly=True
        )
        return response

    return router


async def logged_out(request: Request, provider: OpenIDProvider, id_token: str) -> Response:
    """Return the page after a logout here, which leads on to the logout of *provider*.

    It leads to the login where the provider offers no logout, or does not answer. The browser is
    sent on by the page, not by a redirect: a form of the console may lead to no other host.
    """
    site = site_of(request)
    try:
        target = await provider.logout_url(id_token, _address(request) + site.url("login"))
    except (UnavailableError, ConfigurationError) as error:
        _log.warning("no logout of %s: %s", provider.name, error)
        target = ""
    if not target:
        return RedirectResponse(site.url("login"), 303)
    context = {"target": target, "name": provider.name}
    response = page(request, "logged_out.html", PageHead(title="Logged out"), context)
    response.headers["Refresh"] = f"0; url={target}"
    return response


async def _answered(site: ConsoleSite, provider: OpenIDProvider, request: Request) -> Response:
    """Return the answer to a browser that the provider sent back: in, or why not."""
    kept = _kept(request)
    wanted = "" if kept is None else kept.wanted
    try:
        async with site.gate.counting_refusals(request):
            person = await _person(request, provider, kept)
    except (UnavailableError, ConfigurationError) as error:
        return _unavailable(request, provider, error, wanted)
    except UnauthenticatedError as error:
        _log.warning("login by %s refused: %s", provider.name, error)
        await site.sessions.refuse("", str(error), provider.options.issuer)
        failed = f"The login by {provider.name} did not go: {error}. Begin it again."
        return login_form(request, failed=failed, status=401)
    try:
        async with site.gate.counting_refusals(request):
            opened = await site.sessions.open_for(person)
    except UnauthenticatedError as error:
        _log.warning("login by %s refused: %s", provider.name, error)
        failed = (
            f"{provider.name} knows you as {person.name}, and that gives you no role here. Ask "
            "whoever runs this server to let you in."
        )
        return login_form(request, failed=failed, status=403)
    response = RedirectResponse(own_address(site, wanted), 303)
    keep_visit(response, request, opened.token)
    return response


async def _person(request: Request, provider: OpenIDProvider, kept: _Attempted | None) -> Person:
    if kept is None:
        raise UnauthenticatedError("no login was begun here, or it took too long")
    attempt = LoginAttempt(kept.secret)
    return await provider.person(attempt, request.query_params, _answer_url(request))


def _unavailable(
    request: Request, provider: OpenIDProvider, error: Exception, wanted: str
) -> Response:
    _log.error("login by %s failed: %s", provider.name, error)
    failed = (
        f"{provider.name} can't be asked now. Try again in a moment, or log in with an API key."
    )
    return login_form(request, wanted, failed=failed, status=503)


def _address(request: Request) -> str:
    """Return scheme and host by which browsers reach the console."""
    given = site_of(request).platform.settings.login.address
    return given or f"{request.url.scheme}://{request.url.netloc}"


def _answer_url(request: Request) -> str:
    return _address(request) + site_of(request).url("login/openid/answer")


def _is_secure(request: Request) -> bool:
    return _address(request).startswith("https:")


def _cookie(request: Request) -> str:
    """Return the cookie's name: over TLS one that no other host of the domain can set."""
    return f"__Host-{_COOKIE}" if _is_secure(request) else _COOKIE


def _path(request: Request) -> str:
    return "/" if _is_secure(request) else site_of(request).options.path


def _keep(response: Response, request: Request, attempted: _Attempted) -> None:
    response.set_cookie(
        _cookie(request),
        base64.urlsafe_b64encode(msgspec.json.encode(attempted)).decode(),
        max_age=_AGE,
        path=_path(request),
        secure=_is_secure(request),
        httponly=True,
        samesite="lax",  # it has to come along when the provider sends the browser back
    )


def _kept(request: Request) -> _Attempted | None:
    given = request.cookies.get(_cookie(request), "")
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(given), type=_Attempted)
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        return None
