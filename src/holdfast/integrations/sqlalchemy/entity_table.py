"""An entity's table as SQLAlchemy Core knows tables, for statements of one's own."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, cast
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy.orm import Mapper
from sqlalchemy.sql import operators

from holdfast.errors import UnsupportedError
from holdfast.records.drivers.sql.dialects.mysql import MySQLDialect
from holdfast.records.drivers.sql.dialects.postgresql import PostgreSQLDialect
from holdfast.records.drivers.sql.dialects.sqlite import SQLiteDialect
from holdfast.records.drivers.sql.statements.schema_inspection import place_of
from holdfast.records.entities.model import model_of
from holdfast.records.entities.table_names import stored_name
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import Dialect as Compiler
    from sqlalchemy.types import TypeEngine

    from holdfast.records.drivers.sql.statements.dialect import Codec, Dialect
    from holdfast.records.entities.model import Model
    from holdfast.records.values.field_spec import FieldSpec

_DIALECTS: dict[str, Callable[[], Dialect]] = {
    "sqlite": SQLiteDialect,
    "postgresql": PostgreSQLDialect,
    "mysql": MySQLDialect,  # of MariaDB too, as SQLAlchemy calls both: values are kept alike
}
_GENERIC: dict[Kind, TypeEngine[Any]] = {
    Kind.BOOL: sa.Boolean(),
    Kind.INT: sa.BigInteger(),
    Kind.FLOAT: sa.Double(),
    Kind.STR: sa.Text(),
    Kind.BYTES: sa.LargeBinary(),
    Kind.DECIMAL: sa.Numeric(),
    Kind.DATETIME: sa.DateTime(timezone=True),
    Kind.DATE: sa.Date(),
    Kind.TIME: sa.Time(),
    Kind.TIMEDELTA: sa.Interval(),
    Kind.UUID: sa.Uuid(),
    Kind.JSON: sa.JSON(),
}
_COMPARISONS = (
    operators.eq,
    operators.ne,
    operators.lt,
    operators.le,
    operators.gt,
    operators.ge,
    operators.in_op,
    operators.not_in_op,
    operators.is_distinct_from,
    operators.is_not_distinct_from,
)
_SUMS = (operators.add, operators.sub)
_NUMBERS = (Kind.INT, Kind.FLOAT, Kind.DECIMAL, Kind.TIMEDELTA)
_tables: WeakKeyDictionary[type, dict[tuple[str, str | None], sa.Table]] = WeakKeyDictionary()


class OpenedStore(Protocol):
    """An open store, awaited or blocking."""

    @property
    def backend(self) -> str:
        """The name of the backend."""
        ...

    @property
    def schema(self) -> str:
        """The schema of entities that name none."""
        ...


def table_of(entity: type, store: OpenedStore | None = None) -> sa.Table:
    """Return the table of *entity*, for a statement that `execute` runs in a transaction.

    Its columns take and give the values of the fields, as Holdfast keeps them on the database that
    the statement runs on. It has no constraints and no indexes, so it is not for making tables. Of
    a mapped class it is the table that the class is mapped to. Where a schema is in play, of the
    entity's or of the *store* that the statement runs in, the store says where the table is.

    Raises ConfigurationError for a class that is not an entity. A value that the field can't hold
    is an InvalidValueError, which SQLAlchemy wraps into its StatementError.
    """
    known = _tables.setdefault(entity, {})
    mapped: object = sa.inspect(entity, raiseerr=False)
    if isinstance(mapped, Mapper):
        return cast("sa.Table", mapped.local_table)
    model: Model[object] = model_of(entity)
    backend, schema = ("", "") if store is None else (store.backend, store.schema)
    place = place_of(stored_name(model, schema), backend)
    if place not in known:
        known[place] = _made(model, *place)
    return known[place]


def _made(model: Model[object], name: str, schema: str | None) -> sa.Table:
    columns: list[sa.Column[Any]] = [
        sa.Column(
            spec.name,
            FieldType(model, spec),
            primary_key=spec in model.keys,
            nullable=spec.type.nullable,
        )
        for spec in model.fields
    ]
    return sa.Table(name, sa.MetaData(), *columns, schema=schema)


class FieldType(sa.types.TypeDecorator[Any]):
    """The type of a field's column: its values are the field's, kept as each database keeps them.

    What is added to a number or subtracted from it is a value of the field too.
    """

    impl: type[TypeEngine[Any]] | TypeEngine[Any] = sa.Text
    cache_ok = True

    def __init__(self, model: Model[object], spec: FieldSpec) -> None:
        super().__init__()
        self.impl = _GENERIC[spec.type.kind]
        self.model = model
        self.spec = spec

    def load_dialect_impl(self, dialect: Compiler) -> TypeEngine[Any]:
        """Return the type that Holdfast's tables have for the field."""
        kind = self.spec.type.kind
        if kind in (Kind.JSON, Kind.TIME):
            return _Unconverted(kind.value)
        return dialect.type_descriptor(_known(dialect).type_of(self.model, self.spec))

    def process_bind_param(self, value: Any, dialect: Compiler) -> Any:
        """Return what the database keeps for *value*. Raises InvalidValueError."""
        if value is None:
            return None
        return _coded(_known(dialect).encoder(self.spec), self.spec.to_row(self.model.name, value))

    def process_result_value(self, value: Any, dialect: Compiler) -> Any:
        """Return the field's value for what the database gave."""
        if value is None:
            return None
        row_value = _coded(_known(dialect).decoder(self.spec), value)
        return row_value if self.spec.type.load is None else self.spec.type.load(row_value)

    def coerce_compared_value(self, op: Any, value: Any) -> Any:
        """Return the type of a *value* that an operator puts beside the column."""
        kind = self.spec.type.kind
        if op in _COMPARISONS or (op in _SUMS and kind in _NUMBERS):
            return self
        generic: TypeEngine[Any] = _GENERIC[kind]
        return generic.coerce_compared_value(op, value)


class _Unconverted(sa.types.UserDefinedType[Any]):
    """A type whose values SQLAlchemy passes on as they are."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_words: object) -> str:
        return self.name


def _known(compiler: Compiler) -> Dialect:
    return _dialect(compiler.name)


@cache
def _dialect(name: str) -> Dialect:
    make = _DIALECTS.get(name)
    if make is None:
        raise UnsupportedError("tables of entities", name)
    return make()


def _coded(codec: Codec, value: object) -> object:
    return value if codec is None else codec(value)
