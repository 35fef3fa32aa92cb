"""The first page: how every part is, what was done lately, and what changed last."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from holdfast.access import ApiKeys, Role
from holdfast.access.gate import AskedBy, allow
from holdfast.audit.audit_hook import is_recorded
from holdfast.audit.audit_log import AuditLog
from holdfast.console.audit_entries import shown_entries
from holdfast.console.console_site import ConsoleSite
from holdfast.console.line_plot import NARROW, LinePlot, line_plot
from holdfast.console.page import PageHead, page
from holdfast.figures import FigureHistory, FigureSlot, Resolution
from holdfast.jobs import Job, JobStatus
from holdfast.media import Video
from holdfast.records.entities.model import model_of

_LATEST = 8
_FAILED_WITHIN = timedelta(days=1)
_SPANS = {"hour": Resolution.HOUR, "day": Resolution.DAY, "week": Resolution.WEEK}
_SERIES = {
    "Jobs": {"jobs_ended": "ended", "jobs_failed": "failed"},
    "Waiting jobs": {"jobs_waiting": "waiting", "jobs_running": "running"},
    "Cache": {"cache_hits": "hits", "cache_misses": "misses"},
    "Objects": {"objects_done": "operations", "objects_failed": "failed"},
    "Records": {"commits": "transactions"},
}


def overview_routes(site: ConsoleSite) -> APIRouter:
    """Return the routes of the overview."""
    router = APIRouter()
    platform = site.platform

    @router.get("/", dependencies=[allow(Role.VIEWER, by_project=True)])
    async def overview(
        request: Request, caller: AskedBy, span: Annotated[str, Query(max_length=8)] = "hour"
    ) -> Response:
        """Show how the platform is; a caller limited to projects is led to them."""
        if caller.projects is not None:
            first = next((each for each in site.sections_of(caller) if each.name), None)
            if first is not None:
                return RedirectResponse(site.url(first.name), 303)
        resolution = _SPANS.get(span, Resolution.HOUR)
        context = {
            "health": await platform.health(),
            "plots": await _plots(site, resolution),
            "has_figures": model_of(FigureSlot) in platform.store.models,
            "span": resolution.name.lower(),
            "spans": list(_SPANS),
            "failed": await _latest_failures(site),
            "entries": await _latest_entries(site, caller),
            "is_new": await _is_new(site),
            "open_to_all": site.gate.is_open and not await platform.service(ApiKeys).has_any(),
        }
        return page(request, "overview.html", PageHead("Overview", ""), context)

    return router


async def _plots(site: ConsoleSite, resolution: Resolution) -> list[tuple[str, LinePlot]]:
    """Return the plots of what there are figures of."""
    store = site.platform.store
    if model_of(FigureSlot) not in store.models:
        return []
    names = tuple(name for series in _SERIES.values() for name in series)
    starts, values = await FigureHistory(store).read(resolution, names)
    labels = _labels(starts, resolution)
    found: list[tuple[str, LinePlot]] = []
    for title, series in _SERIES.items():
        lines = {label: values[name] for name, label in series.items() if any(values[name])}
        plot = line_plot(lines, labels, width=NARROW)
        if plot is not None:
            found.append((title, plot))
    return found


def _labels(starts: Sequence[datetime], resolution: Resolution) -> list[str]:
    form = "%a %H:%M" if resolution is Resolution.WEEK else "%H:%M"
    return [f"{each:{form}}" for each in starts]


async def _latest_failures(site: ConsoleSite) -> Sequence[Job]:
    """Return the jobs that failed last, of the last day: by the index of what ended when."""
    store = site.platform.store
    if model_of(Job) not in store.models:
        return []
    return await store.repository(Job).find(
        Job.finished_at >= store.now() - _FAILED_WITHIN,
        Job.status == JobStatus.FAILED,
        order_by=Job.finished_at.desc(),
        limit=_LATEST,
    )


async def _latest_entries(site: ConsoleSite, caller: AskedBy) -> list[object]:
    """Return what changed last, for administrators."""
    if not caller.role.includes(Role.ADMIN) or not is_recorded(site.platform.store):
        return []
    found = await AuditLog(site.platform.store).search(size=_LATEST)
    return list(shown_entries(site, found.items))


async def _is_new(site: ConsoleSite) -> bool:
    """Return whether nobody has brought anything in yet."""
    store = site.platform.store
    kept = [entity for entity in (Job, Video) if model_of(entity) in store.models]
    return bool(kept) and not any([await store.repository(each).exists() for each in kept])
