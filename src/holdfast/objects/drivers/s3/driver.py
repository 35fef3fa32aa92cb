"""The driver of buckets on S3."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

from holdfast.errors import (
    ConfigurationError,
    ObjectKeyError,
    ObjectNotFoundError,
    ServiceError,
)
from holdfast.objects.drivers.s3 import deleting, history, listing, locking, settings, tagging
from holdfast.objects.drivers.s3.copying import Origin, copy
from holdfast.objects.drivers.s3.document import fits, write, write_text
from holdfast.objects.drivers.s3.options import place_of
from holdfast.objects.drivers.s3.profile import Profile, profile_of
from holdfast.objects.drivers.s3.reading import S3Reading
from holdfast.objects.drivers.s3.service import Ask
from holdfast.objects.drivers.s3.writing import Publisher, S3Writing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from holdfast.objects.driver import Capability, CommonPrefix, ObjectInfo
    from holdfast.objects.drivers.s3.options import Place, S3Options
    from holdfast.objects.drivers.s3.service import Reply, Service
    from holdfast.objects.grants import Grant, PostGrant, Presigned, PresignedPost
    from holdfast.objects.history import ObjectVersion, Upload
    from holdfast.objects.settings import ObjectLock, Retention, S, Setting


_LOOKS_AT_ONCE = 16
_KEYS_REFUSED = frozenset({401, 403})


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
            reply = await self._look()
        except ServiceError as error:
            if error.status != 404:
                raise
            if not self._options.create:
                raise ConfigurationError(
                    f"there is no bucket {self._service.bucket!r}; ?create=true makes it"
                ) from error
            await self._create()
            reply = await self._look()
        self._profile = profile_of(reply.headers.get("server", ""))

    def write(self, key: str) -> S3Writing:
        return S3Writing(self._publisher, self._service, key, self._profile.refusal(key))

    def read(self, key: str) -> S3Reading:
        return S3Reading(self._service, self._publisher, key, self._profile.refusal(key))

    async def head(self, key: str) -> ObjectInfo | None:
        if self._profile.refusal(key) is not None:
            return None  # and never asked for: the server might take it for another key
        found = await self._publisher.head(key)
        return None if found is None else found.info

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
        there = await deleting.listed(self._service, unique)
        found = await self.describe([key for key in unique if key not in there])
        there |= {info.key for info in found if info is not None}
        for key in (key for key in there if not fits(key)):
            await self._service.call(Ask("DeleteObject", "DELETE", key))
        await deleting.delete(self._service, [key for key in unique if key in there and fits(key)])
        return len(there)

    async def erase(self, versions: Sequence[ObjectVersion]) -> Sequence[ObjectVersion]:
        return await deleting.erase(self._service, versions)

    async def describe(self, keys: Sequence[str]) -> Sequence[ObjectInfo | None]:
        calls = [partial(self.head, key) for key in keys]
        return await self._service.network.all_of(calls, at_once=_LOOKS_AT_ONCE)

    async def tagged(self, keys: Sequence[str]) -> Sequence[dict[str, str]]:
        calls = [partial(self._tags_or_none, key) for key in keys]
        return await self._service.network.all_of(calls, at_once=_LOOKS_AT_ONCE)

    async def _tags_or_none(self, key: str) -> dict[str, str]:
        try:
            return await self.tags(key)
        except ObjectNotFoundError:  # gone since it was listed
            return {}

    async def copy(self, source: str, target: str) -> ObjectInfo:
        return await self._again(source, None, target)

    async def restore(self, key: str, version: str) -> ObjectInfo:
        return await self._again(key, version, key)

    async def _again(self, source: str, version: str | None, target: str) -> ObjectInfo:
        for key in (source, target):
            refusal = self._profile.refusal(key)
            if refusal is not None:
                if key == source:
                    raise ObjectNotFoundError(source)
                raise ObjectKeyError(target, refusal)
        return await copy(self._service, self._publisher, Origin(source, version), target)

    async def tags(self, key: str) -> dict[str, str]:
        self._refuse_absent(key)
        return await tagging.tags_of(self._service, key)

    async def set_tags(self, key: str, tags: Mapping[str, str]) -> None:
        self._refuse_absent(key)
        await tagging.tag(self._service, key, tags)

    def versions(self, prefix: str) -> AsyncIterator[ObjectVersion]:
        return history.versions(self._service, prefix)

    def read_version(self, key: str, version: str) -> S3Reading:
        refusal = self._profile.refusal(key)
        return S3Reading(self._service, self._publisher, key, refusal, version)

    async def head_version(self, key: str, version: str) -> ObjectInfo | None:
        if self._profile.refusal(key) is not None:
            return None
        found = await self._publisher.head(key, version)
        return None if found is None else found.info

    async def delete_version(self, key: str, version: str) -> bool:
        if self._profile.refusal(key) is not None:
            return False
        return await history.remove(self._service, key, version)

    async def setting(self, kind: type[S]) -> S | None:
        return await settings.read(self._service, kind)

    async def configure(self, setting: Setting) -> None:
        await settings.make(self._service, setting)

    async def unset(self, kind: type[Setting]) -> None:
        await settings.remove(self._service, kind)

    async def lock_of(self, key: str, version: str | None) -> ObjectLock:
        self._refuse_absent(key)
        return await locking.lock_of(self._service, key, version)

    async def retain(self, key: str, version: str | None, retention: Retention) -> None:
        self._refuse_absent(key)
        await locking.retain(self._service, key, version, retention)

    async def hold(self, key: str, version: str | None, *, held: bool) -> None:
        self._refuse_absent(key)
        await locking.hold(self._service, key, version, held=held)

    @property
    def retries(self) -> int:
        return self._service.retries

    async def probe(self) -> None:
        await self._look()

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
        return await self._service.presign(self._public_place(), key, asked, grant)

    async def presign_post(self, key: str, grant: PostGrant) -> PresignedPost:
        refusal = self._profile.refusal(key)
        if refusal is not None:
            raise ObjectKeyError(key, refusal)
        return await self._service.presign_post(self._public_place(), key, grant)

    def uploads(self, prefix: str) -> AsyncIterator[Upload]:
        return listing.uploads(self._service, prefix)

    async def abort_upload(self, upload: Upload) -> None:
        query = (("uploadId", upload.id),)
        try:
            await self._service.call(Ask("AbortMultipartUpload", "DELETE", upload.key, query))
        except ServiceError as error:
            if error.status != 404:  # completed or aborted meanwhile
                raise

    def _public_place(self) -> Place:
        endpoint = self._options.public_endpoint_url or self._options.endpoint_url
        return place_of(self._service.bucket, replace(self._options, endpoint_url=endpoint))

    def _refuse_absent(self, key: str) -> None:
        if self._profile.refusal(key) is not None:
            raise ObjectNotFoundError(key)

    async def _look(self) -> Reply:
        """Ask after the bucket. Such an answer has no body: its status has to say it all.

        Raises ConfigurationError when the service doesn't take these keys.
        """
        try:
            return await self._service.call(Ask("HeadBucket", "HEAD"))
        except ServiceError as error:
            if error.status not in _KEYS_REFUSED:
                raise
            raise ConfigurationError(
                f"the bucket {self._service.bucket!r} answers {error.status}: "
                "the keys are refused, or may not see this bucket"
            ) from error

    async def _create(self) -> None:
        body = b""
        if self._options.region not in ("", "us-east-1"):
            body = write(
                "CreateBucketConfiguration",
                write_text("LocationConstraint", self._options.region),
            ).encode()
        digest = hashlib.sha256(body).hexdigest()
        headers = {}
        if self._options.object_lock:
            headers["x-amz-bucket-object-lock-enabled"] = "true"
        ask = Ask("CreateBucket", "PUT", headers=headers, body=body, sha256=digest)
        try:
            await self._service.call(ask)
        except ServiceError as error:
            if error.code != "BucketAlreadyOwnedByYou":
                raise
