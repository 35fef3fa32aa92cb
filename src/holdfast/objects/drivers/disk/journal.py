"""What a lock file says while a change of its key is under way, so that whoever comes next ends it.

It is ``[key, [...]]`` in JSON, with one item for each file that may be left: a data file as its
path; where versions are kept, ``[version, path]``, and ``[version, null]`` for a version that moves
among the older ones. It holds 64 KiB.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from holdfast.objects.drivers.disk.layout import is_data_path, is_version

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SIZE = 64 * 1024
_FRAME = 16  # bytes, beside key and items
_ITEM = 64  # bytes of one, beside its path


@dataclass(frozen=True, slots=True)
class Note:
    """A data file that stays only if that version of the key names it.

    Without a *version* it is the newest's alone, in a bucket that never kept others; without
    *data* it says that the version moves.
    """

    version: str | None
    data: str | None


def write(lock: int, key: str, notes: Sequence[Note]) -> None:
    """Write the journal of a change of *key*."""
    items = [note.data if note.version is None else [note.version, note.data] for note in notes]
    content = memoryview(orjson.dumps([key, items]))
    done = 0
    while done < len(content):
        done += os.pwrite(lock, content[done:], done)


def is_empty(lock: int) -> bool:
    """Return whether no change is under way."""
    return os.fstat(lock).st_size == 0


def read(lock: int) -> tuple[str, list[Note]] | None:
    """Return key and notes, None when their writer died while it wrote them."""
    match _parsed(os.pread(lock, _SIZE, 0)):
        case [str(key), [*items]]:
            return key, [note for item in items if (note := _note(item)) is not None]
        case _:
            return None


def clear(lock: int) -> None:
    """Erase the journal."""
    os.ftruncate(lock, 0)


def shares(key: str, notes: Sequence[Note]) -> Iterator[list[Note]]:
    """Yield *notes* in shares that a journal has room for."""
    most = _SIZE - _FRAME - len(orjson.dumps(key))
    share: list[Note] = []
    left = most
    for note in notes:
        size = _ITEM + len(orjson.dumps(note.data))
        if share and size > left:
            yield share
            share, left = [], most
        share.append(note)
        left -= size
    if share:
        yield share


def _note(item: object) -> Note | None:
    match item:
        case str(data) if is_data_path(data):
            return Note(None, data)
        case [str(version), None] if is_version(version):
            return Note(version, None)
        case [str(version), str(data)] if is_version(version) and is_data_path(data):
            return Note(version, data)
        case _:
            return None


def _parsed(content: bytes) -> object:
    try:
        parsed: object = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    return parsed
