"""Holdfast: typed records, objects and a cache, with one tested meaning on every backend."""

from typing import TYPE_CHECKING

from holdfast.late_import import late_names
from holdfast.records import (
    Aggregate,
    BatchResult,
    Change,
    Entity,
    Field,
    Isolation,
    JsonPath,
    Many,
    One,
    Order,
    Page,
    Predicate,
    Relation,
    Repository,
    Savepoint,
    Store,
    StoreCapability,
    Transaction,
    Upserted,
    count,
    created_at,
    everything,
    field,
    generated_key,
    key,
    many,
    one,
    open_store,
    ref,
    updated_at,
    version,
)
from holdfast.records.migrations import Migrations
from holdfast.uuid7 import uuid7

if TYPE_CHECKING:
    from holdfast.cache import Cache, CachedRepository, CacheOptions, open_cache
    from holdfast.objects import (
        Bucket,
        CommonPrefix,
        ObjectInfo,
        ObjectReader,
        PutOptions,
        open_bucket,
    )
else:
    __getattr__ = late_names(
        __name__,
        {
            "holdfast.cache": ("Cache", "CacheOptions", "CachedRepository", "open_cache"),
            "holdfast.objects": (
                "Bucket",
                "CommonPrefix",
                "ObjectInfo",
                "ObjectReader",
                "PutOptions",
                "open_bucket",
            ),
        },
    )

__all__ = [
    "Aggregate",
    "BatchResult",
    "Bucket",
    "Cache",
    "CacheOptions",
    "CachedRepository",
    "Change",
    "CommonPrefix",
    "Entity",
    "Field",
    "Isolation",
    "JsonPath",
    "Many",
    "Migrations",
    "ObjectInfo",
    "ObjectReader",
    "One",
    "Order",
    "Page",
    "Predicate",
    "PutOptions",
    "Relation",
    "Repository",
    "Savepoint",
    "Store",
    "StoreCapability",
    "Transaction",
    "Upserted",
    "count",
    "created_at",
    "everything",
    "field",
    "generated_key",
    "key",
    "many",
    "one",
    "open_bucket",
    "open_cache",
    "open_store",
    "ref",
    "updated_at",
    "uuid7",
    "version",
]
