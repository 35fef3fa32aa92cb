"""The analysis of a video: one pass, bounded memory, all results."""

from __future__ import annotations

import shutil
import tempfile
from collections import deque
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from holdfast.errors import HoldfastError, StorageError, UnsupportedError
from holdfast.media.analysis_options import AnalysisOptions, counting_line
from holdfast.media.background_worker import BackgroundWorker
from holdfast.media.object_keys import (
    ACTIVITY,
    ANNOTATED,
    COUNTS,
    DETECTIONS,
    FRAMES,
    LINES,
    STRIP,
    SUMMARY,
    TRACKS,
)
from holdfast.media.probe import describe
from holdfast.media.video_file import VideoFile
from holdfast.media.vision.activity_log import ActivityLog
from holdfast.media.vision.area_mask import area_mask
from holdfast.media.vision.detector import Analysis
from holdfast.media.vision.frame_strip import StripMaker
from holdfast.media.vision.frames import frames
from holdfast.media.vision.interval_counter import IntervalCounter, write_counts
from holdfast.media.vision.overlay import Overlay
from holdfast.media.vision.result_files import (
    DetectionWriter,
    metadata_of,
    write_json,
    write_tracks,
)
from holdfast.media.vision.sound import add_sound
from holdfast.media.vision.track_log import TrackLog, middle_line
from holdfast.media.vision.track_portraits import Portraits
from holdfast.media.vision.video_writer import VideoWriter
from holdfast.option_checks import check_kind

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from holdfast.media.video_info import VideoInfo
    from holdfast.media.vision.detector import (
        DescribedDetector,
        Detection,
        Detector,
        Disturbance,
        Findings,
        TunableDetector,
    )
    from holdfast.media.vision.frames import Frame
    from holdfast.media.vision.track_log import Moment


_HELD_BYTES = 48 << 20  # of pictures that wait until it is certain what is in them
_WAITING = 6


def analyse(
    source: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    detector: Detector,
    *,
    options: AnalysisOptions | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> Analysis:
    """Run *detector* over the video *source* and write into *folder* what it finds.

    Written are `detections.parquet`, `detections.jsonl.zst`, `tracks.parquet`, `counts.csv`,
    `activity.parquet` (each second by class), `annotated.mp4` (H.264, constant rate, as long as
    the source), `frames/track-<id>.jpg`, `frames/strip.jpg` and `summary.json`. They appear
    together at the end, `summary.json` last; when anything fails, nothing does. *folder* is made
    if need be; what it holds under these names is replaced.

    *options* say where to look, what to count over, and how sensitive to be. *progress* is called
    with the frames done and, if known, how many there are; what it raises stops the analysis and
    is raised here.

    Memory does not grow with the video, save for a few hundred bytes a track, a stretch of
    movement and a second. MediaError as in `probe`, and when the file changes meanwhile;
    StorageError when the folder can't be written; InvalidValueError for an area or a line outside
    the picture; UnsupportedError for a sensitivity that the detector does not know.
    """
    target = Path(folder).absolute()
    asked = AnalysisOptions() if options is None else options
    check_kind(asked, AnalysisOptions)
    tuned = _tuned(detector, asked)
    with VideoFile(source) as opened:
        video = describe(opened)
        asked.check_video(video)
        try:
            target.mkdir(parents=True, exist_ok=True)
            unfinished = Path(tempfile.mkdtemp(prefix=".partial-", dir=target))
            try:
                (unfinished / FRAMES).mkdir()
                found = _AnalysisRun(opened, video, unfinished, asked).run(tuned, progress)
                _publish(unfinished, target)
            finally:
                shutil.rmtree(unfinished)
        except HoldfastError:
            raise
        except OSError as error:
            raise StorageError(
                f"the results can't be written to {str(target)!r}: {error}"
            ) from error
    return found


def _tuned(detector: Detector, options: AnalysisOptions) -> Detector:
    if options.sensitivity == "normal":
        return detector
    tune = getattr(detector, "tuned", None)
    if tune is None:
        raise UnsupportedError(
            f"the sensitivity {options.sensitivity!r}", f"detector {type(detector).__name__}"
        )
    tunable: TunableDetector = cast("TunableDetector", detector)
    return tunable.tuned(options.sensitivity)


def _facts(detector: Detector) -> dict[str, str]:
    described = cast("DescribedDetector", detector)
    return dict(described.facts) if hasattr(detector, "facts") else {}


class _FoundFrame(NamedTuple):
    frame: Frame
    detections: Sequence[Detection]


class _AnalysisRun:
    """One analysis: decoding here, detecting on a second thread, drawing and encoding on a third.

    All three spend most of their time in C without the interpreter's lock.
    """

    def __init__(
        self, source: VideoFile, video: VideoInfo, folder: Path, options: AnalysisOptions
    ) -> None:
        self._source = source
        self._video = video
        self._folder = folder
        self._options = options
        self._lines = options.lines or (counting_line("middle", middle_line(video)),)
        self._counter = IntervalCounter(video, self._lines, options)
        self._log = TrackLog(video, self._lines[0].line)
        self._overlay = Overlay(video, [each.line for each in self._lines], options)
        self._mask = area_mask(options, video.width, video.height)
        self._portraits = Portraits(self._path(FRAMES))
        self._strip = StripMaker()
        self._waiting: deque[Frame] = deque()
        self._unsettled: list[Detection] = []
        self._held = max(1, _HELD_BYTES // max(1, video.width * video.height * 3 // 2))
        self._written = 0
        self._disturbances: list[Disturbance] = []

    def run(
        self, detector: Detector, progress: Callable[[int, int | None], None] | None
    ) -> Analysis:
        facts = _facts(detector)
        metadata = metadata_of(self._video, Path(self._source.path).name)
        metadata |= {f"holdfast.{name}": value for name, value in facts.items()}
        total = self._video.frames
        done = 0
        last = 0.0
        with ExitStack() as stack:
            self._rows = stack.enter_context(
                DetectionWriter(self._path(DETECTIONS), self._path(LINES), metadata)
            )
            self._activity = stack.enter_context(ActivityLog(self._path(ACTIVITY)))
            self._writer = stack.enter_context(VideoWriter(self._path(ANNOTATED), self._video))
            self._annotating = stack.enter_context(
                BackgroundWorker(
                    self._annotate, waiting=min(_WAITING, self._held), name="annotating"
                )
            )
            run = detector.start(self._video)

            def detect(frame: Frame) -> None:
                self._waiting.append(frame)
                self._take(run.look(frame if self._mask is None else self._mask.shown(frame)))

            with BackgroundWorker(
                detect, waiting=min(_WAITING, self._held), name="detecting"
            ) as detecting:
                for frame in frames(self._source):
                    detecting.give(frame)
                    done, last = frame.index + 1, frame.time
                    if progress is not None and done % 8 == 0:
                        progress(done, max(total, done))
            self._take(run.finish())
        if self._options.sound and self._video.has_audio:
            add_sound(
                self._path(ANNOTATED),
                self._source,
                end=last + 1 / float(self._video.frame_rate),
                progress=None if progress is None else partial(progress, done, max(total, done)),
            )
        if progress is not None:
            progress(done, done)
        self._source.check_unchanged()
        best = self._portraits.finish()
        found = self._report(done, last, best, metadata)
        return self._summed_up(replace(found, detector=facts))

    def _take(self, findings: Findings) -> None:
        """Pass on rows and frames about which nothing more will be said.

        A frame waits no longer than the room for pictures allows; what is found in it later is in
        the rows but not in the video.
        """
        self._disturbances += findings.disturbances
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
            self._strip.look(frame)
            self._annotating.give(_FoundFrame(frame, inside))
        if ready:
            self._unsettled = [
                found for found in self._unsettled if found.frame >= findings.settled
            ]
            self._log.add(ready)
            self._counter.add(ready)
            self._rows.write(ready)
            self._activity.add(ready)
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
        intervals, lines = self._counter.intervals(duration), self._counter.lines()
        found = Analysis(
            video=replace(self._video, frames=frames, duration=duration),
            frames=frames,
            detections=self._written,
            tracks=tuple(tracks),
            stretches=tuple(stretches),
            per_second=tuple(self._log.per_second()),
            line=lines[0].line,
            forward=self._log.forward,
            backward=self._log.backward,
            disturbances=tuple(self._disturbances),
            lines=lines,
            regions=tuple(area.name for area in self._options.regions),
            intervals=intervals,
            start=self._options.start,
            strip=self._strip.write(self._path(FRAMES) / STRIP),
        )
        write_tracks(self._path(TRACKS), tracks, metadata)
        write_counts(self._path(COUNTS), intervals, lines, self._options)
        return found

    def _summed_up(self, found: Analysis) -> Analysis:
        summary = {name: getattr(found, name) for name in found.__slots__}
        write_json(self._path(SUMMARY), summary)
        return found

    def _path(self, name: str) -> Path:
        return self._folder / name


def _publish(partial: Path, target: Path) -> None:
    """Move what is complete to where it belongs, the summary last."""
    if (target / FRAMES).exists():
        shutil.rmtree(target / FRAMES)
    for name in (FRAMES, DETECTIONS, LINES, TRACKS, COUNTS, ACTIVITY, ANNOTATED, SUMMARY):
        (partial / name).replace(target / name)
