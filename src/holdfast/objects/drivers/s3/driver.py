"""The driver of buckets on S3 and on compatible servers."""

from __future__ import annotations

import hashlib
from copy import copy as copy_of
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

from holdfast.clock import utc_now
from holdfast.errors import (
    ConfigurationError,
    ObjectKeyError,
    ObjectNotFoundError,
    ServiceError,
)
from holdfast.objects.drivers.s3 import (
    batch_delete,
    listing_pages,
    multipart,
    object_lock,
    setting_documents,
)
from holdfast.objects.drivers.s3.headers import metadata_headers
from holdfast.objects.drivers.s3.options import address_of
from holdfast.objects.drivers.s3.range_reader import S3RangeReader
from holdfast.objects.drivers.s3.server_copy import CopySource, copy
from holdfast.objects.drivers.s3.server_profile import ServerProfile, server_profile_of
from holdfast.objects.drivers.s3.service import S3Request
from holdfast.objects.drivers.s3.tags import set_tags, tags_of
from holdfast.objects.drivers.s3.uploader import S3ObjectWriter, Uploader
from holdfast.objects.drivers.s3.xml_document import fits, write, write_text
from holdfast.objects.object_info import Upload, UploadPart

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from holdfast.objects.bucket_settings import ObjectLock, Retention, S, Setting
    from holdfast.objects.driver import BucketCapability
    from holdfast.objects.drivers.s3.options import BucketAddress, S3Options
    from holdfast.objects.drivers.s3.service import S3Response, S3Service
    from holdfast.objects.object_info import CommonPrefix, ObjectInfo, ObjectVersion
    from holdfast.objects.presign import (
        PresignedPost,
        PresignedURL,
        PresignOptions,
        PresignPostOptions,
    )

_LOOKS_AT_ONCE = 16
_KEYS_REFUSED = frozenset({401, 403})


class S3Driver:
    """A bucket of one S3 service. Safe to use from many tasks or threads at once."""

    def __init__(self, service: S3Service, options: S3Options) -> None:
        self._service = service
        self._options = options
        self._uploader = Uploader(service, options)
        self._profile: ServerProfile = server_profile_of("")

    @property
    def name(self) -> str:
        """The kind of server, for error messages."""
        return f"s3 ({self._profile.name})"

    @property
    def capabilities(self) -> frozenset[BucketCapability]:
        """What this kind of server can do."""
        return self._profile.capabilities

    async def prepare(self) -> None:
        """Find out which kind of server this is, and make the bucket if asked to.

        Raises ConfigurationError when the bucket is not there.
        """
        try:
            response = await self._head_bucket()
        except ServiceError as error:
            if error.status == 400:  # without a body; a GET is told in which region the bucket is
                await self._service.call(
                    S3Request("GetBucketLocation", "GET", query=(("location", ""),))
                )
            elif error.status != 404:
                raise
            elif not self._options.create:
                raise ConfigurationError(
                    f"there is no bucket {self._service.bucket!r}; ?create=true makes it"
                ) from error
            else:
                await self._create_bucket()
            response = await self._head_bucket()
        self._profile = server_profile_of(response.headers.get("server", ""))

    def write(self, key: str) -> S3ObjectWriter:
        """Return a writer of *key*. No I/O."""
        return S3ObjectWriter(self._uploader, self._service, key, self._refusal(key))

    def read(self, key: str) -> S3RangeReader:
        """Return a reader of *key*. No I/O."""
        return S3RangeReader(self._service, self._uploader, key, self._refusal(key))

    async def head(self, key: str) -> ObjectInfo | None:
        """Return the description of *key*, None when there is no such object."""
        if self._refusal(key) is not None:
            return None  # and never asked for: the server might take it for another key
        found = await self._uploader.head(key)
        return None if found is None else found.info

    def list(
        self, prefix: str, *, after: str | None, delimiter: str | None
    ) -> AsyncIterator[ObjectInfo | CommonPrefix]:
        """Yield the entries under *prefix* behind *after*, in code-point order."""
        return listing_pages.list_objects(self._service, prefix, after=after, delimiter=delimiter)

    async def delete(self, key: str) -> bool:
        """Remove *key* or hide it behind a delete marker; return whether it was there."""
        there = await self.head(key) is not None
        if there:
            await self._service.call(S3Request("DeleteObject", "DELETE", key))
        return there

    async def delete_many(self, keys: Sequence[str]) -> int:
        """Remove *keys*, a thousand a request, and return how many were there before."""
        unique = list(dict.fromkeys(keys))
        there = await batch_delete.listed(self._service, unique)
        found = await self.describe([key for key in unique if key not in there])
        there |= {info.key for info in found if info is not None}
        for key in (key for key in there if not fits(key)):
            await self._service.call(S3Request("DeleteObject", "DELETE", key))
        await batch_delete.delete(
            self._service, [key for key in unique if key in there and fits(key)]
        )
        return len(there)

    async def erase(self, versions: Sequence[ObjectVersion]) -> Sequence[ObjectVersion]:
        """Remove each of *versions* permanently; return those that a lock holds. Not atomic."""
        return await batch_delete.erase(self._service, versions)

    async def describe(self, keys: Sequence[str]) -> Sequence[ObjectInfo | None]:
        """Return the description of each of *keys*, by position, None where no object is."""
        calls = [partial(self.head, key) for key in keys]
        return await self._service.network.all_of(calls, at_once=_LOOKS_AT_ONCE)

    async def tagged(self, keys: Sequence[str]) -> Sequence[dict[str, str]]:
        """Return the tags of each of *keys*, by position; none where no object is."""
        calls = [partial(self._tags_or_none, key) for key in keys]
        return await self._service.network.all_of(calls, at_once=_LOOKS_AT_ONCE)

    async def _tags_or_none(self, key: str) -> dict[str, str]:
        try:
            return await self.tags(key)
        except ObjectNotFoundError:  # gone since it was listed
            return {}

    async def copy(self, source: str, target: str) -> ObjectInfo:
        """Publish *source* with all that it has as *target*. Raises ObjectNotFoundError."""
        return await self._copy_object(source, None, target)

    async def restore(self, key: str, version: str) -> ObjectInfo:
        """Publish that version again, as the newest. Raises ObjectNotFoundError."""
        return await self._copy_object(key, version, key)

    async def _copy_object(self, source: str, version: str | None, target: str) -> ObjectInfo:
        self._refuse_absent(source)
        self._refuse_key(target)
        return await copy(self._service, self._uploader, CopySource(source, version), target)

    async def tags(self, key: str) -> dict[str, str]:
        """Return the tags of *key*. Raises ObjectNotFoundError."""
        self._refuse_absent(key)
        return await tags_of(self._service, key)

    async def set_tags(self, key: str, tags: Mapping[str, str]) -> None:
        """Replace the tags of *key*. Raises ObjectNotFoundError."""
        self._refuse_absent(key)
        await set_tags(self._service, key, tags)

    def versions(self, prefix: str) -> AsyncIterator[ObjectVersion]:
        """Yield every version and delete marker of keys that start with *prefix*, in order."""
        return listing_pages.list_versions(self._service, prefix)

    def read_version(self, key: str, version: str) -> S3RangeReader:
        """Return a reader of one version. No I/O."""
        refusal = self._refusal(key)
        return S3RangeReader(self._service, self._uploader, key, refusal, version)

    async def head_version(self, key: str, version: str) -> ObjectInfo | None:
        """Return the description of that version; None for a delete marker and for no version."""
        if self._refusal(key) is not None:
            return None
        found = await self._uploader.head(key, version)
        return None if found is None else found.info

    async def delete_version(self, key: str, version: str) -> bool:
        """Remove one version or delete marker permanently; return whether it was there."""
        if self._refusal(key) is not None:
            return False
        return await object_lock.remove_version(self._service, key, version)

    async def setting(self, kind: type[S]) -> S | None:
        """Return the setting of that *kind*, None when it was never made."""
        return await setting_documents.read(self._service, kind)

    async def configure(self, setting: Setting) -> None:
        """Replace the setting of this kind."""
        await setting_documents.make(self._service, setting)

    async def unset(self, kind: type[Setting]) -> None:
        """Remove the setting of that *kind*, if there is one."""
        await setting_documents.remove(self._service, kind)

    async def lock_of(self, key: str, version: str | None) -> ObjectLock:
        """Return the lock of that version, of the newest when None. Raises ObjectNotFoundError."""
        self._refuse_absent(key)
        return await object_lock.lock_of(self._service, key, version)

    async def retain(self, key: str, version: str | None, retention: Retention) -> None:
        """Keep that version until a time. Raises ObjectNotFoundError, ObjectLockedError."""
        self._refuse_absent(key)
        await object_lock.retain(self._service, key, version, retention)

    async def hold(self, key: str, version: str | None, *, held: bool) -> None:
        """Set or lift the legal hold of that version. Raises ObjectNotFoundError."""
        self._refuse_absent(key)
        await object_lock.hold(self._service, key, version, held=held)

    @property
    def retries(self) -> int:
        """How many requests were sent again since the bucket was opened."""
        return self._service.retries

    async def probe(self) -> None:
        """Do the least that shows that the backend can be used. Raises what prevents it."""
        await self._head_bucket()

    async def sweep(self) -> int:
        """Do nothing: only `sweep_incomplete`, by age, finds what a dead writer left here."""
        return 0

    async def presign(self, key: str, options: PresignOptions) -> PresignedURL:
        """Return a URL for *key*. No I/O except for credentials."""
        self._refuse_key(key)
        asked: list[tuple[str, str]] = []
        asked += [(f"response-{name}", text) for name, text in options.answer.items()]
        if options.upload is not None:
            asked += [("uploadId", options.upload), ("partNumber", str(options.part))]
        if options.method in ("GET", "HEAD") and options.content_type is not None:
            asked.append(("response-content-type", options.content_type))
        if options.filename is not None:
            name = quote(options.filename, safe="")
            asked.append(("response-content-disposition", f"attachment; filename*=UTF-8''{name}"))
        return await self._service.presign(self._public_address(), key, asked, options)

    async def presign_post(self, key: str, options: PresignPostOptions) -> PresignedPost:
        """Return a form for *key*. No I/O except for credentials."""
        self._refuse_key(key)
        return await self._service.presign_post(self._public_address(), key, options)

    def encrypted_with(self, key: bytes) -> S3Driver:
        """Return the same driver, with *key* for what is written and read. No I/O."""
        service, keyed = self._service.encrypted_with(key), copy_of(self)
        keyed._service = service  # noqa: SLF001 - its own
        keyed._uploader = Uploader(service, self._options)  # noqa: SLF001
        return keyed

    def uploads(self, prefix: str) -> AsyncIterator[Upload]:
        """Yield the incomplete uploads whose key starts with *prefix*."""
        return listing_pages.list_uploads(self._service, prefix)

    async def abort_upload(self, upload: Upload) -> None:
        """Remove *upload* and its parts, unless it is gone."""
        try:
            await multipart.abort_upload(self._service, upload.key, upload.id)
        except ServiceError as error:
            if error.status != 404:  # completed or aborted meanwhile
                raise

    async def begin_upload(
        self, key: str, content_type: str, metadata: Mapping[str, str]
    ) -> Upload:
        """Return a new upload in parts of *key*. Raises ObjectKeyError."""
        self._refuse_key(key)
        headers = {"content-type": content_type, **metadata_headers(metadata)}
        _, upload = await multipart.create_upload(self._service, key, headers)
        return Upload(key, upload, utc_now().replace(microsecond=0))

    async def parts(self, upload: Upload) -> Sequence[UploadPart]:
        """Return its parts that are there. Raises ObjectNotFoundError for one that is gone."""
        try:
            return await listing_pages.list_parts(self._service, upload.key, upload.id)
        except ServiceError as error:
            if error.status == 404:
                raise ObjectNotFoundError(upload.key) from error
            raise

    async def complete_upload(self, upload: Upload, etags: Sequence[str]) -> ObjectInfo:
        """Make the object of its parts. Raises ObjectNotFoundError for an upload that is gone."""
        parts = [
            multipart.part_element(number, f'"{etag}"') for number, etag in enumerate(etags, 1)
        ]
        try:
            await multipart.complete_upload(self._service, upload.key, upload.id, parts, {})
        except ServiceError as error:
            if error.status == 404:
                raise ObjectNotFoundError(upload.key) from error
            raise
        found = await self.head(upload.key)
        if found is None:
            raise ObjectNotFoundError(upload.key)
        return found

    def _public_address(self) -> BucketAddress:
        endpoint = self._options.public_endpoint_url or self._options.endpoint_url
        options = replace(self._options, endpoint_url=endpoint, region=self._service.region)
        return address_of(self._service.bucket, options)

    def _refusal(self, key: str) -> str | None:
        """Return why this kind of server would not keep *key* as it is, None when it would."""
        if not self._profile.rules:
            return None
        encoded = key.encode()
        return next((why for rule, why in self._profile.rules if rule.search(encoded)), None)

    def _refuse_key(self, key: str) -> None:
        """Raise ObjectKeyError unless this kind of server would keep *key* as it is."""
        refusal = self._refusal(key)
        if refusal is not None:
            raise ObjectKeyError(key, refusal)

    def _refuse_absent(self, key: str) -> None:
        """Raise ObjectNotFoundError for a key under which this kind of server has nothing."""
        if self._refusal(key) is not None:
            raise ObjectNotFoundError(key)

    async def _head_bucket(self) -> S3Response:
        """Request the bucket's head: an answer without a body, so only the status tells.

        Raises ConfigurationError when the service doesn't take these credentials.
        """
        try:
            return await self._service.call(S3Request("HeadBucket", "HEAD"))
        except ServiceError as error:
            if error.status not in _KEYS_REFUSED:
                raise
            raise ConfigurationError(
                f"the bucket {self._service.bucket!r} answers {error.status}: "
                "the keys are refused, or may not see this bucket"
            ) from error

    async def _create_bucket(self) -> None:
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
        request = S3Request("CreateBucket", "PUT", headers=headers, body=body, sha256=digest)
        try:
            await self._service.call(request)
        except ServiceError as error:
            if error.code != "BucketAlreadyOwnedByYou":
                raise
