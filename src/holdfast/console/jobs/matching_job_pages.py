"""All jobs that fit what a list asks for: retried or cancelled, after a look at how many."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING
from uuid import UUID

from fastapi import APIRouter, HTTPException
from starlette.requests import Request
from starlette.responses import Response

from holdfast.access import Role
from holdfast.access.gate import allow
from holdfast.console.bounded_look import counted
from holdfast.console.console_site import ConsoleSite
from holdfast.console.jobs.job_list import AskedJobs, JobsAsked
from holdfast.console.page import Crumb, PageHead, moved, page
from holdfast.console.visits.forgery_check import FormSent, SentForm
from holdfast.console.visits.visit import Notice
from holdfast.jobs import BulkChange, Job, Jobs, JobStatus
from holdfast.jobs.job import LIVE
from holdfast.time_text import read_datetime

if TYPE_CHECKING:
    from holdfast.console.bounded_look import Wanted

MOST_AT_ONCE = 1_000  # jobs that one form changes


class BulkVerb(StrEnum):
    """What is done to all jobs that fit."""

    RETRY = "retry"
    CANCEL = "cancel"


_CONCERNED = {BulkVerb.RETRY: (JobStatus.FAILED,), BulkVerb.CANCEL: LIVE}
_DONE = {BulkVerb.RETRY: "queued again", BulkVerb.CANCEL: "cancelled or asked to stop"}


def matching_job_routes(site: ConsoleSite) -> APIRouter:
    """Return the routes that change all jobs that fit."""
    router = APIRouter(prefix="/jobs/matching", dependencies=[allow(Role.OPERATOR)])
    jobs = site.platform.service(Jobs)

    @router.get("/{verb}")
    async def asked(verb: BulkVerb, request: Request, asked: JobsAsked) -> Response:
        """Show how many jobs it would be, before anything is done."""
        until = site.platform.store.now()  # the clock by which jobs are made, not the server's
        return await _confirmation(site, request, verb, asked, until)

    @router.post("/{verb}")
    async def change(
        verb: BulkVerb, request: Request, asked: JobsAsked, form: FormSent
    ) -> Response:
        """Change up to MOST_AT_ONCE of them, each by itself; then tell what is left.

        Jobs that were made after the page was shown are left alone.
        """
        if form.text("typed") != _name_of(asked):
            raise HTTPException(400, f"type {_name_of(asked)} to change all jobs that fit")
        until, after = _until(form), _after(form)
        where = asked.jobs(until=until).where()
        change = jobs.redrive if verb is BulkVerb.RETRY else jobs.cancel_where
        done = await change(where, limit=MOST_AT_ONCE, after=after)
        if done.next is None:
            return moved(request, site.url("jobs", asked.query), Notice(_told(verb, done)))
        return await _confirmation(site, request, verb, asked, until, done=done)

    return router


async def _confirmation(
    site: ConsoleSite,
    request: Request,
    verb: BulkVerb,
    asked: AskedJobs,
    until: datetime,
    *,
    done: BulkChange | None = None,
) -> Response:
    after = None if done is None else done.next
    rows = site.platform.store.repository(Job)
    context = {
        "verb": verb.value,
        "asked": asked,
        "found": await counted(rows, _concerned(verb, asked, until, after)),
        "most": MOST_AT_ONCE,
        "name": _name_of(asked),
        "until": until.isoformat(),
        "after": "" if after is None else str(after),
        "told": "" if done is None else _told(verb, done),
    }
    crumbs = [Crumb("Jobs", site.url("jobs", asked.query))]
    title = "Retry all that failed" if verb is BulkVerb.RETRY else "Cancel all"
    head = PageHead(title=title, section="jobs", crumbs=crumbs)
    return page(request, "matching_jobs.html", head, context)


def _concerned(verb: BulkVerb, asked: AskedJobs, until: datetime, after: UUID | None) -> Wanted:
    """Return the jobs that would be changed: those that fit, in a status of *verb*."""
    statuses = [each for each in _CONCERNED[verb] if asked.status in (None, each)]
    if len(statuses) == 1:
        found = replace(asked, status=statuses[0]).wanted()
    else:
        found = asked.wanted()
        living = Job.status.in_(statuses)
        fitting = living & (Job.queue == asked.queue) if asked.queue else living
        led = (fitting, [Job.status.asc(), Job.queue.asc(), Job.run_at.asc()])
        sought = [*found.sought, living]
        found = replace(found, sought=sought, led=[*found.led, led], bounded=True)
    # Few are newer than the page, or done already: these are left out of what is looked through.
    made = [Job.created_at < until, *([] if after is None else [Job.id > after])]
    return replace(found, within=[*found.within, *made])


def _name_of(asked: AskedJobs) -> str:
    """Return what has to be typed: the narrowest name that is asked for."""
    return asked.task or asked.queue or "all jobs"


def _told(verb: BulkVerb, done: BulkChange) -> str:
    said = f"1 job is {_DONE[verb]}"
    if done.changed != 1:
        said = f"{done.changed:,} jobs are {_DONE[verb]}"
    if not done.refused:
        return f"{said}."
    return f"{said}; {done.refused:,} moved on meanwhile, or another job has their unique key."


def _until(form: SentForm) -> datetime:
    try:
        found = read_datetime(form.text("until"))
    except ValueError:
        raise HTTPException(400, "until: expected a time") from None
    if found.tzinfo is None:
        raise HTTPException(400, "until: expected a time with its zone")
    return found.astimezone(UTC)


def _after(form: SentForm) -> UUID | None:
    text = form.text("after")
    try:
        return UUID(text) if text else None
    except ValueError:
        raise HTTPException(400, "after: expected the id of a job") from None
