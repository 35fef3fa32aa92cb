"""Downloads that go on where another broke off."""

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
from holdfast.objects.abilities import ParallelReading
from holdfast.objects.keys import file_name
from holdfast.objects.localfile import NewFile, OpenFile, is_at, refusals
from holdfast.objects.sources import WINDOW, open_regular
from holdfast.objects.transfer import Digest, Meter
from holdfast.objects.unpacking import plain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from holdfast.objects.driver import ObjectInfo, Reading
    from holdfast.objects.transfer import Progress
    from holdfast.offload import Offload

_SUMMED_AT_ONCE = 16 * 1024 * 1024  # a cancelled caller's thread goes on for so long
_NOTED_EACH = 64  # windows; a process that is killed repeats no more than that


@dataclass(frozen=True, slots=True)
class Partial:
    """Where a download that isn't done lies beside its target, and the notes on it."""

    file: Path
    notes: Path

    @property
    def next_notes(self) -> Path:
        """Where notes are written before they replace the others."""
        return self.notes.with_name(f"{self.notes.name}~")


def partial_of(target: Path, key: str, version: str | None) -> Partial:
    """Return the places that belong to the download of that version of *key* to *target*."""
    identity = hashlib.sha256(json.dumps([key, version]).encode()).hexdigest()[:16]
    file = target.parent / f".{file_name(target.name, mark=f'~{identity}')}"
    return Partial(file, file.with_name(f"{file.name}.notes"))


class ResumableDownload:
    """The windows of one object that are on disk already, and those to come.

    Pieces come from several threads, and one that was cancelled goes on for a while: so each step
    holds a lock, and a window and the notes on it are one step.
    """

    def __init__(self, partial_: Partial, info: ObjectInfo, meter: Meter) -> None:
        self.file = NewFile(partial_.file, _open_alone)
        self._places = partial_
        self._info = info
        self._meter = meter
        self._have = bytearray(-(-info.size // WINDOW))
        self._unnoted = 0
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Open the file and read the notes of another try, if they are on this very object."""
        self.file.open()
        found = _read_notes(self._places.notes)
        if self._places.file.stat().st_size == 0:  # what the notes are on was published, or removed
            found = None
        if found is not None and found[:2] == (self._info.etag, self._info.size):
            self._have[:] = found[2][: len(self._have)].ljust(len(self._have), b"\0")
        else:
            self.file.empty()  # it may be longer than this object
        self._meter.advance(sum(self._size(n) for n, had in enumerate(self._have) if had))

    def missing(self, start: int, end: int) -> bool:
        """Return whether a byte from *start* to *end* is still to come."""
        return not all(self._have[start // WINDOW : -(-end // WINDOW)])

    def take(self, offset: int, chunk: bytes) -> None:
        """Write the window at *offset*."""
        with self._lock:
            self.file.write_at(offset, chunk)
            number = offset // WINDOW
            if not self._have[number]:
                self._have[number] = 1
                self._meter.advance(len(chunk))
            self._unnoted += 1
            if self._unnoted >= _NOTED_EACH:
                self._note()

    def note(self) -> None:
        """Write down what is there, in one step."""
        with self._lock:
            self._note()

    def forget(self) -> None:
        """Remove the notes; the file is done, or no good."""
        with self._lock:
            self._places.notes.unlink(missing_ok=True)
            self._places.next_notes.unlink(missing_ok=True)

    def _note(self) -> None:
        content = json.dumps([self._info.etag, self._info.size, self._have.hex()])
        self._places.next_notes.write_text(content)
        self._places.next_notes.replace(self._places.notes)
        self._unnoted = 0

    def _size(self, number: int) -> int:
        return min(WINDOW, self._info.size - number * WINDOW)


async def resume(
    reading: Reading,
    target: Path,
    version: str | None,
    *,
    offload: Offload,
    progress: Progress | None,
    place: Callable[[Path], None],
) -> ObjectInfo:
    """Download as `fetch` does; what is there when it breaks off is kept for the next try."""
    try:
        info = await reading.open()
        places = partial_of(target, info.key, version)
        meter = Meter(progress, info.size)
        download = ResumableDownload(places, info, meter)
        with refusals(target, hidden=places.file):
            await offload.run(download.begin)
            try:
                await _rest(reading, info, download, offload)
                await check_file(info, places.file, offload)
                meter.finish()
                await offload.run(download.file.publish, place)
            except IntegrityError:
                await offload.run(download.file.discard)
                await offload.run(download.forget)
                raise
            except BaseException:
                await offload.run(download.note)
                await offload.run(download.file.leave)
                raise
            await offload.run(download.forget)
    finally:
        await reading.close()
    return info


async def _rest(
    reading: Reading, info: ObjectInfo, download: ResumableDownload, offload: Offload
) -> None:
    async def sink(offset: int, chunk: bytes) -> None:
        await offload.run(download.take, offset, chunk)

    if isinstance(reading, ParallelReading) and info.encoding is None:
        await reading.read_all(sink, download.missing)
        return
    content = plain(info, reading, offload)
    for offset in range(0, info.size, WINDOW):
        end = min(offset + WINDOW, info.size)
        if download.missing(offset, end):
            await sink(offset, await content.read(offset, end - offset))


async def check_file(info: ObjectInfo, path: Path, offload: Offload) -> None:
    """Raise IntegrityError unless *path* holds the bytes of *info*."""
    file = OpenFile()
    try:
        opened = await offload.run(file.open, partial(open_regular, path))
        if opened.st_size != info.size:
            raise IntegrityError(f"object {info.key!r}: {opened.st_size} bytes came of {info.size}")
        digest = Digest(offload)
        for start in range(0, info.size, _SUMMED_AT_ONCE):
            await digest.add_file(file, start, min(start + _SUMMED_AT_ONCE, info.size))
        digest.check(info)
    finally:
        await offload.run(file.close)


def _open_alone(path: Path) -> int:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if is_at(handle, path):
                return handle
        except BlockingIOError:
            os.close(handle)
            raise StorageError(f"{path}: another download of the same is under way") from None
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # published between the two steps: it is somebody's file now


def _read_notes(path: Path) -> tuple[str, int, bytes] | None:
    try:
        match json.loads(path.read_bytes()):
            case [str(etag), int(size), str(have)]:
                return etag, size, bytes.fromhex(have)
            case _:
                return None
    except (FileNotFoundError, ValueError):  # none, or not written by this
        return None
