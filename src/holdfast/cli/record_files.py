"""Files of records: JSON Lines, CSV and Parquet, written and read a batch at a time."""

from __future__ import annotations

import csv
import io
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal, Protocol, TypeAlias, cast, get_args

import orjson

from holdfast.cli.output import ReaderLeftError
from holdfast.errors import ConfigurationError, InvalidValueError, StorageError
from holdfast.extras import needs_extra
from holdfast.records.record_values import fields_of_entity, json_value, text_value
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from holdfast.records.values.field_spec import FieldSpec

Format: TypeAlias = Literal["jsonl", "csv", "parquet"]
_SUFFIXES: dict[str, Format] = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet",
}  # fmt: skip
_BATCH = 1000
_LONGEST_LINE = 64 << 20  # bytes
_LONGEST_CELL = 64 << 20  # characters


class RecordWriter(Protocol):
    """Writes records into a file of one format."""

    def write(self, entities: Sequence[object]) -> None:
        """Write *entities* behind those before."""
        ...

    def finish(self) -> None:
        """Write what stands at the end of the file."""
        ...


def format_of(path: str, given: str | None) -> Format:
    """Return the format *given*, else that of the name's ending. Raises ConfigurationError."""
    known = get_args(Format)
    if given is not None:
        if given not in known:
            raise ConfigurationError(f"--format {given}: expected one of {', '.join(known)}")
        return cast("Format", given)
    found = _SUFFIXES.get(Path(path).suffix.lower())
    if found is None and path != "-":
        endings = ", ".join(_SUFFIXES)
        raise ConfigurationError(f"{path!r} ends in none of {endings}; say --format")
    return found or "jsonl"


@contextmanager
def written_file(path: str) -> Iterator[IO[bytes]]:
    """Give a file to write to; *path* appears complete and durable, or not at all.

    `-` is standard output. Raises StorageError, and ReaderLeftError when nobody reads it.
    """
    if path == "-":
        try:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            raise ReaderLeftError from None
        return
    target = Path(path)
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with beside.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
    except OSError as error:
        raise StorageError(f"{path!r} can't be written: {error.strerror}") from error
    finally:
        beside.unlink(missing_ok=True)


def record_writer(entity: type, file: IO[bytes], kind: Format) -> RecordWriter:
    """Return what writes entities of *entity* into *file*. Raises ConfigurationError."""
    fields = fields_of_entity(entity)
    match kind:
        case "jsonl":
            return _JSONLines(fields, file)
        case "csv":
            return _CSV(fields, file)
        case "parquet":
            with needs_extra("media", "Parquet"):
                return _Parquet(fields, file)


def read_records(path: str, kind: Format) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield the records of a file, each with its place in it; `-` is standard input.

    Raises StorageError for a file that can't be read, InvalidValueError for what it can't hold.
    """
    if path == "-":
        if kind == "parquet":
            raise ConfigurationError("Parquet is read from a file, not from standard input")
        yield from _READERS[kind](sys.stdin.buffer, "standard input")
        return
    try:
        with Path(path).open("rb") as file:
            yield from _READERS[kind](file, path)
    except OSError as error:
        raise StorageError(f"{path!r} can't be read: {error.strerror or error}") from error


class _JSONLines:
    def __init__(self, fields: Sequence[FieldSpec], file: IO[bytes]) -> None:
        self._fields = fields
        self._file = file

    def write(self, entities: Sequence[object]) -> None:
        for entity in entities:
            values = vars(entity)
            record = {each.name: json_value(each, values[each.name]) for each in self._fields}
            self._file.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))

    def finish(self) -> None:
        return


class _CSV:
    def __init__(self, fields: Sequence[FieldSpec], file: IO[bytes]) -> None:
        self._fields = fields
        self._file = file
        self._rows([[each.name for each in fields]])

    def _rows(self, rows: Sequence[Sequence[str]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text).writerows(rows)
        self._file.write(text.getvalue().encode())

    def write(self, entities: Sequence[object]) -> None:
        fields = self._fields
        self._rows(
            [[text_value(each, vars(entity)[each.name]) for each in fields] for entity in entities]
        )

    def finish(self) -> None:
        return


class _Parquet:
    def __init__(self, fields: Sequence[FieldSpec], file: IO[bytes]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._fields = fields
        self._schema = pa.schema([pa.field(each.name, _arrow_type(each)) for each in fields])
        self._writer = pq.ParquetWriter(file, self._schema)

    def write(self, entities: Sequence[object]) -> None:
        import pyarrow as pa

        rows = [
            {each.name: _arrow_value(each, vars(entity)[each.name]) for each in self._fields}
            for entity in entities
        ]
        self._writer.write_table(pa.Table.from_pylist(rows, schema=self._schema))

    def finish(self) -> None:
        self._writer.close()


def _arrow_type(spec: FieldSpec) -> pa.DataType:
    import pyarrow as pa

    bounds = spec.type.bounds
    match spec.type.kind:
        case Kind.BOOL:
            return pa.bool_()
        case Kind.INT:
            return pa.int64()
        case Kind.FLOAT:
            return pa.float64()
        case Kind.BYTES:
            return pa.binary()
        case Kind.DECIMAL:
            return pa.decimal128(bounds.precision, bounds.scale)
        case Kind.DATETIME:
            return pa.timestamp("us", tz="UTC")
        case Kind.DATE:
            return pa.date32()
        case Kind.TIME:
            return pa.time64("us")
        case Kind.TIMEDELTA:
            return pa.duration("us")
        case Kind.STR | Kind.UUID | Kind.JSON:
            return pa.string()


def _arrow_value(spec: FieldSpec, value: object) -> object:
    if value is None:
        return None
    match spec.type.kind:
        case Kind.UUID:
            return str(value)
        case Kind.JSON:
            return orjson.dumps(json_value(spec, value)).decode()
        case Kind.STR | Kind.INT:
            return json_value(spec, value)
        case _:
            return value


def _json_lines(file: IO[bytes], name: str) -> Iterator[tuple[str, dict[str, object]]]:
    number = 0
    while line := file.readline(_LONGEST_LINE):
        number += 1
        place = f"{name}:{number}"
        if not line.strip():
            continue
        try:
            found = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise InvalidValueError(place, "line", f"is not JSON: {error}") from None
        if not isinstance(found, dict):
            raise InvalidValueError(
                place, "line", f"expected a JSON object, got {type(found).__name__}"
            )
        yield place, found


def _csv_rows(file: IO[bytes], name: str) -> Iterator[tuple[str, dict[str, object]]]:
    csv.field_size_limit(_LONGEST_CELL)
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        reader = csv.DictReader(text, strict=True)
        for row in reader:
            place = f"{name}:{reader.line_num}"
            if None in row or None in row.values():
                expected = len(reader.fieldnames or ())
                raise InvalidValueError(place, "line", f"expected {expected} cells, as the header")
            yield place, dict(row)
    except (csv.Error, UnicodeDecodeError) as error:
        raise InvalidValueError(name, "CSV", f"can't be read: {error}") from None
    finally:
        text.detach()


def _parquet_rows(file: IO[bytes], name: str) -> Iterator[tuple[str, dict[str, object]]]:
    with needs_extra("media", "Parquet"):
        import pyarrow as pa
        import pyarrow.parquet as pq
    try:
        number = 0
        for batch in pq.ParquetFile(file).iter_batches(batch_size=_BATCH):
            for row in batch.to_pylist():
                number += 1
                yield f"{name}:{number}", row
    except pa.ArrowException as error:
        raise InvalidValueError(name, "Parquet", f"can't be read: {error}") from None


_READERS = {"jsonl": _json_lines, "csv": _csv_rows, "parquet": _parquet_rows}
