"""The detection job: what a worker does with a video that came in."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from holdfast.errors import LeaseLostError, MediaError, ObjectNotFoundError
from holdfast.jobs import PermanentError
from holdfast.media.analysis import ANNOTATED, FRAMES, analyse
from holdfast.media.entities import Clip, Video
from holdfast.media.layout import annotated_key, frame_prefix, result_key
from holdfast.media.library import DETECT
from holdfast.media.workspace import workspace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from holdfast.jobs import Context
    from holdfast.media.analysis import Analysis
    from holdfast.media.detection import Detector
    from holdfast.media.library import MediaLibrary

_ANALYSED = 0.9  # of the job's progress; the rest is storing what was found


@dataclass(frozen=True, slots=True)
class DetectionWork:
    """Runs *detector* over videos of *library*, in folders under *root*."""

    library: MediaLibrary
    detector: Detector
    root: Path

    @property
    def handlers(self) -> dict[str, Callable[[Context], Awaitable[None]]]:
        """What a Worker is given."""
        return {DETECT: self.detect}

    async def detect(self, context: Context) -> None:
        """Analyse the video of the job, store what was found, and complete the job.

        The clips, the figures and the job's end appear in one transaction, after everything they
        speak of is stored under keys that follow from the video's id: done again after a crash,
        it writes over what it left. A worker that lost its lease changes no record.
        """
        videos = self.library.videos
        video = await videos.get(UUID(str(context.payload["video_id"])))
        if video is None:
            raise PermanentError("the video was deleted")
        try:
            async with self.library.bucket.as_file(video.raw_key) as path:
                with workspace(self.root) as folder:
                    found = await _analyse(self.detector, path, folder, context)
                    context.progress(_ANALYSED, "storing results")
                    await self._store(video, folder)
                    await self._finish(video, found, context)
        except ObjectNotFoundError:
            raise PermanentError(f"the file {video.raw_key} is not in the bucket") from None
        except MediaError as error:
            raise PermanentError(f"{video.filename}: {error.reason}") from error

    async def _store(self, video: Video, folder: Path) -> None:
        bucket = self.library.bucket
        for path in sorted(folder.iterdir()):
            if path.name == FRAMES:
                continue
            key = annotated_key(video.id) if path.name == ANNOTATED else None
            await bucket.upload(path, key or result_key(video.id, path.name))
        prefix = frame_prefix(video.id)
        kept: set[str] = set()
        for path in sorted((folder / FRAMES).iterdir()):
            key = f"{prefix}{path.name.removeprefix('track-')}"
            await bucket.upload(path, key)
            kept.add(key)
        before = [found.key async for found in bucket.list(prefix)]
        await bucket.delete_many(key for key in before if key not in kept)

    async def _finish(self, video: Video, found: Analysis, context: Context) -> None:
        library = self.library
        figures: dict[str, object] = {
            "detector": type(self.detector).__name__,
            "frames": found.frames,
            "detections": found.detections,
            "tracks": len(found.tracks),
            "clips": len(found.stretches),
            "forward": found.forward,
            "backward": found.backward,
        }
        async with library.store.transaction():
            await context.complete(figures)
            await library.clips.delete_where(Clip.video_id == video.id)
            await library.clips.add_many(_clips(video, found))
            await library.videos.patch(
                video.id,
                Video.analysed_at.to(library.store.now()),
                Video.summary.to(figures),
            )


async def _analyse(detector: Detector, path: Path, folder: Path, context: Context) -> Analysis:
    """Run the analysis on a thread; when this is cancelled, wait until the thread has stopped."""
    stopped = threading.Event()

    def progress(done: int, total: int | None) -> None:
        if stopped.is_set():
            raise LeaseLostError("Job", context.job.id)
        context.raise_if_cancelled()
        if total:
            context.progress(_ANALYSED * done / total, f"frame {done} of {total}")

    running = asyncio.ensure_future(
        asyncio.to_thread(analyse, path, folder, detector, progress=progress)
    )
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stopped.set()
        await asyncio.wait([running])
        if not running.cancelled():
            running.exception()
        raise


def _clips(video: Video, found: Analysis) -> list[Clip]:
    return [
        Clip(
            video_id=video.id,
            number=number,
            start_frame=stretch.start_frame,
            end_frame=stretch.end_frame,
            start_time=stretch.start_time,
            end_time=stretch.end_time,
            tracks=sum(
                track.first_frame < stretch.end_frame and track.last_frame >= stretch.start_frame
                for track in found.tracks
            ),
        )
        for number, stretch in enumerate(found.stretches, start=1)
    ]
