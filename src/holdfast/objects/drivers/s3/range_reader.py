"""Reads ranges of one object on S3, pinned by its etag.

`open` sends the first GET, of the range that will be read, and its answer pins the object: from
then on every request carries the etag as a condition, so that a replaced object is an
IntegrityError and never a mixture. `read` takes bytes from the response that is open as long as the
wanted offset lies ahead, skipping what lies between; a jump back, or a connection that broke,
opens another GET at the wanted offset. It gives up after five failures without a byte in between,
each of which has had the retries of a request before. A body that came whole, from the first byte
on, is checked against the service's CRC-32; lengths are always checked, also of servers that ignore
the range and send everything.
"""

from __future__ import annotations

import base64
import zlib
from functools import partial
from typing import TYPE_CHECKING

from holdfast.aws.http import SlowPeerError
from holdfast.errors import (
    IntegrityError,
    ObjectNotFoundError,
    ServiceError,
    UnavailableError,
)
from holdfast.objects.body import WINDOW
from holdfast.objects.drivers.s3.headers import CRC32, info_of, quoted_etag, range_of, size_of
from holdfast.objects.drivers.s3.multipart import part_size
from holdfast.objects.drivers.s3.service import S3Request
from holdfast.objects.drivers.s3.uploader import is_absence, key_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from holdfast.aws.client import HTTPResponse
    from holdfast.objects.drivers.s3.service import S3Service
    from holdfast.objects.drivers.s3.uploader import Uploader
    from holdfast.objects.object_info import ObjectInfo

_MOST_RESUMPTIONS = 5  # without a byte in between


class S3RangeReader:
    """Reads one object; see the module."""

    def __init__(
        self,
        service: S3Service,
        uploader: Uploader,
        key: str,
        refusal: str | None,
        version: str | None = None,
    ) -> None:
        self._refusal = refusal
        self._version = version
        self._service = service
        self._options = uploader.options
        self._uploader = uploader
        self._key = key
        self._info: ObjectInfo | None = None
        self._response: HTTPResponse | None = None
        self._position = 0  # the offset of the next byte: of the rest, then of the response
        self._rest = memoryview(b"")
        self._crc32: str | None = None
        self._seen = 0
        self._closed = False
        self._end: int | None = None

    async def open(self, start: int | None = None, end: int | None = None) -> ObjectInfo:
        """Pin the object as it is now. Raises ObjectNotFoundError."""
        if self._refusal is not None:
            raise ObjectNotFoundError(self._key, self._version)
        first = start or 0
        if first < 0 or (end is not None and end <= first):
            return await self._head_object()
        wanted = None
        if start is not None or end is not None:
            wanted = f"bytes={first}-{'' if end is None else end - 1}"
        try:
            response = await self._get(wanted, etag=None)
        except ServiceError as error:
            if error.status == 416:  # beyond the end; the bucket says so, and needs the size
                return await self._head_object()
            raise self._not_found(error) from error
        try:
            self._info = self._described(response, first)
        except BaseException:
            response.close()
            raise
        self._take(response)
        return self._info

    async def read(self, offset: int, size: int) -> bytes:
        """Return exactly *size* stored bytes from *offset*. Raises IntegrityError."""
        pieces: list[memoryview] = []
        wanted = size
        failures = 0
        while wanted:
            try:
                piece = await self._next(offset, wanted)
            except SlowPeerError as error:  # each try would be as slow
                self._drop()
                raise UnavailableError(
                    f"object {self._key!r}: the download stopped at byte {offset} of "
                    f"{self._known.stored_size}: {error}"
                ) from error
            except OSError as error:
                self._drop()
                failures += 1
                if failures > _MOST_RESUMPTIONS:
                    raise UnavailableError(
                        f"object {self._key!r}: the download broke off at byte {offset} of "
                        f"{self._known.stored_size}, {failures} times: {error}"
                    ) from error
                continue
            failures = 0
            pieces.append(piece)
            offset += len(piece)
            wanted -= len(piece)
        return bytes(pieces[0]) if len(pieces) == 1 else b"".join(pieces)

    async def read_all(
        self,
        sink: Callable[[int, bytes], Awaitable[None]],
        missing: Callable[[int, int], bool] | None = None,
    ) -> None:
        """Give every window to *sink*, from several tasks. Raises IntegrityError."""
        info = self._known
        step = part_size(info.size, self._options.part)
        pieces = [
            partial(self._piece, start, min(step, info.size - start), sink, missing)
            for start in range(0, info.size, step)
            if missing is None or missing(start, min(start + step, info.size))
        ]
        await self._service.network.all_of(pieces, at_once=self._options.parallel)

    async def _piece(
        self,
        start: int,
        size: int,
        sink: Callable[[int, bytes], Awaitable[None]],
        missing: Callable[[int, int], bool] | None,
    ) -> None:
        piece = self if start == 0 else self._pinned(start + size)
        try:
            for offset in range(start, start + size, WINDOW):
                if missing is not None and not missing(offset, min(offset + WINDOW, start + size)):
                    continue
                await sink(offset, await piece.read(offset, min(WINDOW, start + size - offset)))
        finally:
            await piece.close()

    def _pinned(self, end: int) -> S3RangeReader:
        piece = S3RangeReader(self._service, self._uploader, self._key, None, self._version)
        piece._info = self._known
        piece._end = end
        return piece

    async def close(self) -> None:
        """Release it. Idempotent."""
        self._closed = True
        self._drop()

    @property
    def _known(self) -> ObjectInfo:
        assert self._info is not None, "a reader is opened before it is read"
        return self._info

    async def _head_object(self) -> ObjectInfo:
        found = await self._uploader.head(self._key, self._version)
        if found is None:
            raise ObjectNotFoundError(self._key, self._version)
        self._info = found.info
        return found.info

    async def _get(self, wanted: str | None, etag: str | None) -> HTTPResponse:
        headers = {"x-amz-checksum-mode": "ENABLED", "accept-encoding": "identity"}
        if wanted is not None:
            headers["range"] = wanted
        if etag is not None:
            headers["if-match"] = quoted_etag(etag)
        query = () if self._version is None else (("versionId", self._version),)
        return await self._service.open(S3Request("GetObject", "GET", self._key, query, headers))

    def _described(self, response: HTTPResponse, first: int) -> ObjectInfo:
        """Return the info in *response*, and note at which offset its body starts."""
        if response.status == 206:
            span = range_of(response.headers)
            if span is None or span[0] != first:
                raise IntegrityError(f"object {self._key!r}: the service sent another range")
            self._position = first
            return info_of(self._key, response.headers, span[2])
        # All of it, from the first byte: so was it asked for, or the range was ignored.
        self._position = 0
        return info_of(self._key, response.headers, size_of(self._key, response.headers))

    def _take(self, response: HTTPResponse) -> None:
        self._response = response
        self._rest = memoryview(b"")
        checksum = response.headers.get(CRC32, "")
        whole = response.status == 200 and "-" not in checksum and checksum
        self._crc32 = checksum if whole else None
        self._seen = 0

    async def _next(self, offset: int, most: int) -> memoryview:
        """Return the bytes at *offset* that came, at least one and at most *most*."""
        if self._response is None or self._position > offset:
            await self._resume(offset)
        while True:
            if self._rest:
                skipped = min(offset - self._position, len(self._rest))
                self._rest = self._rest[skipped:]
                self._position += skipped
                if self._rest:
                    piece = self._rest[:most]
                    self._rest = self._rest[len(piece) :]
                    self._position += len(piece)
                    return piece
            assert self._response is not None
            came = await self._response.receive()
            self._check(came)
            self._rest = memoryview(came)

    def _check(self, came: bytes) -> None:
        if self._crc32 is not None:
            self._seen = zlib.crc32(came, self._seen)
        reached = self._position + len(came)
        if reached > self._known.stored_size:
            raise IntegrityError(
                f"object {self._key!r}: more came than its {self._known.stored_size} bytes"
            )
        if reached == self._known.stored_size and self._crc32 is not None:
            actual = base64.b64encode(self._seen.to_bytes(4, "big")).decode()
            if actual != self._crc32:
                self._drop()
                raise IntegrityError(
                    f"object {self._key!r}: the bytes have CRC-32 {actual}, "
                    f"stored were {self._crc32}"
                )
        if not came:
            raise ConnectionError(f"the body ended at byte {reached} of {self._known.stored_size}")

    async def _resume(self, offset: int) -> None:
        if self._closed:
            raise RuntimeError("the reader is closed")
        self._drop()
        info = self._known
        try:
            last = "" if self._end is None else self._end - 1
            response = await self._get(f"bytes={offset}-{last}", etag=info.etag)
        except ServiceError as error:
            if error.status in (404, 412, 416):
                raise self._replaced() from error
            raise
        same = False
        try:
            now = self._described(response, offset)
            same = (now.etag, now.size) == (info.etag, info.size)
        finally:
            if not same:
                response.close()
        if not same:
            raise self._replaced()
        self._take(response)

    def _replaced(self) -> IntegrityError:
        return IntegrityError(f"object {self._key!r} was replaced or deleted while it was read")

    def _not_found(self, error: ServiceError) -> Exception:
        if is_absence(error, self._version):
            return ObjectNotFoundError(self._key, self._version)
        return key_error(self._key, error)

    def _drop(self) -> None:
        response, self._response = self._response, None
        self._rest = memoryview(b"")
        if response is not None:
            response.close()
