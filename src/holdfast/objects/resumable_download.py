"""Resumable downloads: they go on where an earlier try broke off.

The bytes go into a hidden file beside the target, whose name depends on the target, the key and the
version alone, so that the next try finds it. Beside it a resume file says, window by window, what
is there, and of which object: etag and size. A try takes over what was there only when both are
still the same, and locks the hidden file, so that two tries never write into one. Windows are
written before the resume file mentions them, so a process that is killed at worst fetches some
again. The whole is checked against the object's SHA-256 before it appears under its name.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import threading
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from holdfast.errors import IntegrityError, StorageError
from holdfast.objects.body import WINDOW
from holdfast.objects.capabilities import ParallelReader
from holdfast.objects.download import check_file, end_of_links, move_to
from holdfast.objects.localfile import (
    NewFile,
    file_name,
    is_at,
    is_own,
    next_of,
    read_own,
    refusals,
    write_own,
)
from holdfast.objects.reader import content_of
from holdfast.objects.transfer import Meter

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.objects.driver import RangeReader
    from holdfast.objects.object_info import ObjectInfo
    from holdfast.objects.transfer import Progress
    from holdfast.offload import Offload

_SAVED_EACH = 64  # windows; a process that is killed repeats no more than that


@dataclass(frozen=True, slots=True)
class PartialFile:
    """Where a download that isn't done lies beside its target, and its resume file."""

    file: Path
    resume_file: Path

    @property
    def next_resume_file(self) -> Path:
        """Where a resume file is written before it replaces the other."""
        return next_of(self.resume_file)


def partial_file_of(target: Path, key: str, version: str | None) -> PartialFile:
    """Return the places that belong to the download of that version of *key* to *target*."""
    identity = hashlib.sha256(json.dumps([key, version]).encode()).hexdigest()[:16]
    file = target.parent / f".{file_name(target.name, mark=f'~{identity}')}"
    return PartialFile(file, file.with_name(f"{file.name}.notes"))


class ResumableDownload:
    """The windows of one object that are on disk already, and those to come.

    Pieces come from several threads, and one that was cancelled goes on for a while: so each step
    holds a lock, and writing a window and counting it is one step.
    """

    def __init__(self, places: PartialFile, info: ObjectInfo, meter: Meter) -> None:
        self.file = NewFile(places.file, _open_alone)
        self._places = places
        self._info = info
        self._meter = meter
        self._have = bytearray()  # grows with what comes, whatever size the object claims
        self._unsaved = 0
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Open the file and read the resume file of an earlier try of this very object."""
        self.file.open()
        found = _read(self._places.resume_file)
        if self._places.file.stat().st_size == 0:  # what it is about was published, or removed
            found = None
        if found is not None and found[:2] == (self._info.etag, self._info.size):
            self._have[:] = found[2][: -(-self._info.size // WINDOW)]
        else:
            self.file.empty()  # it may be longer than this object
        self._meter.advance(sum(self._size(n) for n, had in enumerate(self._have) if had))

    def missing(self, start: int, end: int) -> bool:
        """Return whether a byte from *start* to *end* is still to come."""
        first, last = start // WINDOW, -(-end // WINDOW)
        return len(self._have) < last or not all(self._have[first:last])

    def take(self, offset: int, chunk: bytes) -> None:
        """Write the window at *offset*."""
        with self._lock:
            self.file.write_at(offset, chunk)
            number = offset // WINDOW
            self._have.extend(bytes(max(0, number + 1 - len(self._have))))
            if not self._have[number]:
                self._have[number] = 1
                self._meter.advance(len(chunk))
            self._unsaved += 1
            if self._unsaved >= _SAVED_EACH:
                self._save()

    def save(self) -> None:
        """Write down which windows are there, in one step."""
        with self._lock:
            self._save()

    def forget(self) -> None:
        """Remove the resume file: the download is done, or its bytes are wrong."""
        with self._lock:
            self._places.resume_file.unlink(missing_ok=True)
            self._places.next_resume_file.unlink(missing_ok=True)

    def _save(self) -> None:
        content = json.dumps([self._info.etag, self._info.size, self._have.hex()])
        write_own(self._places.resume_file, content.encode())
        self._unsaved = 0

    def _size(self, number: int) -> int:
        return min(WINDOW, self._info.size - number * WINDOW)


async def resume_download(
    reader: RangeReader,
    target: Path,
    version: str | None,
    *,
    offload: Offload,
    progress: Progress | None,
) -> ObjectInfo:
    """Download as `download` does; what is there when it breaks off is kept for the next try."""
    try:
        target = await offload.run(end_of_links, target)
        info = await reader.open()
        places = partial_file_of(target, info.key, version)
        meter = Meter(progress, info.size)
        resumable = ResumableDownload(places, info, meter)
        with refusals(target, hidden=places.file):
            await offload.run(resumable.begin)
            try:
                await _rest(reader, info, resumable, offload)
                await check_file(info, places.file, offload)
                meter.finish()
                await offload.run(resumable.file.publish, partial(move_to, target))
            except IntegrityError:
                await offload.run(resumable.file.discard)
                await offload.run(resumable.forget)
                raise
            except BaseException:
                await offload.run(resumable.save)
                await offload.run(resumable.file.leave)
                raise
            await offload.run(resumable.forget)
    finally:
        await reader.close()
    return info


async def _rest(
    reader: RangeReader, info: ObjectInfo, resumable: ResumableDownload, offload: Offload
) -> None:
    async def sink(offset: int, chunk: bytes) -> None:
        await offload.run(resumable.take, offset, chunk)

    if isinstance(reader, ParallelReader) and info.encoding is None:
        await reader.read_all(sink, resumable.missing)
        return
    content = content_of(info, reader, offload)
    for offset in range(0, info.size, WINDOW):
        end = min(offset + WINDOW, info.size)
        if resumable.missing(offset, end):
            await sink(offset, await content.read(offset, end - offset))


def _open_alone(path: Path) -> int:
    while True:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        handle = os.open(path, flags, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if is_at(handle, path):
                _check_owner(handle, path)
                return handle
        except BlockingIOError:
            os.close(handle)
            raise StorageError(f"{path}: another download of the same is under way") from None
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # published between the two steps: it is somebody's file now


def _check_owner(handle: int, path: Path) -> None:
    if not is_own(handle):
        raise StorageError(f"{path}: another user made it, or it is no regular file of one name")


def _read(path: Path) -> tuple[str, int, bytes] | None:
    try:
        match json.loads(read_own(path) or b""):
            case [str(etag), int(size), str(have)]:
                return etag, size, bytes.fromhex(have)
            case _:
                return None
    except ValueError:  # none, or not written by this
        return None
