"""What can be said to the bucket itself, and what keeps its objects from being removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from holdfast.errors import UnsupportedError
from holdfast.objects.driver import Capability, need
from holdfast.objects.history import check_version
from holdfast.objects.keys import check_key, check_prefix
from holdfast.objects.settings import NEEDS, S, Setting, Versioning

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from holdfast.objects.abilities import Configurable, Locker, UploadKeeper
    from holdfast.objects.driver import Driver
    from holdfast.objects.history import Upload
    from holdfast.objects.settings import ObjectLock, Retention


class Administration:
    """The settings of a bucket, its locks and its uploads under way.

    Settings are values: `Versioning`, `Lifecycle`, `BucketTags`, `DefaultEncryption`,
    `DefaultRetention`, `PublicAccessBlock`, `BucketPolicy`. What the backend lacks is refused with
    UnsupportedError, which names it.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    async def get(self, kind: type[S]) -> S | None:
        """Return the bucket's setting of that *kind*, None when it was never made."""
        return await self._configurable(kind).setting(kind)

    async def set(self, setting: Setting) -> None:
        """Make *setting*, replacing the one of its kind as a whole."""
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
        """Yield uploads in parts that are neither done nor aborted, of whichever program."""
        check_prefix(prefix)
        return self._uploads().uploads(prefix)

    async def abort(self, upload: Upload) -> None:
        """Drop *upload* and its parts; nothing happens when it is done or gone already."""
        await self._uploads().abort_upload(upload)

    async def lock_of(self, key: str, *, version: str | None = None) -> ObjectLock:
        """Return what holds *version* of *key*, the newest when None.

        Raises ObjectNotFoundError.
        """
        return await self._locker().lock_of(check_key(key), _named(version))

    async def retain(self, key: str, retention: Retention, *, version: str | None = None) -> None:
        """Keep that version from being removed until a time; a later time replaces an earlier.

        Raises ObjectNotFoundError, ObjectLockedError for what would weaken a lock.
        """
        await self._locker().retain(check_key(key), _named(version), retention)

    async def hold(self, key: str, *, version: str | None = None) -> None:
        """Keep that version from being removed until `release`. Raises ObjectNotFoundError."""
        await self._locker().hold(check_key(key), _named(version), held=True)

    async def release(self, key: str, *, version: str | None = None) -> None:
        """Lift what `hold` said; a retention stays. Raises ObjectNotFoundError."""
        await self._locker().hold(check_key(key), _named(version), held=False)

    def _configurable(self, kind: type[Setting]) -> Configurable:
        if kind not in NEEDS:
            known = ", ".join(sorted(known.__name__ for known in NEEDS))
            raise TypeError(f"expected a setting ({known}), got {kind!r}")
        need(self._driver, NEEDS[kind])
        return cast("Configurable", self._driver)

    def _uploads(self) -> UploadKeeper:
        need(self._driver, Capability.UPLOADS)
        return cast("UploadKeeper", self._driver)

    def _locker(self) -> Locker:
        need(self._driver, Capability.OBJECT_LOCK)
        return cast("Locker", self._driver)


def _named(version: str | None) -> str | None:
    return None if version is None else check_version(version)
