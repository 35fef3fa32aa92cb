"""Counts over lines and in regions, for each interval of a video and in all."""

from __future__ import annotations

import csv
import math
from datetime import timedelta
from typing import TYPE_CHECKING

import cv2
import numpy as np

from holdfast.media.vision.detector import IntervalCount, LineCount
from holdfast.media.vision.line_counter import LineCounter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from holdfast.media.analysis_options import AnalysisOptions, Area, CountingLine
    from holdfast.media.geometry import Point
    from holdfast.media.video_info import VideoInfo
    from holdfast.media.vision.detector import Detection


class IntervalCounter:
    """Counts detections as they come, in order of frame.

    Memory is what one interval holds, and a few numbers for each that is over.
    """

    def __init__(
        self, video: VideoInfo, lines: Sequence[CountingLine], options: AnalysisOptions
    ) -> None:
        margin = 0.01 * math.hypot(video.width, video.height)
        self._lines = lines
        self._counters = [LineCounter(line.line, margin) for line in lines]
        self._regions = [_outline(area) for area in options.regions]
        self._interval = options.interval
        self._done: list[IntervalCount] = []
        self._at = 0
        self._begin()

    def add(self, detections: Sequence[Detection]) -> None:
        """Take detections that follow, by frame, those that were added before."""
        for detection in detections:
            while int(detection.time // self._interval) > self._at:
                self._close()
            centre = detection.box.centre
            self._tracks.add(detection.track)
            for counter in self._counters:
                counter.step(detection.track, centre)
            for region, inside in zip(self._regions, self._inside, strict=True):
                if detection.track not in inside and _is_inside(region, centre):
                    inside.add(detection.track)

    def intervals(self, duration: float) -> tuple[IntervalCount, ...]:
        """Return the count of each interval of a video of *duration* seconds. Ends the counting."""
        last = max(self._at, math.ceil(duration / self._interval - 1e-9) - 1)
        while self._at <= last:
            self._close()
        if self._done and self._done[-1].end_time > duration > self._done[-1].start_time:
            final = self._done.pop()
            self._done.append(
                IntervalCount(final.start_time, duration, final.tracks, final.lines, final.regions)
            )
        return tuple(self._done)

    def lines(self) -> tuple[LineCount, ...]:
        """Return how often each line was crossed so far."""
        return tuple(
            LineCount(line.name, line.line, counter.forward, counter.backward)
            for line, counter in zip(self._lines, self._counters, strict=True)
        )

    def _begin(self) -> None:
        self._tracks: set[int] = set()
        self._inside: list[set[int]] = [set() for _ in self._regions]
        self._before = [(counter.forward, counter.backward) for counter in self._counters]

    def _close(self) -> None:
        crossed = tuple(
            (counter.forward - forward, counter.backward - backward)
            for counter, (forward, backward) in zip(self._counters, self._before, strict=True)
        )
        self._done.append(
            IntervalCount(
                start_time=self._at * self._interval,
                end_time=(self._at + 1) * self._interval,
                tracks=len(self._tracks),
                lines=crossed,
                regions=tuple(map(len, self._inside)),
            )
        )
        self._at += 1
        self._begin()


def write_counts(
    path: Path,
    intervals: Sequence[IntervalCount],
    lines: Sequence[LineCount],
    options: AnalysisOptions,
) -> None:
    """Write *intervals* as CSV: seconds, wall-clock times if known, and a column for each count."""
    head = ["from", "to"]
    if options.start is not None:
        head += ["from_time", "to_time"]
    head.append("tracks")
    for line in lines:
        head += [f"{line.name} forward", f"{line.name} backward"]
    head += [f"{area.name} tracks" for area in options.regions]
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(head)
        for each in intervals:
            row: list[object] = [round(each.start_time, 3), round(each.end_time, 3)]
            if options.start is not None:
                row += [
                    (options.start + timedelta(seconds=moment)).isoformat()
                    for moment in (each.start_time, each.end_time)
                ]
            row.append(each.tracks)
            row += [count for line in each.lines for count in line]
            row += each.regions
            table.writerow(row)


def _outline(area: Area) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.array(area.points, np.float32)


def _is_inside(region: np.ndarray[tuple[int, int], np.dtype[np.float32]], point: Point) -> bool:
    return cv2.pointPolygonTest(region, (point.x, point.y), measureDist=False) >= 0
