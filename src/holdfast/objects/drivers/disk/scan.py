"""The records of a bucket on disk in the order of their keys, one folder at a time."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from holdfast.objects.drivers.disk.layout import Name, parse_name
from holdfast.objects.drivers.disk.record import Record, read

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from holdfast.objects.driver import ObjectInfo
    from holdfast.objects.drivers.disk.record import Entry


def objects(records: Path, prefix: str, start: str) -> Iterator[ObjectInfo]:
    """Yield, as `scan` does, what stands under its key, without its version."""
    for entry in scan(records, prefix, start):
        if isinstance(entry, Record):
            info = entry.info
            yield info if info.version is None else replace(info, version=None)


def scan(records: Path, prefix: str, start: str) -> Iterator[Entry]:
    """Yield the newest of each key under *prefix* that is not below *start*, in code-point order.

    What disappears meanwhile is left out. Memory is bounded by the largest folders on one path.
    """
    first, least = prefix.encode(), start.encode()
    open_folders = [(os.fspath(records), b"", iter(_sorted_names(os.fspath(records))))]
    while open_folders:
        folder, above, names = open_folders[-1]
        for name, part in names:
            text = above + part.text
            if not _may_hold(text, part, first, least):
                continue
            path = f"{folder}/{name}"
            if not part.is_record:
                open_folders.append((path, text, iter(_sorted_names(path))))
                break
            entry = read(path)
            if entry is not None:
                yield entry
        else:
            open_folders.pop()


def _sorted_names(folder: str) -> list[tuple[str, Name]]:
    try:
        names = os.listdir(folder)  # noqa: PTH208 - names, not paths
    except FileNotFoundError:
        return []
    return sorted(((name, parse_name(name)) for name in names), key=lambda pair: pair[1].text)


def _may_hold(text: bytes, part: Name, prefix: bytes, start: bytes) -> bool:
    if part.is_record:
        return text.startswith(prefix) and text >= start
    inside = text.startswith(prefix) or prefix.startswith(text)
    return inside and (text >= start or start.startswith(text))
