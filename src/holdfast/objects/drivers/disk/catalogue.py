"""The records of a bucket on disk: the newest of each key, and the older ones behind it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from holdfast.errors import IntegrityError
from holdfast.objects.drivers.disk.layout import (
    is_version,
    record_path,
    serial_of,
    version_in,
    version_path,
)
from holdfast.objects.drivers.disk.record import Record, read
from holdfast.objects.drivers.disk.scan import scan
from holdfast.objects.history import NULL, ObjectVersion

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from holdfast.objects.drivers.disk.record import Entry


class Catalogue:
    """What the records say.

    A key that has any version has a newest one, which may be a marker. Writers hold the key's lock
    and let no version be nowhere: it is in one of its two places, or for a moment in both, where
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

    def newest(self, key: str) -> Entry | None:
        """Return the newest version of *key*."""
        return _checked(f"{self._records}/{record_path(key)}", key)

    def older(self, key: str, version: str) -> Entry | None:
        """Return that version if it is among the older ones of *key*."""
        path = f"{self._versions}/{version_path(key, version)}"
        entry = _checked(path, key)
        if entry is not None and entry.version != version:
            raise IntegrityError(f"{path}: the record of version {entry.version!r}")
        return entry

    def version(self, key: str, version: str) -> Entry | None:
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

    def before(self, newest: Entry) -> str | None:
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
        if NULL not in versions:
            return sorted(versions, reverse=True)
        null = self.older(key, NULL)
        place = 0 if null is None else null.serial
        return sorted(
            versions, key=lambda name: place if name == NULL else serial_of(name), reverse=True
        )

    def history(self, prefix: str) -> Iterator[ObjectVersion]:
        """Yield every version of keys that start with *prefix*, from new to old for each key.

        What is there throughout comes once. Memory is bounded by the largest folder on one path
        and the names of one key's versions.
        """
        for found in scan(self.records, prefix, ""):
            newest, names = self._settled(found) if found.serial else (found, [])
            if newest is None:
                continue
            yield _told(newest, latest=True)
            for version in names:
                if version != newest.version:
                    entry = self.older(found.key, version) or self.version(found.key, version)
                    if entry is not None and entry.serial < newest.serial:
                        yield _told(entry, latest=False)

    def _settled(self, found: Entry) -> tuple[Entry | None, list[str]]:
        """Return the newest version of a key, once read as *found*, and those older than it."""
        newest: Entry | None = found
        while newest is not None:
            names = self.older_versions(newest.key)
            if self.version(newest.key, newest.version) == newest:
                return newest, names
            newest = self.newest(found.key)  # it was removed, and another left the older ones
        return None, []


def _checked(path: str, key: str) -> Entry | None:
    entry = read(path)
    if entry is not None and entry.key != key:  # two keys are one name there, or a file was moved
        raise IntegrityError(f"{path}: the record of {entry.key!r}, not of {key!r}")
    return entry


def _told(entry: Entry, *, latest: bool) -> ObjectVersion:
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
