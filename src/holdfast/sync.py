"""The public names, blocking: `from holdfast.sync import open_store, open_bucket`."""

from holdfast.objects.sync import Bucket, ObjectReader, open_bucket
from holdfast.records.migrations.sync import Migrations
from holdfast.records.sync import Repository, Store, Transaction, open_store

__all__ = [
    "Bucket",
    "Migrations",
    "ObjectReader",
    "Repository",
    "Store",
    "Transaction",
    "open_bucket",
    "open_store",
]
