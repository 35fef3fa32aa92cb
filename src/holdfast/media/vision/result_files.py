"""Result files: Parquet and compressed JSON Lines for programs, one JSON for the report."""

from __future__ import annotations

from dataclasses import asdict
from fractions import Fraction
from typing import TYPE_CHECKING

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from holdfast.media.vision.detector import Box, Point

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from holdfast.media.video_info import VideoInfo
    from holdfast.media.vision.detector import Detection, Track

ROWS = 4096  # of a row group: a minute or so of a busy video

_DETECTION = (
    pa.field("frame", pa.int64(), nullable=False),
    pa.field("time", pa.float64(), nullable=False),
    pa.field("track", pa.int64(), nullable=False),
    pa.field("label", pa.dictionary(pa.int32(), pa.string()), nullable=False),
    pa.field("score", pa.float32(), nullable=False),
    pa.field("x", pa.float32(), nullable=False),
    pa.field("y", pa.float32(), nullable=False),
    pa.field("width", pa.float32(), nullable=False),
    pa.field("height", pa.float32(), nullable=False),
)


class DetectionWriter:
    """Writes detections to a Parquet and a JSON Lines file with the same content.

    Memory is one row group. A context manager: leaving it finishes both files.
    """

    def __init__(self, parquet: Path, lines: Path, metadata: Mapping[str, str]) -> None:
        self._schema = pa.schema(_DETECTION, metadata=dict(metadata))
        self._rows: list[Detection] = []
        self._text = lines.open("wb")
        self._lines = zstandard.ZstdCompressor(level=3).stream_writer(self._text)
        try:
            self._parquet = pq.ParquetWriter(parquet, self._schema, compression="zstd")
        except BaseException:
            self._text.close()
            raise

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
                self._flush()
                self._lines.flush(zstandard.FLUSH_FRAME)
        finally:
            try:
                self._parquet.close()
            finally:
                self._text.close()

    def write(self, detections: Sequence[Detection]) -> None:
        """Add *detections*, which come in the order of their frames."""
        self._rows += detections
        if len(self._rows) >= ROWS:
            self._flush()

    def _flush(self) -> None:
        rows, self._rows = self._rows, []
        if not rows:
            return
        columns = {
            "frame": [row.frame for row in rows],
            "time": [row.time for row in rows],
            "track": [row.track for row in rows],
            "label": [row.label for row in rows],
            "score": [row.score for row in rows],
            "x": [row.box.x for row in rows],
            "y": [row.box.y for row in rows],
            "width": [row.box.width for row in rows],
            "height": [row.box.height for row in rows],
        }
        table = pa.table(
            [pa.array(columns[field.name], field.type) for field in self._schema],
            schema=self._schema,
        )
        self._parquet.write_table(table)
        # Both files speak in the same rounded numbers, so the lines are taken from the table.
        for batch in table.to_batches(max_chunksize=512):
            self._lines.write(
                b"".join(
                    orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in batch.to_pylist()
                )
            )


def write_tracks(path: Path, tracks: Sequence[Track], metadata: Mapping[str, str]) -> None:
    """Write *tracks* as Parquet; a point is two columns, a box four."""
    schema = pa.schema(_TRACK, metadata=dict(metadata))
    rows = [_flat(track) for track in tracks]
    table = pa.Table.from_pylist(rows, schema=schema)
    pq.write_table(table, path, compression="zstd", row_group_size=ROWS)


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write *content*, dataclasses, points and boxes included, as indented JSON."""
    data = orjson.dumps(content, default=_plain, option=orjson.OPT_INDENT_2)
    path.write_bytes(data)


def metadata_of(video: VideoInfo, source: str) -> dict[str, str]:
    """What a reader of the columns must know about the video they speak of."""
    return {
        "holdfast.source": source,
        "holdfast.frame_rate": f"{video.frame_rate.numerator}/{video.frame_rate.denominator}",
        "holdfast.width": str(video.width),
        "holdfast.height": str(video.height),
        "holdfast.box": "pixels of the video as displayed, from its top left corner",
        "holdfast.time": "seconds from the video's start",
    }


_TRACK = (
    *(pa.field(name, pa.int64(), nullable=False) for name in ("id", "first_frame", "last_frame")),
    pa.field("label", pa.string(), nullable=False),
    pa.field("first_time", pa.float64(), nullable=False),
    pa.field("last_time", pa.float64(), nullable=False),
    pa.field("detections", pa.int64(), nullable=False),
    pa.field("best_frame", pa.int64(), nullable=False),
    pa.field("best_time", pa.float64(), nullable=False),
    *(
        pa.field(name, pa.float64(), nullable=False)
        for name in (
            "best_x", "best_y", "best_width", "best_height", "entry_x", "entry_y", "exit_x",
            "exit_y", "displacement", "angle", "path_length", "mean_speed", "mean_area",
            "mean_score",
        )
    ),
    pa.field("direction", pa.string(), nullable=False),
    pa.field("crossed", pa.string()),
)  # fmt: skip


def _flat(track: Track) -> dict[str, object]:
    row = asdict(track)
    del row["best_box"], row["entry"], row["exit"]
    row |= {f"best_{name}": value for name, value in track.best_box._asdict().items()}
    row |= {f"entry_{name}": value for name, value in track.entry._asdict().items()}
    row |= {f"exit_{name}": value for name, value in track.exit._asdict().items()}
    return row


def _plain(value: object) -> object:
    if isinstance(value, (Box, Point)):
        return value._asdict()
    if isinstance(value, Fraction):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in a summary")
