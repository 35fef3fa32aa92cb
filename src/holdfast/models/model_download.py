"""Downloads of versions: verified, placed in one step, and cached by content."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import IntegrityError, ModelFileError, StorageError
from holdfast.models.model_tree import check_path, is_single, sha256_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from holdfast.models.model_entities import ModelBlob, VersionFile
    from holdfast.models.model_tree import Progress
    from holdfast.objects import Bucket

_WINDOW = 1 << 20


class FileCache:
    """Files of models in a local folder, by their SHA-256; any number of processes share it."""

    def __init__(self, folder: Path, bucket: Bucket) -> None:
        self._folder = folder
        self._bucket = bucket

    async def path(
        self, file: VersionFile, blob: ModelBlob, progress: Progress | None = None
    ) -> Path:
        """Return a local copy of *file*, whose bytes were just verified. It is not to be changed.

        What is cached and damaged is downloaded again. Raises IntegrityError when the bucket has
        other bytes, ObjectNotFoundError when it has none, StorageError for the disk.
        """
        place = self._folder / file.sha256[:2] / file.sha256
        if not await asyncio.to_thread(_holds, place, file):
            arriving = await asyncio.to_thread(_new_file_beside, place)
            try:
                await self._bucket.download(blob.object_key, arriving, progress=progress)
                if not await asyncio.to_thread(_holds, arriving, file):
                    raise _damaged(file)
                await asyncio.to_thread(_moved, arriving, place)
            finally:
                arriving.unlink(missing_ok=True)
        elif progress is not None:
            progress(file.size, file.size)
        return place

    async def place(
        self,
        files: Sequence[VersionFile],
        blobs: Mapping[str, ModelBlob],
        target: Path,
        progress: Progress | None = None,
    ) -> Path:
        """Put copies of *files* at *target* in one step, and return where the model is.

        A single file becomes *target*, or lies in it where that is a folder; several become the
        folder *target*, which must not be there yet. Each byte is hashed on its way. Raises
        ModelFileError when something is in the way, and what `path` raises.
        """
        single = is_single(files)
        final = await asyncio.to_thread(_free_place, target, files[0].path if single else None)
        total, done = sum(file.size for file in files), 0
        staging = await asyncio.to_thread(_staging_beside, final)
        try:
            for file in files:
                told = None if progress is None else _behind(progress, done, total)
                cached = await self.path(file, blobs[file.sha256], told)
                copy = staging / check_path(file.path)
                if await asyncio.to_thread(_copied, cached, copy) != file.sha256:
                    raise _damaged(file)
                done += file.size
            source = staging / files[0].path if single else staging
            await asyncio.to_thread(_moved, source, final)
        finally:
            await asyncio.to_thread(shutil.rmtree, staging, ignore_errors=True)
        return final


def _behind(progress: Progress, done: int, total: int) -> Progress:
    return lambda moved, _size: progress(done + moved, total)


def _holds(path: Path, file: VersionFile) -> bool:
    try:
        return path.stat().st_size == file.size and sha256_of(path) == file.sha256
    except FileNotFoundError:
        return False


def _free_place(target: Path, name: str | None) -> Path:
    """Return where the folder, or the single file *name*, belongs. Raises ModelFileError."""
    single = name is not None
    final = target / name if name is not None and target.is_dir() else target
    if final.exists() and not (single and final.is_file()):
        raise ModelFileError(str(final), "something is there already")
    return final


def _staging_beside(final: Path) -> Path:
    with _disk_errors(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=".model-", dir=final.parent))


def _new_file_beside(place: Path) -> Path:
    with _disk_errors(place):
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".arriving-", dir=place.parent)
        os.close(handle)
        return Path(name)


def _moved(source: Path, target: Path) -> None:
    with _disk_errors(target):
        if source.is_dir():
            source.chmod(0o755)
        source.replace(target)


def _copied(source: Path, target: Path) -> str:
    """Copy, durable when it returns; return the SHA-256 of what was written."""
    digest = hashlib.sha256()
    with _disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with source.open("rb") as reading, target.open("xb") as writing:
            while chunk := reading.read(_WINDOW):
                digest.update(chunk)
                writing.write(chunk)
            writing.flush()
            os.fsync(writing.fileno())
    return digest.hexdigest()


def _damaged(file: VersionFile) -> IntegrityError:
    return IntegrityError(
        f"the bucket has other bytes for {file.path!r} than those registered, {file.sha256}"
    )


@contextmanager
def _disk_errors(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"{str(place)!r} can't be written: {error.strerror}") from error
