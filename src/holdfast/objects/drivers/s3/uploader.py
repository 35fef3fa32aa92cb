"""Uploads objects to S3, in one request or in parts, and recognises writes with lost answers."""

from __future__ import annotations

import base64
import hashlib
import zlib
from dataclasses import dataclass
from secrets import token_hex
from typing import TYPE_CHECKING

from holdfast.errors import (
    HoldfastError,
    InvalidValueError,
    ObjectKeyError,
    PreconditionFailedError,
    ServiceError,
    UnsupportedError,
)
from holdfast.objects.body import WINDOW
from holdfast.objects.checks import UNKNOWN_CONTENT
from holdfast.objects.drivers.s3.headers import (
    CRC32,
    SHA256,
    SIZE,
    WRITE,
    committed_info,
    info_of,
    metadata_headers,
    quoted_etag,
    size_of,
    tagging_header,
)
from holdfast.objects.drivers.s3.multipart import part_size
from holdfast.objects.drivers.s3.resumable_upload import ResumableUpload
from holdfast.objects.drivers.s3.service import S3Request, S3Response
from holdfast.objects.drivers.s3.spool import ChunkSpool, FileSpool, Spool, SpoolPart
from holdfast.objects.object_info import CommitSpec
from holdfast.objects.transfer import WORTH_A_THREAD

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from holdfast.objects.drivers.s3.options import S3Options
    from holdfast.objects.drivers.s3.service import S3Service
    from holdfast.objects.object_info import ObjectInfo

_NAMES_REFUSED = frozenset(
    {
        "InvalidObjectName",
        "InvalidURI",
        "KeyTooLongError",
        "ObjectParentIsFile",
        "ExistingObjectIsDirectory",
        "XMinioInvalidObjectName",
        "XMinioInvalidResourceName",
        "XMinioObjectExistsAsDirectory",
        "XMinioParentIsObject",
    }
)
_ENCRYPTION = "x-amz-server-side-encryption"
_KMS_KEY = "x-amz-server-side-encryption-aws-kms-key-id"


@dataclass(frozen=True, slots=True)
class HeadResult:
    """One object, and the headers that described it."""

    info: ObjectInfo
    headers: Mapping[str, str]


class Uploader:
    """Publishes objects, and recognises its own when an answer was lost.

    Each write carries a random id in the object's metadata. When a write is refused because its
    condition doesn't hold, but the object that is there carries the id of this very write, then an
    earlier attempt succeeded, its answer was lost, and the refused one was its repetition.
    """

    def __init__(self, service: S3Service, options: S3Options) -> None:
        self._service = service
        self.options = options
        self._signs_payload = options.signs_payload(secure=service.secure)

    def headers(self, spec: CommitSpec | ObjectInfo) -> dict[str, str]:
        """Return the headers of a new object, each time with another write id."""
        headers = {
            **spec.http,
            "content-type": spec.content_type or UNKNOWN_CONTENT,
            **metadata_headers(spec.metadata or {}),
        }
        if isinstance(spec, CommitSpec):
            if spec.storage_class is not None:
                headers["x-amz-storage-class"] = spec.storage_class
            if spec.acl is not None:
                headers["x-amz-acl"] = spec.acl
        if spec.sha256 is not None:
            headers[SHA256] = spec.sha256
        if spec.encoding is not None:
            headers["content-encoding"] = spec.encoding
            headers[SIZE] = str(spec.size)
        headers[WRITE] = token_hex(16)
        if self.options.encryption:
            headers[_ENCRYPTION] = self.options.encryption
        if self.options.kms_key:
            headers[_KMS_KEY] = self.options.kms_key
        return headers

    async def publish_small(self, key: str, content: bytes, spec: CommitSpec) -> ObjectInfo:
        """Store *content*, which is small, as *key* in one request."""
        headers = {**self.headers(spec), **tagging_header(spec.tags), **_condition(spec)}
        known = spec.sha256 if spec.encoding is None else None
        sha256 = None
        if self._signs_payload:
            sha256 = known or hashlib.sha256(content).hexdigest()
        headers[CRC32] = base64.b64encode(zlib.crc32(content).to_bytes(4, "big")).decode()
        try:
            response = await self._put(key, content, headers, sha256)
        except ServiceError as error:
            return await self._after_refusal(key, headers[WRITE], spec, error)
        return await self._committed(key, spec, response)

    async def publish(
        self, key: str, spool: Spool, spec: CommitSpec, advance: Callable[[int], None]
    ) -> ObjectInfo:
        """Store what *spool* holds as *key*, in one request or in parts, telling *advance*."""
        parts = spool.parts(self.part_of(spool.size), advance)
        parts = parts or [SpoolPart(spool, 0, 0, advance)]
        headers = {**self.headers(spec), **tagging_header(spec.tags)}
        condition = _condition(spec)
        upload = ResumableUpload(self._service, self.options, key, headers)
        try:
            if len(parts) == 1 and parts[0].size < self.options.multipart:
                response = await self._put_part(key, parts[0], spec, {**headers, **condition})
            elif spec.resume_file is None:
                response = await upload.send(parts, condition)
            else:
                response = await upload.resume(parts, condition, spec.resume_file)
        except ServiceError as error:
            if spec.resume_file is not None and error.code == "NoSuchUpload":
                found = await self._own(key, upload.write_id)
                # The resume file is gone with the upload: begin again.
                return found or await self.publish(key, spool, spec, advance)
            return await self._after_refusal(key, upload.write_id, spec, error)
        return await self._committed(key, spec, response)

    async def head(self, key: str, version: str | None = None) -> HeadResult | None:
        """Return the object under *key*, None when there is none."""
        query = () if version is None else (("versionId", version),)
        try:
            response = await self._service.call(S3Request("HeadObject", "HEAD", key, query))
        except ServiceError as error:
            if is_absence(error, version):
                return None
            raise key_error(key, error) from error
        size = size_of(key, response.headers)
        return HeadResult(info_of(key, response.headers, size), response.headers)

    async def check_encryption(self, key: str, response: S3Response) -> None:
        """Raise UnsupportedError, and remove *key*, unless the service says that it encrypted.

        Some services take the header, ignore it and answer 200. Others say so of an object in
        parts only when they are asked for it.
        """
        asked = self.options.encryption
        if not asked or response.headers.get(_ENCRYPTION) == asked:
            return
        found = await self.head(key)
        if found is not None and found.headers.get(_ENCRYPTION) == asked:
            return
        removal = self._service.call(S3Request("DeleteObject", "DELETE", key))
        await self._service.network.shielded(removal)
        raise UnsupportedError(f"encryption {asked} (it stored plain text; removed)", "s3")

    @property
    def signs_payload(self) -> bool:
        """Whether bodies are sent with their SHA-256."""
        return self._signs_payload

    def part_of(self, size: int) -> int:
        """Return the bytes of a part of what has *size* bytes: all, unless it is large."""
        if size < self.options.multipart:
            return max(size, 1)
        return part_size(size, self.options.part)

    async def _put_part(
        self, key: str, body: SpoolPart, spec: CommitSpec, headers: dict[str, str]
    ) -> S3Response:
        known = spec.sha256 if spec.encoding is None else None
        sums = await body.sums(signed=self._signs_payload and known is None)
        headers[CRC32] = sums.crc32
        sha256 = known or sums.sha256 if self._signs_payload else None
        content = await body.whole() if body.size <= WINDOW else body
        return await self._put(key, content, headers, sha256)

    async def _put(
        self, key: str, body: bytes | SpoolPart, headers: Mapping[str, str], sha256: str | None
    ) -> S3Response:
        request = S3Request("PutObject", "PUT", key, headers=headers, body=body, sha256=sha256)
        return await self._service.call(request)

    async def _committed(self, key: str, spec: CommitSpec, response: S3Response) -> ObjectInfo:
        await self.check_encryption(key, response)
        etag = response.headers.get("etag") or _etag_in(response)
        if not etag:
            now = await self.head(key)
            if now is not None:
                return now.info
        return committed_info(key, spec, response.headers, etag or "")

    async def _after_refusal(
        self, key: str, write_id: str, spec: CommitSpec, error: ServiceError
    ) -> ObjectInfo:
        """Return the object when the refused write has happened after all, else raise.

        The repetition of a write whose answer was lost finds its own object in its way, or its
        upload completed.
        """
        failed = error.status == 412 or error.code == "PreconditionFailed"
        if failed or error.code == "NoSuchUpload":
            found = await self._own(key, write_id)
            if found is not None:
                return found
        if _condition(spec) and (failed or error.status == 404):
            raise PreconditionFailedError("object", key) from error
        raise key_error(key, error) from error

    async def _own(self, key: str, write_id: str) -> ObjectInfo | None:
        """Return the object under *key* if it is the one of that write."""
        found = await self.head(key)
        return found.info if found is not None and found.headers.get(WRITE) == write_id else None


class S3ObjectWriter:
    """Keeps what is written until its commit: one small chunk, many chunks, or a local file."""

    def __init__(
        self, uploader: Uploader, service: S3Service, key: str, refusal: str | None
    ) -> None:
        self._uploader = uploader
        self._service = service
        self._key = key
        self._refusal = refusal
        self._small: bytes | None = None
        self._spool: Spool | None = None
        self._advance: Callable[[int], None] | None = None

    async def write(self, chunk: bytes) -> None:
        """Append *chunk*. Raises ObjectKeyError for a key that the server would not keep."""
        if self._spool is None:
            self._refuse()
            if self._small is None and len(chunk) < WORTH_A_THREAD:
                self._small = chunk
                return
            spool = self._spool = ChunkSpool(self._service.offload)
            if self._small is not None:
                await spool.add(self._small)
                self._small = None
        assert isinstance(self._spool, ChunkSpool), "a writer takes chunks or a file"
        await self._spool.add(chunk)

    async def take_file(self, path: Path) -> tuple[int, str]:
        """Take the local file *path*; return its size and SHA-256. Raises StorageError."""
        self._refuse()
        file = self._spool = FileSpool(self._service.offload, path)
        await file.open()
        part = self._uploader.part_of(file.size)
        signed = self._uploader.signs_payload and part < file.size
        return file.size, await file.take(part, signed=signed)

    def report_to(self, advance: Callable[[int], None]) -> None:
        """Have the commit call *advance* with the bytes of each piece before it is sent."""
        self._advance = advance

    async def commit(self, spec: CommitSpec) -> ObjectInfo:
        """Upload everything; see `ObjectWriter.commit`."""
        self._refuse()
        if self._spool is not None:
            return await self._upload(self._spool, spec)
        content = self._small or b""
        if content and self._advance is not None:
            self._advance(len(content))
        return await self._uploader.publish_small(self._key, content, spec)

    async def abort(self) -> None:
        """Release the spool; `multipart.py` aborts at S3. Idempotent."""
        if self._spool is not None:
            self._spool.close()

    async def _upload(self, spool: Spool, spec: CommitSpec) -> ObjectInfo:
        def advance(count: int) -> None:
            if self._advance is None:
                return
            try:
                self._advance(count)
            except Exception as error:
                raise _ProgressRaised(error) from error

        try:
            info = await self._uploader.publish(self._key, spool, spec, advance)
        except _ProgressRaised as raised:
            raise raised.error from None
        spool.close()
        return info

    def _refuse(self) -> None:
        if self._refusal is not None:
            raise ObjectKeyError(self._key, self._refusal)


class _ProgressRaised(Exception):  # noqa: N818 - it never gets out
    """The progress callback raised *error*, which may look like a failure of the network."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


def _etag_in(response: S3Response) -> str | None:
    if not response.body:
        return None
    return response.document("CompleteMultipartUploadResult").get("ETag")


def is_absence(error: ServiceError, version: str | None) -> bool:
    """Return whether *error* says that nothing is there, or no such version but a marker."""
    return error.status == 404 or (version is not None and error.status in (400, 405))


def key_error(key: str, error: ServiceError) -> HoldfastError:
    """Return ObjectKeyError when *error* is about the key, else what it means, else *error*."""
    if error.code in _NAMES_REFUSED:
        return ObjectKeyError(key, f"the service can't keep it: {error.code}")
    if error.code == "MetadataTooLarge":
        return InvalidValueError(
            "object", "metadata", "the service takes 2048 bytes with what Holdfast adds to it"
        )
    if error.code == "NotImplemented":
        return UnsupportedError(error.operation, "s3")
    return error


def _condition(spec: CommitSpec) -> dict[str, str]:
    if spec.if_absent:
        return {"if-none-match": "*"}
    if spec.if_match is not None:
        return {"if-match": quoted_etag(spec.if_match)}
    return {}
