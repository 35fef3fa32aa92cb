"""Saved clips: parts of videos that somebody named, their own files, and links to them."""

from __future__ import annotations

import hashlib
import math
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from holdfast.errors import ConflictError, InvalidValueError, NotFoundError
from holdfast.jobs import EnqueueOptions
from holdfast.media.library import check_name
from holdfast.media.object_keys import saved_clip_key
from holdfast.media.review.review_entities import ClipShare, SavedClip

if TYPE_CHECKING:
    from uuid import UUID

    from holdfast.jobs import Job
    from holdfast.media.entities import Video
    from holdfast.media.library import MediaLibrary

EXPORT = "export-clip"
LONGEST_SHARE = timedelta(days=7)
_LONGEST = 3600.0  # seconds of a saved clip


@dataclass(frozen=True, slots=True)
class SharedLink:
    """A link's *token*, told once, and when it *expires*."""

    token: str
    expires: datetime


class SavedClips:
    """Makes, exports, shares and deletes saved clips of *library*."""

    def __init__(self, library: MediaLibrary) -> None:
        self._library = library
        self.clips = library.store.repository(SavedClip)
        self._shares = library.store.repository(ClipShare)

    async def make(
        self, video: Video, name: str, start: float, end: float, *, by: str
    ) -> SavedClip:
        """Save the part of *video* from *start* to *end* seconds under a *name*, for *by*.

        Raises InvalidValueError for a name or times that can't be, and for more than an hour;
        DuplicateError for a name that the video has.
        """
        check_name("SavedClip", "name", name)
        if not (math.isfinite(start) and math.isfinite(end) and 0 <= start < end):
            raise InvalidValueError("SavedClip", "end_time", f"{start} to {end} s is no time")
        if end - start > _LONGEST or start >= video.duration:
            raise InvalidValueError(
                "SavedClip",
                "start_time",
                f"{start} to {end} s; expected at most {_LONGEST:.0f} s, "
                f"begun before the video's end at {video.duration} s",
            )
        clip = SavedClip(
            video_id=video.id,
            name=name,
            start_time=start,
            end_time=min(end, video.duration),
            created_by=by,
        )
        return await self.clips.add(clip)

    async def of_video(self, video: UUID, *, most: int = 500) -> list[SavedClip]:
        """Return the saved clips of *video* by their times, at most *most*."""
        return await self.clips.find(
            SavedClip.video_id == video,
            order_by=(SavedClip.start_time.asc(), SavedClip.name.asc()),
            limit=most,
        )

    async def export(self, clip: SavedClip) -> Job:
        """Enqueue the job that cuts the clip's own file, or return the one that waits or runs."""
        store = self._library.store
        async with store.transaction():
            enqueued = await self._library.jobs.enqueue(
                EXPORT,
                {"saved_clip_id": str(clip.id), "name": clip.name},
                options=EnqueueOptions(unique_key=f"{EXPORT}:{clip.id}"),
            )
            if enqueued.created:
                await self.clips.patch(clip.id, SavedClip.job_id.to(enqueued.job.id))
        return enqueued.job

    async def share(self, clip: SavedClip, life: timedelta, *, by: str) -> SharedLink:
        """Return a link by which anybody may play the clip for *life*; its token is told once.

        Raises ConflictError for a clip that was not exported yet, InvalidValueError for a life
        beyond seven days.
        """
        if clip.key is None:
            raise ConflictError(f"the clip {clip.name!r} has no file yet: export it first")
        if not timedelta(0) < life <= LONGEST_SHARE:
            raise InvalidValueError("ClipShare", "life", f"is {life}; expected up to 7 days")
        token = secrets.token_urlsafe(32)
        expires = self._library.store.now() + life
        await self._shares.add(
            ClipShare(
                saved_clip_id=clip.id, sha256=_digest(token), expires_at=expires, created_by=by
            )
        )
        return SharedLink(token, expires)

    async def shared(self, token: str) -> SavedClip:
        """Return the clip that a link's *token* is for. Raises NotFoundError, also when it is over.

        What is looked up is the digest, so how long it takes tells nothing about a token.
        """
        share = await self._shares.first(
            ClipShare.sha256 == _digest(token), ClipShare.expires_at > self._library.store.now()
        )
        if share is None:
            raise NotFoundError("shared clip", "with this link", hint="it may have expired")
        return await self.clips.get_one(share.saved_clip_id)

    async def withdraw(self, clip: SavedClip) -> int:
        """End all links to the clip; return how many there were."""
        return await self._shares.delete_where(ClipShare.saved_clip_id == clip.id)

    async def delete(self, clip: SavedClip) -> None:
        """Delete the clip, its links and its file. Raises ForeignKeyError while a case has it."""
        await self.clips.delete(clip.id)
        await self._library.bucket.delete(saved_clip_key(clip.video_id, clip.id))

    async def remove_old_shares(self) -> int:
        """Delete the links that have expired; return how many."""
        return await self._shares.delete_where(ClipShare.expires_at <= self._library.store.now())


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
