"""Typed entities in repositories, with one meaning on every backend."""

from holdfast.records.argument_types import ChangeArgument, Condition
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
from holdfast.records.expression import Expression, coalesce, length, lower
from holdfast.records.field import Field, count, subquery
from holdfast.records.json_path import JsonPath
from holdfast.records.operands import Aggregate
from holdfast.records.query import Change, Order, Predicate, Subquery, everything
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
    "ChangeArgument",
    "Condition",
    "Entity",
    "Expression",
    "Field",
    "Isolation",
    "JsonPath",
    "Many",
    "One",
    "Order",
    "Page",
    "Predicate",
    "RelatedField",
    "Relation",
    "Repository",
    "RowChange",
    "Savepoint",
    "Store",
    "StoreCapability",
    "StoreEvent",
    "Subquery",
    "Transaction",
    "Upserted",
    "WriteHook",
    "WriteVerb",
    "coalesce",
    "count",
    "created_at",
    "everything",
    "field",
    "generated_key",
    "key",
    "length",
    "lower",
    "many",
    "one",
    "open_store",
    "ref",
    "subquery",
    "updated_at",
    "version",
]
