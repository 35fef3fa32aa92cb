"""The pages of videos: those of each project, and one video with all that reviewing it needs."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, ValidationInfo, field_validator
from starlette.requests import Request
from starlette.responses import Response

from holdfast.access import Caller, Role
from holdfast.access.gate import AskedBy, allow
from holdfast.console.bounded_look import AskedPiece, Wanted, look
from holdfast.console.console_site import ConsoleSite
from holdfast.console.page import Crumb, PageHead, page
from holdfast.console.uploads.upload_routes import owner_of
from holdfast.console.videos.case_pages import add_case_pages
from holdfast.console.videos.video_forms import add_video_forms
from holdfast.console.videos.video_plot import video_plot
from holdfast.errors import HoldfastError, InvalidValueError, NotFoundError
from holdfast.fastapi.transfers.object_response import add_download, object_response
from holdfast.jobs import Job, JobStatus
from holdfast.media import MediaLibrary, Project, Video
from holdfast.media.geometry import Point
from holdfast.media.project_reach import reached, reached_project, reached_video
from holdfast.media.review.activity import Activity, activity_between, open_activity
from holdfast.media.review.case_archive import keeper_in
from holdfast.media.review.case_routes import case_routes
from holdfast.media.review.cases import Cases
from holdfast.media.review.clip_routes import clip_routes
from holdfast.media.review.region_search import RegionAnswer, RegionQuestion, search_region
from holdfast.media.review.review_entities import ReviewCase
from holdfast.media.review.review_routes import TrackQuery, review_routes
from holdfast.media.review.saved_clips import SavedClips
from holdfast.media.review.segments import ReviewQueue, SegmentPage
from holdfast.media.review.stored_detections import (
    DetectionColumns,
    detections_between,
    open_detections,
)
from holdfast.media.review.stored_tracks import TrackPage, open_tracks, tracks_page

_SIZE = 24  # videos of a page
_MOST_PROJECTS = 200
_STEPS = 240  # of the timeline that the server draws
_BOXES = 200  # of the moment, as a table
_SEGMENTS = 100
_TRACKS = 24
_MOMENTS = 50
_LOOKED_AT = 400_000  # detections that a page looks through for a region; the script asks on
_PLAYED_CODECS = frozenset({"h264", "vp8", "vp9", "av1"})
_PLAYED_CONTAINERS = ("mp4", "webm", "mov")


class MomentQuery(TrackQuery):
    """What of a video is to be shown: a moment, tracks of a kind, what was in a region."""

    t: float | None = Field(default=None, ge=0, le=1e9, allow_inf_nan=False)
    frame: int | None = Field(default=None, ge=0, le=2**53)
    segments_after: int = Field(default=0, ge=0, le=2**31)
    region: str = Field(default="", max_length=2000)
    inside: str | None = Field(default=None, max_length=200)
    moments_from: float = Field(default=0, ge=0, le=1e9, allow_inf_nan=False)
    size: int = Field(default=_TRACKS, ge=1, le=_TRACKS)

    @field_validator("*", mode="before")
    @classmethod
    def _left_out(cls, value: object, info: ValidationInfo) -> object:
        """Take a field of a form that was left empty as if it were not there."""
        return _default_for(cls, info) if value == "" else value

    def moment(self, video: Video) -> float:
        """Return the moment in seconds, at most the video's end; of a frame it is the middle."""
        if self.frame is not None:
            return min((self.frame + 0.5) / float(video.frame_rate), video.duration)
        return min(self.t or 0.0, video.duration)

    def kept(self, **other: object) -> dict[str, object]:
        """Return the query of a page that differs by *other* alone, for links."""
        given = {**self.model_dump(exclude_defaults=True), **other}
        return {name: value for name, value in given.items() if value is not None}


class VideoListQuery(BaseModel):
    """What of the videos is to be listed: those of a project, with a part of a name."""

    project: UUID | None = None
    name: str = Field(default="", max_length=2000)

    @field_validator("*", mode="before")
    @classmethod
    def _left_out(cls, value: object, info: ValidationInfo) -> object:
        """Take a field of a form that was left empty as if it were not there."""
        return _default_for(cls, info) if value == "" else value


@dataclass(frozen=True, slots=True)
class VideoResults:
    """What was found in a video, as its page shows it; what can't be read is None, and said."""

    boxes: DetectionColumns | None = None
    activity: Activity | None = None
    tracks: TrackPage | None = None
    region: RegionAnswer | None = None
    fault: str = ""


def _default_for(kind: type[BaseModel], info: ValidationInfo) -> object:
    assert info.field_name is not None
    return kind.model_fields[info.field_name].default


def video_routes(site: ConsoleSite) -> APIRouter:
    """Return the routes of the videos, and of the data that their pages' scripts ask for."""
    library = site.platform.library
    router = APIRouter()
    data = APIRouter(prefix="/videos/data")
    for routes in (
        review_routes(library),
        clip_routes(library),
        case_routes(library, keeper_in(site.platform.parts)),
    ):
        data.include_router(routes)
    router.include_router(data)
    add_case_pages(router, site, library)
    _add_list(router, site, library)
    _add_video(router, site, library)
    _add_files(router, library)
    add_video_forms(router, site, library)
    return router


def _add_list(router: APIRouter, site: ConsoleSite, library: MediaLibrary) -> None:
    @router.get("/videos", dependencies=[allow(Role.VIEWER, by_project=True)])
    async def videos(
        request: Request,
        caller: AskedBy,
        asked: Annotated[VideoListQuery, Query()],
    ) -> Response:
        """Show the videos, the newest first, of one project or of all.

        For a part of a name the newest are looked through, and the page leads to those before.
        """
        project, name = asked.project, asked.name.strip()
        chosen = None if project is None else await reached_project(library, project, caller)
        within = reached(caller, Video.project_id)
        if chosen is not None:
            within.append(Video.project_id == chosen.id)
        wanted = Wanted(
            newest=Video.created_at.desc(),
            within=within,
            sought=[Video.filename.icontains(name)] if name else [],
            bounded=bool(name),
        )
        piece = AskedPiece.of(site, request.query_params)
        videos = await look(library.videos, wanted, piece, size=_SIZE, load=[Video.project])
        found = videos.page
        ids = [each.id for each in found.items]
        jobs = await library.store.repository(Job).get_many(
            [each.job_id for each in found.items if each.job_id is not None]
        )
        projects = await library.projects.find(
            *reached(caller, Project.id), order_by=Project.name.asc(), limit=_MOST_PROJECTS
        )
        writes = caller.role.includes(Role.OPERATOR)
        context = {
            "project": chosen,
            "waiting": await site.uploads.waiting(owner_of(caller), f"project {chosen.id}")
            if chosen is not None and writes
            else [],
            "projects": projects,
            "listed": chosen is not None and any(each.id == chosen.id for each in projects),
            "name": name,
            "videos": found,
            **videos.urls(site, "videos", {"project": project, "name": name}),
            "progress": await ReviewQueue(library.store, caller.name).progress(ids),
            "jobs": {each.id: each for each in jobs if each is not None},
        }
        title = "Videos" if chosen is None else chosen.name
        crumbs = () if chosen is None else (Crumb("Videos", request.url.path),)
        head = PageHead(title=title, section="videos", crumbs=crumbs)
        return page(request, "videos.html", head, context)


def _add_video(router: APIRouter, site: ConsoleSite, library: MediaLibrary) -> None:
    @router.get("/videos/{video_id}", dependencies=[allow(Role.VIEWER, by_project=True)])
    async def video(
        request: Request, video_id: UUID, caller: AskedBy, asked: Annotated[MomentQuery, Query()]
    ) -> Response:
        """Show a video: player, timeline, segments, tracks, what is in a region, saved clips."""
        found = await reached_video(library, video_id, caller)
        context = await _shown(library, found, caller, asked)
        project = await library.projects.get_one(found.project_id)
        crumbs = (
            Crumb("Videos", site.url("videos")),
            Crumb(project.name, site.url("videos", {"project": project.id})),
        )
        head = PageHead(title=found.filename, section="videos", crumbs=crumbs, wide=True)
        return page(request, "video.html", head, context)


async def _shown(
    library: MediaLibrary, video: Video, caller: Caller, asked: MomentQuery
) -> dict[str, object]:
    job = None if video.job_id is None else await library.store.repository(Job).get(video.job_id)
    queue = ReviewQueue(library.store, caller.name)
    segments = await queue.page(video.id, after=asked.segments_after, most=_SEGMENTS)
    moment = asked.moment(video)
    results = VideoResults()
    if video.analysed_at is not None:
        try:
            results = await _results(library, video, asked, moment)
        except HoldfastError as error:  # the page has more than the results
            results = VideoResults(fault=str(error))
    return {
        "video": video,
        "job": job,
        "asked": asked,
        "moment": moment,
        "frame": math.floor(moment * float(video.frame_rate) + 1e-6),
        "rate": float(video.frame_rate),
        "played": is_played(video),
        "segments": segments,
        "progress": (await queue.progress([video.id]))[video.id],
        "clips": await SavedClips(library).of_video(video.id),
        "cases": await Cases(library).cases.find(
            ReviewCase.project_id == video.project_id,
            order_by=ReviewCase.created_at.desc(),
            limit=100,
        ),
        "results": results,
        "plot": video_plot(results.activity, segments.items, video.duration),
        "summary": video.summary or {},
        "works": job is not None and job.status in (JobStatus.QUEUED, JobStatus.RUNNING),
        "data": _script_data(video, segments, moment),
    }


async def _results(
    library: MediaLibrary, video: Video, asked: MomentQuery, moment: float
) -> VideoResults:
    tables = library.tables
    detections = await open_detections(tables, video.id)
    period = 1 / float(video.frame_rate)
    begin = max(0.0, (math.floor(moment / period + 1e-6) - 0.5) * period)
    activity = await open_activity(tables, video.id)
    tracks = await open_tracks(tables, video.id)
    region = None
    fault = ""
    if asked.region:
        try:
            question = RegionQuestion(region_points(asked.region), asked.inside, asked.moments_from)
            region = await search_region(
                detections, question, most=_MOMENTS, rows=_LOOKED_AT, longest=_LOOKED_AT
            )
        except InvalidValueError as error:
            fault = f"The region can't be searched: {error.reason}."
    return VideoResults(
        boxes=await detections_between(detections, begin, begin + period, most=_BOXES),
        activity=await activity_between(activity, 0, max(1.0, video.duration), most=_STEPS),
        tracks=await tracks_page(tracks, asked.wanted(), after=asked.after, most=asked.size),
        region=region,
        fault=fault,
    )


def region_points(text: str) -> tuple[Point, ...]:
    """Return the corners that *text* names, as in `0,0 200,0 200,150`. Raises InvalidValueError."""
    try:
        pairs = [each.split(",") for each in text.split()]
        return tuple(Point(float(x), float(y)) for x, y in pairs)
    except ValueError:
        raise InvalidValueError(
            "RegionQuestion", "points", "expected corners as in 0,0 200,0 200,150"
        ) from None


def is_played(video: Video) -> bool:
    """Return whether browsers play the file as it came in."""
    container = any(each in video.container for each in _PLAYED_CONTAINERS)
    return container and video.codec.lower() in _PLAYED_CODECS


def _script_data(video: Video, segments: SegmentPage, moment: float) -> dict[str, object]:
    """Return what the page's scripts start from."""
    return {
        "id": str(video.id),
        "duration": video.duration,
        "frames": video.frames,
        "rate": [video.rate_numerator, video.rate_denominator],
        "width": video.width,
        "height": video.height,
        "analysed": video.analysed_at is not None,
        "strip": (video.summary or {}).get("strip"),
        "moment": moment,
        "segments": [
            {"number": each.number, "from": each.start_time, "to": each.end_time}
            for each in segments.items
        ],
    }


def _add_files(router: APIRouter, library: MediaLibrary) -> None:
    looks = APIRouter(dependencies=[allow(Role.VIEWER, by_project=True)])

    async def content(video_id: UUID, request: Request, caller: AskedBy) -> Response:
        """Send the file as it came in, in ranges."""
        video = await reached_video(library, video_id, caller)
        return await object_response(request, library.bucket, video.raw_key)

    async def picture(
        video_id: UUID, kind: Literal["thumbnail", "strip", "annotated"], request: Request,
        caller: AskedBy,
    ) -> Response:  # fmt: skip
        """Send the thumbnail, the strip of frames, or the annotated video."""
        video = await reached_video(library, video_id, caller)
        keys = {
            "thumbnail": video.thumbnail_key,
            "strip": f"frames/{video.id}/strip.jpg",
            "annotated": f"processed/{video.id}/annotated.mp4",
        }
        return await object_response(request, library.bucket, keys[kind])

    async def portrait(video_id: UUID, track: int, request: Request, caller: AskedBy) -> Response:
        """Send the portrait of a track."""
        video = await reached_video(library, video_id, caller)
        if track < 0:
            raise NotFoundError("Track", track)
        return await object_response(
            request, library.bucket, f"frames/{video.id}/track-{track}.jpg"
        )

    add_download(looks, "/videos/{video_id}/content", content)
    add_download(looks, "/videos/{video_id}/files/{kind}", picture)
    add_download(looks, "/videos/{video_id}/tracks/{track}/portrait", portrait)
    router.include_router(looks)
