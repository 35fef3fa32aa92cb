"""How each database keeps a kind of field: column types for migrations that run on all of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa

from holdfast.errors import ConfigurationError
from holdfast.records.drivers.sql.dialects.mariadb import MariaDBDialect
from holdfast.records.drivers.sql.dialects.mysql import MySQLDialect
from holdfast.records.drivers.sql.dialects.postgresql import PostgreSQLDialect
from holdfast.records.drivers.sql.dialects.sqlite import SQLiteDialect
from holdfast.records.entities.model import Model
from holdfast.records.values.field_spec import Declaration, FieldSpec
from holdfast.records.values.value import Bounds, Kind, ValueType

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect as Compiler
    from sqlalchemy.types import TypeEngine

    from holdfast.records.drivers.sql.statements.dialect import Dialect

E = TypeVar("E")

DIALECTS: dict[str, Dialect] = {
    "sqlite": SQLiteDialect(),
    "postgresql": PostgreSQLDialect(),
    "mariadb": MariaDBDialect(),
    "mysql": MySQLDialect(),
}
_WHOLE: Any = sa.BigInteger()
_BOUNDED = (Kind.STR, Kind.BYTES)


class ColumnType(sa.types.TypeDecorator[Any]):
    """The column type in which the database at hand keeps values of *kind*.

    *digits* is (precision, scale) of a decimal; *indexed* the most that text or bytes in a key, a
    reference or an index may be long.
    """

    impl = sa.Text
    cache_ok = True

    def __init__(
        self, kind: str, *, digits: tuple[int, int] | None = None, indexed: int | None = None
    ) -> None:
        super().__init__()
        if kind == Kind.INT.value:
            self.impl = _WHOLE  # or SQLAlchemy numbers no keys
        self.kind = kind
        self.digits = digits
        self.indexed = indexed

    def load_dialect_impl(self, dialect: Compiler) -> TypeEngine[Any]:
        """Return the type that SQLAlchemy's *dialect* makes the column of."""
        ours = DIALECTS[dialect.name]
        spec = self.spec()
        key = _field("key", Kind.INT, Bounds(), "key")
        indexes = () if self.indexed is None else (("field",),)
        model: Model[Any] = Model(object, "", "", (key, spec), indexes, (), {})
        return ours.type_of(model, spec)

    def spec(self, name: str = "field") -> FieldSpec:
        """Return a field of this kind. Raises ConfigurationError for an unknown kind."""
        try:
            kind = Kind(self.kind)
        except ValueError:
            known = ", ".join(each.value for each in Kind)
            raise ConfigurationError(f"unknown kind {self.kind!r}; known are {known}") from None
        precision, scale = self.digits or (None, None)
        return _field(name, kind, Bounds(self.indexed, precision, scale), "plain")

    @property
    def source(self) -> str:
        """The text that makes this in a migration's file."""
        words = [repr(self.kind)]
        if self.digits is not None:
            words.append(f"digits={self.digits!r}")
        if self.indexed is not None:
            words.append(f"indexed={self.indexed}")
        return f"operations.column_type({', '.join(words)})"


_CALL = re.compile(
    r"operations\.column_type\('(\w+)'(?:, digits=\((\d+), (\d+)\))?(?:, indexed=(\d+))?\)"
)


def from_source(source: str) -> ColumnType | VerbatimType:
    """Return the type that *source* makes in a migration's file."""
    said = _CALL.fullmatch(source)
    if said is None:
        return VerbatimType(source)
    kind, precision, scale, indexed = said.groups()
    digits = None if precision is None else (int(precision), int(scale))
    return ColumnType(kind, digits=digits, indexed=None if indexed is None else int(indexed))


class VerbatimType(sa.types.TypeDecorator[Any]):
    """A type of which only the text in an earlier migration's file is known."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source = source


def column_type_of(model: Model[E], spec: FieldSpec) -> ColumnType | None:
    """Return the type that each database gives to *spec*; None where no one word says it."""
    bounds = spec.type.bounds
    digits = None
    if bounds.precision is not None and bounds.scale is not None:
        digits = (bounds.precision, bounds.scale)
    lengths = (None, bounds.max_length) if spec.type.kind in _BOUNDED else (None,)
    for length in lengths:
        kept = ColumnType(spec.type.kind.value, digits=digits, indexed=length)
        if all(
            kept.compile(each.compiler) == each.type_of(model, spec).compile(each.compiler)
            for each in DIALECTS.values()
        ):
            return kept
    return None


def _field(name: str, kind: Kind, bounds: Bounds, role: Any) -> FieldSpec:
    value = ValueType(object, kind, nullable=False, bounds=bounds, check=_same, load=None)
    return FieldSpec(name, int(role == "plain"), value, Declaration(role), None)


def _same(value: object) -> object:
    return value
