"""Settings of a bucket, locks on its versions, and its incomplete uploads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.capability import require
from holdfast.errors import UnsupportedError
from holdfast.objects.bucket_settings import REQUIRED, S, Setting, Versioning
from holdfast.objects.capabilities import Configurable, ObjectLocker, UploadStore
from holdfast.objects.checks import check_key, check_prefix, check_version
from holdfast.objects.driver import BucketCapability

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from holdfast.objects.bucket_settings import ObjectLock, Retention
    from holdfast.objects.driver import BucketDriver
    from holdfast.objects.object_info import Upload


class Administration:
    """The settings of a bucket, its locks and its incomplete uploads.

    Settings are values: `Versioning`, `Lifecycle`, `BucketTags`, `DefaultEncryption`,
    `DefaultRetention`, `PublicAccessBlock`, `BucketPolicy`. What the backend lacks is refused with
    UnsupportedError, which names it.
    """

    def __init__(self, driver: BucketDriver) -> None:
        self._driver = driver

    async def get(self, kind: type[S]) -> S | None:
        """Return the bucket's setting of that *kind*, None when it was never made."""
        return await self._configurable(kind).setting(kind)

    async def set(self, setting: Setting) -> None:
        """Make *setting*, replacing the one of its kind as a whole, in one step."""
        await self._configurable(type(setting)).configure(setting)

    async def unset(self, kind: type[Setting]) -> None:
        """Remove the setting of that *kind*; nothing happens when there is none.

        Raises UnsupportedError for Versioning, which can only be switched off.
        """
        configurable = self._configurable(kind)
        if kind is Versioning:
            what = "forgetting about versions: switch them off"
            raise UnsupportedError(what, self._driver.name)
        await configurable.unset(kind)

    def uploads(self, prefix: str = "") -> AsyncIterator[Upload]:
        """Yield uploads in parts that are neither complete nor aborted, of any program."""
        check_prefix(prefix)
        return self._uploads().uploads(prefix)

    async def abort(self, upload: Upload) -> None:
        """Remove *upload* and its parts; nothing happens when it is complete or gone already."""
        await self._uploads().abort_upload(upload)

    async def lock_of(self, key: str, *, version: str | None = None) -> ObjectLock:
        """Return the lock of *version* of *key*, of the newest when None.

        Raises ObjectNotFoundError.
        """
        return await self._locker().lock_of(check_key(key), _checked(version))

    async def retain(self, key: str, retention: Retention, *, version: str | None = None) -> None:
        """Keep that version from being removed until a time; a later time replaces an earlier.

        Raises ObjectNotFoundError, ObjectLockedError for what would weaken a lock.
        """
        await self._locker().retain(check_key(key), _checked(version), retention)

    async def hold(self, key: str, *, version: str | None = None) -> None:
        """Keep that version from being removed until `release`. Raises ObjectNotFoundError."""
        await self._locker().hold(check_key(key), _checked(version), held=True)

    async def release(self, key: str, *, version: str | None = None) -> None:
        """Lift the hold that `hold` set; a retention stays. Raises ObjectNotFoundError."""
        await self._locker().hold(check_key(key), _checked(version), held=False)

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


def _checked(version: str | None) -> str | None:
    return None if version is None else check_version(version)
