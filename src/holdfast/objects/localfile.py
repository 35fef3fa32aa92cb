"""Local files whose blocking work may outlive its caller, and the names of such files.

A cancelled task stops waiting for its thread, but the thread goes on. So each of these objects
is made without I/O, holds a lock around every step, and refuses steps after it was closed: after
the last close nothing of it is left.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from holdfast.errors import IntegrityError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

_WINDOW = 256 * 1024
_NO_FILE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO}
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISLNK, "a link"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)
_LONGEST_NAME = 120  # bytes of a stem; with mark and extension, any file system takes it


@contextmanager
def refusals(path: Path, *, hidden: Path | None = None) -> Iterator[None]:
    """Turn an OSError of the operating system into StorageError with path and reason.

    Names that start as *hidden* does are left out: users know only *path*.
    """
    try:
        yield
    except OSError as error:
        if error.errno == errno.EBADF:  # no disk refuses so: a descriptor was mixed up
            raise
        named = [name for name in (error.filename, error.filename2) if isinstance(name, str | Path)]
        if hidden is not None:
            named = [name for name in named if not str(name).startswith(str(hidden))]
        where = " -> ".join(map(str, named or [path]))
        raise StorageError(f"{where}: {error.strerror or error}") from error


def sync_folder(folder: Path) -> None:
    """Make renames and removals in *folder* survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def is_at(handle: int, path: Path) -> bool:
    """Return whether *path* is, at this moment, a name of the open file *handle*."""
    try:
        return os.path.samestat(os.fstat(handle), path.lstat())
    except FileNotFoundError:
        return False


def create(path: Path) -> int:
    """Open *path* for writing; it must not be there."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)


def read_own(path: Path) -> bytes | None:
    """Return what is in the regular file *path*, None when there is none, or a link or pipe.

    What belongs to another user is taken for none too: anybody may put a file into some folders.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in _NO_FILE:
            return None
        raise
    with open(handle, "rb") as file:  # noqa: PTH123 - a descriptor
        return file.read() if is_own(handle) else None


def write_own(path: Path, content: bytes) -> None:
    """Write *content* to *path* in one step, over a regular file or nothing. Raises StorageError.

    It is first written beside it, as a new file whatever stands there under its name.
    """
    refuse_special(path)
    temporary = next_of(path)
    temporary.unlink(missing_ok=True)
    try:
        with open(create(temporary), "wb") as file:
            file.write(content)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def next_of(path: Path) -> Path:
    """Return where `write_own` writes what becomes *path*."""
    return path.with_name(f"{path.name}~")


def is_own(handle: int) -> bool:
    """Return whether the open file *handle* is a regular one, of this user, with one name."""
    state = os.fstat(handle)
    return stat.S_ISREG(state.st_mode) and state.st_uid == os.geteuid() and state.st_nlink <= 1


def refuse_special(path: Path) -> None:
    """Raise StorageError when *path* is anything but a regular file: a rename would remove it."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        kind = next((name for check, name in _KINDS if check(mode)), "something else")
        raise StorageError(f"{path}: it is {kind}, expected a regular file or nothing")


class NewFile:
    """A file written under a temporary name until it is published, or discarded."""

    def __init__(self, temporary: Path, opener: Callable[[Path], int] = create) -> None:
        self.temporary = temporary
        self._opener = opener
        self._lock = threading.Lock()
        self._handle: int | None = None
        self._ended = False
        self._process = os.getpid()

    def open(self) -> None:
        """Open the file before there is something to write."""
        with self._lock:
            self._opened()

    def leave(self) -> None:
        """Close the file as it is, under its temporary name. Idempotent."""
        with self._lock:
            if not self._ended:
                self._end()

    def write(self, chunk: bytes) -> None:
        """Append *chunk*."""
        with self._lock:
            rest = memoryview(chunk)
            handle = self._opened()
            while rest:
                rest = rest[os.write(handle, rest) :]

    def write_at(self, offset: int, chunk: bytes) -> None:
        """Write *chunk* at *offset*; what lies before may come later."""
        with self._lock:
            rest = memoryview(chunk)
            handle = self._opened()
            while rest:
                written = os.pwrite(handle, rest, offset)
                rest = rest[written:]
                offset += written

    def empty(self) -> None:
        """Remove what was written so far."""
        with self._lock:
            os.ftruncate(self._opened(), 0)

    def publish(self, place: Callable[[Path], T]) -> T:
        """Make the bytes durable and return what *place* returns, which renames the file."""
        with self._lock:
            os.fsync(self._opened())
            result = place(self.temporary)
            self._end()
            return result

    def discard(self) -> None:
        """Remove the temporary file, unless it is published. Idempotent.

        In the child of a fork it stays: it is the parent's.
        """
        with self._lock:
            if not self._ended:
                if self._handle is not None and os.getpid() == self._process:
                    self.temporary.unlink(missing_ok=True)
                self._end()

    def _opened(self) -> int:
        if self._ended:
            raise RuntimeError(f"{self.temporary}: written after its end")
        if self._handle is None:
            self._handle = self._opener(self.temporary)
        return self._handle

    def _end(self) -> None:
        self._ended = True
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


class OpenFile:
    """A file held open for reading."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._handle: int | None = None
        self._closed = False

    @property
    def is_open(self) -> bool:
        """Whether a descriptor is held."""
        return self._handle is not None

    def open(self, opener: Callable[[], tuple[T, int]]) -> T:
        """Hold the descriptor that *opener* returns beside its answer; return the answer."""
        with self._lock:
            answer, handle = opener()
            if self._closed:
                os.close(handle)
            else:
                self._handle = handle
            return answer

    def read(self, offset: int, size: int) -> bytes:
        """Return exactly *size* bytes from *offset*. Raises IntegrityError when fewer are there."""
        with self._lock:
            if self._handle is None:
                raise RuntimeError("the file is closed")
            parts: list[bytes] = []
            while size > 0:
                part = os.pread(self._handle, size, offset)
                if not part:
                    raise IntegrityError(f"the file ends at byte {offset}, {size} before its size")
                parts.append(part)
                offset += len(part)
                size -= len(part)
            return parts[0] if len(parts) == 1 else b"".join(parts)

    def windows(self, start: int, end: int) -> Iterator[memoryview]:
        """Yield the bytes from *start* to *end* in pieces, each valid until the next is asked for.

        Raises IntegrityError when the file ends before.
        """
        buffer = memoryview(bytearray(min(_WINDOW, end - start)))
        while start < end:
            with self._lock:
                if self._handle is None:
                    raise RuntimeError("the file is closed")
                count = os.preadv(self._handle, [buffer[: end - start]], start)
            if not count:
                raise IntegrityError(
                    f"the file ends at byte {start}, {end - start} before its size"
                )
            yield buffer[:count]
            start += count

    def close(self) -> None:
        """Close it. Idempotent."""
        with self._lock:
            self._closed = True
            if self._handle is not None:
                os.close(self._handle)
                self._handle = None


def file_name(component: str, *, mark: str = "") -> str:
    """Return a legal local file name that shows *component*: its stem, *mark*, its extension.

    It never starts with a dot, holds no ``~`` but the mark's, and is short enough for any file
    system. Different components may give the same name; only a mark tells them apart.
    """
    clean = "".join(
        letter if letter.isprintable() and letter not in '/\\:*?"<>|~' else "_"
        for letter in component
    )
    stem, dot, extension = clean.rpartition(".")
    if not stem or len(extension.encode()) > 16:
        stem, dot, extension = clean, "", ""
    stem = stem.encode()[:_LONGEST_NAME].decode(errors="ignore")
    if stem.startswith("."):
        stem = "_" + stem[1:]
    return f"{stem or '_'}{mark}{dot}{extension}"
