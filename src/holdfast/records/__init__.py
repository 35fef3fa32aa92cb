"""Typed entities in repositories, with one meaning on every backend."""

from holdfast.records.argument_types import ChangeArgument, Condition
from holdfast.records.connect import open_store
from holdfast.records.driver import StoreCapability
from holdfast.records.driver_requests import Isolation
from holdfast.records.entities.constraint import Check, Constraint, Unique
from holdfast.records.entities.declaration import (
    check,
    created_at,
    deleted_at,
    field,
    generated_key,
    key,
    ref,
    unique,
    updated_at,
    version,
)
from holdfast.records.entities.entity import Entity
from holdfast.records.entities.field import Field, count, subquery
from holdfast.records.entities.relation import Many, One, Relation, many, one
from holdfast.records.entities.search_index import text_matches
from holdfast.records.entities.server_default import (
    ServerDefault,
    server_default,
    server_now,
    server_sequence,
    server_text,
)
from holdfast.records.expressions.expression import Expression
from holdfast.records.expressions.expression_functions import coalesce, length, lower
from holdfast.records.expressions.field_changes import Change
from holdfast.records.expressions.json_path import JsonPath
from holdfast.records.expressions.operands import Aggregate
from holdfast.records.expressions.predicates import Order, Predicate, Subquery, everything
from holdfast.records.expressions.related_field import RelatedField
from holdfast.records.links import Links
from holdfast.records.query_plan import QueryPlan
from holdfast.records.repository import Repository
from holdfast.records.result_types import BatchResult, LinkChanges, Page, SearchHit, Upserted
from holdfast.records.store import Store
from holdfast.records.transactions.transaction import Savepoint, Transaction
from holdfast.records.write_hook import RowChange, StoreEvent, WriteHook, WriteVerb

__all__ = [
    "Aggregate",
    "BatchResult",
    "Change",
    "ChangeArgument",
    "Check",
    "Condition",
    "Constraint",
    "Entity",
    "Expression",
    "Field",
    "Isolation",
    "JsonPath",
    "LinkChanges",
    "Links",
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
    "SearchHit",
    "ServerDefault",
    "Store",
    "StoreCapability",
    "StoreEvent",
    "Subquery",
    "Transaction",
    "Unique",
    "Upserted",
    "WriteHook",
    "WriteVerb",
    "check",
    "coalesce",
    "count",
    "created_at",
    "deleted_at",
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
    "server_default",
    "server_now",
    "server_sequence",
    "server_text",
    "subquery",
    "text_matches",
    "unique",
    "updated_at",
    "version",
]
