"""The audit: what was written, by whom and why, one entity's story, and the log's verification."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from holdfast.access import Role
from holdfast.access.gate import allow
from holdfast.audit import AuditEntry, AuditFilter
from holdfast.audit.log_keeper import LogKeeper
from holdfast.console.audit_entries import shown_entries
from holdfast.console.console_site import ConsoleSite
from holdfast.console.page import Crumb, PageHead, page
from holdfast.console.page_urls import asked_cursor, page_urls
from holdfast.records import Page
from holdfast.time_text import read_datetime

_PAGE = 50
_FINDINGS = 100
_TEXTS = ("entity", "key", "actor", "verb", "field")
_ASKED = (*_TEXTS, "since", "until")


def audit_page_routes(site: ConsoleSite) -> APIRouter:
    """Return the routes of the pages of the audit, which are for administrators."""
    router = APIRouter(dependencies=[allow(Role.ADMIN)])
    keeper = site.platform.service(LogKeeper)

    @router.get("/audit")
    async def entries(request: Request) -> Response:
        """List entries that fit all that is asked, the latest first."""
        given = request.query_params
        asked = {name: given.get(name, "").strip() for name in _ASKED}
        fault = ""
        found: Page[AuditEntry] = Page([], None, None)
        try:
            wanted = AuditFilter(
                **{name: asked[name] or None for name in _TEXTS},
                since=_moment(asked["since"]),
                until=_moment(asked["until"]),
            )
        except ValueError:
            fault = "expected a time such as 2026-01-31 or 2026-01-31T12:00:00Z"
        else:
            cursor = asked_cursor(given.get("_cursor", ""))
            found = await keeper.log.search(wanted, size=_PAGE, cursor=cursor)
        store = site.platform.store
        context = {
            "entries": shown_entries(site, found.items),
            "asked": asked,
            "any_asked": any(asked.values()),
            "fault": fault,
            "entities": sorted(model.name for model in store.models if store.hooked.watched(model)),
            **page_urls(site, "audit", asked, found),
        }
        status = 400 if fault else 200
        return page(request, "audit.html", PageHead("Audit", "audit"), context, status=status)

    @router.post("/audit/verification")
    async def verify(request: Request) -> Response:
        """Verify the whole log, which reads every entry, and show what was found."""
        found = await keeper.verify()
        head = PageHead("Verification", "audit", [Crumb("Audit", site.url("audit"))])
        context = {"found": found, "findings": found.findings[:_FINDINGS]}
        return page(request, "audit_verification.html", head, context)

    return router


def _moment(text: str) -> datetime | None:
    """Return the time that *text* says, in UTC where it says no zone; None for no text."""
    if not text:
        return None
    found = read_datetime(text)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
