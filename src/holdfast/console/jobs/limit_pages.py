"""Limits of queues and tasks: how each stands, by key; set and removed by administrators."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from holdfast.access import Role
from holdfast.access.gate import AskedBy, allow
from holdfast.console.console_site import ConsoleSite
from holdfast.console.page import Crumb, PageHead, moved, page
from holdfast.console.visits.forgery_check import FormSent, SentForm
from holdfast.console.visits.visit import Notice
from holdfast.errors import ConfigurationError
from holdfast.jobs import JobLimit, Jobs, Limit
from holdfast.jobs.limits.job_limit import limit_name
from holdfast.jobs.limits.limit_routes import LimitAsked, LimitOut, LimitUseOut
from holdfast.jobs.side_tables import has_table

_MOST = 50  # limits whose use is counted on one page
_KEYS = 50  # keys of one limit that are shown
_NUMBERS = {
    "concurrency": "Jobs at once",
    "key_concurrency": "Jobs at once with one key",
    "rate": "Starts in a period",
    "key_rate": "Starts in a period with one key",
}
_Queue = Annotated[str, Query(max_length=100)]
_Task = Annotated[str, Query(max_length=200)]


def limit_page_routes(site: ConsoleSite) -> APIRouter:
    """Return the routes of the pages of limits; none where the store keeps none."""
    router = APIRouter(prefix="/jobs/limits")
    jobs = site.platform.service(Jobs)
    if not has_table(jobs.store, JobLimit):
        return router

    @router.get("", dependencies=[allow(Role.VIEWER)])
    async def listed(request: Request, caller: AskedBy) -> Response:
        """List the limits and how they stand."""
        found = await jobs.limits.all()
        uses = [await jobs.limits.use(**_named(each)) for each in found[:_MOST]]
        context = {
            "limits": [
                (LimitUseOut.of(each), _url(site, each.limit)) for each in uses if each is not None
            ],
            "more": [(each, _url(site, each)) for each in found[_MOST:]],
            "may_set": caller.role.includes(Role.ADMIN),
        }
        head = PageHead(title="Limits", section="jobs", crumbs=[_jobs(site)])
        return page(request, "limits.html", head, context)

    @router.get("/one", dependencies=[allow(Role.VIEWER)])
    async def one(
        request: Request, caller: AskedBy, queue: _Queue = "", task: _Task = ""
    ) -> Response:
        """Show how a limit stands by key, and the form that sets it."""
        return await _limit_page(site, request, caller, _names(queue, task))

    @router.post("/one", dependencies=[allow(Role.ADMIN)])
    async def put(
        request: Request, caller: AskedBy, form: FormSent, queue: _Queue = "", task: _Task = ""
    ) -> Response:
        """Limit the queue or the task, from its next claim on."""
        names = _names(queue, task)
        try:
            limit = LimitAsked.model_validate(_sent(form)).limit(**names)
        except ValidationError as error:
            return await _limit_page(site, request, caller, names, form, _faults(error))
        except (ConfigurationError, ValueError) as error:
            return await _limit_page(site, request, caller, names, form, {"": str(error)})
        await jobs.limits.set(limit)
        return moved(request, _url(site, limit), Notice("The limit holds from the next claim on."))

    @router.post("/one/remove", dependencies=[allow(Role.ADMIN)])
    async def remove(request: Request, queue: _Queue = "", task: _Task = "") -> Response:
        """Let the queue or the task have no limit."""
        was_there = await jobs.limits.remove(**_names(queue, task))
        said = "The limit was removed." if was_there else "It had no limit."
        return moved(request, site.url("jobs/limits"), Notice(said))

    return router


async def _limit_page(
    site: ConsoleSite,
    request: Request,
    caller: AskedBy,
    names: dict[str, str],
    form: SentForm | None = None,
    faults: dict[str, str] | None = None,
) -> Response:
    use = await site.platform.service(Jobs).limits.use(**names)
    (scope, name) = next(iter(names.items()))
    shown = None if use is None else LimitUseOut.of(use)
    context = {
        "scope": scope,
        "name": name,
        "use": shown,
        "keys": [] if shown is None else shown.keys[:_KEYS],
        "more_keys": 0 if shown is None else max(0, len(shown.keys) - _KEYS),
        "numbers": _NUMBERS,
        "texts": _texts(None if use is None else use.limit) if form is None else _typed(form),
        "faults": faults or {},
        "own": site.url("jobs/limits/one", names),
        "remove": site.url("jobs/limits/one/remove", names),
        "may_set": caller.role.includes(Role.ADMIN),
    }
    crumbs = [_jobs(site), Crumb("Limits", site.url("jobs/limits"))]
    head = PageHead(title=f"{scope} {name}", section="jobs", crumbs=crumbs)
    return page(request, "limit.html", head, context, status=422 if faults else 200)


def _jobs(site: ConsoleSite) -> Crumb:
    return Crumb("Jobs", site.url("jobs"))


def _names(queue: str, task: str) -> dict[str, str]:
    """Return the name that is given, as the verbs take it. Raises HTTPException."""
    try:
        limit_name(queue=queue or None, task=task or None)
    except ConfigurationError as error:
        raise HTTPException(400, str(error)) from None
    return {"queue": queue} if queue else {"task": task}


def _named(limit: Limit) -> dict[str, str | None]:
    return {"queue": limit.queue, "task": limit.task}


def _url(site: ConsoleSite, limit: Limit | LimitOut) -> str:
    return site.url("jobs/limits/one", {"queue": limit.queue, "task": limit.task})


def _texts(limit: Limit | None) -> dict[str, str]:
    """Return what stands in the form of *limit*."""
    if limit is None:
        return {"period": "1"}
    found = {name: str(getattr(limit, name) or "") for name in _NUMBERS}
    found["period"] = f"{limit.period.total_seconds():g}"
    found["weights"] = "\n".join(f"{key} = {weight}" for key, weight in limit.weights.items())
    return found


def _typed(form: SentForm) -> dict[str, str]:
    return {name: form.text(name) for name in (*_NUMBERS, "period", "weights")}


def _sent(form: SentForm) -> dict[str, object]:
    """Return what the form says, as `LimitAsked` takes it. Raises ValueError for no number."""
    found: dict[str, object] = {
        name: _whole(name, form.text(name)) for name in _NUMBERS if form.text(name).strip()
    }
    if form.text("period").strip():
        found["period"] = form.text("period").strip()
    weights: dict[str, object] = {}
    for line in filter(str.strip, form.text("weights").splitlines()):
        key, equals, weight = line.rpartition("=")
        if not equals:
            raise ValueError(f"weights: expected KEY = NUMBER in each line, got {line!r:.60}")
        weights[key.strip()] = _whole("weights", weight)
    return {**found, "weights": weights}


def _whole(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{name}: expected a whole number, got {text!r:.60}") from None


def _faults(error: ValidationError) -> dict[str, str]:
    """Return what is wrong by field, '' for the whole."""
    return {
        str(each["loc"][0]) if each["loc"] else "": each["msg"].removeprefix("Value error, ")
        for each in error.errors()
    }
