"""The review queue: which segments of a video a reviewer has seen, marked and noted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from holdfast.errors import DuplicateError, InvalidValueError, NotFoundError
from holdfast.media.entities import Clip
from holdfast.media.review.review_entities import SegmentReview

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from holdfast.records import Change, Predicate, Store

MOST_SEGMENTS = 500
Way: TypeAlias = Literal["next", "previous"]
_STEP = 200  # segments that are looked through at once


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of movement, by its *number* from 1, and what the reviewer made of it."""

    number: int
    start_frame: int
    end_frame: int
    start_time: float
    end_time: float
    tracks: int
    seen: bool
    marked: bool
    note: str | None


@dataclass(frozen=True, slots=True)
class SegmentPage:
    """Segments in their order; *next* is the number after which the rest follow."""

    items: list[Segment]
    next: int | None


@dataclass(frozen=True, slots=True)
class ReviewProgress:
    """How many segments there are, and how many of them were seen and are marked."""

    segments: int
    seen: int
    marked: int


class ReviewQueue:
    """The segments of videos as one *reviewer*, a name, has reviewed them."""

    def __init__(self, store: Store, reviewer: str) -> None:
        self.reviewer = reviewer
        self._store = store
        self._clips = store.repository(Clip)
        self._reviews = store.repository(SegmentReview)

    async def page(self, video: UUID, *, after: int = 0, most: int = 100) -> SegmentPage:
        """Return the first *most* segments with a number above *after*.

        Raises InvalidValueError for *most* beyond 1 to 500.
        """
        if not 1 <= most <= MOST_SEGMENTS:
            raise InvalidValueError("segments", "most", f"is {most}; expected 1 to {MOST_SEGMENTS}")
        found = await self._found(video, [Clip.number > after], "next", most + 1)
        return SegmentPage(found[:most], found[most - 1].number if len(found) > most else None)

    async def unseen(
        self, video: UUID, *, beside: int | None = None, way: Way = "next"
    ) -> Segment | None:
        """Return the nearest segment that was not seen: after, or before, the one *beside*.

        Without one, the first or the last of the video. None when all were seen.
        """
        at = beside
        while True:
            where: list[Predicate] = []
            if at is not None:
                where = [Clip.number > at if way == "next" else Clip.number < at]
            found = await self._found(video, where, way, _STEP)
            unseen = next((each for each in found if not each.seen), None)
            if unseen is not None or len(found) < _STEP:
                return unseen
            at = found[-1].number

    async def review(
        self,
        video: UUID,
        number: int,
        *,
        seen: bool | None = None,
        marked: bool | None = None,
        note: str | None = None,
    ) -> Segment:
        """Keep what the reviewer says of a segment; what is None stays, an empty note goes.

        Atomic. Raises NotFoundError for a number that the video does not have.
        """
        clip = await self._clips.first(Clip.video_id == video, Clip.number == number)
        if clip is None:
            raise NotFoundError("Clip", number)
        changes: list[Change] = []
        if seen is not None:
            changes.append(SegmentReview.seen_at.to(self._store.now() if seen else None))
        if marked is not None:
            changes.append(SegmentReview.marked.to(marked))
        if note is not None:
            changes.append(SegmentReview.note.to(note.strip() or None))
        try:
            kept = await self._keep(clip, changes)
        except DuplicateError:  # another window of the reviewer was quicker
            kept = await self._keep(clip, changes)
        return _segment(clip, kept)

    async def progress(self, videos: Iterable[UUID]) -> dict[UUID, ReviewProgress]:
        """Return how far the review of each of *videos* is; of the segments that are there now."""
        ids = sorted(set(videos))
        segments: Counter[UUID] = Counter()
        seen: Counter[UUID] = Counter()
        marked: Counter[UUID] = Counter()
        if ids:
            reviews = await self._reviews.select(
                SegmentReview.video_id,
                SegmentReview.start_frame,
                SegmentReview.end_frame,
                SegmentReview.seen_at,
                SegmentReview.marked,
                where=[SegmentReview.reviewer == self.reviewer, SegmentReview.video_id.in_(ids)],
            )
            known = {each[:3]: (each[3] is not None, bool(each[4])) for each in reviews}
            stretches = await self._clips.select(
                Clip.video_id, Clip.start_frame, Clip.end_frame, where=[Clip.video_id.in_(ids)]
            )
            for stretch in stretches:
                segments[stretch[0]] += 1
                was_seen, is_marked = known.get(stretch, (False, False))
                seen[stretch[0]] += was_seen
                marked[stretch[0]] += is_marked
        return {each: ReviewProgress(segments[each], seen[each], marked[each]) for each in ids}

    async def _found(
        self, video: UUID, where: Sequence[Predicate], way: Way, most: int
    ) -> list[Segment]:
        order = Clip.number.asc() if way == "next" else Clip.number.desc()
        clips = await self._clips.find(Clip.video_id == video, *where, order_by=order, limit=most)
        if not clips:
            return []
        starts = [clip.start_frame for clip in clips]
        reviews = await self._reviews.find(
            SegmentReview.video_id == video,
            SegmentReview.reviewer == self.reviewer,
            SegmentReview.start_frame.between(min(starts), max(starts)),
        )
        known = {(each.start_frame, each.end_frame): each for each in reviews}
        return [_segment(clip, known.get((clip.start_frame, clip.end_frame))) for clip in clips]

    async def _keep(self, clip: Clip, changes: Sequence[Change]) -> SegmentReview:
        async with self._store.transaction():
            known = await self._reviews.first(
                SegmentReview.video_id == clip.video_id,
                SegmentReview.reviewer == self.reviewer,
                SegmentReview.start_frame == clip.start_frame,
                SegmentReview.end_frame == clip.end_frame,
            )
            if known is None:
                known = await self._reviews.add(
                    SegmentReview(
                        video_id=clip.video_id,
                        reviewer=self.reviewer,
                        start_frame=clip.start_frame,
                        end_frame=clip.end_frame,
                    )
                )
            return await self._reviews.patch(known.id, *changes) if changes else known


def _segment(clip: Clip, review: SegmentReview | None) -> Segment:
    return Segment(
        number=clip.number,
        start_frame=clip.start_frame,
        end_frame=clip.end_frame,
        start_time=clip.start_time,
        end_time=clip.end_time,
        tracks=clip.tracks,
        seen=review is not None and review.seen_at is not None,
        marked=review is not None and review.marked,
        note=None if review is None else review.note,
    )
