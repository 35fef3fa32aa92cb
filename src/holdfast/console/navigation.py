"""The sections of the console, in the order of its navigation."""

from __future__ import annotations

from fastapi import APIRouter

from holdfast.access import Role
from holdfast.audit.log_keeper import LogKeeper
from holdfast.console.audit_pages import audit_page_routes
from holdfast.console.buckets.bucket_pages import bucket_routes
from holdfast.console.cache_pages import cache_page_routes
from holdfast.console.console_site import ConsoleSection, ConsoleSite
from holdfast.console.design_page import design_routes
from holdfast.console.host_pages import host_page_routes
from holdfast.console.jobs.job_pages import job_page_routes
from holdfast.console.model_pages import model_page_routes
from holdfast.console.overview_pages import overview_routes
from holdfast.console.records.matching_row_pages import matching_row_routes
from holdfast.console.records.record_forms import record_form_routes
from holdfast.console.records.record_import_pages import record_import_routes
from holdfast.console.records.record_pages import record_routes
from holdfast.console.search_pages import search_routes
from holdfast.console.setting_pages import setting_routes
from holdfast.console.videos.video_pages import video_routes
from holdfast.hosts import HostPool
from holdfast.jobs import Jobs
from holdfast.media import MediaLibrary
from holdfast.models import ModelRegistry


def _records(site: ConsoleSite) -> APIRouter:
    router = APIRouter()
    router.include_router(record_form_routes(site))
    router.include_router(matching_row_routes(site))
    router.include_router(record_import_routes(site))
    router.include_router(record_routes(site))
    return router


SECTIONS: tuple[ConsoleSection, ...] = (
    ConsoleSection(
        name="", title="Overview", icon="overview", routes=overview_routes, by_project=True
    ),
    ConsoleSection(
        name="videos",
        title="Videos",
        icon="review",
        routes=video_routes,
        by_project=True,
        needs=(MediaLibrary,),
    ),
    ConsoleSection(name="records", title="Records", icon="records", routes=_records),
    ConsoleSection(name="jobs", title="Jobs", icon="jobs", routes=job_page_routes, needs=(Jobs,)),
    ConsoleSection(
        name="models",
        title="Models",
        icon="models",
        routes=model_page_routes,
        needs=(ModelRegistry,),
    ),
    ConsoleSection(name="buckets", title="Buckets", icon="buckets", routes=bucket_routes),
    ConsoleSection(
        name="hosts", title="Hosts", icon="hosts", routes=host_page_routes, needs=(HostPool,)
    ),
    ConsoleSection(name="cache", title="Cache", icon="cache", routes=cache_page_routes),
    ConsoleSection(
        name="audit",
        title="Audit",
        icon="audit",
        routes=audit_page_routes,
        role=Role.ADMIN,
        needs=(LogKeeper,),
    ),
    ConsoleSection(
        name="settings", title="Settings", icon="settings", routes=setting_routes, role=Role.ADMIN
    ),
    ConsoleSection(
        name="search", title="Search", icon="search", routes=search_routes, listed=False
    ),
    ConsoleSection(
        name="design", title="Design", icon="design", routes=design_routes, listed=False
    ),
)
"""Every section; a console shows those whose services its platform has."""
