"""The folder under a bucket on disk: commits, and the sweep.

To publish an object: the bytes lie durable in a temporary file; under the lock of the key, the
journal says which data files come and go; the temporary file is renamed to its place as data; the
record is renamed to its place, which is the commit; whatever file the journal names and no record
does is removed; the journal is emptied. A process that dies on the way leaves its journal, and who
takes the lock next, or opens the bucket, ends it in the same way.

Where versions are kept, the record that was the newest first gets a second name among the older
ones. To remove the newest, the last of the older ones is renamed over it. So each change is one
rename or one removal of a record, whatever it changes.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from holdfast.errors import IntegrityError, ObjectNotFoundError, PreconditionFailedError
from holdfast.objects.driver import info_of
from holdfast.objects.drivers.disk import journal, versioning
from holdfast.objects.drivers.disk.catalogue import Catalogue
from holdfast.objects.drivers.disk.folders import (
    link,
    make_folders,
    place,
    prune,
    remove,
    sync_nearest,
)
from holdfast.objects.drivers.disk.journal import Note
from holdfast.objects.drivers.disk.layout import HIDDEN, data_path, is_version, new_version
from holdfast.objects.drivers.disk.locks import Locks, create_held, remove_abandoned
from holdfast.objects.drivers.disk.record import Marker, Record, encode
from holdfast.objects.history import NULL
from holdfast.objects.localfile import NewFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from holdfast.objects.driver import Draft, ObjectInfo
    from holdfast.objects.drivers.disk.record import Entry

_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS}
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


class Root:
    """Everything under one root folder. Every method blocks; all may overlap, also in others."""

    def __init__(self, path: Path, *, lock_timeout: float, clock: Callable[[], datetime]) -> None:
        self.path = path
        self.catalogue = Catalogue(path / HIDDEN)
        self._temporary = path / HIDDEN / "temporary"
        self._versioning = os.fspath(path / HIDDEN / "versioning.json")
        self._locks = Locks(path / HIDDEN / "locks", lock_timeout)
        self._clock = clock

    def prepare(self) -> None:
        """Make the folders that are not there. Raises IntegrityError for those of a later kind."""
        for folder in (self.catalogue.records, self._temporary, self._locks.folder):
            make_folders(folder)
        self.keeps_versions()

    def probe(self) -> None:
        """Write a small file and remove it again."""
        file = self.new_file()
        try:
            file.write(b"probe")
        finally:
            file.discard()

    def new_file(self) -> NewFile:
        """Return a temporary file that the sweep leaves alone while this process holds it."""
        return NewFile(self.temporary(), create_held)

    def temporary(self, name: str = "") -> Path:
        """Return the path of a new temporary file; it ends in *name*."""
        return self._temporary / f"{uuid4().hex}{name}"

    def keeps_versions(self) -> bool | None:
        """Return whether the bucket keeps versions now, None when that was never said."""
        return versioning.read(self._versioning)

    def keep_versions(self, *, enabled: bool) -> None:
        """Say whether it does; the next write of whichever process heeds it."""
        if enabled or self.keeps_versions() is not None:
            self._write(versioning.encode(enabled=enabled), Path(self._versioning))

    def find(self, key: str, version: str | None = None) -> Record | None:
        """Return the record of that version of *key*, the newest when None, if it is no marker."""
        if version is None:
            entry = self.catalogue.newest(key)
        else:
            entry = self.catalogue.version(key, version)
        if not isinstance(entry, Record):
            return None
        if entry.info.version is None and os.access(self._versioning, os.F_OK):
            return replace(entry, info=replace(entry.info, version=NULL))
        return entry

    def open_data(self, key: str, version: str | None = None) -> tuple[Record, int]:
        """Return the record of that version of *key* and a descriptor of its own bytes.

        Raises ObjectNotFoundError, and IntegrityError when they do not belong together.
        """
        seen: Record | None = None
        while True:
            record = self.find(key, version)
            if record is None:
                raise ObjectNotFoundError(key, version)
            path = self.path / record.data
            try:
                handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            except FileNotFoundError:
                if record == seen:
                    raise IntegrityError(f"{path}: the data of object {key!r} is gone") from None
                seen = record  # replaced or deleted between the two steps
                continue
            size = os.fstat(handle).st_size
            expected = record.info.stored_size
            if size != expected:
                os.close(handle)
                raise IntegrityError(f"{path}: {size} bytes, its record says {expected}")
            return record, handle

    def borrow(self, key: str, version: str | None, temporary: Path) -> tuple[Record, int]:
        """Make *temporary* a second name of a version's data, or a copy where links are refused.

        Returns the record and a descriptor that keeps the sweep away while it is open.
        """
        while True:
            record, handle = self.open_data(key, version)
            try:
                fcntl.flock(handle, fcntl.LOCK_SH)
                os.link(self.path / record.data, temporary)
            except FileNotFoundError:  # replaced or deleted since it was opened
                os.close(handle)
            except OSError as error:
                os.close(handle)
                if error.errno not in _NO_LINKS:
                    raise
                return self._duplicate(key, version, temporary)
            else:
                return record, handle

    def publish(self, key: str, draft: Draft, temporary: Path) -> ObjectInfo:
        """Make the durable *temporary* file the data of *key*, with *draft*, in one step."""
        with self._locked(key) as lock:
            newest = self.catalogue.newest(key)
            etag = newest.info.etag if isinstance(newest, Record) else None
            if (draft.if_absent and etag is not None) or (
                draft.if_match is not None and etag != draft.if_match
            ):
                raise PreconditionFailedError("object", key)
            identity, (version, serial, previous) = uuid4().hex, self._next(newest)
            info = info_of(key, draft, etag=identity, modified=self._clock(), version=version)
            record = Record(info, data_path(key, identity), dict(draft.tags), serial, previous)
            temporary.chmod(temporary.stat().st_mode & 0o444)
            with self._ending(lock, key, self._notes(newest, record)):
                place(temporary, self.path / record.data)
                self._put_before(newest, record)
            return info

    def tag(self, key: str, tags: Mapping[str, str]) -> None:
        """Replace the tags of *key* in one step. Raises ObjectNotFoundError."""
        with self._locked(key):
            record = self.catalogue.newest(key)
            if not isinstance(record, Record):
                raise ObjectNotFoundError(key)
            tagged = replace(record, tags=dict(tags))
            self._write(encode(tagged), self.catalogue.newest_at(key))

    def remove(self, key: str) -> bool:
        """Remove the object under *key*, or mark it deleted; return whether it was there."""
        with self._locked(key) as lock:
            newest = self.catalogue.newest(key)
            if not isinstance(newest, Record):
                return False
            version, serial, previous = self._next(newest)
            if version is None:
                self._remove_newest(lock, newest)
            else:
                marker = Marker(key, version, serial, previous, self._clock())
                with self._ending(lock, key, self._notes(newest, marker)):
                    self._put_before(newest, marker)
            return True

    def remove_versions(self, key: str, versions: Sequence[str]) -> int:
        """Remove those versions of *key* for good, each as a whole; return how many were there."""
        with self._locked(key) as lock:
            newest = self.catalogue.newest(key)
            if newest is None:
                return 0
            asked = {version for version in versions if is_version(version)}
            found = [self.catalogue.older(key, version) for version in asked - {newest.version}]
            older = [Note(entry.version, _data(entry)) for entry in found if entry is not None]
            for share in journal.shares(key, older):
                self._remove_older(lock, key, share)
            if newest.version not in asked:
                return len(older)
            self._remove_newest(lock, newest)
            return len(older) + 1

    def sweep(self) -> int:
        """Remove what dead processes left; return how many files that were."""
        removed = sum(self._settle(lock) for lock in self._locks.left())
        return removed + remove_abandoned(self._temporary)

    @contextmanager
    def _locked(self, key: str) -> Iterator[int]:
        with self._locks.held(key) as lock:
            self._settle(lock)
            yield lock

    @contextmanager
    def _ending(
        self, lock: int, key: str, notes: Sequence[Note], *, removing: bool = False
    ) -> Iterator[None]:
        """Note what may be left of a change, and remove what is left, however the change ends."""
        noted = True
        try:
            try:
                journal.write(lock, key, notes)
            except OSError as error:
                # Removing is what makes room, so it goes on without a journal where there is no
                # room for one: should the process die on the way, the data is left.
                if not removing or error.errno not in _NO_ROOM:
                    raise
                noted = False
            yield
            if not noted:
                self._clear(key, notes)
        finally:
            self._settle(lock)

    def _settle(self, lock: int) -> int:
        """End what the journal in *lock* tells of; return how many files that removed."""
        if journal.is_empty(lock):
            return 0
        noted = journal.read(lock)
        removed = 0 if noted is None else self._clear(*noted)
        journal.clear(lock)
        return removed

    def _clear(self, key: str, notes: Sequence[Note]) -> int:
        """Remove what *notes* name and no record of *key* does; return how many files."""
        try:
            newest = self.catalogue.newest(key)
        except IntegrityError:  # whose bytes these are can't be told: they stay
            return 0
        removed = 0
        versions = {note.version for note in notes if note.version is not None}
        if newest is not None and newest.version in versions:
            removed += remove(self.catalogue.older_at(key, newest.version))
        for note in notes:
            if note.data is not None and not self._is_named(key, note, newest):
                path = self.path / note.data
                removed += remove(path)
                prune(path.parent, self.path)
        prune(self.catalogue.newest_at(key).parent, self.catalogue.records)
        if versions:
            prune(self.catalogue.older_at(key, NULL).parent, self.catalogue.versions)
        return removed

    def _is_named(self, key: str, note: Note, newest: Entry | None) -> bool:
        if isinstance(newest, Record) and newest.data == note.data:
            return True
        try:
            older = None if note.version is None else self.catalogue.older(key, note.version)
        except IntegrityError:  # it can't be told
            return True
        return isinstance(older, Record) and older.data == note.data

    def _next(self, newest: Entry | None) -> tuple[str | None, int, str | None]:
        """Return name and serial of the version behind *newest*, and the one before it.

        There is no name where versions were never kept.
        """
        keeps = self.keeps_versions()
        if keeps is None and (newest is None or _never_kept(newest)):
            return None, 0, None
        if newest is None:
            return new_version(1) if keeps else NULL, 1, None
        serial = newest.serial + 1
        version = new_version(serial) if keeps else NULL
        replaced = newest.version == version
        return version, serial, newest.previous if replaced else newest.version

    def _notes(self, newest: Entry | None, entry: Entry) -> list[Note]:
        """Return what may be left when *entry* becomes the newest of its key, or does not."""
        notes = [_note(entry)]
        replaced = newest
        if newest is not None and newest.version != entry.version:
            notes.append(Note(newest.version, None))
            replaced = self.catalogue.older(entry.key, NULL) if entry.version == NULL else None
        if isinstance(replaced, Record):
            notes.append(Note(notes[0].version, replaced.data))
        return notes

    def _put_before(self, newest: Entry | None, entry: Entry) -> None:
        """Make *entry* the newest of its key; *newest* stays, unless it is the same version."""
        path = self.catalogue.newest_at(entry.key)
        if newest is not None and newest.version != entry.version:
            older = self.catalogue.older_at(newest.key, newest.version)
            remove(older)  # a power cut may have left it
            try:
                link(path, older)
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                self._write(encode(newest), older)
        self._write(encode(entry), path)

    def _remove_newest(self, lock: int, newest: Entry) -> None:
        key, path = newest.key, self.catalogue.newest_at(newest.key)
        with self._ending(lock, key, [_note(newest)], removing=True):
            if not _never_kept(newest):
                remove(self.catalogue.older_at(key, newest.version))  # a power cut may have left it
            before = self.catalogue.before(newest)
            if before is None:
                path.unlink()
                sync_nearest(path.parent)
            else:
                older = self.catalogue.older_at(key, before)
                place(older, path)
                sync_nearest(older.parent)

    def _remove_older(self, lock: int, key: str, notes: Sequence[Note]) -> None:
        with self._ending(lock, key, notes, removing=True):
            for note in notes:
                assert note.version is not None
                remove(self.catalogue.older_at(key, note.version))
            sync_nearest(self.catalogue.older_at(key, NULL).parent)

    def _write(self, content: bytes, target: Path) -> None:
        file = self.new_file()
        try:
            file.write(content)
            file.publish(partial(place, target=target))
        finally:
            file.discard()

    def _duplicate(self, key: str, version: str | None, temporary: Path) -> tuple[Record, int]:
        record, source = self.open_data(key, version)
        with open(source, "rb") as reader:  # noqa: PTH123 - a descriptor
            handle = create_held(temporary)
            try:
                with open(handle, "wb", closefd=False) as writer:
                    shutil.copyfileobj(reader, writer, 256 * 1024)
                os.fsync(handle)
            except BaseException:
                temporary.unlink(missing_ok=True)
                os.close(handle)
                raise
        return record, handle


def _note(entry: Entry) -> Note:
    """Return what may be left of *entry*, when it is the newest of its key."""
    return Note(None if _never_kept(entry) else entry.version, _data(entry))


def _data(entry: Entry) -> str | None:
    return entry.data if isinstance(entry, Record) else None


def _never_kept(entry: Entry) -> bool:
    """Return whether *entry* was written in a bucket that had never kept versions."""
    return isinstance(entry, Record) and entry.info.version is None
