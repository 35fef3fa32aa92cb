"""Files of records that are looked at before they are imported: kept in the bucket, and read."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import orjson

from holdfast.errors import InvalidValueError
from holdfast.uuid7 import uuid7

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from datetime import datetime

    from holdfast.objects import Bucket

IMPORTS = "imports/"
"""What the keys of kept files begin with."""
MOST_BYTES = 16_000_000
MOST_ROWS = 10_000
_AGE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class FileRow:
    """A row of a file: the *line* that it ends in, and its cells, or what is wrong with it."""

    line: int
    cells: dict[str, object]
    fault: str = ""


@dataclass(frozen=True, slots=True)
class ImportFile:
    """A file that is kept: JSON Lines, or CSV with a header where *as_csv*."""

    id: UUID
    as_csv: bool

    @property
    def key(self) -> str:
        """The key of its object."""
        return f"{IMPORTS}{self.id}.{'csv' if self.as_csv else 'jsonl'}"


async def keep_file(bucket: Bucket, content: AsyncIterator[bytes], *, as_csv: bool) -> ImportFile:
    """Keep *content* for a day, and return where. Raises InvalidValueError above MOST_BYTES."""
    parts: list[bytes] = []
    size = 0
    async for part in content:
        size += len(part)
        if size > MOST_BYTES:
            most = f"{MOST_BYTES // 1_000_000} MB"
            raise InvalidValueError("import", "file", f"has more than {most}; split it")
        parts.append(part)
    kept = ImportFile(uuid7(), as_csv)
    await bucket.put(kept.key, b"".join(parts), content_type="text/plain")
    return kept


async def remove_old_imports(bucket: Bucket, *, now: datetime) -> int:
    """Delete the files that were kept for more than a day, and return how many."""
    old = [info.key async for info in bucket.list(IMPORTS) if info.modified < now - _AGE]
    for key in old:
        await bucket.delete(key)
    return len(old)


def rows_of(content: bytes, *, as_csv: bool) -> Iterator[FileRow]:
    """Yield the rows of a file, those that can't be read with what is wrong with them.

    Raises InvalidValueError for one that can't be read at all, and above MOST_ROWS.
    """
    for count, row in enumerate(_csv_rows(content) if as_csv else _json_lines(content)):
        if count == MOST_ROWS:
            raise InvalidValueError("import", "file", f"has more than {MOST_ROWS:,} rows; split it")
        yield row


def _csv_rows(content: bytes) -> Iterator[FileRow]:
    try:
        text = io.StringIO(content.decode("utf-8-sig"), newline="")
        reader = csv.DictReader(text, strict=True)
        names = reader.fieldnames or ()
        if len(set(names)) < len(names):
            raise InvalidValueError("import", "file", "has two columns of one name")
        for cells in reader:
            if None in cells or None in cells.values():
                said = f"expected {len(names)} cells, as the header has"
                yield FileRow(reader.line_num, {}, said)
            else:
                yield FileRow(reader.line_num, dict(cells))
    except UnicodeDecodeError as error:
        raise InvalidValueError("import", "file", f"is not UTF-8: {error.reason}") from None
    except csv.Error as error:
        raise InvalidValueError("import", "file", f"is not CSV: {error}") from None


def _json_lines(content: bytes) -> Iterator[FileRow]:
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            found = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            yield FileRow(number, {}, f"is not JSON: {error}")
            continue
        if isinstance(found, dict):
            yield FileRow(number, found)
        else:
            yield FileRow(number, {}, "expected a JSON object")
