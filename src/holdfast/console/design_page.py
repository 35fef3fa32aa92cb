"""The living page of the design: every token and element of the stylesheet as it looks now."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from holdfast.access import Role
from holdfast.access.gate import allow
from holdfast.console.console_site import ConsoleSite
from holdfast.console.page import PageHead, page


def design_routes(_site: ConsoleSite) -> APIRouter:
    """Return the route of the page."""
    router = APIRouter()

    @router.get("/design", dependencies=[allow(Role.VIEWER)])
    async def design(request: Request) -> Response:
        """Show the tokens, the type, and every element."""
        return page(request, "design.html", PageHead(title="Design", section="design"))

    return router
