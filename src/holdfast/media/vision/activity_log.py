"""Writes what is seen in each second of a video, by class: what a timeline is drawn from."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from holdfast.media.vision.detector import Detection

_ROWS = 4096
_SCHEMA = pa.schema(
    (
        pa.field("second", pa.int64(), nullable=False),
        pa.field("label", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("tracks", pa.int64(), nullable=False),
        pa.field("detections", pa.int64(), nullable=False),
    )
)


class ActivityLog:
    """Writes a Parquet file of one row for each second and class with anything in it.

    A row counts the different tracks and the detections. Detections come in the order of their
    frames; memory is one second and one row group. A context manager: leaving it ends the file.
    """

    def __init__(self, path: Path) -> None:
        self._file = pq.ParquetWriter(path, _SCHEMA, compression="zstd")
        self._second = 0
        self._tracks: defaultdict[str, set[int]] = defaultdict(set)
        self._detections: Counter[str] = Counter()
        self._rows: list[tuple[int, str, int, int]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._end_second()
                self._write()
        finally:
            self._file.close()

    def add(self, detections: Sequence[Detection]) -> None:
        """Take detections that follow, by frame, those that were added before."""
        for each in detections:
            second = int(each.time)
            if second != self._second:
                self._end_second()
                self._second = second
            self._tracks[each.label].add(each.track)
            self._detections[each.label] += 1
        if len(self._rows) >= _ROWS:
            self._write()

    def _end_second(self) -> None:
        for label in sorted(self._tracks):
            row = (self._second, label, len(self._tracks[label]), self._detections[label])
            self._rows.append(row)
        self._tracks.clear()
        self._detections.clear()

    def _write(self) -> None:
        rows, self._rows = self._rows, []
        if rows:
            columns = zip(*rows, strict=True)
            arrays = [
                pa.array(column, field.type) for column, field in zip(columns, _SCHEMA, strict=True)
            ]
            self._file.write_table(pa.table(arrays, schema=_SCHEMA))
