"""The audit: what was written, by whom and why, one entity's story, and the log's verification."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from holdfast.access import Role
from holdfast.access.gate import allow
from holdfast.audit import AuditEntry, AuditFilter
from holdfast.audit.log_keeper import LogKeeper
from holdfast.console.audit_entries import shown_entries
from holdfast.console.bounded_look import AskedPiece, Look, Wanted, look
from holdfast.console.console_site import ConsoleSite
from holdfast.console.page import Crumb, PageHead, page
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
        found: Look[AuditEntry] = Look(Page([], None, None))
        try:
            wanted = AuditFilter(
                **{name: asked[name] or None for name in _TEXTS},
                since=_moment(asked["since"]),
                until=_moment(asked["until"]),
            )
        except ValueError:
            fault = "expected a time such as 2026-01-31 or 2026-01-31T12:00:00Z"
        else:
            found = await _found(site, wanted, AskedPiece.of(site, given))
        store = site.platform.store
        context = {
            "entries": shown_entries(site, found.page.items),
            "asked": asked,
            "any_asked": any(asked.values()),
            "fault": fault,
            "entities": sorted(model.name for model in store.models if store.hooked.watched(model)),
            **found.urls(site, "audit", asked),
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


async def _found(site: ConsoleSite, wanted: AuditFilter, piece: AskedPiece) -> Look[AuditEntry]:
    """Return a page of the entries that fit, the latest first.

    An index leads to those of one row, and of an entity that has few. For others the latest are
    looked through, of the time or of the actor that is asked for.
    """
    entries = site.platform.store.repository(AuditEntry)
    timed = wanted.since is not None or wanted.until is not None
    if timed:
        within = AuditFilter(since=wanted.since, until=wanted.until)
        rest = replace(wanted, since=None, until=None)
    else:
        within, rest = AuditFilter(actor=wanted.actor), replace(wanted, actor=None)
    entity = [] if rest.entity is None else [AuditEntry.entity == rest.entity]
    asked = Wanted(
        newest=(AuditEntry.at if timed else AuditEntry.id).desc(),
        within=[within.predicate()],
        sought=[rest.predicate()],
        led=[(each, [AuditEntry.key.asc()]) for each in entity],
        bounded=rest != AuditFilter() and None in (rest.entity, rest.key),
    )
    return await look(entries, asked, piece, size=_PAGE)


def _moment(text: str) -> datetime | None:
    """Return the time that *text* says, in UTC where it says no zone; None for no text."""
    if not text:
        return None
    found = read_datetime(text)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
