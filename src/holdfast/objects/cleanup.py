"""What removes for good: the sweep of what dead writers left, and erasure."""

from __future__ import annotations

from datetime import timedelta

from holdfast.clock import utc_now
from holdfast.errors import InvalidValueError
from holdfast.objects.bucket_backend import BucketBackend
from holdfast.objects.capabilities import UploadStore
from holdfast.objects.checks import check_key, check_prefix
from holdfast.objects.driver import BucketCapability
from holdfast.objects.erasure import Erasure, erase


class BucketCleanup(BucketBackend):
    """The verbs of a bucket that remove what no listing shows; `Bucket` inherits it."""

    async def sweep(self) -> int:
        """Remove what writers that died left behind; return how many files it removed.

        Opening a bucket does it too. What living writers hold, here and in other processes, stays.
        """
        return await self._driver.sweep()

    async def sweep_incomplete(self, older_than: timedelta) -> int:
        """Remove uploads that began longer ago than *older_than*; return how many.

        On S3 a writer that died leaves an upload in parts, which costs money and is in no listing;
        only its age tells it from one that goes on, so choose more than any upload takes. All such
        uploads of the bucket go, also those of other programs. Without the capability UPLOADS it
        is `sweep`. Not atomic. Raises InvalidValueError for a negative time.
        """
        if older_than < timedelta(0):
            raise InvalidValueError(
                "sweep", "older_than", f"expected no less than 0, got {older_than}"
            )
        if BucketCapability.UPLOADS not in self._driver.capabilities:
            return await self._driver.sweep()
        assert isinstance(self._driver, UploadStore)
        limit = utc_now() - older_than
        old = [upload async for upload in self._driver.uploads("") if upload.began <= limit]
        for upload in old:
            await self._driver.abort_upload(upload)
        return len(old)

    async def erase(self, key: str) -> Erasure:
        """Remove *key* permanently: every version, delete marker and incomplete upload.

        What a lock holds stays and is reported: look at `held` before you say that it is gone.
        Not atomic. Raises UnsupportedError where the backend may hide what lies inside another
        key, UnavailableError when others write faster than this removes.
        """
        check_key(key)
        call = erase(self._driver, key, lambda found: found == key)
        return await self._instrumentation.write("erase", (key,), call, actor=self._actor)

    async def erase_prefix(self, prefix: str) -> Erasure:
        """Remove permanently, as `erase` does, all keys that start with *prefix*.

        Raises InvalidValueError for an empty one, which would mean the whole bucket.
        """
        if not check_prefix(prefix):
            raise InvalidValueError(
                "erasure", "prefix", "it is empty, which means the whole bucket"
            )
        gone: dict[str, None] = {}  # in order, and each once whatever its versions

        def belongs(key: str) -> bool:
            gone[key] = None
            return True

        call = erase(self._driver, prefix, belongs)
        return await self._instrumentation.write("erase", gone, call, actor=self._actor)
