"""What files of a model say of themselves: read from headers, with nothing of them executed.

Formats are told by content, not by name. What can run code when it is loaded, a pickle, is said.
"""

from __future__ import annotations

import os
import zipfile
from typing import TYPE_CHECKING

import orjson

from holdfast.errors import ModelFileError
from holdfast.models.contents.onnx_contents import onnx_contents

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from holdfast.models.model_tree import LocalModel

MOST_TENSORS = 10_000
_KEPT = 200  # tensors whose names are kept with the record
_HEADER_BYTES = 32 << 20
_ENTRIES = 100_000
_DIRECTORY_BYTES = 64 << 20
_SMALLEST_END = 22
_PICKLES = tuple(bytes((0x80, protocol)) for protocol in range(2, 6))
_READ = 64  # files of one model that are looked into


def read_contents(local: LocalModel) -> dict[str, object]:
    """Return by path what the model's files say, those of known formats. Blocks.

    A file that is damaged or beyond the bounds is named with the reason, in its `error`: it can
    be registered, and is told from a good one.
    """
    found: dict[str, object] = {}
    for file in local.files:
        path = local.root / file.path
        reader = _reader_of(path)
        if reader is None:
            continue
        if len(found) == _READ:
            break
        try:
            found[file.path] = reader(path)
        except ModelFileError as error:
            found[file.path] = {"error": error.reason}
    return found


def file_contents(path: Path) -> Mapping[str, object]:
    """Return what the file at *path* says, {} for an unknown format. Raises ModelFileError."""
    reader = _reader_of(path)
    return {} if reader is None else reader(path)


def _reader_of(path: Path) -> Callable[[Path], dict[str, object]] | None:
    with path.open("rb") as file:
        head = file.read(16)
    if head.startswith(b"PK\x03\x04"):
        return archive_contents
    if head.startswith(_PICKLES):
        return _pickle_contents
    if len(head) > 8 and head[8:9] == b"{":
        return safetensors_contents
    if path.suffix.lower() == ".onnx":
        return onnx_contents
    return None


def safetensors_contents(path: Path) -> dict[str, object]:
    """Return the tensors and metadata of a safetensors file, from its header.

    Raises ModelFileError, also unless the header describes the bytes behind it without gaps or
    overlaps, as the format demands.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        size = os.fstat(file.fileno()).st_size - 8 - length
        if length > _HEADER_BYTES or size < 0:
            raise ModelFileError(str(path), f"its header of {length} bytes does not fit the file")
        try:
            header = orjson.loads(file.read(length))
        except orjson.JSONDecodeError:
            raise ModelFileError(str(path), "its header is not JSON") from None
    if not isinstance(header, dict):
        raise ModelFileError(str(path), "its header is no object of JSON")
    metadata = header.pop("__metadata__", {})
    if len(header) > MOST_TENSORS:
        raise ModelFileError(str(path), f"it has more than {MOST_TENSORS} tensors")
    spans = []
    tensors: list[dict[str, object]] = []
    for name, said in header.items():
        match said:
            case {"dtype": str(kind), "shape": list(shape), "data_offsets": [int(start), int(end)]}:
                if not all(type(each) is int and each >= 0 for each in shape):
                    raise ModelFileError(str(path), f"the tensor {name!r:.80} has no shape")
                spans.append((start, end))
                tensors.append({"name": name, "type": kind, "shape": shape})
            case _:
                raise ModelFileError(str(path), f"the tensor {name!r:.80} is not described")
    at = 0
    for start, end in sorted(spans):
        if start != at or end < start:
            raise ModelFileError(str(path), "its tensors leave gaps or overlap")
        at = end
    if at != size:
        raise ModelFileError(str(path), f"its tensors have {at} bytes, the file has {size}")
    known = metadata if isinstance(metadata, dict) else {}
    return {
        "format": "safetensors",
        "count": len(tensors),
        "tensors": tensors[:_KEPT],
        "metadata": dict(list(known.items())[:_KEPT]),
    }


def archive_contents(path: Path) -> dict[str, object]:
    """Return what a zip holds, as PyTorch writes them: its members, and whether one is a pickle.

    No member is opened. Raises ModelFileError for a damaged one, or with too many members.
    """
    _check_directory(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError, ValueError) as error:
        raise ModelFileError(str(path), f"it is no whole zip: {error}") from error
    pickles = [each.filename for each in members if each.filename.endswith(".pkl")]
    storages = [each for each in members if "/data/" in each.filename]
    found: dict[str, object] = {"format": "zip", "members": len(members), "pickle": bool(pickles)}
    if any(name.endswith("/data.pkl") for name in pickles):
        stored = sum(each.file_size for each in storages)
        found |= {"format": "pytorch", "storages": len(storages), "bytes": stored}
    return found


def _check_directory(path: Path) -> None:
    """Raise ModelFileError where the zip's directory is too large to be read into memory."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(0, size - (1 << 16) - _SMALLEST_END))
        tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _SMALLEST_END:
        raise ModelFileError(str(path), "it is no whole zip: it has no directory")
    entries = int.from_bytes(tail[at + 10 : at + 12], "little")
    directory = int.from_bytes(tail[at + 12 : at + 16], "little")
    large = entries == 0xFFFF or directory == 0xFFFF_FFFF
    if large:
        entries, directory = _large_directory(path, size, tail, at)
    if entries > _ENTRIES or directory > min(_DIRECTORY_BYTES, size):
        raise ModelFileError(str(path), f"its directory has {entries} entries, {directory} bytes")


def _large_directory(path: Path, size: int, tail: bytes, at: int) -> tuple[int, int]:
    """Return the count and the bytes of a directory that a zip64 record describes."""
    locator = tail[at - 20 : at] if at >= 20 else b""
    if not locator.startswith(b"PK\x06\x07"):
        raise ModelFileError(str(path), "it is no whole zip: its directory is not described")
    place = int.from_bytes(locator[8:16], "little")
    if place > size - 56:
        raise ModelFileError(str(path), "it is no whole zip: its directory lies behind its end")
    with path.open("rb") as file:
        file.seek(place)
        record = file.read(56)
    return int.from_bytes(record[32:40], "little"), int.from_bytes(record[40:48], "little")


def _pickle_contents(_path: Path) -> dict[str, object]:
    return {"format": "pickle", "pickle": True}
