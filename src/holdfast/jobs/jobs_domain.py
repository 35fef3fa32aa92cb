"""The domain of jobs: its entity and its service, as the platform plugs them in."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

from holdfast.domain import Domain
from holdfast.errors import HoldfastError
from holdfast.jobs.history.figure_recording import roll_up
from holdfast.jobs.job_entities import JOB_ENTITIES
from holdfast.jobs.jobs import Jobs
from holdfast.jobs.ready_jobs import QUARANTINE_AFTER
from holdfast.jobs.schedules.scheduler import Scheduler
from holdfast.jobs.sealing_keys import JobKeys

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import APIRouter

    from holdfast.domain import DomainParts

_log = logging.getLogger("holdfast.jobs")


@asynccontextmanager
async def _service(parts: DomainParts) -> AsyncIterator[object]:
    """Open the jobs; at the end what they counted is written down, if it can be."""
    section = parts.section("jobs")
    text, current = str(section.get("keys", "")), str(section.get("current_key", ""))
    jobs = Jobs(
        parts.store,
        keys=JobKeys.parse(text, current=current) if text else None,
        quarantine_after=cast("int", section.get("quarantine_after", QUARANTINE_AFTER)),
    )
    try:
        yield jobs
    finally:
        try:
            await jobs.write_figures()
        except HoldfastError as refused:
            _log.warning("the statistics of jobs can't be written now: %s", refused)


def _routes(parts: DomainParts) -> APIRouter:
    from holdfast.jobs.job_routes import job_routes  # noqa: PLC0415 - FastAPI is an extra

    return job_routes(parts.service(Jobs))


async def _upkeep(parts: DomainParts) -> None:
    await parts.service(Jobs).purge_expired()
    await parts.service(Jobs).limits.purge_keys()
    await roll_up(parts.store)


async def _each_minute(parts: DomainParts) -> None:
    await parts.service(Jobs).write_figures()
    await Scheduler(parts.service(Jobs)).tick()


JOBS = Domain(
    name="jobs",
    entities=JOB_ENTITIES,
    service=_service,
    routes=_routes,
    upkeep=_upkeep,
    each_minute=_each_minute,
)
"""Jobs: work that is stored, claimed under a lease, retried, watched and cancelled."""
