"""The analysis of a video: one pass, bounded memory, all results."""

from __future__ import annotations

import shutil
import tempfile
from collections import deque
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from holdfast.background_worker import BackgroundWorker
from holdfast.errors import HoldfastError, StorageError
from holdfast.media.object_keys import ANNOTATED, DETECTIONS, FRAMES, LINES, SUMMARY, TRACKS
from holdfast.media.probe import describe
from holdfast.media.video_file import VideoFile
from holdfast.media.vision.detector import Analysis
from holdfast.media.vision.frames import frames
from holdfast.media.vision.overlay import Overlay
from holdfast.media.vision.result_files import (
    DetectionWriter,
    metadata_of,
    write_json,
    write_tracks,
)
from holdfast.media.vision.track_log import TrackLog, middle_line
from holdfast.media.vision.track_portraits import Portraits
from holdfast.media.vision.video_writer import VideoWriter

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from holdfast.media.video_info import VideoInfo
    from holdfast.media.vision.detector import Detection, Detector, Findings, Line
    from holdfast.media.vision.frames import Frame
    from holdfast.media.vision.track_log import Moment


_HELD_BYTES = 48 << 20  # of pictures that wait until it is certain what is in them
_WAITING = 6


def analyse(
    source: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    detector: Detector,
    *,
    line: Line | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> Analysis:
    """Run *detector* over the video *source* and write into *folder* what it finds.

    Written are `detections.parquet`, `detections.jsonl.zst`, `tracks.parquet`, `annotated.mp4`
    (H.264, constant rate, as long as the source, without sound), `frames/track-<id>.jpg` and
    `summary.json`. They appear together at the end, `summary.json` last; when anything fails,
    nothing does. *folder* is made if need be; what it holds under these names is replaced.

    *line* is what crossings are counted over, by default the upright through the middle.
    *progress* is called with the frames done and, if known, how many there are; what it raises
    stops the analysis and is raised here.

    Memory does not grow with the video, save for a few hundred bytes a track, a stretch of
    movement and a second. MediaError as in `probe`, and when the file changes meanwhile;
    StorageError when the folder can't be written.
    """
    target = Path(folder).absolute()
    with VideoFile(source) as opened:
        video = describe(opened)
        try:
            target.mkdir(parents=True, exist_ok=True)
            partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=target))
            try:
                (partial / FRAMES).mkdir()
                found = _AnalysisRun(opened, video, partial, line or middle_line(video)).run(
                    detector, progress
                )
                _publish(partial, target)
            finally:
                shutil.rmtree(partial)
        except HoldfastError:
            raise
        except OSError as error:
            raise StorageError(
                f"the results can't be written to {str(target)!r}: {error}"
            ) from error
    return found


class _FoundFrame(NamedTuple):
    frame: Frame
    detections: Sequence[Detection]


class _AnalysisRun:
    """One analysis: decoding and detecting here, drawing and encoding on another thread."""

    def __init__(self, source: VideoFile, video: VideoInfo, folder: Path, line: Line) -> None:
        self._source = source
        self._video = video
        self._folder = folder
        self._line = line
        self._log = TrackLog(video, line)
        self._overlay = Overlay(video, line)
        self._portraits = Portraits(self._path(FRAMES))
        self._waiting: deque[Frame] = deque()
        self._unsettled: list[Detection] = []
        self._held = max(1, _HELD_BYTES // max(1, video.width * video.height * 3 // 2))
        self._written = 0

    def run(
        self, detector: Detector, progress: Callable[[int, int | None], None] | None
    ) -> Analysis:
        metadata = metadata_of(self._video, Path(self._source.path).name)
        total = self._video.frames
        done = 0
        last = 0.0
        with ExitStack() as stack:
            self._rows = stack.enter_context(
                DetectionWriter(self._path(DETECTIONS), self._path(LINES), metadata)
            )
            self._writer = stack.enter_context(VideoWriter(self._path(ANNOTATED), self._video))
            self._annotating = stack.enter_context(
                BackgroundWorker(
                    self._annotate, waiting=min(_WAITING, self._held), name="annotating"
                )
            )
            run = detector.start(self._video)
            for frame in frames(self._source):
                self._waiting.append(frame)
                self._take(run.look(frame))
                done, last = frame.index + 1, frame.time
                if progress is not None and done % 8 == 0:
                    progress(done, max(total, done))
            self._take(run.finish())
        if progress is not None:
            progress(done, done)
        self._source.check_unchanged()
        best = self._portraits.finish()
        return self._report(done, last, best, metadata)

    def _take(self, findings: Findings) -> None:
        """Pass on rows and frames about which nothing more will be said.

        A frame waits no longer than the room for pictures allows; what is found in it later is in
        the rows but not in the video.
        """
        self._unsettled += findings.detections
        ready = [found for found in self._unsettled if found.frame < findings.settled]
        ready.sort(key=lambda found: (found.frame, found.track))
        while self._waiting and (
            self._waiting[0].index < findings.settled or len(self._waiting) > self._held
        ):
            frame = self._waiting.popleft()
            inside = [found for found in self._unsettled if found.frame == frame.index]
            inside.sort(key=lambda found: found.track)
            self._portraits.look(frame, inside)  # before anything is drawn on it
            self._annotating.give(_FoundFrame(frame, inside))
        if ready:
            self._unsettled = [
                found for found in self._unsettled if found.frame >= findings.settled
            ]
            self._log.add(ready)
            self._rows.write(ready)
            self._written += len(ready)

    def _annotate(self, found: _FoundFrame) -> None:
        self._overlay.draw(found.frame, found.detections)
        self._writer.write(found.frame)

    def _report(
        self, frames: int, last: float, best: dict[int, Moment], metadata: dict[str, str]
    ) -> Analysis:
        tracks = self._log.tracks(best)
        # A stream without a container states neither length nor count, and some containers lie.
        duration = last + 1 / float(self._video.frame_rate)
        stretches = self._log.stretches(frames, duration)
        found = Analysis(
            video=replace(self._video, frames=frames, duration=duration),
            frames=frames,
            detections=self._written,
            tracks=tuple(tracks),
            stretches=tuple(stretches),
            per_second=tuple(self._log.per_second()),
            line=self._line,
            forward=self._log.forward,
            backward=self._log.backward,
        )
        write_tracks(self._path(TRACKS), tracks, metadata)
        summary = {name: getattr(found, name) for name in found.__slots__}
        write_json(self._path(SUMMARY), summary)
        return found

    def _path(self, name: str) -> Path:
        return self._folder / name


def _publish(partial: Path, target: Path) -> None:
    """Move what is complete to where it belongs, the summary last."""
    if (target / FRAMES).exists():
        shutil.rmtree(target / FRAMES)
    for name in (FRAMES, DETECTIONS, LINES, TRACKS, ANNOTATED, SUMMARY):
        (partial / name).replace(target / name)
