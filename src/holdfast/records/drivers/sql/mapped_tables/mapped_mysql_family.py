"""Mapped classes on MariaDB and MySQL: the forms that SQLAlchemy's own types have there."""

from __future__ import annotations

from copy import copy
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.sql import operators

from holdfast.errors import InvalidValueError
from holdfast.records.drivers.sql.dialects.mariadb import MariaDBDialect
from holdfast.records.drivers.sql.dialects.mysql import MySQLDialect
from holdfast.records.drivers.sql.dialects.mysql_family import MySQLFamilyDialect
from holdfast.records.drivers.sql.mapped_tables.mapped_columns import column_of
from holdfast.records.drivers.sql.mapped_tables.mysql_family_ddl import ddl_compiler
from holdfast.records.values.value import Kind
from holdfast.uuid7 import uuid_from_int

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from sqlalchemy.types import TypeEngine

    from holdfast.records.drivers.sql.statements.dialect import Codec, Expression
    from holdfast.records.entities.model import Model
    from holdfast.records.expressions.operands import Aggregate
    from holdfast.records.expressions.predicates import Order
    from holdfast.records.values.field_spec import FieldSpec

E = TypeVar("E")

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - as SQLAlchemy's Interval counts from it
_EPOCH_TEXT: Expression = sa.literal_column("'1970-01-01'")
_MICROSECOND: Expression = sa.literal_column("MICROSECOND")
_ORDERING = (operators.lt, operators.le, operators.gt, operators.ge)


@lru_cache(maxsize=8)
def mapped_mysql_family(dialect: MySQLFamilyDialect) -> MappedMySQLFamily:
    """Return the same as *dialect* is, with mapped columns."""
    # One for all stores: what is compiled is kept for a dialect.
    kind = MappedMariaDB if isinstance(dialect, MariaDBDialect) else MappedMySQL
    made = kind.__new__(kind)
    vars(made).update(vars(dialect))
    made.ddl = ddl_compiler(dialect.name, dialect.collation)
    return made


class MappedMySQLFamily(MySQLFamilyDialect):
    """`MySQLFamilyDialect`, which knows mapped columns too."""

    ddl: Any
    """SQLAlchemy's dialect by which the tables of mapped classes are made."""
    native_uuids = False

    def making_tables(self) -> MappedMySQLFamily:
        """Return the same, by which the tables of mapped classes are made."""
        made = copy(self)
        made.compiler = self.ddl
        return made

    def stored(self, spec: FieldSpec) -> TypeEngine[Any]:
        """Return the type that the mapped column of *spec* has there."""
        column = column_of(spec)
        assert column is not None
        found = column.type.dialect_impl(self.ddl)
        while isinstance(found, sa.TypeDecorator):
            found = found.load_dialect_impl(self.ddl).dialect_impl(self.ddl)
        return found

    def has_native_uuid(self, spec: FieldSpec) -> bool:
        """Return whether the mapped column of *spec* is to be of the database's own UUID type."""
        column = column_of(spec)
        assert column is not None
        kind: Any = column.type
        while isinstance(kind, sa.TypeDecorator):
            kind = kind.load_dialect_impl(self.ddl)
        return self.native_uuids and bool(kind.native_uuid)

    def type_of(self, model: Model[E], spec: FieldSpec) -> TypeEngine[Any]:
        """See `Dialect`."""
        if spec.native_column is None:
            return super().type_of(model, spec)
        match spec.type.kind:
            case Kind.UUID if self.has_native_uuid(spec):
                return _OrderedAsText()
            case Kind.UUID:
                return mysql.CHAR(32, collation=self.collation)
            case Kind.TIMEDELTA:
                return mysql.DATETIME(fsp=6)
            case Kind.STR if isinstance(self.stored(spec), mysql.ENUM):
                return _OrderedAsText()
            case _:
                return super().type_of(model, spec)

    def encoder(self, spec: FieldSpec) -> Codec:
        """See `Dialect`."""
        if spec.native_column is None:
            return super().encoder(spec)
        match spec.type.kind:
            case Kind.UUID if self.has_native_uuid(spec):
                return str
            case Kind.UUID:
                return lambda value: cast("UUID", value).hex
            case Kind.TIMEDELTA:
                return _span_encoder(spec, self.name)
            case _:
                return super().encoder(spec)

    def decoder(self, spec: FieldSpec) -> Codec:
        """See `Dialect`."""
        if spec.native_column is None:
            return super().decoder(spec)
        match spec.type.kind:
            case Kind.UUID:
                return lambda value: uuid_from_int(int(cast("str", value).replace("-", ""), 16))
            case Kind.TIMEDELTA:
                return lambda value: cast("datetime", value) - _EPOCH
            case _:
                return super().decoder(spec)

    def order(self, by: Order, column: Expression, *, nullable: bool) -> list[Expression]:
        """See `Dialect`."""
        return super().order(by, _ordered(column), nullable=nullable)

    def aggregate(self, aggregate: Aggregate, column: Expression) -> Expression:
        """See `Dialect`."""
        if aggregate.function in ("min", "max"):
            return super().aggregate(aggregate, _ordered(column))
        if aggregate.operand is not None:
            column = _counted(aggregate.operand.spec, column)
        return super().aggregate(aggregate, column)

    def total(self, spec: FieldSpec, column: Expression) -> Expression:
        """See `Dialect`."""
        return super().total(spec, _counted(spec, column))

    def total_encoder(self, spec: FieldSpec) -> Codec:
        """See `Dialect`."""
        return MySQLFamilyDialect.encoder(self, spec)

    def increased(self, spec: FieldSpec, column: Expression, amount: Expression) -> Expression:
        """See `Dialect`."""
        if not _is_span(spec):
            return super().increased(spec, column, amount)
        return sa.func.timestampadd(_MICROSECOND, _microseconds(amount), column)


class MappedMariaDB(MappedMySQLFamily, MariaDBDialect):
    """MariaDB's."""

    native_uuids = True


class MappedMySQL(MappedMySQLFamily, MySQLDialect):
    """MySQL's."""


def _is_span(spec: FieldSpec) -> bool:
    return spec.type.kind is Kind.TIMEDELTA and spec.native_column is not None


def _counted(spec: FieldSpec, column: Expression) -> Expression:
    """Return spans of time as microseconds, as whose number they are added up."""
    return _microseconds(column) if _is_span(spec) else column


def _microseconds(moment: Expression) -> Expression:
    return sa.func.timestampdiff(_MICROSECOND, _EPOCH_TEXT, moment)


def _span_encoder(spec: FieldSpec, backend: str) -> Callable[[object], object]:
    def encode(value: object) -> object:
        try:
            return _EPOCH + cast("timedelta", value)
        except OverflowError:
            column = column_of(spec)
            assert column is not None
            raise InvalidValueError(
                column.table.name,
                spec.name,
                f"{value} is more than SQLAlchemy's Interval keeps on {backend}",
            ) from None

    return encode


class _OrderedAsText(sa.types.UserDefinedType[str]):
    """What the database orders otherwise than by its text: an ENUM by number, a UUID by parts."""

    cache_ok = True

    class Comparator(sa.types.UserDefinedType.Comparator[str]):
        def operate(self, op: Any, *other: Any, **kwargs: Any) -> Any:
            if op in _ORDERING:
                return op(_ordered(cast("Expression", self.expr)), *other, **kwargs)
            return super().operate(op, *other, **kwargs)

    comparator_factory = Comparator


def _ordered(column: Expression) -> Expression:
    """Return *column* as it is ordered: by code point, in which the session compares."""
    return sa.cast(column, sa.CHAR()) if isinstance(column.type, _OrderedAsText) else column
