"""Typed entities in repositories, with one meaning on every backend."""

from holdfast.records.connect import open_store
from holdfast.records.declaration import (
    created_at,
    field,
    generated_key,
    key,
    ref,
    updated_at,
    version,
)
from holdfast.records.driver import Isolation, StoreCapability
from holdfast.records.entity import Entity
from holdfast.records.field import Field, JsonPath, count
from holdfast.records.query import Aggregate, Change, Order, Predicate, everything
from holdfast.records.query_plan import QueryPlan
from holdfast.records.related_field import RelatedField
from holdfast.records.relation import Many, One, Relation, many, one
from holdfast.records.repository import Repository
from holdfast.records.result_types import BatchResult, Page, Upserted
from holdfast.records.store import Store
from holdfast.records.transaction import Savepoint, Transaction
from holdfast.records.write_hook import RowChange, StoreEvent, WriteHook, WriteVerb

__all__ = [
    "Aggregate",
    "BatchResult",
    "Change",
    "Entity",
    "Field",
    "Isolation",
    "JsonPath",
    "Many",
    "One",
    "Order",
    "Page",
    "Predicate",
    "QueryPlan",
    "RelatedField",
    "Relation",
    "Repository",
    "RowChange",
    "Savepoint",
    "Store",
    "StoreCapability",
    "StoreEvent",
    "Transaction",
    "Upserted",
    "WriteHook",
    "WriteVerb",
    "count",
    "created_at",
    "everything",
    "field",
    "generated_key",
    "key",
    "many",
    "one",
    "open_store",
    "ref",
    "updated_at",
    "version",
]
