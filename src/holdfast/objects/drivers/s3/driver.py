"""The driver of buckets on S3."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

from holdfast.errors import (
    ConfigurationError,
    ObjectKeyError,
    ObjectNotFoundError,
    ServiceError,
    UnavailableError,
    UnsupportedError,
)
from holdfast.objects.driver import CommonPrefix, ObjectInfo
from holdfast.objects.drivers.s3 import listing
from holdfast.objects.drivers.s3.document import fits, write, write_text
from holdfast.objects.drivers.s3.facts import iso_time, plain_etag, quoted_etag
from holdfast.objects.drivers.s3.options import place_of
from holdfast.objects.drivers.s3.profile import Profile, profile_of
from holdfast.objects.drivers.s3.reading import S3Reading
from holdfast.objects.drivers.s3.service import Ask
from holdfast.objects.drivers.s3.spool import Spool
from holdfast.objects.drivers.s3.writing import Publisher, S3Writing, naming
from holdfast.objects.metadata import UNKNOWN_CONTENT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import timedelta

    from holdfast.objects.driver import Capability, Grant, Presigned
    from holdfast.objects.drivers.s3.options import S3Options
    from holdfast.objects.drivers.s3.service import Service

_MOST_COPIED = 5 * 1024**3
_MOST_COPIES = 5
_BATCH = 1000
_HEADS_AT_ONCE = 16


class S3Driver:
    """A bucket of one S3 service. Safe to use from many tasks or threads at once."""

    def __init__(self, service: Service, options: S3Options) -> None:
        self._service = service
        self._options = options
        self._publisher = Publisher(service, options)
        self._profile: Profile = profile_of("")

    @property
    def name(self) -> str:
        return f"s3 ({self._profile.name})"

    @property
    def capabilities(self) -> frozenset[Capability]:
        return self._profile.capabilities

    async def prepare(self) -> None:
        """Learn which kind of server this is, and make the bucket if asked to.

        Raises ConfigurationError when the bucket is not there.
        """
        try:
            reply = await self._service.call(Ask("HeadBucket", "HEAD"))
        except ServiceError as error:
            if error.status != 404:
                raise
            if not self._options.create:
                raise ConfigurationError(
                    f"there is no bucket {self._service.bucket!r}; ?create=true makes it"
                ) from error
            await self._create()
            reply = await self._service.call(Ask("HeadBucket", "HEAD"))
        self._profile = profile_of(reply.headers.get("server", ""))

    def write(self, key: str) -> S3Writing:
        spool = Spool(self._service.offload)
        return S3Writing(self._publisher, spool, key, self._profile.refusal(key))

    def read(self, key: str) -> S3Reading:
        return S3Reading(self._service, self._publisher, key, self._profile.refusal(key))

    async def head(self, key: str) -> ObjectInfo | None:
        if self._profile.refusal(key) is not None:
            return None  # and never asked for: the server might take it for another key
        found = await self._publisher.head(key)
        return None if found is None else found[0]

    def list(
        self, prefix: str, *, after: str | None, delimiter: str | None
    ) -> AsyncIterator[ObjectInfo | CommonPrefix]:
        return listing.entries(self._service, prefix, after=after, delimiter=delimiter)

    async def delete(self, key: str) -> bool:
        there = await self.head(key) is not None
        if there:
            await self._service.call(Ask("DeleteObject", "DELETE", key))
        return there

    async def delete_many(self, keys: Sequence[str]) -> int:
        """Remove *keys*, a thousand a request, and return how many were there before."""
        unique = list(dict.fromkeys(keys))
        calls = [partial(self.head, key) for key in unique]
        found = await self._service.network.all_of(calls, at_once=_HEADS_AT_ONCE)
        there = [info.key for info in found if info is not None]
        for key in (key for key in there if not fits(key)):
            await self._service.call(Ask("DeleteObject", "DELETE", key))
        named = [key for key in there if fits(key)]
        for start in range(0, len(named), _BATCH):
            await self._delete_batch(named[start : start + _BATCH])
        return len(there)

    async def copy(self, source: str, target: str) -> ObjectInfo:
        for _ in range(_MOST_COPIES):
            try:
                return await self._copied(source, target)
            except ServiceError as error:
                if error.status != 412:  # replaced between the look at it and the copy
                    raise
        raise UnavailableError(f"{source!r} is replaced faster than it can be copied")

    async def _copied(self, source: str, target: str) -> ObjectInfo:
        refusal = self._profile.refusal(target)
        if refusal is not None:
            raise ObjectKeyError(target, refusal)
        info = await self.head(source)
        if info is None:
            raise ObjectNotFoundError(source)
        if info.size > _MOST_COPIED:
            raise UnsupportedError("copying more than 5 GiB", self.name)
        assert info.metadata is not None
        kind = info.content_type or UNKNOWN_CONTENT
        headers = self._publisher.headers(kind, info.metadata, info.sha256)
        headers["x-amz-copy-source"] = f"/{self._service.bucket}/{quote(source, safe='-_.~/')}"
        headers["x-amz-copy-source-if-match"] = quoted_etag(info.etag)
        headers["x-amz-metadata-directive"] = "REPLACE"
        try:
            reply = await self._service.call(Ask("CopyObject", "PUT", target, headers=headers))
        except ServiceError as error:
            if error.status == 404:
                raise ObjectNotFoundError(source) from error
            raise naming(target, error) from error
        await self._publisher.check_encryption(target, reply)
        copied = reply.document()
        return ObjectInfo(
            key=target,
            size=info.size,
            content_type=kind,
            metadata=info.metadata,
            etag=plain_etag(copied.need("ETag")),
            modified=iso_time(copied.need("LastModified")),
            sha256=info.sha256,
        )

    async def sweep(self) -> int:
        """Nothing: what a dead writer leaves, only its age tells from others."""
        return 0

    async def presign(self, key: str, grant: Grant) -> Presigned:
        refusal = self._profile.refusal(key)
        if refusal is not None:
            raise ObjectKeyError(key, refusal)
        asked: list[tuple[str, str]] = []
        if grant.method == "GET" and grant.content_type is not None:
            asked.append(("response-content-type", grant.content_type))
        if grant.filename is not None:
            name = quote(grant.filename, safe="")
            asked.append(("response-content-disposition", f"attachment; filename*=UTF-8''{name}"))
        endpoint = self._options.public_endpoint_url or self._options.endpoint_url
        place = place_of(self._service.bucket, replace(self._options, endpoint_url=endpoint))
        return await self._service.presign(place, key, asked, grant)

    async def sweep_incomplete(self, older_than: timedelta) -> int:
        limit = datetime.now(UTC) - older_than
        old = [
            Ask("AbortMultipartUpload", "DELETE", key, (("uploadId", upload),))
            async for key, upload, began in listing.uploads(self._service)
            if began <= limit
        ]
        return sum([await self._aborted(ask) for ask in old])

    async def _aborted(self, ask: Ask) -> bool:
        try:
            await self._service.call(ask)
        except ServiceError as error:
            if error.status == 404:  # completed or aborted meanwhile
                return False
            raise
        return True

    async def _create(self) -> None:
        body = b""
        if self._options.region not in ("", "us-east-1"):
            body = write(
                "CreateBucketConfiguration",
                write_text("LocationConstraint", self._options.region),
            ).encode()
        digest = hashlib.sha256(body).hexdigest()
        try:
            await self._service.call(Ask("CreateBucket", "PUT", body=body, sha256=digest))
        except ServiceError as error:
            if error.code != "BucketAlreadyOwnedByYou":
                raise

    async def _delete_batch(self, keys: Sequence[str]) -> None:
        body = write(
            "Delete",
            write_text("Quiet", "true"),
            *(write("Object", write_text("Key", key)) for key in keys),
        ).encode()
        md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        reply = await self._service.call(
            Ask(
                "DeleteObjects",
                "POST",
                query=(("delete", ""),),
                headers={"content-md5": md5, "content-type": "application/xml"},
                body=body,
                sha256=hashlib.sha256(body).hexdigest(),
            )
        )
        for error in reply.document().all("Error") if reply.body else ():
            raise ServiceError(
                f"DeleteObjects of {error.get('Key')!r}",
                200,
                error.get("Code") or "",
                error.get("Message") or "no reason given",
            )
