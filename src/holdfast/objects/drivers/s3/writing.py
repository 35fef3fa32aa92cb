"""An object on its way up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
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
from holdfast.objects.driver import info_of as drafted
from holdfast.objects.drivers.s3.facts import (
    CRC32,
    SHA256,
    SIZE,
    VERSION,
    WRITE,
    http_time,
    info_of,
    metadata_headers,
    plain_etag,
    quoted_etag,
    size_of,
)
from holdfast.objects.drivers.s3.multipart import part_size
from holdfast.objects.drivers.s3.resuming import ResumableUpload
from holdfast.objects.drivers.s3.service import Ask, Reply
from holdfast.objects.drivers.s3.spool import WINDOW, Chunks, LocalFile, Slice, Spool
from holdfast.objects.drivers.s3.tagging import tagging_header
from holdfast.objects.metadata import UNKNOWN_CONTENT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from holdfast.objects.driver import Draft, ObjectInfo
    from holdfast.objects.drivers.s3.options import S3Options
    from holdfast.objects.drivers.s3.service import Service

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
class Found:
    """One object and what the service said of it."""

    info: ObjectInfo
    headers: Mapping[str, str]


class Publisher:
    """Makes objects appear, and recognises its own when an answer was lost."""

    def __init__(self, service: Service, options: S3Options) -> None:
        self._service = service
        self._options = options

    @property
    def options(self) -> S3Options:
        return self._options

    def headers(self, facts: Draft | ObjectInfo) -> dict[str, str]:
        """Return the headers that an object is made with; each time with a mark of its own."""
        headers = {
            "content-type": facts.content_type or UNKNOWN_CONTENT,
            **metadata_headers(facts.metadata or {}),
        }
        if facts.sha256 is not None:
            headers[SHA256] = facts.sha256
        if facts.encoding is not None:
            headers["content-encoding"] = facts.encoding
            headers[SIZE] = str(facts.size)
        headers[WRITE] = token_hex(16)
        if self._options.encryption:
            headers[_ENCRYPTION] = self._options.encryption
        if self._options.kms_key:
            headers[_KMS_KEY] = self._options.kms_key
        return headers

    async def publish(
        self, key: str, spool: Spool, draft: Draft, advance: Callable[[int], None]
    ) -> ObjectInfo:
        """Store what *spool* holds as *key*, in one request or in parts, telling *advance*."""
        parts = spool.slices(self.part_of(spool.size), advance)
        return await self._publish(key, parts or [Slice(spool, 0, 0, advance)], draft)

    async def _publish(self, key: str, parts: Sequence[Slice], draft: Draft) -> ObjectInfo:
        headers = {**self.headers(draft), **tagging_header(draft.tags)}
        condition = _condition(draft)
        upload = ResumableUpload(self._service, self._options, key, headers)
        try:
            if len(parts) == 1 and parts[0].size < self._options.multipart:
                reply = await self._put(key, parts[0], draft, {**headers, **condition})
            elif draft.notes is None:
                reply = await upload.send(parts, condition)
            else:
                reply = await upload.resume(parts, condition, draft.notes)
        except ServiceError as error:
            found = await self.after_refusal(key, upload.mark, error)
            if found is not None:
                return found
            if draft.notes is not None and error.code == "NoSuchUpload":
                return await self._publish(key, parts, draft)  # the notes are gone: once more
            if condition and (error.status in (404, 412) or error.code == "PreconditionFailed"):
                raise PreconditionFailedError("object", key) from error
            raise naming(key, error) from error
        await self.check_encryption(key, reply)
        etag = reply.headers.get("etag") or _etag_in(reply)
        if not etag:
            now = await self.head(key)
            if now is not None:
                return now.info
        date = reply.headers.get("date")
        modified = http_time(date) if date else datetime.now(UTC).replace(microsecond=0)
        version = reply.headers.get(VERSION)
        return drafted(key, draft, etag=plain_etag(etag or ""), modified=modified, version=version)

    async def head(self, key: str, version: str | None = None) -> Found | None:
        """Return what stands under *key*, None when nothing does."""
        query = () if version is None else (("versionId", version),)
        try:
            reply = await self._service.call(Ask("HeadObject", "HEAD", key, query))
        except ServiceError as error:
            if is_absence(error, version):
                return None
            raise naming(key, error) from error
        size = size_of(key, reply.headers)
        return Found(info_of(key, reply.headers, size), reply.headers)

    async def after_refusal(self, key: str, mark: str, error: ServiceError) -> ObjectInfo | None:
        """Return the object when the refused write has happened: its first answer was lost.

        The repetition then finds its own object in its way, or its upload gone.
        """
        if error.status != 412 and error.code not in ("PreconditionFailed", "NoSuchUpload"):
            return None
        found = await self.head(key)
        return found.info if found is not None and found.headers.get(WRITE) == mark else None

    async def check_encryption(self, key: str, reply: Reply) -> None:
        """Raise UnsupportedError, and remove *key*, unless the service says that it encrypted.

        Some services take the header, ignore it and answer 200. Others say so of an object in
        parts only when they are asked for it.
        """
        asked = self._options.encryption
        if not asked or reply.headers.get(_ENCRYPTION) == asked:
            return
        found = await self.head(key)
        if found is not None and found.headers.get(_ENCRYPTION) == asked:
            return
        await self._service.network.shielded(self._service.call(Ask("DeleteObject", "DELETE", key)))
        raise UnsupportedError(f"encryption {asked} (it stored plain text; removed)", "s3")

    @property
    def signs_payload(self) -> bool:
        """Whether bodies go up with their SHA-256."""
        return self._options.signs_payload(secure=self._service.secure)

    def part_of(self, size: int) -> int:
        """Return the bytes of a part of what has *size* bytes: all, unless it is large."""
        if size < self._options.multipart:
            return max(size, 1)
        return part_size(size, self._options.part)

    async def _put(self, key: str, body: Slice, draft: Draft, headers: dict[str, str]) -> Reply:
        known = draft.sha256 if draft.encoding is None else None
        sums = await body.sums(signed=self.signs_payload and known is None)
        headers[CRC32] = sums.crc32
        return await self._service.call(
            Ask(
                "PutObject",
                "PUT",
                key,
                headers=headers,
                body=await body.whole() if body.size <= WINDOW else body,
                sha256=known or sums.sha256 if self.signs_payload else None,
            )
        )


class S3Writing:
    """Bytes that wait for their commit: chunks, or a local file."""

    def __init__(
        self, publisher: Publisher, service: Service, key: str, refusal: str | None
    ) -> None:
        self._publisher = publisher
        self._service = service
        self._key = key
        self._refusal = refusal
        self._spool: Spool | None = None
        self._advance: Callable[[int], None] = _tell_nobody

    async def write(self, chunk: bytes) -> None:
        if self._spool is None:
            self._refuse()
            self._spool = Chunks(self._service.offload)
        assert isinstance(self._spool, Chunks), "a writing takes chunks or a file"
        await self._spool.add(chunk)

    async def take_file(self, path: Path) -> tuple[int, str]:
        self._refuse()
        file = self._spool = LocalFile(self._service.offload, path)
        await file.open()
        part = self._publisher.part_of(file.size)
        signed = self._publisher.signs_payload and part < file.size
        return file.size, await file.take(part, signed=signed)

    def report_to(self, advance: Callable[[int], None]) -> None:
        self._advance = advance

    async def commit(self, draft: Draft) -> ObjectInfo:
        self._refuse()
        spool = self._spool or Chunks(self._service.offload)

        def tell(count: int) -> None:
            try:
                self._advance(count)
            except Exception as error:
                raise _Told(error) from error

        try:
            info = await self._publisher.publish(self._key, spool, draft, tell)
        except _Told as told:
            raise told.error from None
        spool.close()
        return info

    async def abort(self) -> None:
        if self._spool is not None:
            self._spool.close()

    def _refuse(self) -> None:
        if self._refusal is not None:
            raise ObjectKeyError(self._key, self._refusal)


class _Told(Exception):  # noqa: N818 - it never gets out
    """Who was told raised *error*, which may look like a failure of the network, but is none."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


def _tell_nobody(_count: int) -> None:
    """Send without a word."""


def _etag_in(reply: Reply) -> str | None:
    return reply.document("CompleteMultipartUploadResult").get("ETag") if reply.body else None


def is_absence(error: ServiceError, version: str | None) -> bool:
    """Return whether *error* says that nothing is there, or no such version but a marker."""
    return error.status == 404 or (version is not None and error.status in (400, 405))


def naming(key: str, error: ServiceError) -> HoldfastError:
    """Return ObjectKeyError when *error* is about the name, else *error*."""
    if error.code in _NAMES_REFUSED:
        return ObjectKeyError(key, f"the service can't keep it: {error.code}")
    if error.code == "MetadataTooLarge":
        return InvalidValueError(
            "object", "metadata", "the service takes 2048 bytes with what Holdfast adds to it"
        )
    if error.code == "NotImplemented":
        return UnsupportedError(error.operation, "s3")
    return error


def _condition(draft: Draft) -> dict[str, str]:
    if draft.if_absent:
        return {"if-none-match": "*"}
    if draft.if_match is not None:
        return {"if-match": quoted_etag(draft.if_match)}
    return {}
