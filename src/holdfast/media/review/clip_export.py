"""The job that exports a saved clip: cuts its part out of the video, as a file of its own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

from holdfast.errors import MediaError, NotFoundError
from holdfast.jobs import PermanentError
from holdfast.media.decoder_process import DecoderProcess
from holdfast.media.object_keys import saved_clip_key
from holdfast.media.review.review_entities import SavedClip
from holdfast.media.review.saved_clips import EXPORT
from holdfast.media.watched_thread import on_watched_thread
from holdfast.workspace import workspace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from holdfast.jobs import Context
    from holdfast.media.entities import Video
    from holdfast.media.library import MediaLibrary


@dataclass(frozen=True, slots=True)
class ClipExport:
    """Exports saved clips of *library*, in folders under *root*; decoding has its own process."""

    library: MediaLibrary
    root: Path

    @property
    def handlers(self) -> dict[str, Callable[[Context], Awaitable[None]]]:
        """What a Worker is given."""
        return {EXPORT: self.export}

    async def export(self, context: Context) -> None:
        """Cut the clip of the job, store its file, and complete the job.

        The clip's key and the job's end appear in one transaction, after the file is stored under
        a key that follows from the clip's id: done again, it writes over what it left.
        """
        library = self.library
        clips = library.store.repository(SavedClip)
        clip = await clips.get(UUID(str(context.payload["saved_clip_id"])))
        if clip is None:
            raise PermanentError("the clip was deleted")
        video = await library.videos.get_one(clip.video_id)
        try:
            async with library.bucket.as_file(video.raw_key) as path:
                with workspace(self.root) as folder:
                    cut = partial(self._cut, video=video, clip=clip)
                    made = await on_watched_thread(cut, path, folder, context)
                    key = saved_clip_key(video.id, clip.id)
                    await library.bucket.upload(made, key)
            async with library.store.transaction():
                await context.complete({"saved_clip_id": str(clip.id)})
                await clips.patch(
                    clip.id,
                    SavedClip.key.to(key),
                    SavedClip.exported_at.to(library.store.now()),
                )
        except NotFoundError:
            if await clips.get(clip.id) is None:
                await library.bucket.delete(saved_clip_key(video.id, clip.id))
                raise PermanentError("the clip was deleted") from None
            raise
        except MediaError as error:
            raise PermanentError(f"{video.filename}: {error.reason}") from error

    def _cut(
        self,
        path: Path,
        folder: Path,
        progress: Callable[[float, str], None],
        *,
        video: Video,
        clip: SavedClip,
    ) -> Path:
        """Cut the clip out of the video at *path* into *folder*. Blocks."""
        with DecoderProcess(self.library.limits) as decoder:
            times = (clip.start_time, clip.end_time)
            made = decoder.cut(path, folder, times, frames=video.frames, progress=progress)
        if not made.is_file():
            raise MediaError(str(path), f"nothing is shown at {clip.start_time:.3f} s")
        return made
