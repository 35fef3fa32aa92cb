"""Mapped classes on PostgreSQL: the types that their tables have there, and code-point order."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql import operators

from holdfast.errors import ConfigurationError
from holdfast.records.drivers.sql.dialects.postgresql import PostgreSQLDialect
from holdfast.records.drivers.sql.mapped_tables.mapped_columns import column_of
from holdfast.records.drivers.sql.statements.dialect import aware, naive
from holdfast.records.drivers.sql.statements.statement import literal
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy.types import TypeEngine

    from holdfast.records.drivers.sql.statements.dialect import Codec, Expression
    from holdfast.records.entities.model import Model
    from holdfast.records.expressions.operands import Aggregate
    from holdfast.records.expressions.predicates import Order
    from holdfast.records.values.field_spec import FieldSpec
    from holdfast.records.values.truncated_times import Unit

E = TypeVar("E")

_BY_CODE_POINT = ("C", "POSIX", "ucs_basic", "C.utf8", "C.UTF-8", "pg_c_utf8")
_MICROSECONDS = 1_000_000
_EXPONENT = re.compile(rb"\d[eE][-+]?\d")


@lru_cache(maxsize=8)
def mapped_postgresql(
    dialect: PostgreSQLDialect, models: tuple[Model[object], ...]
) -> MappedPostgreSQL:
    """Return the same as *dialect* is, with the mapped columns of *models*.

    Raises ConfigurationError for a column that is not kept there as the rules want it.
    """
    # One for all stores of these classes: what is compiled is kept for a dialect.
    adapted = MappedPostgreSQL.over(dialect)
    adapted.check(models)
    return adapted


class MappedPostgreSQL(PostgreSQLDialect):
    """`PostgreSQLDialect`, which knows mapped columns too."""

    _stored: dict[FieldSpec, TypeEngine[Any]]

    @classmethod
    def over(cls, dialect: PostgreSQLDialect) -> MappedPostgreSQL:
        """Return the same as *dialect* is, with mapped columns."""
        made = cls()
        vars(made).update(vars(dialect))
        made._stored = {}
        return made

    def check(self, models: Sequence[Model[object]]) -> None:
        """Raise ConfigurationError for a column that would not be kept as the rules want it."""
        for model in models:
            for spec in model.fields if model.adapter is not None else ():
                stored = self.stored(spec)
                if isinstance(stored, sa.Uuid) and not stored.native_uuid:
                    raise ConfigurationError(
                        f"{model.name}.{spec.name}: Uuid(native_uuid=False) is text on PostgreSQL; "
                        "say Uuid()"
                    )
                if isinstance(stored, sa.String) and self._order_of(spec) is not None:
                    # A row comparison has no place for a collation.
                    self.compares_rows = False

    def stored(self, spec: FieldSpec) -> TypeEngine[Any]:
        """Return the type that the column of *spec* has on PostgreSQL."""
        found = self._stored.get(spec)
        if found is None:
            column = column_of(spec)
            assert column is not None
            found = column.type.dialect_impl(self.compiler)
            while isinstance(found, sa.TypeDecorator):
                found = found.load_dialect_impl(self.compiler).dialect_impl(self.compiler)
            self._stored[spec] = found
        return found

    def type_of(self, model: Model[E], spec: FieldSpec) -> TypeEngine[Any]:
        """See `Dialect`."""
        if spec.native_column is None:
            return super().type_of(model, spec)
        collation = self._order_of(spec)
        if collation is None:
            return sa.types.NullType()
        return _Text(collation, as_text=self._is_native_enum(spec))

    def _order_of(self, spec: FieldSpec) -> str | None:
        """Return the collation to order the column's text by, None where its own will do."""
        stored = self.stored(spec)
        if not isinstance(stored, (sa.String, sa.Enum)):
            return None
        return None if getattr(stored, "collation", None) in _BY_CODE_POINT else "C"

    def _is_native_enum(self, spec: FieldSpec) -> bool:
        stored = self.stored(spec)
        return isinstance(stored, postgresql.ENUM) and bool(stored.native_enum)

    def type_name(self, spec: FieldSpec) -> str:
        """Return the name of the type that the column of *spec* has."""
        if spec.native_column is None:
            return super().type_name(spec)
        stored = self.stored(spec)
        if self._is_native_enum(spec):
            preparer: Any = self.compiler.identifier_preparer
            quoted: str = preparer.format_type(stored)
            return quoted
        match spec.type.kind:
            case Kind.TIMEDELTA:
                return "interval"
            case Kind.DATETIME if not cast("sa.DateTime", stored).timezone:
                return "timestamp"
            case Kind.JSON if isinstance(stored, postgresql.JSONB):
                return "jsonb"
            case _:
                return super().type_name(spec)

    def encoder(self, spec: FieldSpec) -> Codec:
        """See `Dialect`."""
        if spec.native_column is None:
            return super().encoder(spec)
        stored = self.stored(spec)
        match spec.type.kind:
            case Kind.TIMEDELTA:
                return None
            case Kind.DATETIME if not cast("sa.DateTime", stored).timezone:
                return cast("Callable[[object], object]", naive)
            case Kind.JSON if isinstance(stored, postgresql.JSONB):
                return encode_jsonb
            case _:
                return super().encoder(spec)

    def decoder(self, spec: FieldSpec) -> Codec:
        """See `Dialect`."""
        if spec.native_column is None:
            return super().decoder(spec)
        stored = self.stored(spec)
        if spec.type.kind is Kind.DATETIME and not cast("sa.DateTime", stored).timezone:
            return cast("Callable[[object], object]", aware)
        return None

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

    def truncated(self, spec: FieldSpec, column: Expression, unit: Unit, zone: str) -> Expression:
        """See `Dialect`."""
        if spec.native_column is not None and not cast("sa.DateTime", self.stored(spec)).timezone:
            column = sa.func.timezone(literal("UTC"), column)
        return super().truncated(spec, column, unit, zone)

    def total_encoder(self, spec: FieldSpec) -> Codec:
        """See `Dialect`."""
        return PostgreSQLDialect.encoder(self, spec)


def _counted(spec: FieldSpec, column: Expression) -> Expression:
    """Return spans of time as microseconds, as whose number they are added up."""
    if spec.type.kind is not Kind.TIMEDELTA or spec.native_column is None:
        return column
    whole = sa.extract("epoch", column) * sa.literal_column(str(_MICROSECONDS))
    return sa.cast(whole, sa.BigInteger())


class _Text(sa.types.UserDefinedType[str]):
    """Text that is ordered by another collation than its column's; equality is as it is."""

    cache_ok = True

    def __init__(self, collation: str = "C", *, as_text: bool = False) -> None:
        self.collation = collation
        self.as_text = as_text

    class Comparator(sa.types.UserDefinedType.Comparator[str]):
        def operate(self, op: Any, *other: Any, **kwargs: Any) -> Any:
            if op in _ORDERING:
                return op(_ordered(cast("Expression", self.expr)), *other, **kwargs)
            return super().operate(op, *other, **kwargs)

    comparator_factory = Comparator


_ORDERING = (operators.lt, operators.le, operators.gt, operators.ge)


def _ordered(column: Expression) -> Expression:
    """Return *column* as it is ordered: by code point."""
    kind = column.type
    if not isinstance(kind, _Text):
        return column
    text = sa.cast(column, sa.Text()) if kind.as_text else sa.type_coerce(column, sa.Text())
    return text.collate(kind.collation)


def encode_jsonb(value: object) -> str:
    """Return JSON text in which each float has a point, by which jsonb knows it from an int."""
    text = orjson.dumps(value)
    if _EXPONENT.search(text):
        text = orjson.dumps(_spelt_out(value))
    return text.decode()


def _spelt_out(value: object) -> object:
    match value:
        case float():
            digits = format(Decimal(repr(value)), "f")
            return orjson.Fragment(digits if "." in digits else f"{digits}.0")
        case dict():
            members = cast("dict[str, object]", value)
            return {name: _spelt_out(item) for name, item in members.items()}
        case list():
            return [_spelt_out(item) for item in cast("list[object]", value)]
        case _:
            return value
