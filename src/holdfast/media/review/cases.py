"""Cases: what belongs together of a project's videos, gathered for somebody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import InvalidValueError, NotFoundError
from holdfast.media.library import check_name
from holdfast.media.review.review_entities import CaseItem, CaseItemKind, ReviewCase, SavedClip

if TYPE_CHECKING:
    from uuid import UUID

    from holdfast.media.entities import Video
    from holdfast.media.library import MediaLibrary

MOST_ITEMS = 200


class Cases:
    """Opens cases of the projects of *library*, and gathers what belongs to them."""

    def __init__(self, library: MediaLibrary) -> None:
        self._library = library
        self.cases = library.store.repository(ReviewCase)
        self.items = library.store.repository(CaseItem)

    async def open(
        self, project: UUID, title: str, description: str = "", *, by: str
    ) -> ReviewCase:
        """Open a case of *project*, for *by*. Raises InvalidValueError for a blank title."""
        check_name("ReviewCase", "title", title)
        return await self.cases.add(
            ReviewCase(project_id=project, title=title, description=description, opened_by=by)
        )

    async def contents(self, case: UUID) -> list[CaseItem]:
        """Return what is in the case, in the order in which it was added."""
        return await self.items.find(CaseItem.case_id == case, order_by=CaseItem.id.asc())

    async def add_clip(
        self, case: ReviewCase, clip: SavedClip, text: str = "", *, by: str
    ) -> CaseItem:
        """Add a saved clip of the case's project. Raises NotFoundError for one of another."""
        await self._video(case, clip.video_id, "SavedClip", clip.id)
        item = CaseItem(
            case_id=case.id,
            kind=CaseItemKind.CLIP,
            video_id=clip.video_id,
            saved_clip_id=clip.id,
            start_time=clip.start_time,
            end_time=clip.end_time,
            text=text,
            added_by=by,
        )
        return await self._add(item)

    async def add_detections(
        self, case: ReviewCase, video: UUID, times: tuple[float, float], text: str = "", *, by: str
    ) -> CaseItem:
        """Add what was detected in a video between two times, in seconds.

        Raises NotFoundError for a video of another project, InvalidValueError for times that don't
        follow one another.
        """
        await self._video(case, video, "Video", video)
        if not 0 <= times[0] < times[1] < float("inf"):
            raise InvalidValueError("CaseItem", "end_time", f"{times[0]} to {times[1]} is no time")
        item = CaseItem(
            case_id=case.id,
            kind=CaseItemKind.DETECTIONS,
            video_id=video,
            start_time=times[0],
            end_time=times[1],
            text=text,
            added_by=by,
        )
        return await self._add(item)

    async def add_note(self, case: ReviewCase, text: str, *, by: str) -> CaseItem:
        """Add a note. Raises InvalidValueError for a blank one."""
        check_name("CaseItem", "text", text)
        item = CaseItem(case_id=case.id, kind=CaseItemKind.NOTE, text=text, added_by=by)
        return await self._add(item)

    async def delete(self, case: ReviewCase) -> None:
        """Delete the case and its items; clips and videos stay."""
        await self.cases.delete(case.id)

    async def _add(self, item: CaseItem) -> CaseItem:
        if await self.items.count(CaseItem.case_id == item.case_id) >= MOST_ITEMS:
            raise InvalidValueError(
                "ReviewCase", "items", f"it has {MOST_ITEMS}, which is the most"
            )
        return await self.items.add(item)

    async def _video(self, case: ReviewCase, video: UUID, entity: str, key: UUID) -> Video:
        found = await self._library.videos.get(video)
        if found is None or found.project_id != case.project_id:
            raise NotFoundError(entity, key, hint="a case has videos of its own project")
        return found
