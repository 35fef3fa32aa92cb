"""The public names of `holdfast`, blocking."""

from holdfast.cache.sync import Cache, CachedRepository, open_cache
from holdfast.objects.sync import Bucket, ObjectReader, open_bucket
from holdfast.records.migrations.sync import Migrations
from holdfast.records.sync import Repository, Store, Transaction, open_store

__all__ = [
    "Bucket",
    "Cache",
    "CachedRepository",
    "Migrations",
    "ObjectReader",
    "Repository",
    "Store",
    "Transaction",
    "open_bucket",
    "open_cache",
    "open_store",
]
