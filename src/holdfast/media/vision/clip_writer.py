"""Writes clips: each stretch with movement, cut out as a video of its own."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import StorageError
from holdfast.media.probe import describe
from holdfast.media.video_file import VideoFile
from holdfast.media.vision.frames import Frame, frames
from holdfast.media.vision.video_writer import VideoWriter

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from holdfast.media.probe import VideoInfo
    from holdfast.media.vision.detector import Stretch


def write_clips(
    source: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    stretches: Sequence[Stretch],
) -> list[Path]:
    """Write `clip-<number>.mp4` into *folder* for each of *stretches*, counted from 1.

    Stretches must be in order and must not overlap, as `analyse` gives them; *source* may be the
    video that was analysed or its annotated copy, if that has the same frames. Cuts are exact to
    the frame. The clips appear together at the end, or none does. Errors as in `analyse`.
    """
    for before, after in pairwise(stretches):
        if after.start_frame < before.end_frame:
            raise ValueError(f"stretches out of order: {after} begins before {before} ends")
    target = Path(folder).absolute()
    with VideoFile(source) as opened:
        video = describe(opened)
        try:
            target.mkdir(parents=True, exist_ok=True)
            partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=target))
            try:
                written = _cut(opened, video, partial, stretches)
                opened.check_unchanged()
                return [path.replace(target / path.name) for path in written]
            finally:
                shutil.rmtree(partial)
        except OSError as error:
            raise StorageError(f"{str(target)!r} can't be written to: {error}") from error


def _cut(
    source: VideoFile, video: VideoInfo, folder: Path, stretches: Sequence[Stretch]
) -> list[Path]:
    written: list[Path] = []
    shown = frames(source)
    for number, stretch in enumerate(stretches, 1):
        path = folder / f"clip-{number}.mp4"
        with ExitStack() as stack:
            writer: VideoWriter | None = None
            start = 0.0
            for frame in shown:
                if frame.index < stretch.start_frame:
                    continue
                if writer is None:
                    writer = stack.enter_context(VideoWriter(path, video))
                    written.append(path)
                    start = frame.time
                writer.write(Frame(frame.index, frame.time - start, frame.picture))
                if frame.index + 1 >= stretch.end_frame:
                    break
    shown.close()
    return written
