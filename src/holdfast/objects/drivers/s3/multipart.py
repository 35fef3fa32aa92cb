"""Multipart uploads: the whole object appears, or no part stays."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastError, ServiceError
from holdfast.objects.drivers.s3.headers import CRC32, WRITE
from holdfast.objects.drivers.s3.options import MIB
from holdfast.objects.drivers.s3.service import S3Request
from holdfast.objects.drivers.s3.xml_document import write, write_text

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from holdfast.objects.drivers.s3.options import S3Options
    from holdfast.objects.drivers.s3.service import S3Response, S3Service
    from holdfast.objects.drivers.s3.spool import Checksums, SpoolPart

COPIED_PART = 512 * MIB  # the service moves them by itself
_MOST_PARTS = 10_000


class MultipartUpload:
    """One upload in parts of *key*, made with *headers*."""

    def __init__(
        self, service: S3Service, options: S3Options, key: str, headers: Mapping[str, str]
    ) -> None:
        self._service = service
        self._options = options
        self._key = key
        self._headers = headers
        self.write_id = headers.get(WRITE, "")

    async def send(self, parts: Sequence[SpoolPart], condition: Mapping[str, str]) -> S3Response:
        """Upload *parts*, a few at once, and complete it under *condition*.

        The answer has the headers of the first and the last request. Any failure, also a
        cancellation, aborts the upload; `sweep_incomplete` later finds one whose abort fails too.
        """

        def calls(upload: str) -> list[Callable[[], Coroutine[object, None, str]]]:
            return [
                partial(self._send_part, upload, number, content)
                for number, content in enumerate(parts, 1)
            ]

        headers = {**self._headers, "x-amz-checksum-algorithm": "CRC32"}
        return await self._upload_parts(headers, calls, condition)

    async def _upload_parts(
        self,
        headers: Mapping[str, str],
        parts: Callable[[str], list[Callable[[], Coroutine[object, None, str]]]],
        condition: Mapping[str, str],
    ) -> S3Response:
        created, upload = await create_upload(self._service, self._key, headers)
        process = os.getpid()
        try:
            calls = parts(upload)
            named = await self._service.network.all_of(calls, at_once=self._options.parallel)
            done = await complete_upload(self._service, self._key, upload, named, condition)
        except BaseException as error:
            gone = isinstance(error, ServiceError) and error.code == "NoSuchUpload"
            if not gone and os.getpid() == process:  # in the child of a fork it is the parent's
                await self._service.network.shielded(self._abort(upload))
            raise
        return replace(done, headers={**created.headers, **done.headers})

    async def copy(self, size: int, source: Mapping[str, str]) -> S3Response:
        """Make the object of *size* bytes that the headers in *source* name, part by part."""
        step = part_size(size, COPIED_PART)

        def parts(upload: str) -> list[Callable[[], Coroutine[object, None, str]]]:
            return [
                partial(
                    self._copy_part,
                    upload,
                    number,
                    f"bytes={start}-{min(start + step, size) - 1}",
                    source,
                )
                for number, start in enumerate(range(0, size, step), 1)
            ]

        return await self._upload_parts(self._headers, parts, {})

    async def _copy_part(
        self, upload: str, number: int, span: str, source: Mapping[str, str]
    ) -> str:
        response = await self._service.call(
            S3Request(
                "UploadPartCopy",
                "PUT",
                self._key,
                (("partNumber", str(number)), ("uploadId", upload)),
                {**source, "x-amz-copy-source-range": span},
            )
        )
        return part_element(number, response.document("CopyPartResult").need("ETag"))

    async def _send_part(self, upload: str, number: int, content: SpoolPart) -> str:
        sums = await self.sums(content)
        response = await self._service.call(
            S3Request(
                "UploadPart",
                "PUT",
                self._key,
                (("partNumber", str(number)), ("uploadId", upload)),
                {CRC32: sums.crc32},
                content,
                sums.sha256,
            )
        )
        return part_element(number, response.headers.get("etag", ""), sums.crc32)

    async def sums(self, content: SpoolPart) -> Checksums:
        """Return the checksums that a part is sent with."""
        signed = self._options.signs_payload(secure=self._service.secure)
        return await content.sums(signed=signed)

    async def _abort(self, upload: str) -> None:
        with suppress(HoldfastError):  # the first error is the one to report
            await abort_upload(self._service, self._key, upload)


async def create_upload(
    service: S3Service, key: str, headers: Mapping[str, str]
) -> tuple[S3Response, str]:
    """Begin an upload in parts of *key*; return the answer, and the upload's id in it."""
    response = await service.call(
        S3Request("CreateMultipartUpload", "POST", key, (("uploads", ""),), headers)
    )
    return response, response.document("InitiateMultipartUploadResult").need("UploadId")


def part_element(number: int, etag: str, crc32: str | None = None) -> str:
    """Return how completing an upload names one of its parts, in XML."""
    sums = () if crc32 is None else (write_text("ChecksumCRC32", crc32),)
    return write("Part", write_text("PartNumber", str(number)), write_text("ETag", etag), *sums)


async def complete_upload(
    service: S3Service, key: str, upload: str, parts: Sequence[str], condition: Mapping[str, str]
) -> S3Response:
    """Make the object of *parts*, each a `part_element`, under the headers in *condition*."""
    body = write("CompleteMultipartUpload", *parts).encode()
    query = (("uploadId", upload),)
    digest = hashlib.sha256(body).hexdigest()
    return await service.call(
        S3Request("CompleteMultipartUpload", "POST", key, query, condition, body, digest)
    )


async def abort_upload(service: S3Service, key: str, upload: str) -> None:
    """Remove an upload and its parts. Raises ServiceError with 404 for one that is gone."""
    query = (("uploadId", upload),)
    await service.call(S3Request("AbortMultipartUpload", "DELETE", key, query))


def part_size(total: int, least: int) -> int:
    """Return the bytes of a part: *least*, or whole MiB so that 10,000 parts hold *total*."""
    needed = -(-total // _MOST_PARTS)
    return least if needed <= least else -(-needed // MIB) * MIB
