"""Reads a Parquet file of results by time: of the bucket's bytes only the row groups that fit."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, Protocol, cast

from holdfast.errors import IntegrityError, NotFoundError, ObjectNotFoundError
from holdfast.extras import check_extra

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    import pyarrow as pa
    import pyarrow.parquet as pq

    from holdfast.objects import Bucket

Whence = Literal[0, 1, 2]

_TAIL = 64 << 10  # bytes of the end that are fetched at first; most footers are in there
_LARGEST_FOOTER = 64 << 20
_FETCHED = 2 << 20  # bytes of row groups at once
_KEPT = 32 << 20  # bytes of footers that stay in memory


@dataclass(frozen=True, slots=True)
class TimeColumns:
    """The columns between which a row's time lies, of which row groups tell least and most."""

    begin: str
    end: str


@dataclass(frozen=True, slots=True)
class RowGroup:
    """Where the rows of one group lie in the file, in bytes, and in the video, in seconds."""

    number: int
    start: int
    end: int
    rows: int
    earliest: float
    latest: float


class FooterOf(Protocol):
    """What is asked of pyarrow's FileMetaData here; pyarrow has no types."""

    num_rows: int
    num_row_groups: int
    num_columns: int
    serialized_size: int


@dataclass(frozen=True, slots=True, eq=False)
class ResultTable:
    """One file of results as it was when it was opened; replaced meanwhile, reading it fails.

    *rows* counts all of its rows.
    """

    bucket: Bucket
    key: str
    etag: str
    size: int
    footer: FooterOf
    groups: tuple[RowGroup, ...]

    @property
    def rows(self) -> int:
        """How many rows the file has."""
        return self.footer.num_rows

    async def batches(
        self,
        columns: Sequence[str],
        *,
        since: float = float("-inf"),
        until: float = float("inf"),
        rows: int | None = None,
    ) -> AsyncGenerator[pa.Table, None]:
        """Yield the row groups with any row from *since* to *until* seconds, in their order.

        In memory are those of one table: some 2 MiB as they lie, at most *rows* or one group.
        Rows outside of the times may be among them. Raises IntegrityError for a damaged file and
        PreconditionFailedError when it was replaced.
        """
        fit = [each for each in self.groups if each.latest >= since and each.earliest <= until]
        at = 0
        while at < len(fit):
            taken = [fit[at]]
            for each in fit[at + 1 :]:
                follows = each.start == taken[-1].end
                count = sum(group.rows for group in taken) + each.rows
                large = each.end - taken[0].start > _FETCHED
                if not follows or large or (rows is not None and count > rows):
                    break
                taken.append(each)
            at += len(taken)
            start, end = taken[0].start, taken[-1].end
            content = await self.bucket.get(self.key, start=start, end=end, if_match=self.etag)
            numbers = [each.number for each in taken]
            window = _Window(self.size, start, content)
            yield await asyncio.to_thread(self._decoded, window, numbers, list(columns))

    def _decoded(self, window: _Window, numbers: list[int], columns: list[str]) -> pa.Table:
        import pyarrow as pa  # noqa: PLC0415 - the extra `media`
        import pyarrow.parquet as pq  # noqa: PLC0415 - the same

        try:
            file = pq.ParquetFile(pa.PythonFile(window, mode="r"), metadata=self.footer)
            return file.read_row_groups(numbers, columns=columns, use_threads=False)
        except (pa.ArrowException, OSError, KeyError) as error:
            raise IntegrityError(f"the results {self.key!r} are damaged: {error}") from error


class ResultTables:
    """Opens files of results in *bucket*; the footers of those used last stay in memory."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._known: OrderedDict[tuple[str, str], ResultTable] = OrderedDict()

    async def open(self, key: str, times: TimeColumns) -> ResultTable:
        """Return the file *key* as it is now. Costs one request when its footer is known.

        Raises NotFoundError while there is none, IntegrityError when it is no such file.
        """
        check_extra("media", "reading results", ("numpy", "pyarrow"))
        info = await self._bucket.head(key)
        if info is None:
            raise NotFoundError("results", key, hint="run a detection of the video")
        known = self._known.get((key, info.etag))
        if known is None:
            try:
                known = await self._read(key, info.etag, info.size, times)
            except ObjectNotFoundError:
                raise NotFoundError("results", key) from None
            self._known[key, info.etag] = known
        self._known.move_to_end((key, info.etag))
        while len(self._known) > 1 and (
            sum(each.footer.serialized_size for each in self._known.values()) > _KEPT
        ):
            self._known.popitem(last=False)
        return known

    async def _read(self, key: str, etag: str, size: int, times: TimeColumns) -> ResultTable:
        fetch = partial(self._bucket.get, key, end=size, if_match=etag)
        tail = await fetch(start=max(0, size - _TAIL))
        length = int.from_bytes(tail[-8:-4], "little") + 8
        if tail[-4:] != b"PAR1" or length > min(size, _LARGEST_FOOTER):
            raise IntegrityError(f"the results {key!r} are damaged: they have no footer")
        if length > len(tail):
            tail = await fetch(start=size - length)
        window = _Window(size, size - len(tail), tail)
        footer, groups = await asyncio.to_thread(_footer, window, times, key)
        return ResultTable(self._bucket, key, etag, size, footer, groups)


def _footer(window: _Window, times: TimeColumns, key: str) -> tuple[FooterOf, tuple[RowGroup, ...]]:
    import pyarrow as pa  # noqa: PLC0415 - the extra `media`
    import pyarrow.parquet as pq  # noqa: PLC0415 - the same

    try:
        footer = pq.read_metadata(pa.PythonFile(window, mode="r"))
        names = [footer.schema.column(at).name for at in range(footer.num_columns)]
        begin, end = names.index(times.begin), names.index(times.end)
        groups = tuple(
            _group(footer, number, begin, end) for number in range(footer.num_row_groups)
        )
    except (pa.ArrowException, OSError, ValueError) as error:
        raise IntegrityError(f"the results {key!r} are damaged: {error}") from error
    return cast("FooterOf", footer), groups


def _group(footer: pq.FileMetaData, number: int, begin: int, end: int) -> RowGroup:
    group = footer.row_group(number)
    first, last = group.column(0), group.column(footer.num_columns - 1)
    least, most = group.column(begin).statistics, group.column(end).statistics
    return RowGroup(
        number,
        start=_start(first),
        end=_start(last) + last.total_compressed_size,
        rows=group.num_rows,
        earliest=float("-inf") if least is None else float(least.min),
        latest=float("inf") if most is None else float(most.max),
    )


def _start(column: pq.ColumnChunkMetaData) -> int:
    dictionary = column.dictionary_page_offset
    return int(column.data_page_offset if dictionary is None else dictionary)


class _Window:
    """The part of a file that was fetched, as pyarrow reads files: by their own positions."""

    closed = False

    def __init__(self, size: int, start: int, content: bytes) -> None:
        self._size = size
        self._start = start
        self._content = memoryview(content)
        self._at = 0

    def read(self, size: int = -1) -> bytes:
        end = self._size if size < 0 else min(self._at + size, self._size)
        begin, self._at = self._at - self._start, end
        if begin < 0 or end - self._start > len(self._content):
            raise OSError(f"bytes {begin + self._start} to {end} lie outside of the row groups")
        return bytes(self._content[begin : end - self._start])

    def seek(self, offset: int, whence: Whence = 0) -> int:
        self._at = offset + {0: 0, 1: self._at, 2: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def close(self) -> None:
        self.closed = True

    def flush(self) -> None:
        """Do nothing: it is read alone."""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False
