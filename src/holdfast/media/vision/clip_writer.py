"""Writes clips: each stretch with movement, cut out as a video of its own."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import StorageError
from holdfast.media.probe import describe
from holdfast.media.video_file import VideoFile
from holdfast.media.vision.frames import Frame, frames
from holdfast.media.vision.sound import add_sound
from holdfast.media.vision.video_writer import VideoWriter, steady_rate

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Generator, Sequence

    from holdfast.media.video_info import VideoInfo
    from holdfast.media.vision.detector import Stretch

_OFTEN = 64  # frames between two signs of progress
_ROUNDING = 1e-6  # seconds; neighbours may share a moment that was added up in two ways


def write_clips(
    source: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    stretches: Sequence[Stretch],
    *,
    progress: Callable[[int], None] | None = None,
) -> list[Path]:
    """Write `clip-<number>.mp4` into *folder* for each of *stretches*, counted from 1.

    Stretches must be in order and must not overlap, as `analyse` gives them. *source* is the
    video that was analysed or its annotated copy, whose frames may be others: cuts go by time,
    and are exact to the frame; its sound is kept. The clips appear together at the end, or none
    does. *progress* is called now and then with the number of frames done. Errors as in `analyse`.
    """
    for before, after in pairwise(stretches):
        if after.start_time < before.end_time - _ROUNDING:
            raise ValueError(f"stretches out of order: {after} begins before {before} ends")
    target = Path(folder).absolute()
    with VideoFile(source) as opened:
        video = describe(opened)
        try:
            target.mkdir(parents=True, exist_ok=True)
            partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=target))
            try:
                written = _cut(opened, video, partial, stretches, progress or _untold)
                opened.check_unchanged()
                return [path.replace(target / path.name) for path in written]
            finally:
                shutil.rmtree(partial)
        except OSError as error:
            raise StorageError(f"{str(target)!r} can't be written to: {error}") from error


def _cut(
    source: VideoFile,
    video: VideoInfo,
    folder: Path,
    stretches: Sequence[Stretch],
    progress: Callable[[int], None],
) -> list[Path]:
    written: list[Path] = []
    early = 0.5 / float(steady_rate(video.frame_rate))  # a frame belongs where most of it is shown
    shown = _told(frames(source), progress)
    frame = next(shown, None)
    for number, stretch in enumerate(stretches, 1):
        while frame is not None and frame.time < stretch.start_time - early:
            frame = next(shown, None)
        if frame is None:
            break
        path = folder / f"clip-{number}.mp4"
        written.append(path)
        start = frame.time
        with VideoWriter(path, video) as writer:
            while True:
                writer.write(Frame(frame.index, frame.time - start, frame.picture))
                frame = next(shown, None)
                if frame is None or frame.time >= stretch.end_time - early:
                    break
        if video.has_audio:
            add_sound(path, source, start=start, end=stretch.end_time)
    shown.close()
    return written


def _told(
    shown: Generator[Frame, None, None], progress: Callable[[int], None]
) -> Generator[Frame, None, None]:
    """Yield what *shown* does, calling *progress* with each 64th number."""
    with closing(shown):
        for frame in shown:
            if frame.index % _OFTEN == 0:
                progress(frame.index)
            yield frame


def _untold(_done: int) -> None:
    """Tell nobody."""
