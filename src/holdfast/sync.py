"""The public names of `holdfast`, blocking."""

from typing import TYPE_CHECKING

from holdfast.late_import import late_names
from holdfast.records.migrations.sync import Migrations
from holdfast.records.sync import Links, Repository, Store, Transaction, open_store

if TYPE_CHECKING:
    from holdfast.cache.sync import Cache, CachedRepository, open_cache
    from holdfast.objects.sync import Bucket, ObjectReader, open_bucket
else:
    __getattr__ = late_names(
        __name__,
        {
            "holdfast.cache.sync": ("Cache", "CachedRepository", "open_cache"),
            "holdfast.objects.sync": ("Bucket", "ObjectReader", "open_bucket"),
        },
    )


__all__ = [
    "Bucket",
    "Cache",
    "CachedRepository",
    "Links",
    "Migrations",
    "ObjectReader",
    "Repository",
    "Store",
    "Transaction",
    "open_bucket",
    "open_cache",
    "open_store",
]
