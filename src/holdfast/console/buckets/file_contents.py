"""Looks into files that a browser can't show: models by their headers, the head of Parquet.

Nothing of them is run: a pickle, which is a program, is named as one and left alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from holdfast.console.template_filters import short
from holdfast.errors import ConfigurationError, ModelFileError
from holdfast.extras import needs_extra
from holdfast.models.contents.model_contents import file_contents

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.objects import Bucket, ObjectInfo

MOST_FETCHED = 64 << 20
"""Bytes of a file that is fetched to be looked into; one on this machine's disk may be larger."""
_MODELS = (".onnx", ".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle", ".joblib")
_ROWS = 50
_COLUMNS = 40
_GROUP_BYTES = 64 << 20  # of the first row group, unpacked
_PICKLE = (
    "It is a pickle: whoever loads it runs a program of its maker's. It was not loaded here, and "
    "what is in it is not shown."
)
_PICKLE_INSIDE = (
    "There is a pickle in it: whoever loads it runs a program of its maker's. It was not loaded "
    "here. Safetensors holds the same weights and can't run anything."
)
_LARGE_GROUPS = "Its groups of rows are too large to be read here; these are its columns."


@dataclass(frozen=True, slots=True)
class FileContents:
    """What a file says of itself: *facts* by name, a table with a *head*, what to *warn* of."""

    facts: Mapping[str, str]
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    warning: str = ""


def can_be_looked_into(info: ObjectInfo) -> bool:
    """Return whether the name of the object is that of a file whose format is known here."""
    return info.key.lower().endswith((".parquet", *_MODELS))


async def contents_of(bucket: Bucket, info: ObjectInfo) -> FileContents | None:
    """Return what the object says of itself, None for an unknown format, or a file too large."""
    if info.size > MOST_FETCHED and bucket.backend != "disk":
        return None
    reader = _parquet_contents if info.key.lower().endswith(".parquet") else _model_contents
    try:
        async with bucket.as_file(info.key) as path:
            return await asyncio.to_thread(partial(reader, path))
    except ModelFileError as error:
        return FileContents({}, warning=f"It is damaged, or not what its name says: {error.reason}")
    except ConfigurationError as error:  # an extra is missing
        return FileContents({}, warning=str(error))


def _model_contents(path: Path) -> FileContents | None:
    said = file_contents(path)
    match said.get("format"):
        case None:
            return None
        case "pickle":
            return FileContents({"format": "pickle"}, warning=_PICKLE)
        case "onnx":
            tensors: list[tuple[str, ...]] = [
                (role, *_tensor_of(each))
                for role, name in (("input", "inputs"), ("output", "outputs"))
                for each in _listed(said, name)
            ]
            head: Sequence[str] = ("role", "name", "type", "shape")
        case "safetensors":
            tensors = [_tensor_of(each) for each in _listed(said, "tensors")]
            head = ("tensor", "type", "shape")
        case _:
            tensors, head = [], ()
    shown = {
        name: _said(value)
        for name, value in said.items()
        if name not in ("inputs", "outputs", "tensors", "pickle", "metadata")
    }
    metadata = said.get("metadata")
    if isinstance(metadata, dict):
        shown |= {short(name, 60): short(_said(value), 500) for name, value in metadata.items()}
    warning = _PICKLE_INSIDE if said.get("pickle") else ""
    return FileContents(shown, head if tensors else (), tensors[: 4 * _ROWS], warning)


def _parquet_contents(path: Path) -> FileContents:
    with needs_extra("media", "looking into Parquet"):
        import pyarrow as pa  # noqa: PLC0415 - an extra
        import pyarrow.parquet as pq  # noqa: PLC0415 - the same
    try:
        with pq.ParquetFile(path) as file:
            footer, columns = file.metadata, file.schema_arrow.names[:_COLUMNS]
            facts = {
                "format": "Parquet",
                "rows": f"{footer.num_rows:,}",
                "row groups": f"{footer.num_row_groups:,}",
                "columns": f"{len(file.schema_arrow.names):,}",
                "written by": short(footer.created_by or "unknown"),
            }
            head = [f"{name} ({file.schema_arrow.field(name).type})" for name in columns]
            if not footer.num_row_groups:
                return FileContents(facts, head)
            if footer.row_group(0).total_byte_size > _GROUP_BYTES:
                return FileContents(facts, head, warning=_LARGE_GROUPS)
            batches = file.iter_batches(_ROWS, row_groups=[0], columns=columns)
            batch = next(batches, None)
            rows = [] if batch is None else [list(each.values()) for each in batch.to_pylist()]
    except (pa.ArrowException, OSError, KeyError) as error:
        raise ModelFileError(path.name, f"it can't be read as Parquet: {error}") from error
    return FileContents(facts, head, [[short(_said(each), 80) for each in row] for row in rows])


def _listed(said: Mapping[str, object], name: str) -> list[Mapping[str, object]]:
    found = said.get(name)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _tensor_of(said: Mapping[str, object]) -> tuple[str, str, str]:
    shape = said.get("shape")
    sizes = shape if isinstance(shape, list) else []
    drawn = " \N{MULTIPLICATION SIGN} ".join("?" if each is None else str(each) for each in sizes)
    return short(said.get("name", ""), 200), str(said.get("type", "")), drawn or "a number"


def _said(value: object) -> str:
    match value:
        case dict():
            return ", ".join(f"{name} {_said(each)}" for name, each in value.items())
        case list():
            return ", ".join(_said(each) for each in value)
        case bool() | str():
            return str(value)
        case int():
            return f"{value:,}"
        case None:
            return ""
        case _:
            return str(value)
