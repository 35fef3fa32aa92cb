"""The routes of cases: open, gather, and send as one archive."""

from collections.abc import AsyncGenerator
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from holdfast.access import Caller, Role
from holdfast.access.gate import AskedBy, allow
from holdfast.audit.log_keeper import LogKeeper
from holdfast.errors import NotFoundError
from holdfast.fastapi import OutModel, problem_responses
from holdfast.media.library import MediaLibrary
from holdfast.media.project_reach import check_reach, reached_project
from holdfast.media.review.case_archive import CaseArchive
from holdfast.media.review.cases import Cases
from holdfast.media.review.clip_routes import reached_clip
from holdfast.media.review.review_entities import CaseItem, ReviewCase

_MOST_CASES = 500
_Text = Annotated[str, Field(max_length=4000)]


class CaseOut(OutModel[ReviewCase]):
    """A case as clients see it."""


class CaseItemOut(OutModel[CaseItem]):
    """One thing in a case as clients see it."""


class CaseWithItems(BaseModel):
    """A case, and what is in it in the order in which it was added."""

    case: CaseOut
    items: list[CaseItemOut]


class CaseAsked(BaseModel):
    """A case to be opened."""

    model_config = ConfigDict(extra="forbid")

    title: str = Field(min_length=1, max_length=200)
    description: _Text = ""


class ClipItem(BaseModel):
    """A saved clip for a case."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["clip"]
    saved_clip_id: UUID
    text: _Text = ""


class DetectionsItem(BaseModel):
    """What was detected between two times of a video, in seconds, for a case."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["detections"]
    video_id: UUID
    start_time: float = Field(ge=0, allow_inf_nan=False)
    end_time: float = Field(gt=0, allow_inf_nan=False)
    text: _Text = ""


class NoteItem(BaseModel):
    """A note for a case."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["note"]
    text: Annotated[str, Field(min_length=1, max_length=4000)]


ItemAsked = Annotated[ClipItem | DetectionsItem | NoteItem, Field(discriminator="kind")]


def case_routes(library: MediaLibrary, keeper: LogKeeper | None) -> APIRouter:
    """Return the routes of the cases of *library*; *keeper* keeps the audit, if that is on."""
    router = APIRouter(tags=["review"], responses=problem_responses(404))
    looks = [allow(Role.VIEWER, by_project=True)]
    works = [allow(Role.OPERATOR, by_project=True)]
    cases = Cases(library)
    archive = CaseArchive(library, keeper)

    @router.get("/projects/{project_id}/cases", dependencies=looks)
    async def list_cases(project_id: UUID, caller: AskedBy) -> list[CaseOut]:
        """List a project's cases, newest first; 500 at most."""
        project = await reached_project(library, project_id, caller)
        found = await cases.cases.find(
            ReviewCase.project_id == project.id,
            order_by=ReviewCase.created_at.desc(),
            limit=_MOST_CASES,
        )
        return [CaseOut.of(each) for each in found]

    @router.post("/projects/{project_id}/cases", status_code=201, dependencies=works)
    async def open_case(project_id: UUID, caller: AskedBy, asked: CaseAsked) -> CaseOut:
        """Open a case."""
        project = await reached_project(library, project_id, caller)
        made = await cases.open(project.id, asked.title, asked.description, by=caller.name)
        return CaseOut.of(made)

    @router.get("/cases/{case_id}", dependencies=looks)
    async def show(case_id: UUID, caller: AskedBy) -> CaseWithItems:
        """Show a case with what is in it."""
        case = await reached_case(library, case_id, caller)
        items = await cases.contents(case.id)
        return CaseWithItems(case=CaseOut.of(case), items=[CaseItemOut.of(each) for each in items])

    @router.post("/cases/{case_id}/items", status_code=201, dependencies=works)
    async def add_item(case_id: UUID, caller: AskedBy, asked: ItemAsked) -> CaseItemOut:
        """Add a saved clip, detections or a note to a case."""
        case = await reached_case(library, case_id, caller)
        match asked:
            case ClipItem():
                clip = await reached_clip(library, asked.saved_clip_id, caller)
                item = await cases.add_clip(case, clip, asked.text, by=caller.name)
            case DetectionsItem():
                times = (asked.start_time, asked.end_time)
                item = await cases.add_detections(
                    case, asked.video_id, times, asked.text, by=caller.name
                )
            case NoteItem():
                item = await cases.add_note(case, asked.text, by=caller.name)
        return CaseItemOut.of(item)

    @router.delete("/cases/{case_id}/items/{item_id}", status_code=204, dependencies=works)
    async def remove_item(case_id: UUID, item_id: UUID, caller: AskedBy) -> None:
        """Take one thing out of a case."""
        case = await reached_case(library, case_id, caller)
        if not await cases.items.delete_where(CaseItem.id == item_id, CaseItem.case_id == case.id):
            raise NotFoundError("CaseItem", item_id)

    @router.delete("/cases/{case_id}", status_code=204, dependencies=works)
    async def delete_case(case_id: UUID, caller: AskedBy) -> None:
        """Delete a case; clips and videos stay."""
        await cases.delete(await reached_case(library, case_id, caller))

    @router.post("/cases/{case_id}/archive", dependencies=works, response_class=Response)
    async def send_archive(case_id: UUID, caller: AskedBy) -> StreamingResponse:
        """Send the case as one ZIP archive with checksums and the audit's proof; it is recorded."""
        case = await reached_case(library, case_id, caller)
        return archive_response(case, await archive.write(case, by=caller.name))

    return router


def archive_response(case: ReviewCase, content: AsyncGenerator[bytes, None]) -> StreamingResponse:
    """Return the response that streams the archive *content* of *case*."""
    headers = {
        "Content-Disposition": f'attachment; filename="case-{case.id}.zip"',
        "Cache-Control": "no-store",
    }
    return StreamingResponse(content, media_type="application/zip", headers=headers)


async def reached_case(library: MediaLibrary, case_id: UUID, caller: Caller) -> ReviewCase:
    """Return the case. Raises NotFoundError for none, and for one out of the caller's reach."""
    case = await library.store.repository(ReviewCase).get_one(case_id)
    check_reach(caller, case.project_id, "ReviewCase", case_id)
    return case
