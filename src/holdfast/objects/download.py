"""Downloads an object into a local file: complete, checked and durable, or not at all."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from holdfast.errors import IntegrityError, StorageError
from holdfast.objects.body import open_regular
from holdfast.objects.capabilities import FileLender, ParallelReader
from holdfast.objects.localfile import (
    NewFile,
    OpenFile,
    file_name,
    refusals,
    refuse_special,
    sync_folder,
)
from holdfast.objects.reader import ObjectReader
from holdfast.objects.transfer import Digest, Meter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from holdfast.objects.driver import BucketDriver, RangeReader
    from holdfast.objects.object_info import ObjectInfo
    from holdfast.objects.transfer import Progress
    from holdfast.offload import Offload

FIRST_PIECE = 8 * 1024 * 1024  # what a download asks for before it knows the size
_SUMMED_AT_ONCE = 16 * 1024 * 1024  # a cancelled caller's thread goes on for so long


async def download(
    reader: RangeReader, target: Path, offload: Offload, progress: Progress | None
) -> ObjectInfo:
    """Write what *reader* reads to *target*: complete, checked and durable, or not at all.

    Where *target* is a link, to what it leads to. Raises StorageError for a pipe or a device.
    """
    target = await offload.run(end_of_links, target)
    file = NewFile(target.parent / f".{file_name(target.name, mark=f'~{uuid4().hex}')}")

    async def local(step: Callable[[], object]) -> None:
        with refusals(target, hidden=file.temporary):
            await offload.run(step)

    try:
        info = await reader.open(0, FIRST_PIECE)
        meter = Meter(progress, info.size)

        async def sink(offset: int, chunk: bytes) -> None:
            await local(partial(file.write_at, offset, chunk))
            meter.advance(len(chunk))

        if isinstance(reader, ParallelReader) and info.encoding is None and info.size > FIRST_PIECE:
            await reader.read_all(sink)
            await check_file(info, file.temporary, offload)
        else:
            async for chunk in ObjectReader(info, reader, offload):
                await local(partial(file.write, chunk))
                meter.advance(len(chunk))
        meter.finish()
        await local(partial(file.publish, partial(move_to, target)))
    except BaseException:
        await local(file.discard)
        raise
    finally:
        await reader.close()
    return info


@asynccontextmanager
async def borrowed(driver: BucketDriver, offload: Offload, key: str) -> AsyncIterator[Path]:
    """Hold *key* as a local file: the stored one where that is its content, else a download."""
    if isinstance(driver, FileLender):
        file = driver.lend(key)
        try:
            info, path = await file.open()
            if info.encoding is None:
                yield path
                return
        finally:
            await file.close()
    import tempfile  # noqa: PLC0415 - few programs need it

    folder = tempfile.TemporaryDirectory(prefix="holdfast-")
    try:
        path = Path(folder.name) / file_name(key.rpartition("/")[2])
        await download(driver.read(key), path, offload, None)
        yield path
    finally:
        await offload.run(folder.cleanup)


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


def move_to(target: Path, temporary: Path) -> None:
    """Rename *temporary* to *target*, over a file that is there, and sync its folder.

    A link stays, and what it leads to is replaced. Raises StorageError when *target* is a folder, a
    pipe or a device.
    """
    refuse_special(target)
    temporary.replace(target)
    sync_folder(target.parent)


def end_of_links(path: Path) -> Path:
    """Return what *path* leads to when it is a link, else *path*. Raises StorageError."""
    try:
        found = path.resolve() if path.is_symlink() else path
    except (OSError, RuntimeError):  # links that lead in a circle
        raise StorageError(f"{path}: its links lead nowhere") from None
    refuse_special(found)  # before anything is downloaded
    return found
