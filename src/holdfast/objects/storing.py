"""A body on its way into a bucket."""

from __future__ import annotations

import hashlib
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import InvalidValueError
from holdfast.objects.abilities import LateSending
from holdfast.objects.compression import check_compression, is_worth_it, packer_of
from holdfast.objects.driver import Draft
from holdfast.objects.metadata import check_etag
from holdfast.objects.sources import WINDOW, source_of
from holdfast.objects.transfer import WORTH_A_THREAD, Digest, Meter

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
    *progress*: called with bytes done and bytes in all, as they are handed over to be stored, or
    compressed; what it raises stops the put and escapes, and nothing is stored.
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
        if self.if_match is not None:
            check_etag(self.if_match)
        if self.compression is not None:
            check_compression(self.compression)


@dataclass(slots=True)
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
    writing = driver.write(label.key)
    try:
        meter = Meter(options.progress)
        stored = None
        if options.compression is not None:
            packing = _Packing(writing, offload, meter)
            size, sha256, stored = await packing.take(body, label.content_type, options.compression)
        else:
            size, sha256 = await _take(writing, offload, meter, body)
        draft = Draft(
            size=size,
            sha256=sha256,
            content_type=label.content_type,
            metadata=label.metadata,
            if_absent=options.if_absent,
            if_match=options.if_match,
            tags=label.tags,
            encoding=None if stored is None else options.compression,
            stored=stored,
            notes=options.resume,
        )
        return await writing.commit(draft)
    except BaseException:
        await writing.abort()
        raise


async def _take(writing: Writing, offload: Offload, meter: Meter, body: Body) -> tuple[int, str]:
    """Give *writing* all of *body* as it is; return its size and SHA-256."""
    if isinstance(body, bytes) and len(body) < WORTH_A_THREAD and meter.idle:
        await writing.write(body)
        return len(body), hashlib.sha256(body).hexdigest()
    late = writing if isinstance(writing, LateSending) else None
    if late is not None and isinstance(body, Path):
        size, sha256 = await late.take_file(body)
    else:
        digest = Digest(offload)
        source = await source_of(body, offload)
        meter.total = source.total
        async with aclosing(source.chunks) as chunks:
            async for chunk in chunks:
                await digest.add(chunk)
                await writing.write(chunk)
                if late is None:
                    meter.advance(len(chunk))
        size, sha256 = digest.size, digest.hexdigest()
    if late is not None:
        meter.total = size
        late.report_to(meter.advance)
    if late is None or not size:
        meter.finish()
    return size, sha256


class _Packing:
    """Writes content compressed, if its first window shows that it is worth it."""

    def __init__(self, writing: Writing, offload: Offload, meter: Meter) -> None:
        self._writing = writing
        self._offload = offload
        self._digest = Digest(offload)
        self._meter = meter

    async def take(
        self, body: Body, content_type: str, compression: Compression
    ) -> tuple[int, str, int | None]:
        """Write all of *body*; return size and SHA-256 of the content, and the bytes it became.

        None where it went as it is.
        """
        source = await source_of(body, self._offload)
        self._meter.total = source.total
        async with aclosing(source.chunks) as chunks:
            stored = await self._write(chunks, content_type, compression)
        self._meter.finish()
        return self._digest.size, self._digest.hexdigest(), stored

    async def _write(
        self, chunks: AsyncIterator[bytes], content_type: str, compression: Compression
    ) -> int | None:
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
