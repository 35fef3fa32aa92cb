"""Finds the records of a bucket on disk: the newest of each key, the older ones, all in order."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from heapq import heapify, heappop
from typing import TYPE_CHECKING

from holdfast.errors import IntegrityError
from holdfast.objects.drivers.disk.paths import (
    is_version,
    parse_name,
    record_path,
    serial_of,
    version_in,
    version_path,
)
from holdfast.objects.drivers.disk.record import BrokenRecordError, Record, read
from holdfast.objects.object_info import NULL_VERSION, ObjectVersion

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from holdfast.objects.drivers.disk.record import RecordEntry
    from holdfast.objects.object_info import ObjectInfo


_log = logging.getLogger("holdfast.objects")


class RecordIndex:
    """Finds records by key and version.

    A key that has any version has a newest one, which may be a delete marker. Writers hold the
    key's lock, and a version is always in one of its two places, or for a moment in both, where
    the newest counts. So readers need no lock.
    """

    def __init__(self, hidden: Path) -> None:
        self.records = hidden / "records"
        self.versions = hidden / "versions"
        self._records, self._versions = os.fspath(self.records), os.fspath(self.versions)

    def newest_at(self, key: str) -> Path:
        """Return where the newest version of *key* has its record."""
        return self.records / record_path(key)

    def older_at(self, key: str, version: str) -> Path:
        """Return where an older version of *key* has its record."""
        return self.versions / version_path(key, version)

    def newest(self, key: str) -> RecordEntry | None:
        """Return the newest version of *key*."""
        return _checked(f"{self._records}/{record_path(key)}", key)

    def older(self, key: str, version: str) -> RecordEntry | None:
        """Return that version if it is among the older ones of *key*."""
        path = f"{self._versions}/{version_path(key, version)}"
        entry = _checked(path, key)
        if entry is not None and entry.version != version:
            raise IntegrityError(f"{path}: the record of version {entry.version!r}")
        return entry

    def version(self, key: str, version: str) -> RecordEntry | None:
        """Return that version of *key*, wherever it is."""
        newest = self.newest(key) if is_version(version) else None
        while newest is not None:
            if newest.version == version:
                return newest
            older = self.older(key, version)
            if older is not None:
                return older
            seen, newest = newest, self.newest(key)
            if newest == seen:
                return None
        return None  # the text names no version, or the key has none

    def before(self, newest: RecordEntry) -> str | None:
        """Return the name of the last of the older versions, None when there is none."""
        previous = newest.previous
        if previous is None or self.older_at(newest.key, previous).exists():
            return previous
        return next(iter(self.older_versions(newest.key)), None)

    def older_versions(self, key: str) -> list[str]:
        """Return the names of the older versions of *key*, the last one first."""
        try:
            names = os.listdir(self.versions / record_path(key))  # noqa: PTH208 - names, not paths
        except (FileNotFoundError, NotADirectoryError):
            return []
        versions = [version for name in names if (version := version_in(name)) is not None]
        if NULL_VERSION not in versions:
            return sorted(versions, reverse=True)
        null = self.older(key, NULL_VERSION)
        serial = 0 if null is None else null.serial
        return sorted(
            versions,
            key=lambda name: serial if name == NULL_VERSION else serial_of(name),
            reverse=True,
        )

    def all_versions(self, prefix: str) -> Iterator[ObjectVersion]:
        """Yield every version of keys that start with *prefix*, from new to old for each key.

        What is there throughout comes once. Memory is bounded by the largest folder on one path
        and the names of one key's versions.
        """
        for found in scan(self.records, prefix, ""):
            newest, names = self._settled(found) if found.serial else (found, [])
            if newest is None:
                continue
            yield _version_of(newest, latest=True)
            for version in names:
                if version != newest.version:
                    entry = self.older(found.key, version) or self.version(found.key, version)
                    if entry is not None and entry.serial < newest.serial:
                        yield _version_of(entry, latest=False)

    def _settled(self, found: RecordEntry) -> tuple[RecordEntry | None, list[str]]:
        """Return the newest version of a key, once read as *found*, and those older than it."""
        newest: RecordEntry | None = found
        while newest is not None:
            names = self.older_versions(newest.key)
            if self.version(newest.key, newest.version) == newest:
                return newest, names
            newest = self.newest(found.key)  # it was removed, and another left the older ones
        return None, []


def _checked(path: str, key: str) -> RecordEntry | None:
    entry = read(path)
    if entry is not None and entry.key != key:  # two keys are one name there, or a file was moved
        raise IntegrityError(f"{path}: the record of {entry.key!r}, not of {key!r}")
    return entry


def _version_of(entry: RecordEntry, *, latest: bool) -> ObjectVersion:
    info = entry.info if isinstance(entry, Record) else None
    return ObjectVersion(
        key=entry.key,
        version=entry.version,
        latest=latest,
        marker=info is None,
        size=0 if info is None else info.stored_size,
        etag="" if info is None else info.etag,
        modified=entry.modified,
    )


def scan_objects(records: Path, prefix: str, start: str) -> Iterator[ObjectInfo]:
    """Yield the objects that `scan` finds, without their version; broken ones are left out."""
    for entry in scan(records, prefix, start, skip_broken=True):
        if isinstance(entry, Record):
            info = entry.info
            yield info if info.version is None else replace(info, version=None)


def scan(
    records: Path, prefix: str, start: str, *, skip_broken: bool = False
) -> Iterator[RecordEntry]:
    """Yield the newest of each key under *prefix* that is not below *start*, in code-point order.

    A broken record raises BrokenRecordError, or is left out with a warning. What disappears
    meanwhile is left out. Memory is bounded by the largest folders on one path.
    """
    first, least = prefix.encode(), start.encode()
    root = os.fspath(records)
    open_folders = [(root, _entries(root, b"", first, least))]
    while open_folders:
        folder, entries = open_folders[-1]
        for text, name, is_record in entries:
            path = f"{folder}/{name}"
            if not is_record:
                open_folders.append((path, _entries(path, text, first, least)))
                break
            try:
                entry = read(path)
            except BrokenRecordError as error:
                if not skip_broken:
                    raise
                _log.warning("left out of a listing: %s", error)
                continue
            if entry is not None:
                yield entry
        else:
            open_folders.pop()


def _entries(
    folder: str, above: bytes, prefix: bytes, start: bytes
) -> Iterator[tuple[bytes, str, bool]]:
    """Yield what *folder* holds that may be asked for: the key so far, the name, if it's a record.

    In order, which is found as far as it is needed: of a large folder a page wants few.
    """
    try:
        names = os.listdir(folder)  # noqa: PTH208 - names, not paths
    except FileNotFoundError:
        return
    found: list[tuple[bytes, str, bool]] = []
    every = above.startswith(prefix) and start <= above
    for name in names:
        part, is_record = parse_name(name)
        text = above + part
        if every or _may_hold(text, prefix, start, is_record=is_record):
            found.append((text, name, is_record))
    heapify(found)
    while found:
        yield heappop(found)


def _may_hold(text: bytes, prefix: bytes, start: bytes, *, is_record: bool) -> bool:
    if is_record:
        return text.startswith(prefix) and text >= start
    inside = text.startswith(prefix) or prefix.startswith(text)
    return inside and (text >= start or start.startswith(text))
