"""A bucket as a file system of fsspec, for pandas, pyarrow and others that open paths by it.

`holdfast://results/a.parquet` is the object `results/a.parquet` of the bucket whose URL the storage
option `bucket` gives, or else the environment's HOLDFAST_BUCKET.
"""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import warnings
import weakref
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from fsspec.callbacks import DEFAULT_CALLBACK, Callback
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

from holdfast.errors import (
    ConfigurationError,
    ConflictError,
    InvalidValueError,
    ObjectNotFoundError,
    PreconditionFailedError,
)
from holdfast.objects.object_info import CommonPrefix, ObjectInfo
from holdfast.objects.presign import PresignOptions
from holdfast.objects.sync import PutOptions, open_bucket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from holdfast.objects.transfer import Progress

VARIABLE = "HOLDFAST_BUCKET"
_IN_MEMORY = 8 * 1024 * 1024  # bytes of a file being written that are kept in memory
Details = dict[str, object]


class HoldfastFileSystem(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Objects as files. Folders are what keys have in common: making one does nothing.

    A file that is written appears whole when it is closed, and not at all when its block ends in
    an exception. A file that is read stays the one that was opened: OSError when it was replaced.
    Safe to use from many threads.
    """

    protocol = "holdfast"
    root_marker = ""

    def __init__(self, bucket: str | None = None, **storage_options: object) -> None:
        super().__init__(**storage_options)
        url = bucket or os.environ.get(VARIABLE)
        if not url:
            raise ConfigurationError(
                "holdfast:// needs the bucket's URL: the storage option 'bucket', "
                f"or {VARIABLE} in the environment"
            )
        stack = ExitStack()
        self.bucket = stack.enter_context(open_bucket(url))
        self._close = weakref.finalize(self, stack.close)

    def ls(self, path: str, detail: bool = True, **_: object) -> list[Details] | list[str]:
        """Return what is in the folder *path*, or the file. Raises FileNotFoundError."""
        folder = _key_of(path)
        prefix = f"{folder}/" if folder else ""
        with _as_os_errors(folder):
            found = [
                _details(entry)
                for entry in self.bucket.list(prefix, delimiter="/")
                if not (isinstance(entry, ObjectInfo) and entry.key == prefix)
            ]
        if not found and folder:
            found = [self.info(folder)]
        return found if detail else [str(entry["name"]) for entry in found]

    def info(self, path: str, **_: object) -> Details:
        """Return what is known of a file or folder. Raises FileNotFoundError."""
        key = _key_of(path)
        if not key:
            return _folder(key)
        with _as_os_errors(key):
            info = self.bucket.head(key)
            if info is not None:
                return _details(info)
            if next(iter(self.bucket.list(f"{key}/")), None) is not None:
                return _folder(key)
        raise FileNotFoundError(key)

    def created(self, path: str) -> datetime:
        """Return the time of the last write, for a bucket knows no other."""
        return self.modified(path)

    def modified(self, path: str) -> datetime:
        """Return the aware time of the last write. Raises FileNotFoundError."""
        return cast("datetime", self.info(path)["modified"])

    def checksum(self, path: str) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the etag, which changes with every write of other bytes."""
        return str(self.info(path)["etag"])

    def mkdir(self, path: str, create_parents: bool = True, **_: object) -> None:
        """Do nothing: a folder is there as soon as something is in it."""

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Do nothing: a folder is there as soon as something is in it."""

    def rmdir(self, path: str) -> None:
        """Do nothing: an empty folder does not exist. Raises OSError when something is in it."""
        if self.ls(path):
            raise OSError(f"{path!r} is not empty")

    def cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **_: object
    ) -> bytes:
        """Return bytes of a file, offsets as in a slice. Raises FileNotFoundError."""
        return self.fetch(_key_of(path), start, end, etag=None)

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: object) -> None:
        """Write *value* as a whole. Raises FileExistsError with the mode ``create``."""
        key = _key_of(path)
        with _as_os_errors(key):
            self.bucket.put(key, value, options=PutOptions(if_absent=mode == "create"))

    def get_file(  # pyright: ignore[reportIncompatibleMethodOverride]  # fsspec has no types
        self,
        rpath: str,
        lpath: str | os.PathLike[str] | IO[bytes],
        callback: Callback = DEFAULT_CALLBACK,
        outfile: IO[bytes] | None = None,
        **options: object,
    ) -> None:
        """Download a file; it appears whole, checked against its checksum, or not at all."""
        if outfile is not None or not isinstance(lpath, (str, os.PathLike)):
            plain = cast("Callable[..., None]", super().get_file)
            plain(rpath, lpath, callback=callback, outfile=outfile, **options)
            return
        key = _key_of(rpath)
        target = Path(lpath)
        if self.isdir(key):
            target.mkdir(parents=True, exist_ok=True)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        with _as_os_errors(key):
            self.bucket.download(key, target, progress=_telling(callback))

    def put_file(
        self,
        lpath: str | os.PathLike[str],
        rpath: str,
        callback: Callback = DEFAULT_CALLBACK,
        mode: str = "overwrite",
        **_: object,
    ) -> None:
        """Upload a local file; it appears whole or not at all. Of a folder, do nothing."""
        if Path(lpath).is_dir():
            return
        key = _key_of(rpath)
        options = PutOptions(if_absent=mode == "create", progress=_telling(callback))
        with _as_os_errors(key):
            self.bucket.put(key, Path(lpath), options=options)

    def cp_file(self, path1: str, path2: str, **_: object) -> None:
        """Copy a file as a whole; of a folder do nothing. Raises FileNotFoundError."""
        source, target = _key_of(path1), _key_of(path2)
        with _as_os_errors(source):
            try:
                self.bucket.copy(source, target)
            except ObjectNotFoundError:
                if not self.isdir(source):
                    raise

    def rm_file(self, path: str) -> None:
        """Remove a file. Raises FileNotFoundError."""
        self.rm(path)

    _rm = rm_file

    def rm(
        self,
        path: str | list[str],
        recursive: bool = False,
        maxdepth: int | None = None,
    ) -> None:
        """Remove files, with *recursive* all in folders too. Raises FileNotFoundError."""
        keys = [
            str(name)
            for name in self.expand_path(path, recursive=recursive, maxdepth=maxdepth)
            if not self.isdir(name)
        ]
        with _as_os_errors(str(path)):
            self.bucket.delete_many(keys)

    def sign(self, path: str, expiration: int = 100, **_: object) -> str:
        """Return a URL that gives the file for *expiration* seconds, where the bucket can."""
        options = PresignOptions(expires=timedelta(seconds=expiration))
        return self.bucket.presign(_key_of(path), options).url

    def _open(  # pyright: ignore[reportIncompatibleMethodOverride]  # fsspec has no types
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        **options: object,
    ) -> AbstractBufferedFile:
        key = _key_of(path)
        if mode == "xb" and self.exists(key):
            raise FileExistsError(key)
        if mode == "rb":
            opened = cast("Callable[..., AbstractBufferedFile]", ReadFile)
            return opened(self, key, mode, block_size or "default", **options)
        return WriteFile(self, key, mode, autocommit=autocommit)

    def fetch(self, key: str, start: int | None, end: int | None, *, etag: str | None) -> bytes:
        """Return bytes of *key*, offsets as in a slice. Raises FileNotFoundError."""
        if start is None and end is None:
            with _held_still(key):
                return self.bucket.get(key, if_match=etag)
        if (start or 0) >= 0 and (end is None or end >= 0):
            with _held_still(key), suppress(InvalidValueError):  # reaches beyond the end
                return self.bucket.get(key, start=start, end=end, if_match=etag)
        size = cast("int", self.info(key)["size"])
        first, last, _ = slice(start, end).indices(size)
        with _held_still(key):
            return self.bucket.get(key, start=first, end=max(first, last), if_match=etag)


class ReadFile(AbstractBufferedFile):  # type: ignore[misc]  # fsspec has no types
    """The object that was there when it was opened, read in blocks from anywhere."""

    def _fetch_range(self, start: int, end: int) -> bytes:
        return cast("bytes", self.fs.fetch(self.path, start, end, etag=str(self.details["etag"])))


class WriteFile(AbstractBufferedFile):  # type: ignore[misc]  # fsspec has no types
    """A file being written: in memory or a temporary file until it is closed, then an object."""

    def __init__(self, fs: HoldfastFileSystem, path: str, mode: str, *, autocommit: bool) -> None:
        self._spool = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed with it
        self._outer = sys.exception()
        super().__init__(fs, path, mode, autocommit=autocommit)
        self.closed: bool = False
        self._match: str | None = None
        if mode == "ab" and fs.exists(path):
            info = fs.info(path)
            self._match = str(info["etag"])
            size = cast("int", info["size"])
            for start in range(0, size, _IN_MEMORY):
                self._spool.write(fs.fetch(path, start, start + _IN_MEMORY, etag=self._match))
            self.loc = self._spool.tell()

    def write(self, data: bytes) -> int:
        """Append *data*; return its number of bytes."""
        if self.closed:
            raise ValueError("I/O operation on closed file.")
        self.loc += self._spool.write(data)
        return memoryview(data).nbytes

    def flush(self, force: bool = False) -> None:  # noqa: ARG002 - fsspec's signature
        """Do nothing: the file appears when it is closed."""
        if self.closed:
            raise ValueError("Flush on closed file")

    def close(self) -> None:
        """Publish the file, unless an exception that came after its opening is being handled.

        Then nothing is published and that exception goes on: what a writer left in the middle is
        not a file. (fsspec's own wrappers close without saying how their block ended.)
        """
        if self.closed:
            return
        failure = sys.exception()
        self.closed = True
        if failure is not None and failure is not self._outer:
            self.discard()
            raise failure
        if self.autocommit:
            self.commit()

    def commit(self) -> None:
        """Publish the file. Raises FileExistsError when another writer was there."""
        self._spool.seek(0)
        options = PutOptions(
            if_absent=self.mode == "xb" or (self.mode == "ab" and self._match is None),
            if_match=self._match,
        )
        try:
            with _as_os_errors(self.path):
                self.fs.bucket.put(self.path, self._spool, options=options)
        finally:
            self._spool.close()

    def discard(self) -> None:
        """Drop what was written."""
        self._spool.close()

    def __exit__(self, *args: object) -> None:
        if args[1] is not None:
            self.closed = True
            self.discard()
        else:
            self.close()

    def __del__(self) -> None:
        if not self.closed:
            self.closed = True
            self.discard()
            warnings.warn(
                f"{self.path!r} was never closed: discarded", ResourceWarning, stacklevel=2
            )


@contextmanager
def _as_os_errors(path: str) -> Iterator[None]:
    """Turn Holdfast's errors into those that users of file systems catch."""
    try:
        yield
    except ObjectNotFoundError as error:
        raise FileNotFoundError(path) from error
    except ConflictError as error:
        raise FileExistsError(errno.EEXIST, "another writer was there", path) from error


@contextmanager
def _held_still(path: str) -> Iterator[None]:
    with _as_os_errors(path):
        try:
            yield
        except PreconditionFailedError as error:
            raise OSError(errno.ESTALE, "it was replaced while it was read", path) from error


def _key_of(path: str) -> str:
    return cast("str", HoldfastFileSystem._strip_protocol(path))  # noqa: SLF001 - fsspec's own


def _details(entry: ObjectInfo | CommonPrefix) -> Details:
    if isinstance(entry, CommonPrefix):
        return _folder(entry.prefix.removesuffix("/"))
    return {
        "name": entry.key,
        "size": entry.size,
        "type": "file",
        "etag": entry.etag,
        "modified": entry.modified,
        "content_type": entry.content_type,
        "sha256": entry.sha256,
    }


def _folder(name: str) -> Details:
    return {"name": name, "size": 0, "type": "directory"}


def _telling(callback: Callback) -> Progress:
    def tell(done: int, total: int) -> None:
        if callback.size != total:
            callback.set_size(total)
        callback.absolute_update(done)

    return tell
