"""The routes of media: projects, videos that come in as files, and what was found in them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID, uuid4

import anyio
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from holdfast.access import Role
from holdfast.access.gate import AskedBy, allow, caller_of, counted_as, still_allowed
from holdfast.domain import DomainLimits
from holdfast.errors import NotFoundError, ObjectKeyError
from holdfast.fastapi import (
    CrudModels,
    CrudRules,
    ListQuery,
    OutModel,
    Repo,
    crud_router,
    problem_responses,
)
from holdfast.fastapi.crud.crud_rules import Verb
from holdfast.fastapi.exchange import lift_deadline
from holdfast.fastapi.streams.job_events import job_event_stream
from holdfast.fastapi.transfers.file_names import safe_file_name
from holdfast.fastapi.transfers.object_response import add_download, object_response
from holdfast.fastapi.transfers.presigned_transfer import UploadForm, confirm_upload, upload_form
from holdfast.fastapi.transfers.request_body import announced_size
from holdfast.fastapi.transfers.upload_request import receive_upload
from holdfast.media.analysis_options import AnalysisOptions
from holdfast.media.entities import Clip, Project, Video
from holdfast.media.library import MediaLibrary, check_project_name
from holdfast.media.object_keys import prefixes
from holdfast.media.project_reach import reached, reached_project, reached_video
from holdfast.media.upload_quota import UploadQuota
from holdfast.media.uploads import UPLOADS
from holdfast.records import Change, Page, Predicate
from holdfast.records.expressions.field_changes import SetTo
from holdfast.workspace import open_workspace


class ProjectQuery(
    ListQuery[Project],
    filters=[Project.name, Project.name.icontains, Project.created_at.between],
    sorts=[Project.name, Project.created_at],
):
    """What a list of projects is asked for."""


class VideoOut(OutModel[Video], hide=[Video.raw_key, Video.thumbnail_key]):
    """A video as clients see it: without the keys of its objects, which are the server's own."""


class VideoQuery(
    ListQuery[Video],
    filters=[
        Video.project_id,
        Video.filename.icontains,
        Video.duration.between,
        Video.created_at.between,
        Video.codec,
    ],
    sorts=[Video.created_at.desc(), Video.filename, Video.duration, Video.size],
):
    """What a list of videos is asked for."""


class ClipOut(OutModel[Clip], hide=[Clip.key]):
    """A clip as clients see it."""


class VideoIngested(BaseModel):
    """A video that is there now, and whether this request brought it in."""

    video: VideoOut
    created: bool


class UploadAsked(BaseModel):
    """A file that a client wants to send straight to the bucket."""

    model_config = ConfigDict(extra="forbid")

    content_type: str = Field(max_length=100, pattern=r"^video/[\w.+-]+$")


class UploadedFile(BaseModel):
    """A file that was sent straight to the bucket, and what it is called."""

    model_config = ConfigDict(extra="forbid")

    key: str = Field(max_length=200, pattern=rf"^{UPLOADS}[0-9a-f-]{{36}}/[0-9a-f]{{32}}$")
    filename: str = Field(min_length=1, max_length=1024)


class ResultFile(BaseModel):
    """A file that a detection left."""

    name: str
    size: int
    content_type: str | None
    modified: datetime


def media_routes(library: MediaLibrary, work_folder: Path, limits: DomainLimits) -> APIRouter:
    """Return the routes of *library*; files on their way to it are put below *work_folder*.

    *limits* bound what comes in.
    """
    router = APIRouter(tags=["media"], responses=problem_responses(404))
    _add_projects(router)
    _add_videos(router, library)
    _add_ingest(router, library, work_folder, UploadQuota(library, limits))
    _add_results(router, library)
    return router


def _add_projects(router: APIRouter) -> None:
    models = CrudModels(query=ProjectQuery)
    rules = CrudRules[Project](
        visible=_visible_projects, creating=_with_name, changing=_changes_with_name
    )
    verbs: dict[Verb, Role] = {
        "list": Role.VIEWER,
        "get": Role.VIEWER,
        "create": Role.OPERATOR,
        "patch": Role.OPERATOR,
        "delete": Role.OPERATOR,
    }
    for verb, role in verbs.items():
        router.include_router(
            crud_router(Project, models=models, rules=rules, verbs=[verb]),
            prefix="/projects",
            dependencies=[allow(role, by_project=verb != "create")],
        )


async def _with_name(_request: Request, project: Project) -> Project:
    check_project_name(project.name)
    return project


async def _changes_with_name(
    _request: Request, _stored: Project, changes: Sequence[Change]
) -> Sequence[Change]:
    for change in changes:
        if isinstance(change, SetTo) and change.column.name == Project.name.spec.name:
            check_project_name(change.value)
    return changes


async def _visible_projects(request: Request) -> list[Predicate]:
    return reached(await caller_of(request), Project.id)


def _add_videos(router: APIRouter, library: MediaLibrary) -> None:
    looks = [allow(Role.VIEWER, by_project=True)]
    works = [allow(Role.OPERATOR, by_project=True)]

    @router.get("/videos", dependencies=looks)
    async def list_videos(
        asked: Annotated[VideoQuery, Query()], videos: Repo[Video], caller: AskedBy
    ) -> Page[VideoOut]:
        """List videos, newest first."""
        return await asked.page(videos, VideoOut, where=reached(caller, Video.project_id))

    @router.get("/videos/{video_id}", dependencies=looks)
    async def get_video(video_id: UUID, caller: AskedBy) -> VideoOut:
        """Show a video, with the figures of its last detection."""
        return VideoOut.of(await reached_video(library, video_id, caller))

    @router.delete("/videos/{video_id}", status_code=204, dependencies=works)
    async def delete_video(video_id: UUID, caller: AskedBy) -> None:
        """Delete a video with its clips and all its files."""
        await library.delete((await reached_video(library, video_id, caller)).id)

    @router.post("/videos/{video_id}/detection", status_code=202, dependencies=works)
    async def detect(
        video_id: UUID, caller: AskedBy, options: AnalysisOptions | None = None
    ) -> UUID:
        """Ask for another detection, with regions, masks and lines; the answer is its job's id."""
        return (await library.detect(await reached_video(library, video_id, caller), options)).id

    @router.get("/videos/{video_id}/job/events", dependencies=looks, response_class=Response)
    async def events(video_id: UUID, caller: AskedBy, request: Request) -> Response:
        """Follow the video's newest job to its end, as server-sent events."""
        video = await reached_video(library, video_id, caller)
        if video.job_id is None:
            raise NotFoundError("Job", video_id)
        return await job_event_stream(
            request,
            library.jobs,
            video.job_id,
            client=counted_as(request),
            authorize=still_allowed(request),
        )

    @router.get("/videos/{video_id}/clips", dependencies=looks)
    async def clips(video_id: UUID, clips: Repo[Clip], caller: AskedBy) -> list[ClipOut]:
        """List the stretches with movement, as their own videos."""
        video = await reached_video(library, video_id, caller)
        found = await clips.find(Clip.video_id == video.id, order_by=Clip.number.asc())
        return [ClipOut.of(clip) for clip in found]


def _add_ingest(
    router: APIRouter, library: MediaLibrary, work_folder: Path, quota: UploadQuota
) -> None:
    works = [allow(Role.OPERATOR, by_project=True)]

    @router.post("/projects/{project_id}/videos", status_code=201, dependencies=works)
    async def upload(
        project_id: UUID, request: Request, response: Response, caller: AskedBy
    ) -> VideoIngested:
        """Bring a video in: the file of a multipart form, or the whole body.

        A file that the project has is not brought in twice; the answer is 200 then.
        """
        project = await reached_project(library, project_id, caller)
        limits = await quota.room(project_id, announced_size(request))
        async with receive_upload(
            request, library.bucket, _upload_key(project_id), limits=limits
        ) as received:
            await quota.room(project_id, received.info.size)  # others may have come meanwhile
            name = received.filename or "video"
            return await _ingest(library, project, received.key, name, work_folder, response)

    @router.post("/projects/{project_id}/uploads", status_code=201, dependencies=works)
    async def upload_straight(project_id: UUID, asked: UploadAsked, caller: AskedBy) -> UploadForm:
        """Give a form with which a file is sent straight to the bucket, for 15 minutes."""
        await reached_project(library, project_id, caller)
        return await upload_form(
            library.bucket,
            _upload_key(project_id),
            content_type=asked.content_type,
            limits=replace(await quota.room(project_id, form=True), types=("video/*",)),
        )

    @router.post("/projects/{project_id}/uploads/ingest", status_code=201, dependencies=works)
    async def ingest_uploaded(
        project_id: UUID, sent: UploadedFile, request: Request, response: Response, caller: AskedBy
    ) -> VideoIngested:
        """Bring in a file that was sent straight to the bucket."""
        lift_deadline(request)  # a large file takes its time to be fetched
        project = await reached_project(library, project_id, caller)
        if not sent.key.startswith(f"{UPLOADS}{project_id}/"):
            raise NotFoundError("upload", sent.key)
        limits = await quota.room(project_id, form=True)
        await confirm_upload(library.bucket, sent.key, limits=limits)
        return await _ingest(library, project, sent.key, sent.filename, work_folder, response)


def _add_results(router: APIRouter, library: MediaLibrary) -> None:
    looks = [allow(Role.VIEWER, by_project=True)]
    bytes_of = APIRouter(dependencies=looks)

    async def content(video_id: UUID, request: Request, caller: AskedBy) -> Response:
        """Send the file as it came in; ranges let a player seek."""
        video = await reached_video(library, video_id, caller)
        return await object_response(
            request, library.bucket, video.raw_key, download_as=video.filename
        )

    async def thumbnail(video_id: UUID, request: Request, caller: AskedBy) -> Response:
        """Send the picture that stands for the video."""
        video = await reached_video(library, video_id, caller)
        return await object_response(request, library.bucket, video.thumbnail_key)

    @router.get("/videos/{video_id}/files", dependencies=looks)
    async def files(video_id: UUID, caller: AskedBy) -> list[ResultFile]:
        """List what ingest and detection left: results, pictures, the annotated video, clips."""
        video = await reached_video(library, video_id, caller)
        return [
            ResultFile(
                name=info.key.replace(f"/{video.id}/", "/", 1),
                size=info.size,
                content_type=info.content_type,
                modified=info.modified,
            )
            for info in await library.objects(video.id)
        ]

    async def file(
        video_id: UUID, room: str, name: str, request: Request, caller: AskedBy
    ) -> Response:
        """Send one of these files."""
        video = await reached_video(library, video_id, caller)
        below = f"{room}/{video.id}/"
        if below not in prefixes(video.id) or not await _is_there(library, f"{below}{name}"):
            raise NotFoundError("file", f"{room}/{name}")
        return await object_response(request, library.bucket, f"{below}{name}")

    add_download(bytes_of, "/videos/{video_id}/content", content)
    add_download(bytes_of, "/videos/{video_id}/thumbnail", thumbnail)
    add_download(bytes_of, "/videos/{video_id}/files/{room}/{name:path}", file)
    router.include_router(bytes_of)


async def _ingest(
    library: MediaLibrary,
    project: Project,
    key: str,
    filename: str,
    work_folder: Path,
    response: Response,
) -> VideoIngested:
    """Ingest the object *key* into *project*, and remove it where it was sent to."""
    try:
        async with open_workspace(work_folder) as folder:
            path = folder / safe_file_name(filename)
            await library.bucket.download(key, path)
            ingested = await library.ingest(path, project=project.name)
    finally:
        with anyio.CancelScope(shield=True):
            await library.bucket.delete(key)
    if not ingested.created:
        response.status_code = 200
    response.headers["Location"] = f"/api/v1/videos/{ingested.video.id}"
    return VideoIngested(video=VideoOut.of(ingested.video), created=ingested.created)


async def _is_there(library: MediaLibrary, key: str) -> bool:
    try:
        return await library.bucket.exists(key)
    except ObjectKeyError:  # what no bucket may hold is not there
        return False


def _upload_key(project_id: UUID) -> str:
    return f"{UPLOADS}{project_id}/{uuid4().hex}"
