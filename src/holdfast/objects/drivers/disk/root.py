"""The root folder of a bucket on disk: commits of changes, and the sweep.

To publish an object, its bytes are first made durable in a temporary file. Then, under the lock of
the key: the intent log says which data files come and go; the temporary file is renamed to its
place as data; the record is renamed to its place, which is the commit; each file that the intent
log names and no record does is removed; the intent log is emptied. A process that dies on the way
leaves its intent log, and the one that next takes the lock, or opens the bucket, ends the change in
the same way.

Where versions are kept, the record that was the newest first gets a second name among the older
ones. To remove the newest, the last of the older ones is renamed over it. So each change is one
rename or one removal of a record, whatever it changes.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

from holdfast.errors import IntegrityError, ObjectNotFoundError, PreconditionFailedError
from holdfast.objects.drivers.disk import intent_log
from holdfast.objects.drivers.disk.folders import (
    PRIVATE,
    Modes,
    link,
    make_folders,
    place,
    prune,
    remove,
    sync_nearest,
)
from holdfast.objects.drivers.disk.intent_log import Intent, intent_of
from holdfast.objects.drivers.disk.key_locks import (
    KeyLocks,
    copy_held,
    create_held,
    remove_abandoned,
)
from holdfast.objects.drivers.disk.paths import (
    HIDDEN,
    data_path,
    is_version,
    new_version,
    serial_of,
)
from holdfast.objects.drivers.disk.record import (
    BrokenRecordError,
    DeleteMarker,
    Record,
    data_of,
    encode,
    encode_versioning,
    never_kept,
    read_versioning,
)
from holdfast.objects.drivers.disk.record_index import RecordIndex
from holdfast.objects.localfile import NewFile
from holdfast.objects.object_info import NULL_VERSION, info_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from holdfast.objects.drivers.disk.record import RecordEntry
    from holdfast.objects.object_info import CommitSpec, ObjectInfo

_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS}
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


class _NextVersion(NamedTuple):
    """A version that is to be written. *name* is None where versions were never kept."""

    name: str | None
    serial: int
    previous: str | None  # the name of the version before it


class Root:
    """Everything under one root folder.

    Every method blocks, and all may run at once, in this process and in others.
    """

    def __init__(
        self,
        path: Path,
        *,
        lock_timeout: float,
        clock: Callable[[], datetime],
        modes: Modes = PRIVATE,
    ) -> None:
        self.path = path
        self.index = RecordIndex(path / HIDDEN)
        self._temporary = path / HIDDEN / "temporary"
        self._versioning = os.fspath(path / HIDDEN / "versioning.json")
        self._locks = KeyLocks(path / HIDDEN / "locks", lock_timeout, modes.file)
        self._modes = modes
        self._clock = clock

    def prepare(self) -> None:
        """Make the folders that are not there. Raises IntegrityError for a later format."""
        for folder in (self.index.records, self._temporary, self._locks.folder):
            make_folders(folder, self._modes)
        self.keeps_versions()  # the file that says it also says the format

    def probe(self) -> None:
        """Write a small file and remove it again."""
        file = self.new_file()
        try:
            file.write(b"probe")
        finally:
            file.discard()

    def new_file(self) -> NewFile:
        """Return a temporary file that the sweep leaves alone while this process holds it."""
        return NewFile(self.temporary(), partial(create_held, mode=self._modes.file))

    def temporary(self, name: str = "") -> Path:
        """Return the path of a new temporary file; it ends in *name*."""
        return self._temporary / f"{uuid4().hex}{name}"

    def keeps_versions(self) -> bool | None:
        """Return whether the bucket keeps versions now, None when that was never set."""
        return read_versioning(self._versioning)

    def set_versioning(self, *, enabled: bool) -> None:
        """Set whether the bucket keeps versions; the next write of any process follows it."""
        if enabled or self.keeps_versions() is not None:
            self._write(encode_versioning(enabled=enabled), Path(self._versioning))

    def find(self, key: str, version: str | None = None) -> Record | None:
        """Return the record of that version of *key*, the newest when None, None for a marker."""
        entry = self.index.newest(key) if version is None else self.index.version(key, version)
        if not isinstance(entry, Record):
            return None
        if entry.info.version is None and os.access(self._versioning, os.F_OK):
            return replace(entry, info=replace(entry.info, version=NULL_VERSION))
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
                handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
            except FileNotFoundError:
                if record == seen:
                    raise IntegrityError(f"{path}: the data of object {key!r} is gone") from None
                seen = record  # replaced or deleted between the two steps
                continue
            state = os.fstat(handle)
            size = state.st_size if stat.S_ISREG(state.st_mode) else -1
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
                record, handle = self.open_data(key, version)
                return record, copy_held(handle, temporary, self._modes.file)
            else:
                return record, handle

    def publish(self, key: str, spec: CommitSpec, temporary: Path) -> ObjectInfo:
        """Make the durable *temporary* file the data of *key*, with *spec*, in one step."""
        with self._locked(key) as lock:
            newest, broken = self._newest(key)
            etag = newest.info.etag if isinstance(newest, Record) else None
            if (spec.if_absent and (broken or etag is not None)) or (
                spec.if_match is not None and etag != spec.if_match
            ):
                raise PreconditionFailedError("object", key)
            identity, following = uuid4().hex, self._next_version(key, newest, broken)
            info = info_of(key, spec, etag=identity, modified=self._clock(), version=following.name)
            data = data_path(key, identity)
            record = Record(info, data, dict(spec.tags), following.serial, following.previous)
            temporary.chmod(temporary.stat().st_mode & 0o444)
            with self._ending(lock, key, self._intents(newest, record)):
                place(temporary, self.path / record.data, self._modes)
                self._put_before(newest, record)
            return info

    def tag(self, key: str, tags: Mapping[str, str]) -> None:
        """Replace the tags of *key* in one step. Raises ObjectNotFoundError."""
        with self._locked(key):
            record = self.index.newest(key)
            if not isinstance(record, Record):
                raise ObjectNotFoundError(key)
            tagged = replace(record, tags=dict(tags))
            self._write(encode(tagged), self.index.newest_at(key))

    def remove(self, key: str) -> bool:
        """Remove the object under *key*, or mark it deleted; return whether it was there.

        A record that is broken goes too; its bytes, which it no longer names, stay.
        """
        with self._locked(key) as lock:
            newest, broken = self._newest(key)
            if not broken and not isinstance(newest, Record):
                return False
            following = self._next_version(key, newest, broken)
            if following.name is None:
                self._remove_newest(lock, key, newest)
            else:
                marker = DeleteMarker(
                    key, following.name, following.serial, following.previous, self._clock()
                )
                with self._ending(lock, key, self._intents(newest, marker)):
                    self._put_before(newest, marker)
            return True

    def remove_versions(self, key: str, versions: Sequence[str]) -> int:
        """Remove those versions of *key* permanently; return how many were there. Not atomic."""
        with self._locked(key) as lock:
            newest = self.index.newest(key)
            if newest is None:
                return 0
            asked = {version for version in versions if is_version(version)}
            found = [self.index.older(key, version) for version in asked - {newest.version}]
            older = [Intent(entry.version, data_of(entry)) for entry in found if entry is not None]
            for share in intent_log.shares(key, older):
                self._remove_older(lock, key, share)
            if newest.version not in asked:
                return len(older)
            self._remove_newest(lock, key, newest)
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
        self, lock: int, key: str, intents: Sequence[Intent], *, removing: bool = False
    ) -> Iterator[None]:
        """Log what may be left of a change, and remove what is left, however the change ends."""
        logged = True
        try:
            try:
                intent_log.write(lock, key, intents)
            except OSError as error:
                # Removing is what makes room, so it goes on without an intent log where there is no
                # room for one: should the process die on the way, the data is left.
                if not removing or error.errno not in _NO_ROOM:
                    raise
                logged = False
            yield
            if not logged:
                self._clear(key, intents)
        finally:
            self._settle(lock)

    def _settle(self, lock: int) -> int:
        """End the change in the log of *lock*; return how many files that removed."""
        if intent_log.is_empty(lock):
            return 0
        logged = intent_log.read(lock)
        removed = 0 if logged is None else self._clear(*logged)
        intent_log.clear(lock)
        return removed

    def _clear(self, key: str, intents: Sequence[Intent]) -> int:
        """Remove what *intents* name and no record of *key* does; return how many files."""
        try:
            newest = self.index.newest(key)
        except IntegrityError:  # whose bytes these are can't be told: they stay
            return 0
        removed = 0
        versions = {intent.version for intent in intents if intent.version is not None}
        if newest is not None and newest.version in versions:
            removed += remove(self.index.older_at(key, newest.version))
        for intent in intents:
            if intent.data is not None and not self._is_named(key, intent, newest):
                path = self.path / intent.data
                removed += remove(path)
                prune(path.parent, self.path)
        prune(self.index.newest_at(key).parent, self.index.records)
        if versions:
            prune(self.index.older_at(key, NULL_VERSION).parent, self.index.versions)
        return removed

    def _is_named(self, key: str, intent: Intent, newest: RecordEntry | None) -> bool:
        if isinstance(newest, Record) and newest.data == intent.data:
            return True
        try:
            older = None if intent.version is None else self.index.older(key, intent.version)
        except IntegrityError:  # it can't be told
            return True
        return isinstance(older, Record) and older.data == intent.data

    def _newest(self, key: str) -> tuple[RecordEntry | None, bool]:
        """Return the newest version of *key*, and whether its record is broken instead."""
        try:
            return self.index.newest(key), False
        except BrokenRecordError:
            return None, True

    def _next_version(self, key: str, newest: RecordEntry | None, broken: bool) -> _NextVersion:
        """Return the version that follows *newest*."""
        keeps = self.keeps_versions()
        if broken and keeps is not None:
            older = self.index.older_versions(key)
            serial = 1 + max((serial_of(name) for name in older if name != NULL_VERSION), default=1)
            name = new_version(serial) if keeps else NULL_VERSION
            return _NextVersion(name, serial, older[0] if older else None)
        if keeps is None and (newest is None or never_kept(newest)):
            return _NextVersion(None, 0, None)
        if newest is None:
            return _NextVersion(new_version(1) if keeps else NULL_VERSION, 1, None)
        serial = newest.serial + 1
        name = new_version(serial) if keeps else NULL_VERSION
        replaced = newest.version == name
        return _NextVersion(name, serial, newest.previous if replaced else newest.version)

    def _intents(self, newest: RecordEntry | None, entry: RecordEntry) -> list[Intent]:
        """Return what may be left when *entry* becomes the newest of its key, or does not."""
        intents = [intent_of(entry)]
        replaced = newest
        if newest is not None and newest.version != entry.version:
            intents.append(Intent(newest.version, None))
            replaced = (
                self.index.older(entry.key, NULL_VERSION) if entry.version == NULL_VERSION else None
            )
        if isinstance(replaced, Record):
            intents.append(Intent(intents[0].version, replaced.data))
        return intents

    def _put_before(self, newest: RecordEntry | None, entry: RecordEntry) -> None:
        """Make *entry* the newest of its key; *newest* stays, unless it is the same version."""
        path = self.index.newest_at(entry.key)
        if newest is not None and newest.version != entry.version:
            older = self.index.older_at(newest.key, newest.version)
            remove(older)  # a power cut may have left it
            try:
                link(path, older, self._modes)
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                self._write(encode(newest), older)
        self._write(encode(entry), path)

    def _remove_newest(self, lock: int, key: str, newest: RecordEntry | None) -> None:
        path = self.index.newest_at(key)
        if newest is None:  # a broken one
            path.unlink()
            sync_nearest(path.parent)
            return
        with self._ending(lock, key, [intent_of(newest)], removing=True):
            if not never_kept(newest):
                remove(self.index.older_at(key, newest.version))  # a power cut may have left it
            before = self.index.before(newest)
            if before is None:
                path.unlink()
                sync_nearest(path.parent)
            else:
                older = self.index.older_at(key, before)
                place(older, path, self._modes)
                sync_nearest(older.parent)

    def _remove_older(self, lock: int, key: str, intents: Sequence[Intent]) -> None:
        with self._ending(lock, key, intents, removing=True):
            for intent in intents:
                assert intent.version is not None
                remove(self.index.older_at(key, intent.version))
            sync_nearest(self.index.older_at(key, NULL_VERSION).parent)

    def _write(self, content: bytes, target: Path) -> None:
        file = self.new_file()
        try:
            file.write(content)
            file.publish(partial(place, target=target, modes=self._modes))
        finally:
            file.discard()
