"""A body on its way into a bucket."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import InvalidValueError
from holdfast.objects.abilities import FileBorrower
from holdfast.objects.compression import check_compression, is_worth_it, packer_of
from holdfast.objects.driver import Draft
from holdfast.objects.sources import WINDOW, source_of
from holdfast.objects.transfer import Digest, Meter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from holdfast.objects.compression import Compression
    from holdfast.objects.driver import Driver, ObjectInfo, Writing
    from holdfast.objects.sources import Body
    from holdfast.objects.transfer import Progress
    from holdfast.offload import Offload


@dataclass(frozen=True, slots=True, kw_only=True)
class PutOptions:
    """How an object is put.

    *if_absent*: only where no object is. *if_match*: only over the object of exactly this etag.
    *progress*: called with bytes done and bytes in all; what it raises stops the put and escapes.
    *compression*: how content that shrinks is kept; media and archives never are compressed, and
    readers of the bucket see the content alone. *tags*: what the object is tagged with. *resume*: a
    local file for notes; when an upload in parts breaks off, its parts stay, and another put of the
    same content with the same notes sends the others alone. A success removes the notes.
    """

    if_absent: bool = False
    if_match: str | None = None
    progress: Progress | None = None
    compression: Compression | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    resume: Path | None = None

    def __post_init__(self) -> None:
        if self.if_absent and self.if_match is not None:
            raise InvalidValueError(
                "object", "options", "if_absent and if_match exclude each other"
            )
        if self.compression is not None:
            check_compression(self.compression)


@dataclass(frozen=True, slots=True)
class Label:
    """What an object carries beside its bytes, checked."""

    key: str
    content_type: str
    metadata: Mapping[str, str]
    tags: Mapping[str, str]


async def store(
    driver: Driver, offload: Offload, label: Label, body: Body, options: PutOptions
) -> ObjectInfo:
    """Publish *body* under *label*, or raise and leave nothing."""
    digest = Digest(offload)
    writing = driver.write(label.key)
    try:
        file = body if isinstance(body, Path) and options.compression is None else None
        if file is not None and isinstance(writing, FileBorrower):
            writing.borrow(file)
        source = await source_of(body, offload)
        meter = Meter(options.progress, source.total)
        async with aclosing(source.chunks) as chunks:
            if options.compression is None:
                encoding, stored = None, None
                async for chunk in chunks:
                    await digest.add(chunk)
                    await writing.write(chunk)
                    meter.advance(len(chunk))
            else:
                packing = _Packing(writing, offload, digest, meter)
                stored = await packing.take(chunks, label.content_type, options.compression)
                encoding = None if stored is None else options.compression
        meter.finish()
        draft = Draft(
            size=digest.size,
            sha256=digest.hexdigest(),
            content_type=label.content_type,
            metadata=label.metadata,
            if_absent=options.if_absent,
            if_match=options.if_match,
            tags=label.tags,
            encoding=encoding,
            stored=stored,
            notes=options.resume,
        )
        return await writing.commit(draft)
    except BaseException:
        await writing.abort()
        raise


class _Packing:
    """Writes content compressed, if its first window shows that it is worth it."""

    def __init__(self, writing: Writing, offload: Offload, digest: Digest, meter: Meter) -> None:
        self._writing = writing
        self._offload = offload
        self._digest = digest
        self._meter = meter

    async def take(
        self, chunks: AsyncIterator[bytes], content_type: str, compression: Compression
    ) -> int | None:
        """Write all of *chunks*; return the bytes that made, None when they went as they are."""
        first = await _first_window(chunks)
        if not await self._offload.run(is_worth_it, content_type, first, compression):
            await self._count(first)
            await self._writing.write(first)
            async for chunk in chunks:
                await self._count(chunk)
                await self._writing.write(chunk)
            return None
        packer = packer_of(compression)
        stored = 0
        chunk = first
        while chunk:
            await self._count(chunk)
            packed = await self._offload.run(packer.compress, chunk)
            stored += len(packed)
            if packed:
                await self._writing.write(packed)
            chunk = await anext(chunks, b"")
        packed = await self._offload.run(packer.flush)
        await self._writing.write(packed)
        return stored + len(packed)

    async def _count(self, chunk: bytes) -> None:
        await self._digest.add(chunk)
        self._meter.advance(len(chunk))


async def _first_window(chunks: AsyncIterator[bytes]) -> bytes:
    """Return the beginning, a window long where there is that much."""
    parts: list[bytes] = []
    size = 0
    while size < WINDOW and (chunk := await anext(chunks, b"")):
        parts.append(chunk)
        size += len(chunk)
    return b"".join(parts)
