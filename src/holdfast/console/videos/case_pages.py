"""The pages of cases: those of a project, and one with what is in it and its archive."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from holdfast.access import Role
from holdfast.access.gate import AskedBy, allow
from holdfast.console.console_site import ConsoleSite
from holdfast.console.page import Crumb, PageHead, moved, page
from holdfast.console.visits.forgery_check import FormSent
from holdfast.console.visits.visit import Notice
from holdfast.errors import HoldfastError, NotFoundError
from holdfast.media import MediaLibrary, Project, Video
from holdfast.media.project_reach import reached, reached_project
from holdfast.media.review.case_archive import CaseArchive, keeper_in
from holdfast.media.review.case_routes import archive_response, reached_case
from holdfast.media.review.cases import Cases
from holdfast.media.review.clip_routes import reached_clip
from holdfast.media.review.review_entities import CaseItem, ReviewCase, SavedClip

_MOST = 200


def add_case_pages(router: APIRouter, site: ConsoleSite, library: MediaLibrary) -> None:
    """Add the pages of cases, below those of videos."""
    _add_pages(router, site, library)
    _add_forms(router, site, library)


def _add_pages(router: APIRouter, site: ConsoleSite, library: MediaLibrary) -> None:
    looks = [allow(Role.VIEWER, by_project=True)]
    cases = Cases(library)

    @router.get("/videos/cases", dependencies=looks)
    async def list_cases(
        request: Request, caller: AskedBy, project: Annotated[UUID | None, Query()] = None
    ) -> Response:
        """Show the newest cases, of one project or of all."""
        chosen = None if project is None else await reached_project(library, project, caller)
        where = reached(caller, ReviewCase.project_id)
        if chosen is not None:
            where.append(ReviewCase.project_id == chosen.id)
        found = await cases.cases.find(
            *where, order_by=ReviewCase.created_at.desc(), limit=_MOST, load=[ReviewCase.project]
        )
        projects = await library.projects.find(
            *reached(caller, Project.id), order_by=Project.name.asc(), limit=_MOST
        )
        context = {"cases": found, "project": chosen, "projects": projects}
        crumbs = (Crumb("Videos", site.url("videos")),)
        head = PageHead(title="Cases", section="videos", crumbs=crumbs)
        return page(request, "cases.html", head, context)

    @router.get("/videos/cases/{case_id}", dependencies=looks)
    async def show(request: Request, case_id: UUID, caller: AskedBy) -> Response:
        """Show a case with what is in it."""
        case = await reached_case(library, case_id, caller)
        items = await cases.contents(case.id)
        clips = await library.store.repository(SavedClip).get_many(
            [each.saved_clip_id for each in items if each.saved_clip_id is not None]
        )
        videos = await library.videos.get_many(
            [each.video_id for each in items if each.video_id is not None]
        )
        choice = await library.videos.find(
            Video.project_id == case.project_id, order_by=Video.created_at.desc(), limit=_MOST
        )
        context = {
            "case": case,
            "items": items,
            "clips": {each.id: each for each in clips if each is not None},
            "videos": {each.id: each for each in videos if each is not None},
            "choice": choice,
            "audited": keeper_in(site.platform.parts) is not None,
        }
        crumbs = (Crumb("Videos", site.url("videos")), Crumb("Cases", site.url("videos/cases")))
        head = PageHead(title=case.title, section="videos", crumbs=crumbs)
        return page(request, "case.html", head, context)


def _add_forms(router: APIRouter, site: ConsoleSite, library: MediaLibrary) -> None:
    works = [allow(Role.OPERATOR, by_project=True)]
    cases = Cases(library)

    @router.post("/videos/cases", dependencies=works)
    async def open_case(request: Request, caller: AskedBy, form: FormSent) -> Response:
        """Open a case."""
        project = await reached_project(library, _id(form.text("project")), caller)
        try:
            made = await cases.open(
                project.id, form.text("title").strip(), form.text("description"), by=caller.name
            )
        except HoldfastError as error:
            return moved(request, site.url("videos/cases"), Notice(str(error), "bad"))
        return moved(request, site.url(f"videos/cases/{made.id}"), Notice("The case is open."))

    @router.post("/videos/cases/add", dependencies=works)
    async def add_clip(request: Request, caller: AskedBy, form: FormSent) -> Response:
        """Add a saved clip to a case."""
        case = await reached_case(library, _id(form.text("case")), caller)
        clip = await reached_clip(library, _id(form.text("clip")), caller)
        await cases.add_clip(case, clip, by=caller.name)
        said = Notice(f"The clip {clip.name!r} is in the case.")
        return moved(request, site.url(f"videos/cases/{case.id}"), said)

    @router.post("/videos/cases/{case_id}/items", dependencies=works)
    async def add_item(
        request: Request, case_id: UUID, caller: AskedBy, form: FormSent
    ) -> Response:
        """Add a note, or the detections of a time."""
        case = await reached_case(library, case_id, caller)
        text = form.text("text")
        try:
            if form.has("video"):
                times = (float(form.text("start_time")), float(form.text("end_time")))
                video = _id(form.text("video"))
                await cases.add_detections(case, video, times, text, by=caller.name)
            else:
                await cases.add_note(case, text, by=caller.name)
        except ValueError:
            said = Notice("Say from and to in seconds.", "bad")
        except HoldfastError as error:
            said = Notice(f"Not added: {error}", "bad")
        else:
            said = Notice("It is in the case.")
        return moved(request, site.url(f"videos/cases/{case.id}"), said)

    @router.post("/videos/cases/{case_id}/items/{item_id}/remove", dependencies=works)
    async def remove_item(
        request: Request, case_id: UUID, item_id: UUID, caller: AskedBy
    ) -> Response:
        """Take one thing out of a case."""
        case = await reached_case(library, case_id, caller)
        if not await cases.items.delete_where(CaseItem.id == item_id, CaseItem.case_id == case.id):
            raise NotFoundError("CaseItem", item_id)
        return moved(request, site.url(f"videos/cases/{case.id}"), Notice("It was taken out."))

    @router.post("/videos/cases/{case_id}/delete", dependencies=works)
    async def delete(request: Request, case_id: UUID, caller: AskedBy) -> Response:
        """Delete a case; clips and videos stay."""
        case = await reached_case(library, case_id, caller)
        await cases.delete(case)
        return moved(request, site.url("videos/cases"), Notice(f"{case.title} was deleted."))

    @router.post("/videos/cases/{case_id}/archive", dependencies=works)
    async def send_archive(request: Request, case_id: UUID, caller: AskedBy) -> Response:
        """Send the case as one archive."""
        case = await reached_case(library, case_id, caller)
        archive = CaseArchive(library, keeper_in(site.platform.parts))
        try:
            content = await archive.write(case, by=caller.name)
        except HoldfastError as error:
            address = site.url(f"videos/cases/{case.id}")
            return moved(request, address, Notice(f"There is no archive yet: {error}", "bad"))
        return archive_response(case, content)


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFoundError("id", text[:40]) from None
