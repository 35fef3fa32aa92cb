"""Bodies of a put: bytes, files and iterators, read in windows of bounded size."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from holdfast.errors import IntegrityError, InvalidValueError, StorageError
from holdfast.objects.localfile import OpenFile, refusals

if TYPE_CHECKING:
    from holdfast.offload import Offload

WINDOW = 256 * 1024

FileState = tuple[int, int, int, int]


@runtime_checkable
class BinaryFile(Protocol):
    """A binary file, as much of one as a put needs."""

    def read(self, size: int, /) -> bytes:
        """Return at most *size* bytes, none only at the end."""
        ...


@runtime_checkable
class _Seekable(Protocol):
    def seekable(self) -> bool: ...
    def tell(self) -> int: ...
    def seek(self, offset: int, whence: int = 0, /) -> int: ...


BlockingBody = bytes | bytearray | memoryview | Path | BinaryFile | Iterable[bytes]
Body = BlockingBody | AsyncIterable[bytes]
"""What a bucket stores: bytes, a local file, an open one, or an iterable of chunks."""


@dataclass(slots=True)
class BodyStream:
    """Bytes to come, in chunks. *total* is their number where it is known before."""

    chunks: AsyncGenerator[bytes, None]
    total: int | None


async def stream_of(body: Body, offload: Offload) -> BodyStream:
    """Return *body* as a stream; its chunks must be closed with aclosing.

    Raises InvalidValueError for what is not a body, StorageError for a file that can't be read. The
    chunks raise IntegrityError when a file has more or fewer bytes than it said.
    """
    if isinstance(body, bytes | bytearray | memoryview):
        view = memoryview(body).cast("B")
        return BodyStream(_windows_of_bytes(view), len(view))
    if isinstance(body, Path):
        with refusals(body):
            size = (await offload.run(_regular, body)).st_size
        return BodyStream(_windows_of_path(body, size, offload), size)
    if isinstance(body, BinaryFile):
        total = await offload.run(_remaining, body)
        return BodyStream(_windows_of_file(body, total, offload), total)
    if isinstance(body, AsyncIterable):
        return BodyStream(_windows_of_async(body), None)
    if isinstance(body, Iterable) and not isinstance(body, str):
        return BodyStream(_windows_of_iterator(iter(body), offload), None)
    raise _refused("bytes, a pathlib.Path, a binary file or an iterator of bytes", body)


async def _windows_of_bytes(view: memoryview) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(view), WINDOW):
        yield bytes(view[start : start + WINDOW])


async def _windows_of_path(path: Path, size: int, offload: Offload) -> AsyncGenerator[bytes, None]:
    file = OpenFile()
    try:
        with refusals(path):
            before = await offload.run(file.open, partial(open_regular, path))
        if before.st_size != size:
            raise _changed(path)
        for offset in range(0, size, WINDOW):
            with refusals(path):
                chunk = await offload.run(_read, file, path, offset, min(WINDOW, size - offset))
            yield chunk
        try:
            after = await offload.run(os.stat, path)
        except FileNotFoundError:
            raise IntegrityError(f"{path}: the file vanished while it was read") from None
        if state_of(after) != state_of(before):
            raise _changed(path)
    finally:
        await offload.run(file.close)


def _read(file: OpenFile, path: Path, offset: int, size: int) -> bytes:
    try:
        return file.read(offset, size)
    except IntegrityError:
        raise _changed(path) from None


def _regular(path: Path) -> os.stat_result:
    state = path.stat()
    if not stat.S_ISREG(state.st_mode):
        raise StorageError(f"{path}: expected a regular file")
    return state


def open_regular(path: Path) -> tuple[os.stat_result, int]:
    """Return the state and a descriptor of the regular file *path*. Raises StorageError."""
    # O_NONBLOCK: a named pipe that took the file's place must not hang the reader.
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    state = os.fstat(handle)
    if not stat.S_ISREG(state.st_mode):
        os.close(handle)
        raise StorageError(f"{path}: expected a regular file")
    return state, handle


def state_of(state: os.stat_result) -> FileState:
    """Return what tells one state of a file from another."""
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns


def _changed(path: Path) -> IntegrityError:
    return IntegrityError(f"{path}: the file changed while it was read; nothing was stored")


def _remaining(file: BinaryFile) -> int | None:
    if not isinstance(file, _Seekable) or not file.seekable():
        return None
    position = file.tell()
    end = file.seek(0, os.SEEK_END)
    file.seek(position)
    return max(end - position, 0)


async def _windows_of_file(
    file: BinaryFile, total: int | None, offload: Offload
) -> AsyncGenerator[bytes, None]:
    done = 0
    while True:
        chunk = await offload.run(file.read, WINDOW)
        if not isinstance(chunk, bytes):
            raise _refused("a binary file whose read returns bytes", chunk)
        done += len(chunk)
        if total is not None and (done > total if chunk else done < total):
            raise IntegrityError(f"{file!r}: expected {total} bytes, the file changed meanwhile")
        if not chunk:
            return
        yield chunk


async def _windows_of_iterator(
    body: Iterator[bytes], offload: Offload
) -> AsyncGenerator[bytes, None]:
    while gathered := await offload.run(_gathered, body):
        async with aclosing(_windows_of_bytes(memoryview(gathered))) as windows:
            async for window in windows:
                yield window


def _gathered(body: Iterator[bytes]) -> bytes:
    parts: list[bytes] = []
    size = 0
    for part in body:
        parts.append(_checked(part))
        size += len(parts[-1])
        if size >= WINDOW:
            break
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def _windows_of_async(body: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
    gathered = bytearray()
    async for part in body:
        checked = _checked(part)
        if len(gathered) + len(checked) < WINDOW:
            gathered += checked
            continue
        for piece in (bytes(gathered), checked):
            async with aclosing(_windows_of_bytes(memoryview(piece))) as windows:
                async for window in windows:
                    yield window
        gathered.clear()
    if gathered:
        yield bytes(gathered)


def _checked(part: object) -> bytes:
    if isinstance(part, bytes):
        return part
    if isinstance(part, bytearray | memoryview):
        return bytes(part)
    raise _refused("an iterator of bytes", part)


def _refused(expected: str, got: object) -> InvalidValueError:
    return InvalidValueError("object", "body", f"expected {expected}, got {type(got).__name__}")
