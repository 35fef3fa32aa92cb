"""The routes of saved clips: make, rename, export, play, share, delete."""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from holdfast.access import Caller, Role
from holdfast.access.gate import AskedBy, allow, anybody
from holdfast.errors import NotFoundError
from holdfast.fastapi import OutModel, problem_responses
from holdfast.fastapi.transfers.object_response import add_download, object_response
from holdfast.media.library import MediaLibrary, check_name
from holdfast.media.project_reach import check_reach, reached_video
from holdfast.media.review.review_entities import SavedClip
from holdfast.media.review.saved_clips import LONGEST_SHARE, SavedClips

_Name = Annotated[str, Field(min_length=1, max_length=200)]
_Token = Annotated[str, Path(min_length=20, max_length=100, pattern=r"^[\w-]+$")]


class SavedClipOut(OutModel[SavedClip], hide=[SavedClip.key]):
    """A saved clip as clients see it; it has a file once `exported_at` is set."""


class ClipAsked(BaseModel):
    """A part of a video, in seconds, and what it is to be called."""

    model_config = ConfigDict(extra="forbid")

    name: _Name
    start_time: float = Field(ge=0, allow_inf_nan=False)
    end_time: float = Field(gt=0, allow_inf_nan=False)


class ClipRenamed(BaseModel):
    """Another name for a clip."""

    model_config = ConfigDict(extra="forbid")

    name: _Name


class ShareAsked(BaseModel):
    """For how many seconds a link is to be good."""

    model_config = ConfigDict(extra="forbid")

    seconds: float = Field(default=86_400, gt=0, le=LONGEST_SHARE.total_seconds())


class ShareOut(BaseModel):
    """A link to a clip: whoever has it may play the clip until it *expires*. It is told once."""

    url: str
    expires: datetime


def clip_routes(library: MediaLibrary) -> APIRouter:
    """Return the routes of the saved clips of *library*."""
    router = APIRouter(tags=["review"], responses=problem_responses(404))
    saved = SavedClips(library)
    _add_clips(router, library, saved)
    _add_files(router, library, saved)
    return router


def _add_clips(router: APIRouter, library: MediaLibrary, saved: SavedClips) -> None:
    looks = [allow(Role.VIEWER, by_project=True)]
    works = [allow(Role.OPERATOR, by_project=True)]

    @router.get("/videos/{video_id}/saved-clips", dependencies=looks)
    async def list_clips(video_id: UUID, caller: AskedBy) -> list[SavedClipOut]:
        """List the clips that were saved of a video, by their times; 500 at most."""
        video = await reached_video(library, video_id, caller)
        return [SavedClipOut.of(each) for each in await saved.of_video(video.id)]

    @router.post("/videos/{video_id}/saved-clips", status_code=201, dependencies=works)
    async def save(video_id: UUID, caller: AskedBy, asked: ClipAsked) -> SavedClipOut:
        """Save a part of a video under a name."""
        video = await reached_video(library, video_id, caller)
        times = (asked.start_time, asked.end_time)
        return SavedClipOut.of(await saved.make(video, asked.name, *times, by=caller.name))

    @router.get("/saved-clips/{clip_id}", dependencies=looks)
    async def show(clip_id: UUID, caller: AskedBy) -> SavedClipOut:
        """Show a saved clip."""
        return SavedClipOut.of(await reached_clip(library, clip_id, caller))

    @router.patch("/saved-clips/{clip_id}", dependencies=works)
    async def rename(clip_id: UUID, caller: AskedBy, asked: ClipRenamed) -> SavedClipOut:
        """Give a saved clip another name."""
        clip = await reached_clip(library, clip_id, caller)
        check_name("SavedClip", "name", asked.name)
        return SavedClipOut.of(await saved.clips.patch(clip.id, SavedClip.name.to(asked.name)))

    @router.delete("/saved-clips/{clip_id}", status_code=204, dependencies=works)
    async def delete(clip_id: UUID, caller: AskedBy) -> None:
        """Delete a saved clip, its file and the links to it; not while a case has it."""
        await saved.delete(await reached_clip(library, clip_id, caller))

    @router.post("/saved-clips/{clip_id}/export", status_code=202, dependencies=works)
    async def export(clip_id: UUID, caller: AskedBy) -> UUID:
        """Ask for the clip's own file; the answer is the id of the job that cuts it."""
        return (await saved.export(await reached_clip(library, clip_id, caller))).id

    @router.post("/saved-clips/{clip_id}/shares", status_code=201, dependencies=works)
    async def share(
        clip_id: UUID, caller: AskedBy, request: Request, asked: ShareAsked
    ) -> ShareOut:
        """Give a link by which anybody may play the clip for a while."""
        clip = await reached_clip(library, clip_id, caller)
        link = await saved.share(clip, timedelta(seconds=asked.seconds), by=caller.name)
        path = request.url.path.rpartition(f"/saved-clips/{clip_id}/")[0]
        return ShareOut(url=f"{path}/shared-clips/{link.token}", expires=link.expires)

    @router.delete("/saved-clips/{clip_id}/shares", status_code=204, dependencies=works)
    async def withdraw(clip_id: UUID, caller: AskedBy) -> None:
        """End every link to the clip."""
        await saved.withdraw(await reached_clip(library, clip_id, caller))


def _add_files(router: APIRouter, library: MediaLibrary, saved: SavedClips) -> None:
    looks = APIRouter(dependencies=[allow(Role.VIEWER, by_project=True)])
    links = APIRouter(dependencies=[Depends(anybody)])

    async def content(clip_id: UUID, request: Request, caller: AskedBy) -> Response:
        """Send the file of a clip that was exported."""
        return await _sent(library, await reached_clip(library, clip_id, caller), request)

    async def shared(token: _Token, request: Request) -> Response:
        """Send the clip that a link is for, to anybody who has it."""
        response = await _sent(library, await saved.shared(token), request)
        response.headers["Cache-Control"] = "no-store"
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    add_download(looks, "/saved-clips/{clip_id}/content", content)
    add_download(links, "/shared-clips/{token}", shared)
    router.include_router(looks)
    router.include_router(links)


async def reached_clip(library: MediaLibrary, clip_id: UUID, caller: Caller) -> SavedClip:
    """Return the saved clip. Raises NotFoundError for none, and for one out of reach."""
    clip = await library.store.repository(SavedClip).get_one(clip_id)
    video = await library.videos.get_one(clip.video_id)
    check_reach(caller, video.project_id, "SavedClip", clip_id)
    return clip


async def _sent(library: MediaLibrary, clip: SavedClip, request: Request) -> Response:
    if clip.key is None:
        raise NotFoundError("file of the clip", clip.name, hint="it was not exported yet")
    return await object_response(request, library.bucket, clip.key)
