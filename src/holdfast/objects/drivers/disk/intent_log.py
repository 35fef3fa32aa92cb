"""The intent log in a lock file: which files a change of its key may leave behind.

When the process that makes the change dies, the next one that takes the lock ends it. The log is
``[key, [...]]`` in JSON, with one item for each file that may be left: a data file as its path;
where versions are kept, ``[version, path]``, and ``[version, null]`` for a version that moves among
the older ones. It holds 64 KiB.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from holdfast.objects.drivers.disk.paths import is_data_path, is_version
from holdfast.objects.drivers.disk.record import data_of, never_kept

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from holdfast.objects.drivers.disk.record import RecordEntry

_SIZE = 64 * 1024
_FRAME = 16  # bytes, beside key and items
_ITEM = 64  # bytes of one, beside its path


@dataclass(frozen=True, slots=True)
class Intent:
    """A data file that stays only if that version of the key names it.

    Without a *version* it is the newest's alone, in a bucket that never kept others; without
    *data* it says that the version moves.
    """

    version: str | None
    data: str | None


def intent_of(entry: RecordEntry) -> Intent:
    """Return what may be left of *entry*, when it is the newest of its key."""
    return Intent(None if never_kept(entry) else entry.version, data_of(entry))


def write(lock: int, key: str, intents: Sequence[Intent]) -> None:
    """Write the log of a change of *key*."""
    items = [
        intent.data if intent.version is None else [intent.version, intent.data]
        for intent in intents
    ]
    content = memoryview(orjson.dumps([key, items]))
    done = 0
    while done < len(content):
        done += os.pwrite(lock, content[done:], done)


def is_empty(lock: int) -> bool:
    """Return whether no change is under way."""
    return os.fstat(lock).st_size == 0


def read(lock: int) -> tuple[str, list[Intent]] | None:
    """Return key and intents, None when their writer died while it wrote them."""
    match _parsed(os.pread(lock, _SIZE, 0)):
        case [str(key), [*items]]:
            return key, [intent for item in items if (intent := _intent(item)) is not None]
        case _:
            return None


def clear(lock: int) -> None:
    """Erase the log."""
    os.ftruncate(lock, 0)


def shares(key: str, intents: Sequence[Intent]) -> Iterator[list[Intent]]:
    """Yield *intents* in shares that a log has room for."""
    most = _SIZE - _FRAME - len(orjson.dumps(key))
    share: list[Intent] = []
    left = most
    for intent in intents:
        size = _ITEM + len(orjson.dumps(intent.data))
        if share and size > left:
            yield share
            share, left = [], most
        share.append(intent)
        left -= size
    if share:
        yield share


def _intent(item: object) -> Intent | None:
    match item:
        case str(data) if is_data_path(data):
            return Intent(None, data)
        case [str(version), None] if is_version(version):
            return Intent(version, None)
        case [str(version), str(data)] if is_version(version) and is_data_path(data):
            return Intent(version, data)
        case _:
            return None


def _parsed(content: bytes) -> object:
    try:
        parsed: object = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    return parsed
