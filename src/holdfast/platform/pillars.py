"""Opens each pillar as the settings say: store, cache, bucket."""

from __future__ import annotations

import stat
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from holdfast.errors import ConfigurationError, StorageError
from holdfast.settings.backend_options import s3_options, store_options

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from contextlib import AbstractAsyncContextManager

    from holdfast.cache import Cache, CachedMetadata
    from holdfast.cache.drivers.redis.redis_notifier import RedisNotifier
    from holdfast.objects import Bucket
    from holdfast.objects.instrumentation import Audit
    from holdfast.records import Store, WriteHook
    from holdfast.settings import Settings


@asynccontextmanager
async def ready_store(
    settings: Settings, entities: Iterable[type], hooks: Iterable[WriteHook] = ()
) -> AsyncIterator[Store]:
    """Open the store of *settings*, told of by *hooks*, and make what its schema lacks.

    Raises ConfigurationError, StorageError and UnavailableError.
    """
    from holdfast.records import open_store  # noqa: PLC0415 - slow to import

    opening = open_store(settings.store_url, entities, options=store_options(settings), hooks=hooks)
    async with opening as store:
        await store.create_schema()
        yield store


def ready_cache(settings: Settings) -> AbstractAsyncContextManager[Cache[object]]:
    """Return what opens the cache of *settings*. Raises ConfigurationError."""
    from holdfast.cache import open_cache  # noqa: PLC0415 - slow to import

    return open_cache(settings.cache_url)


def ready_notifier(settings: Settings) -> AbstractAsyncContextManager[RedisNotifier]:
    """Return what opens the way by which a store tells other processes through the cache's Redis.

    Raises ConfigurationError.
    """
    from holdfast.cache import open_notifier  # noqa: PLC0415 - slow to import

    return open_notifier(settings.cache_url)


@asynccontextmanager
async def ready_bucket(
    settings: Settings,
    url: str,
    cache: Cache[object] | None = None,
    *,
    audit: Audit | None = None,
) -> AsyncIterator[Bucket]:
    """Open the bucket at *url* as *settings* say buckets work.

    Its metadata are read through *cache*, where there is one and the settings ask for it. *audit*
    is told of its writes. Raises ConfigurationError, StorageError, ServiceError and
    UnavailableError.
    """
    from holdfast.objects import Hooks, Versioning, open_bucket  # noqa: PLC0415 - slow to import

    options = s3_options(settings) if url.startswith("s3://") else None
    metadata: CachedMetadata | None = None
    if settings.objects.cache_metadata and cache is not None:
        from holdfast.cache import CachedMetadata  # noqa: PLC0415 - the same

        ttl = settings.objects.metadata_ttl
        metadata = CachedMetadata(cache, url.partition("?")[0], ttl=ttl)
    hooks = Hooks(audit=audit, metadata=metadata)
    async with open_bucket(url, options=options, hooks=hooks) as bucket:
        if settings.objects.versioning:
            await bucket.admin.set(Versioning(enabled=True))
        yield bucket.compressing("zstd") if settings.objects.compression else bucket


def has_data_folder(settings: Settings) -> bool:
    """Return whether the data folder is there.

    Raises ConfigurationError where a file has its name, StorageError where nobody may look.
    """
    try:
        found = settings.data.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise StorageError(
            f"the data folder {str(settings.data)!r} can't be looked at: {error.strerror}"
        ) from error
    if not stat.S_ISDIR(found.st_mode):
        raise _file_there(settings)
    return True


def _file_there(settings: Settings) -> ConfigurationError:
    return ConfigurationError(
        f"the data folder {str(settings.data)!r} is a file; expected a folder, or none yet"
    )


def make_data_folder(settings: Settings) -> None:
    """Make the data folder if need be. Raises ConfigurationError and StorageError."""
    try:
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        raise _file_there(settings) from None
    except OSError as error:
        raise StorageError(
            f"the data folder {str(settings.data)!r} can't be made: {error.strerror}"
        ) from error
