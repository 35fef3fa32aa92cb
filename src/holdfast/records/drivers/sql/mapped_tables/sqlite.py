"""Mapped classes on SQLite: values in the forms that SQLAlchemy's own types keep them in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar, cast

import sqlalchemy as sa

from holdfast.errors import ConfigurationError, InvalidValueError
from holdfast.records.drivers.sql import sqlite_codecs
from holdfast.records.drivers.sql.dialects.sqlite import SQLiteDialect
from holdfast.records.drivers.sql.mapped_tables.mapped_columns import column_of
from holdfast.records.drivers.sql.sqlalchemy_bridge.engines import sqlite_engine
from holdfast.records.values.value import Kind
from holdfast.uuid7 import uuid_from_int

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from sqlalchemy.types import TypeEngine

    from holdfast.records.drivers.sql.statements.dialect import Codec, Expression
    from holdfast.records.entities.model import Model
    from holdfast.records.expressions.operands import Aggregate
    from holdfast.records.values.field_spec import FieldSpec

E = TypeVar("E")

_EXACT_DIGITS = 15  # decimal digits that every float keeps
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def mapped_sqlite(models: Sequence[Model[object]]) -> MappedSQLite | None:
    """Return the dialect for *models*, if any of them is a mapped class.

    Raises ConfigurationError for a column that SQLite would not keep as the rules want it.
    """
    theirs = [model for model in models if model.adapter is not None]
    for model in theirs:
        for spec in model.fields:
            _check(model, spec)
    return _DECLARED if theirs else None


def _check(model: Model[E], spec: FieldSpec) -> None:
    column = column_of(spec)
    assert column is not None
    of = f"{model.name}.{spec.name}"
    precision = spec.type.bounds.precision or 0
    if spec.type.kind is Kind.DECIMAL and precision > _EXACT_DIGITS:
        raise ConfigurationError(
            f"{of}: SQLAlchemy keeps Numeric({precision}, ...) as a float on SQLite, which holds "
            f"{_EXACT_DIGITS} digits; say fewer, or keep whole units by a TypeDecorator of "
            "BigInteger"
        )
    collation = getattr(column.type, "collation", None)
    if collation not in (None, "BINARY", "binary"):
        raise ConfigurationError(
            f"{of}: text of collation {collation!r} does not compare by code point; leave the "
            "collation out, and compare but for case by field_of(...).iequals()"
        )


class MappedSQLite(SQLiteDialect):
    """`SQLiteDialect`, which knows mapped columns too."""

    def type_of(self, model: Model[E], spec: FieldSpec) -> TypeEngine[Any]:
        """See `Dialect`."""
        return (
            sa.types.NullType() if spec.native_column is not None else super().type_of(model, spec)
        )

    def encoder(self, spec: FieldSpec) -> Codec:
        """See `Dialect`."""
        if spec.native_column is None:
            return super().encoder(spec)
        match spec.type.kind:
            case Kind.UUID:
                return lambda value: cast("UUID", value).hex
            case Kind.DECIMAL:
                return lambda value: float(cast("Decimal", value))
            case Kind.TIMEDELTA:
                return _span_encoder(spec)
            case _:
                return super().encoder(spec)

    def decoder(self, spec: FieldSpec) -> Codec:
        """See `Dialect`."""
        if spec.native_column is None:
            return super().decoder(spec)
        match spec.type.kind:
            case Kind.UUID:
                return lambda value: uuid_from_int(int(cast("str", value), 16))
            case Kind.DECIMAL:
                scale = spec.type.bounds.scale
                return lambda value: Decimal(f"{value:.{scale}f}")
            case Kind.TIMEDELTA:
                return lambda value: sqlite_codecs.decode_datetime(cast("str", value)) - _EPOCH
            case Kind.FLOAT:
                return cast("Callable[[object], object]", float)
            case Kind.INT | Kind.STR | Kind.BYTES | Kind.BOOL:
                return _of_type(spec.type.kind)
            case _:
                return super().decoder(spec)

    def list_value(self, spec: FieldSpec, encoded: list[object]) -> object:
        """See `Dialect`."""
        if spec.native_column is not None and spec.type.kind is Kind.DECIMAL:
            return sqlite_codecs.encode_json([repr(value) for value in encoded])
        return super().list_value(spec, encoded)

    def in_list(self, spec: FieldSpec, column: Expression, listed: Expression) -> Expression:
        """See `Dialect`."""
        if spec.native_column is not None and spec.type.kind is Kind.DECIMAL:
            value = sa.func.json_each(listed).table_valued("value").c.value
            return column.in_(sa.select(sa.func.holdfast_real(value)))
        return super().in_list(spec, column, listed)

    def aggregate(self, aggregate: Aggregate, column: Expression) -> Expression:
        """See `Dialect`."""
        if aggregate.operand is not None and _is_sum(aggregate):
            column = _units(aggregate.operand.spec, column)
        return super().aggregate(aggregate, column)

    def total(self, spec: FieldSpec, column: Expression) -> Expression:
        """See `Dialect`."""
        return super().total(spec, column if spec.native_column is None else _units(spec, column))

    def total_encoder(self, spec: FieldSpec) -> Codec:
        """See `Dialect`."""
        return sqlite_codecs.total_encoder(sqlite_codecs.encoder(spec))

    def total_decoder(self, spec: FieldSpec) -> Codec:
        """See `Dialect`."""
        return sqlite_codecs.total_decoder(sqlite_codecs.decoder(spec))

    def aggregate_decoder(self, aggregate: Aggregate) -> Codec:
        """See `Dialect`."""
        operand = aggregate.operand
        if (
            operand is not None
            and operand.spec.native_column is not None
            and not _is_sum(aggregate)
        ):
            has_own = aggregate.nullable and aggregate.function != "percentile"
            return None if not has_own else self.decoder(operand.spec)
        return super().aggregate_decoder(aggregate)

    def increased(self, spec: FieldSpec, column: Expression, amount: Expression) -> Expression:
        """Return the sum, exact and within the field's bounds; else the statement fails.

        SQLite itself would turn an int that is too large into a float, and no rule of the table's
        own keeps it from that.
        """
        if spec.native_column is None:
            return super().increased(spec, column, amount)
        bounds = spec.type.bounds
        limits = (bounds.precision or 64, bounds.scale or 0)
        given: list[Expression] = [sa.literal_column(str(limit)) for limit in limits]
        kind: Expression = sa.literal_column(f"'{spec.type.kind.value}'")
        return sa.func.holdfast_add(kind, column, amount, *given)


_DECLARED = MappedSQLite()
_KEPT_AS = {Kind.INT: int, Kind.STR: str, Kind.BYTES: bytes, Kind.BOOL: int}


def _of_type(kind: Kind) -> Callable[[object], object]:
    """Return what passes values of *kind* on: SQLite keeps any value in a table that is not STRICT.

    It raises ValueError for a value of another type.
    """
    expected, is_bool = _KEPT_AS[kind], kind is Kind.BOOL

    def decode(value: object) -> object:
        if type(value) is not expected:
            raise ValueError(f"got {value!r:.100}, a {type(value).__name__}")
        return bool(value) if is_bool else value

    return decode


def _is_sum(aggregate: Aggregate) -> bool:
    operand = aggregate.operand
    return (
        operand is not None
        and operand.spec.native_column is not None
        and operand.spec.type.kind in (Kind.INT, Kind.DECIMAL, Kind.TIMEDELTA)
        and aggregate.function in ("sum", "avg")
    )


def _units(spec: FieldSpec, column: Expression) -> Expression:
    """Return the number of the last declared digit's units, or microseconds, in *column*."""
    if spec.type.kind is Kind.DECIMAL:
        scaled = column.op("*")(sa.literal_column(f"1e{spec.type.bounds.scale}"))
        return sa.cast(sa.func.round(scaled), sa.INTEGER())
    if spec.type.kind is Kind.TIMEDELTA:
        return sa.func.holdfast_span(column)
    return column


def _span_encoder(spec: FieldSpec) -> Callable[[object], object]:
    def encode(value: object) -> str:
        try:
            return sqlite_codecs.encode_datetime(_EPOCH + cast("timedelta", value))
        except OverflowError:
            column = column_of(spec)
            assert column is not None
            raise InvalidValueError(
                column.table.name,
                spec.name,
                f"{value} is more than SQLAlchemy's Interval keeps on SQLite",
            ) from None

    return encode


def create(connection: sqlite3.Connection, tables: Sequence[sa.Table]) -> None:
    """Create what is missing of *tables*, as their own metadata says it."""
    with sqlite_engine(connection, None).connect() as lent:
        for metadata in dict.fromkeys(table.metadata for table in tables):
            mine = [table for table in tables if table.metadata is metadata]
            metadata.create_all(lent, tables=mine)


def drop(connection: sqlite3.Connection, tables: Sequence[sa.Table]) -> None:
    """Drop what is there of *tables*."""
    with sqlite_engine(connection, None).connect() as lent:
        for metadata in dict.fromkeys(table.metadata for table in tables):
            mine = [table for table in tables if table.metadata is metadata]
            metadata.drop_all(lent, tables=mine)
