"""The media library: real files in, records and objects that agree with one another."""

from __future__ import annotations

import asyncio
import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from holdfast.errors import (
    AmbiguousNameError,
    DuplicateError,
    HoldfastError,
    IntegrityError,
    InvalidValueError,
    MediaError,
    NotFoundError,
    StorageError,
)
from holdfast.extras import check_extra
from holdfast.jobs import EnqueueOptions
from holdfast.media.analysis_options import AnalysisOptions, options_json
from holdfast.media.decoder_process import DecoderProcess
from holdfast.media.decoding_limits import DecoderLimits
from holdfast.media.entities import Clip, Project, Video
from holdfast.media.object_keys import prefixes, raw_key, thumbnail_key, video_id
from holdfast.media.review.result_table import ResultTables
from holdfast.objects import PutOptions
from holdfast.option_checks import check_kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from holdfast.jobs import Enqueued, Job, Jobs
    from holdfast.media.video_info import VideoInfo
    from holdfast.objects import Bucket, ObjectInfo
    from holdfast.records import Store

DETECT = "detect"
_ATTEMPTS = 25  # each death of a worker uses one up, and the last is where people must look
_WINDOW = 1 << 20
_CHANGED = "it changed while it was read; try again when it is done"


@dataclass(frozen=True, slots=True)
class Ingested:
    """A video, and whether this call brought it in; if not, it was there under its checksum.

    *restored* tells of one that was there whose file was not: the call has stored it again.
    """

    video: Video
    created: bool
    restored: bool = False


class MediaLibrary:
    """Projects, videos and clips in a store, their bytes in a bucket, the work on them in jobs."""

    def __init__(
        self, store: Store, bucket: Bucket, jobs: Jobs, *, limits: DecoderLimits | None = None
    ) -> None:
        """*limits* bound what decoding one file may cost, at ingest and at its detection."""
        self.store = store
        self.bucket = bucket
        self.jobs = jobs
        self.limits = DecoderLimits() if limits is None else limits
        check_kind(self.limits, DecoderLimits, "limits")
        self.projects = store.repository(Project)
        self.videos = store.repository(Video)
        self.clips = store.repository(Clip)
        self.tables = ResultTables(bucket)

    async def project(self, name: str) -> Project:
        """Return the project called *name*, made if need be. Raises InvalidValueError."""
        check_project_name(name)
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
        options: AnalysisOptions | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Ingested:
        """Bring the video file at *path* into *project*, with the job that looks at it.

        The row and its job appear in one transaction, after the bytes are safe; a file whose
        checksum the project has is not brought in twice, whatever the *options*, which say how it
        is to be analysed (`detect` asks for another analysis). *progress* is called with bytes
        stored and bytes in all. Killed at any moment and run again, it ends as if run once; when it
        fails, nothing of the file is left. Raises MediaError for a file that is not a video or
        that changes while it is read, StorageError for the disk, InvalidValueError for the
        project's name and for options that don't fit the video.
        """
        asked = AnalysisOptions() if options is None else options
        check_kind(asked, AnalysisOptions)
        with _decoder(self.limits) as decoder:
            source = _Source(path, decoder, asked)
            return await self._ingest(source, project, progress)

    async def detect(self, video: Video, options: AnalysisOptions | None = None) -> Job:
        """Enqueue another analysis of *video*, whose results replace those of the last one.

        Returns its job; the one that waits or runs when there is one. Raises InvalidValueError
        for options that don't fit the video.
        """
        asked = AnalysisOptions() if options is None else options
        check_kind(asked, AnalysisOptions)
        asked.check_video(video)
        async with self.store.transaction():
            enqueued = await self._enqueue_detection(video, asked)
            if enqueued.created:
                await self.videos.patch(video.id, Video.job_id.to(enqueued.job.id))
        return enqueued.job

    async def _ingest(
        self, source: _Source, project: str, progress: Callable[[int, int], None] | None
    ) -> Ingested:
        path = source.path
        info = await asyncio.to_thread(source.decoder.probe, path)
        source.options.check_video(info)
        sha256 = await asyncio.to_thread(_checksum, path, info.bytes)
        owner = await self.project(project)
        known = await self._known(owner.id, sha256)
        if known is not None:  # the process that brought it in may have been killed
            restored = await self._store_objects(known, source)
            return Ingested(known, created=False, restored=restored)
        video = _video(owner.id, path, info, sha256)
        try:
            await self._store_objects(video, source, progress)
            added = await self._add(video, source.options)
        except BaseException as error:
            try:
                await asyncio.shield(self._remove_unowned(video.id))
            except HoldfastError as another:
                error.add_note(f"what was stored of it is still there: {another}")
            raise
        stored = added or await self.videos.get_one(video.id)  # another was quicker
        # Another ingest of the same file that failed has removed what it found no row for.
        await self._store_objects(stored, source)
        return Ingested(stored, created=added is not None)

    async def find(self, reference: str) -> Video:
        """Return the video that *reference* names: an id, the start of one, or a file name.

        Raises NotFoundError, and AmbiguousNameError when several fit.
        """
        name = printable(reference)
        named = await self.videos.find(Video.filename == name, order_by=Video.created_at.desc())
        begin = _ids_from(reference)
        if begin is not None:
            known = await self.videos.find(Video.id.between(*begin), order_by=Video.id.asc())
            exact = [video for video in known if str(video.id) == reference.lower()]
            named = exact or named or known
        if not named:
            raise NotFoundError("Video", reference, hint="`holdfast videos` lists what is there")
        if len(named) > 1:
            raise AmbiguousNameError("Video", reference, tuple(str(video.id) for video in named))
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

    async def _add(self, video: Video, options: AnalysisOptions) -> Video | None:
        """Add the row and its job in one transaction; None when the row is there already."""
        try:
            async with self.store.transaction():
                video.job_id = (await self._enqueue_detection(video, options)).job.id
                return await self.videos.add(video)
        except DuplicateError:
            return None

    async def _enqueue_detection(self, video: Video, options: AnalysisOptions) -> Enqueued:
        """Enqueue the detection of *video*, unless one waits or runs."""
        return await self.jobs.enqueue(
            DETECT,
            _payload(video, options),
            options=EnqueueOptions(unique_key=_unique_key(video), max_attempts=_ATTEMPTS),
        )

    async def _store_objects(
        self, video: Video, source: _Source, progress: Callable[[int, int], None] | None = None
    ) -> bool:
        """Store of the video's file and its thumbnail what is not there yet.

        Returns whether this call stored the file.
        """
        path = source.path
        stored = await self.bucket.head(video.raw_key)
        lacking = stored is None or stored.sha256 != video.sha256
        if lacking:
            options = PutOptions(progress=progress)
            try:
                stored = await self.bucket.put(video.raw_key, path, options=options)
            except IntegrityError:
                raise MediaError(str(path), _CHANGED) from None
            if stored.sha256 != video.sha256:
                await self.bucket.delete(video.raw_key)
                raise MediaError(str(path), _CHANGED)
        if not await self.bucket.exists(video.thumbnail_key):
            picture = await asyncio.to_thread(source.decoder.thumbnail, path)
            await self.bucket.put(video.thumbnail_key, picture)
        return lacking

    async def _remove_unowned(self, video: UUID) -> None:
        """Remove the objects of a video that has no row."""
        if await self.videos.get(video) is None:
            await self._remove_objects(video)

    async def _remove_objects(self, video: UUID) -> None:
        await self.bucket.delete_many([info.key for info in await self.objects(video)])


@dataclass(frozen=True, slots=True)
class _Source:
    """A file that is brought in, what may decode it, and how it is to be analysed."""

    path: Path
    decoder: DecoderProcess
    options: AnalysisOptions


def _payload(video: Video, options: AnalysisOptions) -> dict[str, object]:
    payload: dict[str, object] = {"video_id": str(video.id), "filename": video.filename}
    if options != AnalysisOptions():
        payload["options"] = options_json(options)
    return payload


def _unique_key(video: Video) -> str:
    return f"{DETECT}:{video.id}"


def _decoder(limits: DecoderLimits) -> DecoderProcess:
    check_extra("media", "reading videos", ("av",))
    return DecoderProcess(limits)


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


def check_project_name(name: object) -> None:
    """Raise InvalidValueError for a *name* without any letter or sign."""
    check_name("Project", "name", name)


def check_name(entity: str, field: str, name: object) -> None:
    """Raise InvalidValueError for what is to be the *field* of an *entity*, and is blank."""
    if isinstance(name, str) and not name.strip():
        raise InvalidValueError(entity, field, f"is empty; a {entity} has a {field}")


def printable(name: str) -> str:
    """Return a file's name as text: bytes that are not UTF-8 become the replacement character."""
    return os.fsencode(name).decode(errors="replace")


def _ids_from(start: str) -> tuple[UUID, UUID] | None:
    """Return the least and the greatest id that begin with *start*; None when none can."""
    digits = start.replace("-", "").lower()
    if not 4 <= len(digits) <= 32 or set(digits) - set("0123456789abcdef"):
        return None
    return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))


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
        raise MediaError(str(path), _CHANGED)
    return digest.hexdigest()
