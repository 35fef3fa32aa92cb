"""The folder under a bucket on disk: commits, their locks and journals, and the sweep.

To publish an object: the bytes lie durable in a temporary file; under the lock of the key, the
journal says which data files come and go; the temporary file is renamed to its place as data; the
record is renamed to its place, which is the commit; whatever file the journal names and the record
does not is removed; the journal is emptied. A process that dies on the way leaves its journal, and
who takes the lock next, or opens the bucket, ends it in the same way.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import time
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

import orjson

from holdfast.errors import (
    IntegrityError,
    LockTimeoutError,
    ObjectNotFoundError,
    PreconditionFailedError,
)
from holdfast.objects.driver import info_of
from holdfast.objects.drivers.disk.layout import HIDDEN, data_path, is_data_path, record_path
from holdfast.objects.drivers.disk.record import Record, decode, encode
from holdfast.objects.localfile import NewFile, sync_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from holdfast.objects.driver import Draft, ObjectInfo

_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS}
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
_IN_USE = {errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY, errno.EACCES, errno.EPERM}
_RACES = 1000
_JOURNAL_SIZE = 64 * 1024


class Root:
    """Everything under one root folder. Every method blocks; all may overlap, also in others."""

    def __init__(self, path: Path, *, lock_timeout: float, clock: Callable[[], datetime]) -> None:
        self.path = path
        self.records = path / HIDDEN / "records"
        self._temporary = path / HIDDEN / "temporary"
        self._locks = path / HIDDEN / "locks"
        self._lock_timeout = lock_timeout
        self._clock = clock

    def prepare(self) -> None:
        """Make the folders that are not there."""
        for folder in (self.records, self._temporary, self._locks):
            make_folders(folder)

    def probe(self) -> None:
        """Write a small file and remove it again."""
        file = self.new_file()
        try:
            file.write(b"probe")
        finally:
            file.discard()

    def new_file(self, name: str = "") -> NewFile:
        """Return a temporary file that the sweep leaves alone while this process holds it."""
        return NewFile(self.temporary(name), create_held)

    def temporary(self, name: str = "") -> Path:
        """Return the path of a new temporary file; it ends in *name*."""
        return self._temporary / f"{uuid4().hex}{name}"

    def find(self, key: str) -> Record | None:
        """Return the record of *key* as it stands."""
        path = self.records / record_path(key)
        try:
            content = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        record = decode(content, str(path))
        if record.info.key != key:  # a file system that does not tell case apart, or a moved file
            raise IntegrityError(f"{path}: the record of {record.info.key!r}, not of {key!r}")
        return record

    def open_data(self, key: str) -> tuple[Record, int]:
        """Return the record of *key* and a descriptor of its own bytes.

        Raises ObjectNotFoundError, and IntegrityError when they do not belong together.
        """
        seen: Record | None = None
        while True:
            record = self.find(key)
            if record is None:
                raise ObjectNotFoundError(key)
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

    def borrow(self, key: str, temporary: Path) -> tuple[Record, int]:
        """Make *temporary* a second name of *key*'s data, or a copy where links are refused.

        Returns the record and a descriptor that keeps the sweep away while it is open.
        """
        while True:
            record, handle = self.open_data(key)
            try:
                fcntl.flock(handle, fcntl.LOCK_SH)
                os.link(self.path / record.data, temporary)
            except FileNotFoundError:  # replaced or deleted since it was opened
                os.close(handle)
            except OSError as error:
                os.close(handle)
                if error.errno not in _NO_LINKS:
                    raise
                return self._duplicate(key, temporary)
            else:
                return record, handle

    def publish(self, key: str, draft: Draft, temporary: Path) -> ObjectInfo:
        """Make the durable *temporary* file the data of *key*, with *draft*, in one step."""
        with self._locked(key) as lock:
            old = self.find(key)
            if (draft.if_absent and old is not None) or (
                draft.if_match is not None and (old is None or old.info.etag != draft.if_match)
            ):
                raise PreconditionFailedError("object", key)
            identity = uuid4().hex
            info = info_of(key, draft, etag=identity, modified=self._clock())
            record = Record(info, data_path(key, identity), dict(draft.tags))
            temporary.chmod(temporary.stat().st_mode & 0o444)
            _write_journal(lock, key, [record.data] + ([] if old is None else [old.data]))
            try:
                self._place(temporary, self.path / record.data)
                self._write_record(record)
            finally:
                self._settle(lock)
            return record.info

    def tag(self, key: str, tags: Mapping[str, str]) -> None:
        """Replace the tags of *key* in one step. Raises ObjectNotFoundError."""
        with self._locked(key):
            record = self.find(key)
            if record is None:
                raise ObjectNotFoundError(key)
            self._write_record(replace(record, tags=dict(tags)))

    def remove(self, key: str) -> bool:
        """Remove the object under *key*; return whether it was there."""
        with self._locked(key) as lock:
            old = self.find(key)
            if old is None:
                return False
            try:
                _write_journal(lock, key, [old.data])
            except OSError as error:
                # Removing is what makes room, so it goes on without a journal where there is no
                # room for one: should the process die on the way, the data is left.
                if error.errno not in _NO_ROOM:
                    raise
                self._unlist(key)
                self._clear(key, [old.data])
            else:
                self._unlist(key)
            finally:
                self._settle(lock)
            return True

    def _unlist(self, key: str) -> None:
        path = self.records / record_path(key)
        path.unlink()
        _sync_nearest(path.parent)

    def sweep(self) -> int:
        """Remove what dead processes left; return how many files that were."""
        removed = 0
        for path in self._locks.iterdir():
            if path.stat().st_size:
                with _descriptor(path, os.O_RDWR) as lock:
                    if _try_lock(lock, fcntl.LOCK_EX):
                        removed += self._settle(lock)
        for path in self._temporary.iterdir():
            try:
                with _descriptor(path, os.O_RDONLY | os.O_NOFOLLOW) as handle:
                    if _try_lock(handle, fcntl.LOCK_EX) and _is_at(handle, path):
                        path.unlink()
                        removed += 1
            except FileNotFoundError:  # its writer has just ended, or another sweep was here
                continue
        return removed

    def _unnamed(self, key: str, files: list[str]) -> list[str]:
        try:
            record = self.find(key)
        except IntegrityError:  # whose bytes these are can't be told: they stay
            return []
        return [data for data in files if record is None or record.data != data]

    def _duplicate(self, key: str, temporary: Path) -> tuple[Record, int]:
        record, source = self.open_data(key)
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

    def _write_record(self, record: Record) -> None:
        file = self.new_file()
        try:
            file.write(encode(record))
            target = self.records / record_path(record.info.key)
            file.publish(partial(self._place, target=target))
        finally:
            file.discard()

    def _place(self, source: Path, target: Path) -> None:
        for _ in range(_RACES):
            try:
                make_folders(target.parent)
                source.replace(target)
            except FileNotFoundError:
                if not source.exists():
                    raise
                continue  # somebody removed the empty folder meanwhile
            sync_folder(target.parent)
            return
        raise LockTimeoutError(f"{target.parent}: it is removed as often as it is made")

    @contextmanager
    def _locked(self, key: str) -> Iterator[int]:
        path = self._locks / hashlib.sha256(key.encode()).hexdigest()[:2]
        deadline = time.monotonic() + self._lock_timeout
        with _descriptor(path, os.O_RDWR | os.O_CREAT) as lock:
            while not _try_lock(lock, fcntl.LOCK_EX):
                if time.monotonic() > deadline:
                    raise LockTimeoutError(
                        f"{path}: held by somebody else for {self._lock_timeout} seconds"
                    )
                time.sleep(0.002)
            self._settle(lock)
            yield lock

    def _settle(self, lock: int) -> int:
        """End what the journal in *lock* tells of; return how many files that removed."""
        content = os.pread(lock, _JOURNAL_SIZE, 0)
        if not content:
            return 0
        removed = 0
        journal = _read_journal(content)
        if journal is not None:
            removed = self._clear(*journal)
        os.ftruncate(lock, 0)
        return removed

    def _clear(self, key: str, files: list[str]) -> int:
        """Remove those of *files* that the record of *key* does not name; return how many."""
        removed = 0
        for data in self._unnamed(key, files):
            removed += _unlink(self.path / data)
            _prune((self.path / data).parent, self.path)
        _prune((self.records / record_path(key)).parent, self.records)
        return removed


def create_held(path: Path) -> int:
    """Open a new file for writing that the sweep leaves alone while it is open."""
    while True:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        fcntl.flock(handle, fcntl.LOCK_SH)
        if _is_at(handle, path):
            return handle
        os.close(handle)  # a sweep came between the two steps


def make_folders(folder: Path) -> None:
    """Make *folder* and those above it that are not there; each survives a power cut."""
    missing = [folder]
    while missing:
        try:
            missing[-1].mkdir()
        except FileExistsError:
            missing.pop()
        except FileNotFoundError:
            missing.append(missing[-1].parent)
        else:
            sync_folder(missing.pop().parent)


def _sync_nearest(folder: Path) -> None:
    """Sync *folder*, or what is above it where somebody removed it, being empty, meanwhile."""
    while True:
        try:
            sync_folder(folder)
        except FileNotFoundError:
            folder = folder.parent
        else:
            return


@contextmanager
def _descriptor(path: Path, flags: int) -> Iterator[int]:
    handle = os.open(path, flags | os.O_CLOEXEC, 0o666)
    try:
        yield handle
    finally:
        os.close(handle)


def _try_lock(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.lstat())
    except FileNotFoundError:
        return False


def _write_journal(lock: int, key: str, files: list[str]) -> None:
    content = memoryview(orjson.dumps([key, files]))
    done = 0
    while done < len(content):
        done += os.pwrite(lock, content[done:], done)


def _read_journal(content: bytes) -> tuple[str, list[str]] | None:
    """Return key and data files, None when its writer died before it had written it."""
    match _parsed(content):
        case [str(key), [*files]]:
            return key, [file for file in files if isinstance(file, str) and is_data_path(file)]
        case _:
            return None


def _parsed(content: bytes) -> object:
    try:
        parsed: object = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    return parsed


def _unlink(path: Path) -> int:
    try:
        path.unlink()
    except (FileNotFoundError, NotADirectoryError):
        return 0
    return 1


def _prune(folder: Path, end: Path) -> None:
    """Remove *folder* and those above it, below *end*, as far as they are empty."""
    while folder != end:
        try:
            folder.rmdir()
        except OSError as error:
            if error.errno in _IN_USE:
                return
            if error.errno != errno.ENOENT:
                raise
        folder = folder.parent
