"""The way in and out: login by an API key, logout of any login, the choice of light or dark."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from holdfast.access import PersonSession
from holdfast.access.gate import anybody
from holdfast.console.console_site import ConsoleSite
from holdfast.console.logins.login_form import login_form, own_address
from holdfast.console.logins.openid_pages import logged_out
from holdfast.console.page import moved
from holdfast.console.visits.forgery_check import FormSent
from holdfast.console.visits.visit import end_visit, keep_theme, keep_visit, visit_of
from holdfast.errors import UnauthenticatedError

_Next = Annotated[str, Query(max_length=2000)]


def login_routes(site: ConsoleSite) -> APIRouter:
    """Return the routes of login and logout, which anybody may use."""
    router = APIRouter()

    @router.get("/login", dependencies=[Depends(anybody)])
    async def login_page(request: Request, next: _Next = "") -> Response:  # noqa: A002 - a query
        """Show the form."""
        return login_form(request, next)

    @router.post("/login", dependencies=[Depends(anybody)])
    async def login(request: Request, form: FormSent) -> Response:
        """Open a session for the key in the form, and go where the visitor wanted."""
        wanted = form.text("next")
        secret = form.text("key").strip()
        try:
            async with site.gate.counting_refusals(request):
                opened = await site.sessions.open(secret)
        except UnauthenticatedError:
            refused = "This key is unknown, revoked or over."
            return login_form(request, wanted, refused=refused, status=401)
        response = moved(request, own_address(site, wanted))
        keep_visit(response, request, opened.token)
        return response

    @router.post("/logout", dependencies=[Depends(anybody)])
    async def logout(request: Request) -> Response:
        """End the session, and show the way out of the provider where it was one by that."""
        closed = await site.sessions.close(visit_of(request))
        response = moved(request, site.url("login"))
        if site.provider is not None and isinstance(closed, PersonSession):
            response = await logged_out(request, site.provider, closed.id_token)
        end_visit(response, request)
        return response

    @router.post("/theme", dependencies=[Depends(anybody)])
    async def theme(request: Request, form: FormSent) -> Response:
        """Keep light, dark or what the system says, and go back."""
        response = moved(request, own_address(site, form.text("back")))
        keep_theme(response, request, form.text("theme"))
        return response

    return router
