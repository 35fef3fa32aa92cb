"""The domain of jobs: its entity and its service, as the platform plugs them in."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from holdfast.domain import Domain
from holdfast.jobs.job import Job
from holdfast.jobs.jobs import Jobs

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from fastapi import APIRouter

    from holdfast.domain import DomainParts


def _service(parts: DomainParts) -> AbstractAsyncContextManager[object]:
    return nullcontext(Jobs(parts.store))


def _routes(parts: DomainParts) -> APIRouter:
    from holdfast.jobs.job_routes import job_routes  # noqa: PLC0415 - FastAPI is an extra

    return job_routes(parts.service(Jobs))


JOBS = Domain(name="jobs", entities=(Job,), service=_service, routes=_routes)
"""Jobs: work that is stored, claimed under a lease, retried, watched and cancelled."""
