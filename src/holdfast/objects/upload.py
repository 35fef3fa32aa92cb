"""Uploads a body into a bucket: as it is, or compressed."""

from __future__ import annotations

import hashlib
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import InvalidValueError
from holdfast.objects.body import WINDOW, stream_of
from holdfast.objects.capabilities import DeferredWriter
from holdfast.objects.checks import check_etag, check_header, check_token
from holdfast.objects.compression import check_compression, compressor_of, is_worth_it
from holdfast.objects.object_info import CommitSpec
from holdfast.objects.transfer import WORTH_A_THREAD, Digest, Meter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from holdfast.objects.body import Body
    from holdfast.objects.compression import Compression
    from holdfast.objects.driver import BucketDriver, ObjectWriter
    from holdfast.objects.object_info import ObjectInfo
    from holdfast.objects.transfer import Progress
    from holdfast.offload import Offload


@dataclass(frozen=True, slots=True, kw_only=True)
class PutOptions:
    """How an object is put.

    *if_absent*: only where no object is. *if_match*: only over the object of exactly this etag.
    *progress*: called with bytes done and bytes in all, as they are handed over to be stored, or
    compressed; what it raises stops the put and escapes, and nothing is stored.
    *compression*: how content that shrinks is kept; media and archives are never compressed, and
    readers of the bucket get the content alone. *tags*: the object's tags. *resume*: a local file
    that remembers an upload in parts; when it breaks off, its parts stay, and another put of the
    same content with the same file sends only the others. A success removes the file.
    *cache_control*, *content_disposition*, *content_language*: what a browser is told that fetches
    the object. *storage_class*, *acl*: by the service's own names, such as ``STANDARD_IA`` and
    ``bucket-owner-full-control``.
    """

    if_absent: bool = False
    if_match: str | None = None
    progress: Progress | None = None
    compression: Compression | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    resume: Path | None = None
    cache_control: str | None = None
    content_disposition: str | None = None
    content_language: str | None = None
    storage_class: str | None = None
    acl: str | None = None

    def __post_init__(self) -> None:
        if self.if_absent and self.if_match is not None:
            raise InvalidValueError(
                "object", "options", "if_absent and if_match exclude each other"
            )
        if self.if_match is not None:
            check_etag(self.if_match)
        if self.compression is not None:
            check_compression(self.compression)
        for name in ("cache_control", "content_disposition", "content_language"):
            check_header(name, getattr(self, name))
        for name in ("storage_class", "acl"):
            check_token(name, getattr(self, name))

    def http(self) -> dict[str, str]:
        """Return the headers that the object keeps, by lower-case name."""
        given = {
            "cache-control": self.cache_control,
            "content-disposition": self.content_disposition,
            "content-language": self.content_language,
        }
        return {name: text for name, text in given.items() if text is not None}


@dataclass(slots=True)
class PutHeaders:
    """What an object has beside its bytes, checked."""

    key: str
    content_type: str
    metadata: Mapping[str, str]
    tags: Mapping[str, str]


async def upload(
    driver: BucketDriver, offload: Offload, headers: PutHeaders, body: Body, options: PutOptions
) -> ObjectInfo:
    """Publish *body* with *headers*, or raise and leave nothing."""
    writer = driver.write(headers.key)
    try:
        stored = None
        if options.compression is not None:
            compressing = _CompressingUpload(writer, offload, Meter(options.progress))
            size, sha256, stored = await compressing.take(
                body, headers.content_type, options.compression
            )
        elif isinstance(body, bytes) and len(body) < WORTH_A_THREAD and options.progress is None:
            await writer.write(body)
            size, sha256 = len(body), hashlib.sha256(body).hexdigest()
        else:
            size, sha256 = await _take(writer, offload, Meter(options.progress), body)
        spec = CommitSpec(
            size=size,
            sha256=sha256,
            content_type=headers.content_type,
            metadata=headers.metadata,
            if_absent=options.if_absent,
            if_match=options.if_match,
            tags=headers.tags,
            encoding=None if stored is None else options.compression,
            stored=stored,
            resume_file=options.resume,
            http=options.http(),
            storage_class=options.storage_class,
            acl=options.acl,
        )
        return await writer.commit(spec)
    except BaseException:
        await writer.abort()
        raise


async def _take(
    writer: ObjectWriter, offload: Offload, meter: Meter, body: Body
) -> tuple[int, str]:
    """Write all of *body* as it is; return its size and SHA-256."""
    deferred = writer if isinstance(writer, DeferredWriter) else None
    if deferred is not None and isinstance(body, Path):
        size, sha256 = await deferred.take_file(body)
    else:
        digest = Digest(offload)
        stream = await stream_of(body, offload)
        meter.total = stream.total
        async with aclosing(stream.chunks) as chunks:
            async for chunk in chunks:
                await digest.add(chunk)
                await writer.write(chunk)
                if deferred is None:
                    meter.advance(len(chunk))
        size, sha256 = digest.size, digest.hexdigest()
    if deferred is not None:
        meter.total = size
        deferred.report_to(meter.advance)
    if deferred is None or not size:
        meter.finish()
    return size, sha256


class _CompressingUpload:
    """Writes content compressed, if its first window shows that it is worth it."""

    def __init__(self, writer: ObjectWriter, offload: Offload, meter: Meter) -> None:
        self._writer = writer
        self._offload = offload
        self._digest = Digest(offload)
        self._meter = meter

    async def take(
        self, body: Body, content_type: str, compression: Compression
    ) -> tuple[int, str, int | None]:
        """Write all of *body*; return size and SHA-256 of the content, and its compressed size.

        The compressed size is None where the content was written as it is.
        """
        stream = await stream_of(body, self._offload)
        self._meter.total = stream.total
        async with aclosing(stream.chunks) as chunks:
            stored = await self._write(chunks, content_type, compression)
        self._meter.finish()
        return self._digest.size, self._digest.hexdigest(), stored

    async def _write(
        self, chunks: AsyncIterator[bytes], content_type: str, compression: Compression
    ) -> int | None:
        first = await _first_window(chunks)
        if not await self._offload.run(is_worth_it, content_type, first, compression):
            await self._count(first)
            await self._writer.write(first)
            async for chunk in chunks:
                await self._count(chunk)
                await self._writer.write(chunk)
            return None
        compressor = compressor_of(compression)
        stored = 0
        chunk = first
        while chunk:
            await self._count(chunk)
            compressed = await self._offload.run(compressor.compress, chunk)
            stored += len(compressed)
            if compressed:
                await self._writer.write(compressed)
            chunk = await anext(chunks, b"")
        compressed = await self._offload.run(compressor.flush)
        await self._writer.write(compressed)
        return stored + len(compressed)

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
