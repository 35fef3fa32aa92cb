"""What is done on the pages of videos by forms, without a script too: uploads, reviews, clips."""

import json
from datetime import timedelta
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from holdfast.access import Role
from holdfast.access.gate import AskedBy, allow
from holdfast.console.console_site import ConsoleSite
from holdfast.console.page import moved
from holdfast.console.uploads.upload_routes import upload_routes
from holdfast.console.videos.video_uploads import ProjectUpload, project_uploads
from holdfast.console.visits.forgery_check import FileSent, FormSent
from holdfast.console.visits.visit import Notice, Undo
from holdfast.errors import HoldfastError, InvalidValueError
from holdfast.media import MediaLibrary
from holdfast.media.analysis_options import AnalysisOptions, options_from
from holdfast.media.project_reach import reached_project, reached_video
from holdfast.media.review.clip_routes import reached_clip
from holdfast.media.review.review_entities import SavedClip
from holdfast.media.review.saved_clips import SavedClips
from holdfast.media.review.segments import ReviewQueue
from holdfast.media.upload_quota import UploadQuota
from holdfast.settings.backend_options import domain_limits


def add_video_forms(router: APIRouter, site: ConsoleSite, library: MediaLibrary) -> None:
    """Add the routes that the forms of the videos' pages are sent to."""
    _add_uploads(router, site, library)
    _add_review(router, site, library)
    _add_clips(router, site, library)


def _add_uploads(router: APIRouter, site: ConsoleSite, library: MediaLibrary) -> None:
    works = [allow(Role.OPERATOR, by_project=True)]
    quota = UploadQuota(library, domain_limits(site.platform.settings))
    router.include_router(
        upload_routes(
            site,
            "/videos/projects/{project_id}/uploads",
            project_uploads(site, library, quota),
            dependencies=works,
        )
    )

    @router.post("/videos/projects", dependencies=[allow(Role.OPERATOR)])
    async def make_project(request: Request, form: FormSent) -> Response:
        """Make a project."""
        made = await library.project(form.text("name").strip())
        return moved(request, site.url("videos", {"project": made.id}))

    @router.post("/videos/projects/{project_id}/upload", dependencies=works)
    async def upload(
        request: Request, project_id: UUID, caller: AskedBy, sent: FileSent
    ) -> Response:
        """Bring in the file of a form."""
        project = await reached_project(library, project_id, caller)
        limits = await quota.room(project_id)
        to = ProjectUpload(site, library, quota, project)
        brought = await to.bring_in(sent.head.filename, sent.body.content(), limits.most)
        await sent.body.rest()
        address = site.url(f"videos/{brought.video.id}")
        said = "The video is in, and is being looked at." if brought.created else (
            "The project has this file already: here it is."
        )  # fmt: skip
        return moved(request, address, Notice(said))

    @router.post("/videos/{video_id}/detection", dependencies=works)
    async def detect(request: Request, video_id: UUID, caller: AskedBy, form: FormSent) -> Response:
        """Ask for another detection, with the lines, regions and masks of the form."""
        video = await reached_video(library, video_id, caller)
        address = site.url(f"videos/{video.id}")
        try:
            await library.detect(video, _options(form.text("options")))
        except InvalidValueError as error:
            return moved(request, address, Notice(f"Not asked for: {error}", "bad"))
        return moved(request, address, Notice("Another detection waits for a worker."))

    @router.post("/videos/{video_id}/delete", dependencies=works)
    async def delete(request: Request, video_id: UUID, caller: AskedBy) -> Response:
        """Delete the video with all its files."""
        video = await reached_video(library, video_id, caller)
        await library.delete(video.id)
        address = site.url("videos", {"project": video.project_id})
        return moved(request, address, Notice(f"{video.filename} was deleted."))


def _options(text: str) -> AnalysisOptions:
    if not text.strip():
        return AnalysisOptions()
    try:
        content = json.loads(text)
    except ValueError as error:
        raise InvalidValueError("AnalysisOptions", "content", f"is no JSON: {error}") from None
    if not isinstance(content, dict):
        raise InvalidValueError("AnalysisOptions", "content", "expected an object of JSON")
    return options_from(content)


def _add_review(router: APIRouter, site: ConsoleSite, library: MediaLibrary) -> None:
    # A review is the reviewer's own and changes nothing that others see.
    @router.post(
        "/videos/{video_id}/segments/{number}",
        dependencies=[allow(Role.VIEWER, by_project=True)],
    )
    async def review(
        request: Request, video_id: UUID, number: int, caller: AskedBy, form: FormSent
    ) -> Response:
        """Keep what the form says of a segment, and show the next that was not seen."""
        video = await reached_video(library, video_id, caller)
        queue = ReviewQueue(library.store, caller.name)
        said = await queue.review(
            video.id,
            number,
            seen=form.text("seen") == "yes" if form.has("seen") else None,
            marked=form.text("marked") == "yes" if form.has("marked") else None,
            note=form.text("note") if form.has("note") else None,
        )
        following = await queue.unseen(video.id, beside=number) if form.has("onward") else None
        shown = said if following is None else following
        return moved(request, site.url(f"videos/{video.id}", {"t": f"{shown.start_time:.3f}"}))


def _add_clips(router: APIRouter, site: ConsoleSite, library: MediaLibrary) -> None:
    works = [allow(Role.OPERATOR, by_project=True)]
    saved = SavedClips(library)

    @router.post("/videos/{video_id}/clips", dependencies=works)
    async def save(request: Request, video_id: UUID, caller: AskedBy, form: FormSent) -> Response:
        """Save a clip, and export it at once when the form says so."""
        video = await reached_video(library, video_id, caller)
        address = f"{site.url(f'videos/{video.id}')}"
        try:
            times = [float(form.text(name)) for name in ("start_time", "end_time")]
            clip = await saved.make(
                video, form.text("name").strip(), times[0], times[1], by=caller.name
            )
        except ValueError:
            return moved(request, address, Notice("Say from and to in seconds.", "bad"))
        except HoldfastError as error:
            return moved(request, address, Notice(f"Not saved: {error}", "bad"))
        if form.has("export"):
            await saved.export(clip)
        return moved(request, address, Notice(f"The clip {clip.name!r} is saved."))

    @router.post("/videos/clips/{clip_id}/{what}", dependencies=works)
    async def act(request: Request, clip_id: UUID, what: str, caller: AskedBy) -> Response:
        """Export, share or delete a clip."""
        clip = await reached_clip(library, clip_id, caller)
        address = site.url(f"videos/{clip.video_id}")
        try:
            match what:
                case "export":
                    await saved.export(clip)
                    said = f"The clip {clip.name!r} is being exported."
                case "share":
                    link = await saved.share(clip, timedelta(days=1), by=caller.name)
                    path = site.url(f"videos/data/shared-clips/{link.token}")
                    origin = str(request.base_url).split("/", 3)
                    said = (
                        f"Whoever has this link may play the clip for a day: "
                        f"{origin[0]}//{origin[2]}{path}"
                    )
                case "delete":
                    await saved.delete(clip)
                    notice = Notice(
                        f"The clip {clip.name!r} was deleted.", undo=_undo_of_deletion(site, clip)
                    )
                    return moved(request, address, notice)
                case _:
                    return Response(status_code=404)
        except HoldfastError as error:
            return moved(request, address, Notice(str(error), "bad"))
        return moved(request, address, Notice(said))


def _undo_of_deletion(site: ConsoleSite, clip: SavedClip) -> Undo:
    """Return the form that saves the clip again, and exports it where it had been; no links."""
    fields = {
        "name": clip.name,
        "start_time": repr(clip.start_time),
        "end_time": repr(clip.end_time),
    }
    if clip.job_id is not None:
        fields["export"] = "yes"
    return Undo(site.url(f"videos/{clip.video_id}/clips"), fields)
