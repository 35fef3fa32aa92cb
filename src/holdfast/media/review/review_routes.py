"""The routes of reviewing: stored results by time and region, tracks, and the review queue."""

from dataclasses import fields
from typing import Annotated, Literal
from uuid import UUID

import orjson
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from holdfast.access import Role
from holdfast.access.gate import AskedBy, allow
from holdfast.fastapi import problem_responses
from holdfast.media.geometry import Point
from holdfast.media.library import MediaLibrary
from holdfast.media.project_reach import reached_video
from holdfast.media.review.activity import MOST_STEPS, Activity, activity_between, open_activity
from holdfast.media.review.region_search import (
    MOST_CORNERS,
    MOST_MOMENTS,
    RegionAnswer,
    RegionQuestion,
    search_region,
)
from holdfast.media.review.segments import MOST_SEGMENTS, ReviewQueue, Segment, SegmentPage, Way
from holdfast.media.review.stored_detections import (
    MOST_ROWS,
    DetectionColumns,
    detections_between,
    open_detections,
)
from holdfast.media.review.stored_tracks import (
    MOST_TRACKS,
    TrackFilter,
    TrackPage,
    open_tracks,
    tracks_page,
)

_END = 1e9  # seconds; later than any video ends
_Seconds = Annotated[float, Query(ge=0, le=_END, allow_inf_nan=False)]
_Pixel = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
_Label = Annotated[str | None, Query(max_length=200)]


class RegionAsked(BaseModel):
    """A polygon in pixels of the picture, a class, and a time in seconds."""

    model_config = ConfigDict(extra="forbid")

    points: list[tuple[_Pixel, _Pixel]] = Field(min_length=3, max_length=MOST_CORNERS)
    label: str | None = Field(default=None, max_length=200)
    since: float = Field(default=0, ge=0, le=_END, allow_inf_nan=False)
    until: float = Field(default=_END, ge=0, le=_END, allow_inf_nan=False)
    most: int = Field(default=200, ge=1, le=MOST_MOMENTS)

    def question(self) -> RegionQuestion:
        """Return what is asked. Raises InvalidValueError."""
        points = tuple(Point(*each) for each in self.points)
        return RegionQuestion(points, self.label, self.since, self.until)


class ReviewSaid(BaseModel):
    """What a reviewer says of a segment; what is left out stays, an empty note goes."""

    model_config = ConfigDict(extra="forbid")

    seen: bool | None = None
    marked: bool | None = None
    note: str | None = Field(default=None, max_length=2000)


class TrackQuery(BaseModel):
    """Which tracks are asked for; all that is given has to fit. Speeds in pixels a second."""

    model_config = ConfigDict(extra="forbid")

    label: str | None = Field(default=None, max_length=200)
    direction: Literal["right", "left", "up", "down"] | None = None
    crossed: Literal["forward", "backward"] | None = None
    least_speed: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    most_speed: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    since: float = Field(default=0, ge=0, le=_END, allow_inf_nan=False)
    until: float = Field(default=_END, ge=0, le=_END, allow_inf_nan=False)
    after: int | None = Field(default=None, ge=0, le=2**63 - 1)
    size: int = Field(default=50, ge=1, le=MOST_TRACKS)

    def wanted(self) -> TrackFilter:
        """Return the filter that was asked for."""
        return TrackFilter(**self.model_dump(include={each.name for each in fields(TrackFilter)}))


def review_routes(library: MediaLibrary) -> APIRouter:
    """Return the routes of reviewing the videos of *library*."""
    router = APIRouter(tags=["review"], responses=problem_responses(404))
    _add_results(router, library)
    _add_queue(router, library)
    return router


def _add_results(router: APIRouter, library: MediaLibrary) -> None:
    looks = [allow(Role.VIEWER, by_project=True)]
    tables = library.tables

    @router.get(
        "/videos/{video_id}/detections", dependencies=looks, response_model=DetectionColumns
    )
    async def detections(
        video_id: UUID,
        caller: AskedBy,
        since: _Seconds,
        until: _Seconds,
        most: Annotated[int, Query(ge=1, le=MOST_ROWS)] = MOST_ROWS,
    ) -> Response:
        """Give the boxes of a time, column by column; where they are too many, up to `until`."""
        video = await reached_video(library, video_id, caller)
        table = await open_detections(tables, video.id)
        return _json(await detections_between(table, since, until, most=most))

    @router.get("/videos/{video_id}/activity", dependencies=looks, response_model=Activity)
    async def activity(
        video_id: UUID,
        caller: AskedBy,
        since: _Seconds = 0,
        until: _Seconds | None = None,
        steps: Annotated[int, Query(ge=1, le=MOST_STEPS)] = 600,
    ) -> Response:
        """Count what is seen by class, in a bounded number of steps: what a timeline shows."""
        video = await reached_video(library, video_id, caller)
        table = await open_activity(tables, video.id)
        end = max(video.duration, since + 1) if until is None else until
        return _json(await activity_between(table, since, end, most=steps))

    @router.get("/videos/{video_id}/tracks", dependencies=looks)
    async def tracks(
        video_id: UUID,
        caller: AskedBy,
        asked: Annotated[TrackQuery, Query()],
    ) -> TrackPage:
        """List tracks by number, with their best moments, by class, direction, speed and time."""
        video = await reached_video(library, video_id, caller)
        table = await open_tracks(tables, video.id)
        return await tracks_page(table, asked.wanted(), after=asked.after, most=asked.size)

    @router.post("/videos/{video_id}/region-search", dependencies=looks)
    async def region_search(video_id: UUID, caller: AskedBy, asked: RegionAsked) -> RegionAnswer:
        """Find when something was inside a polygon; ask on from `searched` until it is complete."""
        video = await reached_video(library, video_id, caller)
        table = await open_detections(tables, video.id)
        return await search_region(table, asked.question(), most=asked.most)


def _add_queue(router: APIRouter, library: MediaLibrary) -> None:
    looks = [allow(Role.VIEWER, by_project=True)]
    store = library.store

    @router.get("/videos/{video_id}/segments", dependencies=looks)
    async def segments(
        video_id: UUID,
        caller: AskedBy,
        after: Annotated[int, Query(ge=0, le=2**31)] = 0,
        size: Annotated[int, Query(ge=1, le=MOST_SEGMENTS)] = 100,
    ) -> SegmentPage:
        """List the stretches of movement, and what the caller made of each."""
        video = await reached_video(library, video_id, caller)
        return await ReviewQueue(store, caller.name).page(video.id, after=after, most=size)

    @router.get("/videos/{video_id}/segments/unseen", dependencies=looks)
    async def unseen(
        video_id: UUID,
        caller: AskedBy,
        beside: Annotated[int | None, Query(ge=0, le=2**31)] = None,
        way: Way = "next",
    ) -> Segment | None:
        """Show the nearest segment that the caller has not seen; null when all were."""
        video = await reached_video(library, video_id, caller)
        return await ReviewQueue(store, caller.name).unseen(video.id, beside=beside, way=way)

    # A review is the caller's own and changes nothing that others see: a viewer may write it.
    @router.put("/videos/{video_id}/segments/{number}/review", dependencies=looks)
    async def review(video_id: UUID, number: int, caller: AskedBy, said: ReviewSaid) -> Segment:
        """Keep that a segment was seen, a mark and a note, for the caller alone."""
        video = await reached_video(library, video_id, caller)
        return await ReviewQueue(store, caller.name).review(
            video.id, number, seen=said.seen, marked=said.marked, note=said.note
        )


def _json(answer: DetectionColumns | Activity) -> Response:
    # Written as it is: a model would look at each of its numbers once more.
    return Response(orjson.dumps(answer), media_type="application/json")
