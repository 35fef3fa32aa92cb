"""An object on its way into a local file."""

from __future__ import annotations

import tempfile
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from holdfast.errors import StorageError
from holdfast.objects.abilities import Lender, ParallelReading
from holdfast.objects.keys import file_name
from holdfast.objects.localfile import NewFile, refusals, sync_folder
from holdfast.objects.reader import ObjectReader
from holdfast.objects.resuming import check_file, resume
from holdfast.objects.transfer import Meter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from holdfast.objects.driver import Driver, ObjectInfo, Reading
    from holdfast.objects.transfer import Progress
    from holdfast.offload import Offload

FIRST_PIECE = 8 * 1024 * 1024  # what a download asks for before it knows the size


async def fetch_on(
    reading: Reading,
    target: Path,
    version: str | None,
    *,
    offload: Offload,
    progress: Progress | None,
) -> ObjectInfo:
    """Do as `fetch`, going on where a try before broke off."""
    place = partial(_place, target)
    return await resume(reading, target, version, offload=offload, progress=progress, place=place)


async def fetch(
    reading: Reading, target: Path, offload: Offload, progress: Progress | None
) -> ObjectInfo:
    """Write what *reading* reads to *target*: complete, checked and durable, or not at all."""
    file = NewFile(target.parent / f".{file_name(target.name, mark=f'~{uuid4().hex}')}")

    async def local(step: Callable[[], object]) -> None:
        with refusals(target, hidden=file.temporary):
            await offload.run(step)

    try:
        info = await reading.open(0, FIRST_PIECE)
        meter = Meter(progress, info.size)

        async def sink(offset: int, chunk: bytes) -> None:
            await local(partial(file.write_at, offset, chunk))
            meter.advance(len(chunk))

        if (
            isinstance(reading, ParallelReading)
            and info.encoding is None
            and info.size > FIRST_PIECE
        ):
            await reading.read_all(sink)
            await check_file(info, file.temporary, offload)
        else:
            async for chunk in ObjectReader(info, reading, offload):
                await local(partial(file.write, chunk))
                meter.advance(len(chunk))
        meter.finish()
        await local(partial(file.publish, partial(_place, target)))
    except BaseException:
        await local(file.discard)
        raise
    finally:
        await reading.close()
    return info


@asynccontextmanager
async def lent(driver: Driver, offload: Offload, key: str) -> AsyncIterator[Path]:
    """Hold *key* as a local file: the stored one where that is its content, else a download."""
    if isinstance(driver, Lender):
        lending = driver.lend(key)
        try:
            info, path = await lending.open()
            if info.encoding is None:
                yield path
                return
        finally:
            await lending.close()
    folder = tempfile.TemporaryDirectory(prefix="holdfast-")
    try:
        path = Path(folder.name) / file_name(key.rpartition("/")[2])
        await fetch(driver.read(key), path, offload, None)
        yield path
    finally:
        await offload.run(folder.cleanup)


def _place(target: Path, temporary: Path) -> None:
    if target.is_dir():
        raise StorageError(f"{target}: it is a folder, expected the name of a file")
    temporary.replace(target)
    sync_folder(target.parent)
