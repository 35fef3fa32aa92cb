"""What keeps a bucket in order, and what it says of itself."""

from __future__ import annotations

import time
from copy import copy
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self, cast

from holdfast.errors import HoldfastError, InvalidValueError
from holdfast.objects.abilities import Prober, Retrying, UploadKeeper
from holdfast.objects.administration import Administration
from holdfast.objects.driver import Capability, need
from holdfast.objects.grants import Grant, PostGrant
from holdfast.objects.keys import check_key
from holdfast.objects.metadata import check_content_type
from holdfast.objects.watching import Health, Watch

if TYPE_CHECKING:
    from holdfast.objects.abilities import PostPresigner, Presigner
    from holdfast.objects.driver import Driver
    from holdfast.objects.grants import Presigned, PresignedPost
    from holdfast.objects.watching import Hooks, Stats
    from holdfast.offload import Offload

_READ = Grant()
_FORM = PostGrant()


class Upkeep:
    """The part of a bucket that is not about one object's bytes."""

    def __init__(self, driver: Driver, offload: Offload, hooks: Hooks) -> None:
        self._driver = driver
        self._offload = offload
        self._watch = Watch(hooks)
        self._actor: str | None = None

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What this backend can beyond what every backend can."""
        return self._driver.capabilities

    @property
    def admin(self) -> Administration:
        """The bucket's settings, locks and uploads under way."""
        return Administration(self._driver)

    def acting_as(self, actor: str) -> Self:
        """Return the same bucket, whose writes are told to the audit as *actor*'s."""
        view = copy(self)
        view._actor = actor  # noqa: SLF001 - its own
        return view

    def stats(self) -> Stats:
        """Return what was done since the bucket was opened, here. No I/O."""
        driver = self._driver
        return self._watch.stats(driver.retries if isinstance(driver, Retrying) else 0)

    async def health(self) -> Health:
        """Return whether the backend can be used now. Raises nothing that Holdfast raises."""
        began = time.perf_counter()
        try:
            if isinstance(self._driver, Prober):
                await self._driver.probe()
        except HoldfastError as error:
            reason = f"{type(error).__name__}: {error}"
            return Health(ok=False, seconds=time.perf_counter() - began, reason=reason)
        return Health(ok=True, seconds=time.perf_counter() - began, reason=None)

    async def sweep(self) -> int:
        """Remove what dead writers left behind; return how many files it removed.

        Opening a bucket does it too. What living writers hold, here and in other processes, stays.
        """
        return await self._driver.sweep()

    async def presign(self, key: str, grant: Grant = _READ) -> Presigned:
        """Return a URL with which anybody may do what *grant* says, until it ends.

        It ends at the time that the result names: as asked, or earlier with the keys that sign it.
        That there is such an object is not checked. Raises UnsupportedError where no server
        answers URLs.
        """
        check_key(key)
        if grant.content_type is not None:
            check_content_type(grant.content_type)
        need(self._driver, Capability.PRESIGN)
        return await cast("Presigner", self._driver).presign(key, grant)

    async def presign_post(self, key: str, grant: PostGrant = _FORM) -> PresignedPost:
        """Return a form with which a browser may send one file as *key*, until it ends.

        As with `presign`, the end may come earlier than asked. The server refuses another key,
        type or size than *grant* says.
        """
        check_key(key)
        if grant.content_type is not None:
            check_content_type(grant.content_type)
        need(self._driver, Capability.PRESIGN_POST)
        return await cast("PostPresigner", self._driver).presign_post(key, grant)

    async def sweep_incomplete(self, older_than: timedelta) -> int:
        """Remove uploads that began longer ago than *older_than*; return how many.

        On S3 a writer that died leaves an upload in parts, which costs money and is in no listing;
        only its age tells it from one under way, so choose more than any upload takes. All such
        uploads of the bucket go, also those of other programs. Elsewhere it is `sweep`.
        """
        if older_than < timedelta(0):
            raise InvalidValueError(
                "sweep", "older_than", f"expected no less than 0, got {older_than}"
            )
        keeper = self._driver
        if not isinstance(keeper, UploadKeeper):
            return await keeper.sweep()
        limit = datetime.now(UTC) - older_than
        old = [upload async for upload in keeper.uploads("") if upload.began <= limit]
        for upload in old:
            await keeper.abort_upload(upload)
        return len(old)
