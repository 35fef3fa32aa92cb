"""The media library: real files in, records and objects that agree with one another."""

from __future__ import annotations

import asyncio
import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.errors import DuplicateError, MediaError, NotFoundError, StorageError
from holdfast.jobs import EnqueueOptions
from holdfast.media.entities import Clip, Project, Video
from holdfast.media.layout import prefixes, raw_key, thumbnail_key, video_id
from holdfast.media.probe import probe, thumbnail
from holdfast.objects import PutOptions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from uuid import UUID

    from holdfast.jobs import Jobs
    from holdfast.media.probe import VideoInfo
    from holdfast.objects import Bucket, ObjectInfo
    from holdfast.records import Store

DETECT = "detect"
_WINDOW = 1 << 20


@dataclass(frozen=True, slots=True)
class Ingested:
    """A video, and whether this call brought it in; if not, it was there under its checksum."""

    video: Video
    created: bool


class MediaLibrary:
    """Projects, videos and clips in a store, their bytes in a bucket, the work on them in jobs."""

    def __init__(self, store: Store, bucket: Bucket, jobs: Jobs) -> None:
        self.store = store
        self.bucket = bucket
        self.jobs = jobs
        self.projects = store.repository(Project)
        self.videos = store.repository(Video)
        self.clips = store.repository(Clip)

    async def project(self, name: str) -> Project:
        """Return the project called *name*, made if need be."""
        found = await self.projects.first(Project.name == name)
        if found is not None:
            return found
        try:
            return await self.projects.add(Project(name=name))
        except DuplicateError:  # another was quicker
            return await self.projects.one(Project.name == name)

    async def ingest(
        self,
        path: Path,
        *,
        project: str,
        progress: Callable[[int, int], None] | None = None,
    ) -> Ingested:
        """Bring the video file at *path* into *project*, with the job that looks at it.

        The row and its job appear in one transaction, after the bytes are safe; a file whose
        checksum the project has is not brought in twice. *progress* is called with bytes stored
        and bytes in all. Killed at any moment and run again, it ends as if run once. Raises
        MediaError for a file that is no video or changes meanwhile, StorageError for the disk.
        """
        info = await asyncio.to_thread(probe, path)
        sha256 = await asyncio.to_thread(_checksum, path, info.bytes)
        owner = await self.project(project)
        known = await self._known(owner.id, sha256)
        if known is not None:
            return Ingested(known, created=False)
        picture = await asyncio.to_thread(thumbnail, path)
        video = _video(owner.id, path, info, sha256)
        made = await self._store_objects(video, path, picture, progress)
        try:
            added = await self._add(video)
        except BaseException:
            if made and await self.videos.get(video.id) is None:
                await asyncio.shield(self._remove_objects(video.id))
            raise
        if added is None:  # the same file came in by another way meanwhile
            known = await self._known(owner.id, sha256)
            assert known is not None
            added = known
        # Whoever failed after storing the same bytes has removed them; then they are stored again.
        await self._store_objects(video, path, picture, None)
        return Ingested(added, created=added.job_id == video.job_id)

    async def find(self, reference: str) -> Video:
        """Return the video that *reference* names: an id, the start of one, or a file name.

        Raises NotFoundError, and MediaError when several fit.
        """
        videos = await self.videos.find(order_by=Video.created_at.desc())
        named = [video for video in videos if str(video.id) == reference]
        named = named or [video for video in videos if video.filename == reference]
        if not named and len(reference) >= 4:
            named = [video for video in videos if str(video.id).startswith(reference.lower())]
        if not named:
            raise NotFoundError("Video", reference)
        if len(named) > 1:
            ids = ", ".join(str(video.id) for video in named)
            raise MediaError(reference, f"names {len(named)} videos; say which by its id: {ids}")
        return named[0]

    async def objects(self, video: UUID) -> list[ObjectInfo]:
        """Return all objects of the video, in the order of their keys."""
        return [
            info for prefix in sorted(prefixes(video)) async for info in self.bucket.list(prefix)
        ]

    async def delete(self, video: UUID) -> bool:
        """Delete the video's row, its clips and all its objects; tell whether there was one."""
        found = await self.videos.delete(video)
        await self._remove_objects(video)
        return found

    async def _known(self, project: UUID, sha256: str) -> Video | None:
        return await self.videos.first(Video.project_id == project, Video.sha256 == sha256)

    async def _add(self, video: Video) -> Video | None:
        """Add the row and its job in one transaction; None when the row is there already."""
        try:
            async with self.store.transaction():
                enqueued = await self.jobs.enqueue(
                    DETECT,
                    {"video_id": str(video.id), "filename": video.filename},
                    options=EnqueueOptions(unique_key=f"{DETECT}:{video.id}"),
                )
                video.job_id = enqueued.job.id
                return await self.videos.add(video)
        except DuplicateError:
            return None

    async def _store_objects(
        self,
        video: Video,
        path: Path,
        picture: bytes,
        progress: Callable[[int, int], None] | None,
    ) -> bool:
        """Store what is not there yet, and tell whether the video's bytes were stored now."""
        made = False
        stored = await self.bucket.head(video.raw_key)
        if stored is None or stored.sha256 != video.sha256:
            stored = await self.bucket.put(
                video.raw_key, path, options=PutOptions(progress=progress)
            )
            made = True
            if stored.sha256 != video.sha256:
                await self.bucket.delete(video.raw_key)
                raise MediaError(
                    str(path), "it changed while it was read; try again when it is done"
                )
        if not await self.bucket.exists(video.thumbnail_key):
            await self.bucket.put(video.thumbnail_key, picture)
        return made

    async def _remove_objects(self, video: UUID) -> None:
        await self.bucket.delete_many([info.key for info in await self.objects(video)])


def _video(project: UUID, path: Path, info: VideoInfo, sha256: str) -> Video:
    identity = video_id(project, sha256)
    return Video(
        id=identity,
        project_id=project,
        filename=printable(path.name),
        sha256=sha256,
        size=info.bytes,
        container=info.container,
        codec=info.codec,
        duration=info.duration,
        frames=info.frames,
        rate_numerator=info.frame_rate.numerator,
        rate_denominator=info.frame_rate.denominator,
        width=info.width,
        height=info.height,
        has_audio=info.has_audio,
        raw_key=raw_key(identity, info.container),
        thumbnail_key=thumbnail_key(identity),
    )


def printable(name: str) -> str:
    """Return a file's name as text: bytes that are no UTF-8 become the replacement character."""
    return os.fsencode(name).decode(errors="replace")


def _checksum(path: Path, size: int) -> str:
    """Return the SHA-256 of the file, which must have *size* bytes throughout."""
    digest = hashlib.sha256()
    count = 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(_WINDOW):
                digest.update(chunk)
                count += len(chunk)
    except FileNotFoundError:
        raise MediaError(str(path), "the file vanished while it was read") from None
    except OSError as error:
        raise StorageError(f"{str(path)!r} can't be read: {error.strerror}") from error
    if count != size:
        raise MediaError(str(path), "it changed while it was read; try again when it is done")
    return digest.hexdigest()
