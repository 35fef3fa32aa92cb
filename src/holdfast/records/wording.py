"""What the verbs of a repository take: Holdfast's words, and those of SQLAlchemy's attributes.

SQLAlchemy's are for the repositories of classes that it mapped; entities have their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, Union

if TYPE_CHECKING:
    from collections.abc import Mapping

    import sqlalchemy as sa
    from sqlalchemy.orm import QueryableAttribute
    from sqlalchemy.orm.interfaces import ORMOption
    from sqlalchemy.sql.elements import SQLCoreOperations

    from holdfast.records.field import Field
    from holdfast.records.query import Aggregate, Change, Order, Predicate
    from holdfast.records.relation import Relation

T = TypeVar("T")

Condition: TypeAlias = "Predicate | SQLCoreOperations[bool]"
Ordering: TypeAlias = "Order | SQLCoreOperations[Any]"
Figure: TypeAlias = "Aggregate | sa.ColumnElement[Any]"
Loading: TypeAlias = "Relation | ORMOption | QueryableAttribute[Any]"
Changing: TypeAlias = "Change | Mapping[Any, object]"
Named: TypeAlias = Union["Field[T]", "SQLCoreOperations[T]"]
