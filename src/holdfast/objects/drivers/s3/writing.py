"""An object on its way up."""

from __future__ import annotations

import base64
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

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
from holdfast.objects.drivers.s3.resuming import ResumableUpload
from holdfast.objects.drivers.s3.service import Ask, Reply
from holdfast.objects.drivers.s3.spool import WINDOW, FileSpool, Spool
from holdfast.objects.drivers.s3.tagging import tagging_header
from holdfast.objects.localfile import refusals
from holdfast.objects.metadata import UNKNOWN_CONTENT

if TYPE_CHECKING:
    from collections.abc import Mapping

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
        headers[WRITE] = uuid4().hex
        if self._options.encryption:
            headers[_ENCRYPTION] = self._options.encryption
        if self._options.kms_key:
            headers[_KMS_KEY] = self._options.kms_key
        return headers

    async def publish(self, key: str, spool: Spool | FileSpool, draft: Draft) -> ObjectInfo:
        """Store what *spool* holds as *key*, in one request or in parts."""
        headers = {**self.headers(draft), **tagging_header(draft.tags)}
        condition = _condition(draft)
        upload = ResumableUpload(self._service, self._options, key, headers)
        try:
            if spool.size < self._options.multipart:
                reply = await self._put(key, spool, draft, {**headers, **condition})
            elif draft.notes is None:
                reply = await upload.send(spool, condition)
            else:
                reply = await upload.resume(spool, condition, draft.notes)
        except ServiceError as error:
            found = await self.after_refusal(key, upload.mark, error)
            if found is not None:
                return found
            if draft.notes is not None and error.code == "NoSuchUpload":
                return await self.publish(key, spool, draft)  # the notes are gone: from the start
            if condition and (error.status in (404, 412) or error.code == "PreconditionFailed"):
                raise PreconditionFailedError("object", key) from error
            raise naming(key, error) from error
        await self.check_encryption(key, reply)
        etag = reply.headers.get("etag") or (reply.document().get("ETag") if reply.body else "")
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

    async def _put(
        self, key: str, spool: Spool | FileSpool, draft: Draft, headers: dict[str, str]
    ) -> Reply:
        await spool.check()
        headers[CRC32] = base64.b64encode(spool.crc32.to_bytes(4, "big")).decode()
        body = (
            await spool.read(0, spool.size) if spool.size <= WINDOW else spool.slice(0, spool.size)
        )
        sha256 = None
        if not self._service.secure:
            sha256 = draft.sha256 if draft.encoding is None else await spool.sha256()
        return await self._service.call(
            Ask("PutObject", "PUT", key, headers=headers, body=body, sha256=sha256)
        )


class S3Writing:
    """Chunks that wait in a spool for their commit."""

    def __init__(self, publisher: Publisher, spool: Spool, key: str, refusal: str | None) -> None:
        self._publisher = publisher
        self._spool: Spool | FileSpool = spool
        self._key = key
        self._refusal = refusal

    async def write(self, chunk: bytes) -> None:
        if self._refusal is not None:
            raise ObjectKeyError(self._key, self._refusal)
        if not self._spool.add_small(chunk):
            with refusals(Path(tempfile.gettempdir())):
                await self._spool.add(chunk)

    def borrow(self, path: Path) -> None:
        self._spool.close()
        self._spool = FileSpool(self._spool.offload, path)

    async def commit(self, draft: Draft) -> ObjectInfo:
        if self._refusal is not None:
            raise ObjectKeyError(self._key, self._refusal)
        info = await self._publisher.publish(self._key, self._spool, draft)
        self._spool.close()
        return info

    async def abort(self) -> None:
        self._spool.close()


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
