"""The detection job: what a worker does with a video that came in."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING
from uuid import UUID

from holdfast.errors import (
    ForeignKeyError,
    InvalidValueError,
    MediaError,
    NotFoundError,
    ObjectNotFoundError,
    SignatureError,
)
from holdfast.jobs import PermanentError
from holdfast.media import object_keys
from holdfast.media.analysis_options import options_from
from holdfast.media.decoder_child import ANALYSED
from holdfast.media.decoder_process import DecoderProcess
from holdfast.media.entities import Clip, Video
from holdfast.media.library import DETECT
from holdfast.media.object_keys import CLIPS, SUMMARY, saved_clips_prefix
from holdfast.media.registered_detector import RegisteredDetector
from holdfast.media.vision.summary_file import read_summary
from holdfast.media.watched_thread import on_watched_thread
from holdfast.workspace import workspace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from holdfast.jobs import Context
    from holdfast.media.analysis_options import AnalysisOptions
    from holdfast.media.library import MediaLibrary
    from holdfast.media.vision.detector import Analysis, Detector

_MOST_TOLD = 100  # disturbances in a record; the summary has all


@dataclass(frozen=True, slots=True)
class DetectionHandler:
    """Runs *detector* over videos of *library*, in folders under *root*.

    Each video has a process of its own, so the detector must be fit for pickle. A registered one
    is loaded for each job.
    """

    library: MediaLibrary
    detector: Detector | RegisteredDetector
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
        identity = UUID(str(context.payload["video_id"]))
        options = _options_of(context)
        video = await self.library.videos.get(identity)
        if video is None:
            raise await self._deleted(identity)
        detector = await self._loaded(context)
        try:
            async with self.library.bucket.as_file(video.raw_key) as path:
                with workspace(self.root) as folder:
                    analyse = partial(self._analyse, detector, options=options)
                    found = await on_watched_thread(analyse, path, folder, context)
                    context.progress(ANALYSED, "storing results")
                    await self._store(video, folder)
                    await self._finish(video, found, context)
        except (NotFoundError, ForeignKeyError) as error:
            if await self.library.videos.get(identity) is None:
                raise await self._deleted(identity) from None
            if isinstance(error, ObjectNotFoundError):
                raise PermanentError(f"the file {video.raw_key} is not in the bucket") from None
            raise
        except MediaError as error:
            raise PermanentError(f"{video.filename}: {error.reason}") from error

    async def _deleted(self, video: UUID) -> PermanentError:
        """Return why to give up, once what was stored since the deletion is removed."""
        await self.library.delete(video)
        return PermanentError("the video was deleted")

    async def _loaded(self, context: Context) -> Detector:
        """Return the detector of this job, on this machine whatever it needs."""
        if not isinstance(self.detector, RegisteredDetector):
            return self.detector
        try:
            return await self.detector.load(context.job.id)
        except (InvalidValueError, SignatureError) as error:
            raise PermanentError(str(error)) from error

    def _analyse(
        self,
        detector: Detector,
        path: Path,
        folder: Path,
        progress: Callable[[float, str], None],
        *,
        options: AnalysisOptions,
    ) -> Analysis:
        """Analyse the video at *path* into *folder*, clips included. Blocks."""
        with DecoderProcess(self.library.limits) as decoder:
            decoder.analyse(path, folder, detector, progress, options=options)
        return read_summary((folder / SUMMARY).read_bytes(), str(path))

    async def _store(self, video: Video, folder: Path) -> None:
        """Store the files in *folder*; remove what an earlier detection left beside them."""
        bucket = self.library.bucket
        saved = saved_clips_prefix(video.id)
        before = {
            info.key
            for info in await self.library.objects(video.id)
            if not info.key.startswith(saved)
        }
        kept = {video.raw_key, video.thumbnail_key}
        for path in _files(folder):
            key = object_keys.result_key(video.id, path.relative_to(folder))
            await bucket.upload(path, key)
            kept.add(key)
        await bucket.delete_many(sorted(before - kept))

    async def _finish(self, video: Video, found: Analysis, context: Context) -> None:
        library = self.library
        figures: dict[str, object] = {
            "detector": found.detector.get("model") or type(self.detector).__name__,
            **found.detector,
            "frames": found.frames,
            "detections": found.detections,
            "tracks": len(found.tracks),
            "clips": len(found.stretches),
            "forward": found.forward,
            "backward": found.backward,
            "lines": [
                {"name": each.name, "forward": each.forward, "backward": each.backward}
                for each in found.lines
            ],
            "disturbances": [
                {"from": each.start_time, "to": each.end_time, "cause": each.cause}
                for each in found.disturbances[:_MOST_TOLD]
            ],
            "start": None if found.start is None else found.start.isoformat(),
            "strip": None if found.strip is None else asdict(found.strip),
        }

        async def finished() -> None:
            await context.complete(figures)
            await library.clips.delete_where(Clip.video_id == video.id)
            await library.clips.add_many(_clips(video, found))
            await library.videos.patch(
                video.id,
                Video.analysed_at.to(library.store.now()),
                Video.duration.to(found.video.duration),
                Video.frames.to(found.video.frames),
                Video.summary.to(figures),
            )

        # The lease is renewed beside, which is a clash where rows are compared and not locked.
        await library.store.retrying(finished)


def _options_of(context: Context) -> AnalysisOptions:
    content = context.payload.get("options", {})
    try:
        return options_from(content if isinstance(content, dict) else {"options": content})
    except InvalidValueError as error:
        raise PermanentError(str(error)) from error


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _clips(video: Video, found: Analysis) -> list[Clip]:
    return [
        Clip(
            video_id=video.id,
            number=number,
            key=object_keys.result_key(video.id, PurePath(CLIPS, f"clip-{number}.mp4")),
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
