"""Settings of a bucket, locks on its versions, and its incomplete uploads."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from holdfast.capability import require
from holdfast.errors import InvalidValueError, UnsupportedError
from holdfast.objects.bucket_settings import REQUIRED, S, Setting, Versioning
from holdfast.objects.capabilities import Configurable, ObjectLocker, UploadStore
from holdfast.objects.checks import (
    check_content_type,
    check_etag,
    check_key,
    check_metadata,
    check_prefix,
    check_version,
    content_type_of,
)
from holdfast.objects.driver import BucketCapability

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence

    from holdfast.objects.bucket_settings import ObjectLock, Retention
    from holdfast.objects.driver import BucketDriver
    from holdfast.objects.instrumentation import Instrumentation
    from holdfast.objects.object_info import ObjectInfo, Upload, UploadPart


T = TypeVar("T")


class Administration:
    """The settings of a bucket, its locks and its incomplete uploads.

    Settings are values: `Versioning`, `Lifecycle`, `BucketTags`, `DefaultEncryption`,
    `DefaultRetention`, `PublicAccessBlock`, `BucketPolicy`. What the backend lacks is refused with
    UnsupportedError, which names it. The bucket's audit hook is told of each change.
    """

    def __init__(
        self, driver: BucketDriver, instrumentation: Instrumentation, actor: str | None = None
    ) -> None:
        self._driver = driver
        self._instrumentation = instrumentation
        self._actor = actor

    async def get(self, kind: type[S]) -> S | None:
        """Return the bucket's setting of that *kind*, None when it was never made."""
        return await self._configurable(kind).setting(kind)

    async def set(self, setting: Setting) -> None:
        """Make *setting*, replacing the one of its kind as a whole, in one step."""
        configurable = self._configurable(type(setting))
        await self._told(f"set_{_named(type(setting))}", (), configurable.configure(setting))

    async def unset(self, kind: type[Setting]) -> None:
        """Remove the setting of that *kind*; nothing happens when there is none.

        Raises UnsupportedError for Versioning, which can only be switched off.
        """
        configurable = self._configurable(kind)
        if kind is Versioning:
            what = "forgetting about versions: switch them off"
            raise UnsupportedError(what, self._driver.name)
        await self._told(f"unset_{_named(kind)}", (), configurable.unset(kind))

    def uploads(self, prefix: str = "") -> AsyncIterator[Upload]:
        """Yield uploads in parts that are neither complete nor aborted, of any program."""
        check_prefix(prefix)
        return self._uploads().uploads(prefix)

    async def abort(self, upload: Upload) -> None:
        """Remove *upload* and its parts; nothing happens when it is complete or gone already."""
        await self._told("abort_upload", (upload.key,), self._uploads().abort_upload(upload))

    async def begin_upload(
        self,
        key: str,
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Upload:
        """Begin an upload in parts of *key*, whose parts others send by presigned URLs.

        It stays until `complete_upload` or `abort`, or `sweep_incomplete`. Raises UnsupportedError,
        ObjectKeyError, InvalidValueError.
        """
        check_key(key)
        kind = check_content_type(content_type_of(key) if content_type is None else content_type)
        return await self._uploads().begin_upload(key, kind, check_metadata(metadata or {}))

    async def parts(self, upload: Upload) -> Sequence[UploadPart]:
        """Return the parts of *upload* that the service has, by number: what need not be sent.

        Raises ObjectNotFoundError for an upload that is complete or gone.
        """
        return await self._uploads().parts(upload)

    async def complete_upload(self, upload: Upload, etags: Sequence[str]) -> ObjectInfo:
        """Make the object of *upload*, whose parts from 1 on have these *etags*. Atomic.

        The service's answer to each part names its etag. Raises ObjectNotFoundError for an upload
        that is gone, ServiceError for parts that are not there or too small.
        """
        if isinstance(etags, str) or not etags:
            raise InvalidValueError("upload", "etags", "expected the etag of each part, in order")
        plain = [check_etag(etag.strip('"')) for etag in etags]
        call = self._uploads().complete_upload(upload, plain)
        return await self._told("complete_upload", (upload.key,), call)

    async def lock_of(self, key: str, *, version: str | None = None) -> ObjectLock:
        """Return the lock of *version* of *key*, of the newest when None.

        Raises ObjectNotFoundError.
        """
        return await self._locker().lock_of(check_key(key), _checked(version))

    async def retain(self, key: str, retention: Retention, *, version: str | None = None) -> None:
        """Keep that version from being removed until a time; a later time replaces an earlier.

        Raises ObjectNotFoundError, ObjectLockedError for what would weaken a lock.
        """
        call = self._locker().retain(check_key(key), _checked(version), retention)
        await self._told("retain", (key,), call)

    async def hold(self, key: str, *, version: str | None = None) -> None:
        """Keep that version from being removed until `release`. Raises ObjectNotFoundError."""
        call = self._locker().hold(check_key(key), _checked(version), held=True)
        await self._told("hold", (key,), call)

    async def release(self, key: str, *, version: str | None = None) -> None:
        """Lift the hold that `hold` set; a retention stays. Raises ObjectNotFoundError."""
        call = self._locker().hold(check_key(key), _checked(version), held=False)
        await self._told("release", (key,), call)

    async def _told(self, operation: str, keys: tuple[str, ...], call: Awaitable[T]) -> T:
        """Return what *call* returns; the bucket's audit hook is told of it, also of a failure."""
        return await self._instrumentation.administer(operation, keys, call, actor=self._actor)

    def _configurable(self, kind: type[Setting]) -> Configurable:
        if kind not in REQUIRED:
            known = ", ".join(sorted(known.__name__ for known in REQUIRED))
            raise TypeError(f"expected a setting ({known}), got {kind!r}")
        self._require(REQUIRED[kind])
        assert isinstance(self._driver, Configurable)
        return self._driver

    def _uploads(self) -> UploadStore:
        self._require(BucketCapability.UPLOADS)
        assert isinstance(self._driver, UploadStore)
        return self._driver

    def _locker(self) -> ObjectLocker:
        self._require(BucketCapability.OBJECT_LOCK)
        assert isinstance(self._driver, ObjectLocker)
        return self._driver

    def _require(self, capability: BucketCapability) -> None:
        require(capability, self._driver.capabilities, self._driver.name)


def _named(kind: type[Setting]) -> str:
    """Return what an event calls a kind of setting: `default_retention`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower()


def _checked(version: str | None) -> str | None:
    return None if version is None else check_version(version)
