"""The statements of a model whose shape never varies: by key, and whole rows."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Generic, TypeVar, cast

import sqlalchemy as sa

from holdfast.records.drivers.sql.statements.statement import compiled, parameter
from holdfast.records.drivers.sql.statements.upsert import alike
from holdfast.records.rows.hydration import hydrator
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from holdfast.records.drivers.sql.statements.dialect import Codec, Dialect
    from holdfast.records.drivers.sql.statements.statement import Statement
    from holdfast.records.entities.constraint import Unique
    from holdfast.records.entities.model import Model, Row
    from holdfast.records.values.field_spec import FieldSpec

E = TypeVar("E")


class ModelStatements(Generic[E]):
    """What is prepared for one model. A row's values are parameters p0, p1, ... by position."""

    def __init__(self, model: Model[E], table: sa.Table, dialect: Dialect) -> None:
        self._model = model
        self._dialect = dialect
        self._table = table
        self._upserts: dict[tuple[str, ...], Statement] = {}
        self._others: dict[object, Statement] = {}
        self.hydrate = hydrator(model, dialect.decoder, checked=True)
        self.encoders = [dialect.encoder(spec) for spec in model.fields]
        self.encode = row_encoder(model, self.encoders)
        self.key_values = key_encoder([self.encoders[spec.position] for spec in model.keys])
        """What turns a key into the values of `get`."""
        keys = [table.c[name] == parameter(at) for at, name in enumerate(model.key_names)]
        self.get = self._compile(sa.select(*table.c).where(*keys))
        self.insert = self._compile(self._insertion())
        self.replace = self._compile(self._build_replace())

    @cached_property
    def hydrate_returned(self) -> Callable[[Iterable[Sequence[object]]], list[E]]:
        """Make entities of what RETURNING gives on SQLite: of a whole float an int."""

        def decoder(spec: FieldSpec) -> Codec:
            decode = self._dialect.decoder(spec)
            return float_of if decode is None and spec.type.kind is Kind.FLOAT else decode

        return hydrator(self._model, decoder, checked=True)

    def upsert(self, on: tuple[str, ...]) -> Statement:
        """Return the insertion that overwrites the row with the same *on* fields."""
        statement = self._upserts.get(on)
        if statement is None:
            statement = self._upserts[on] = self._compile(
                self._dialect.upsert(self._model, self._table, on)
            )
        return statement

    def same(
        self, on: Unique, *, but: Unique | None = None, without: Unique | None = None
    ) -> Statement:
        """Return the search for a row that is the same *on* a unique as a given one.

        Not the one that is the same *but* another, and only if none is the same *without* it.
        """
        table = self._table
        one: sa.ColumnElement[int] = sa.literal_column("1")
        built = sa.select(one).select_from(table).where(self._equal(table, on))
        if but is not None:
            # A null is the same as no other, so it is told apart and not unknown.
            built = built.where(sa.func.coalesce(self._equal(table, but), sa.false()) == sa.false())
        if without is not None:
            other = table.alias("other")
            found = sa.select(one).select_from(other).where(self._equal(other, without))
            built = built.where(~sa.exists(found))
        return self._compile(built)

    def _equal(self, table: sa.FromClause, unique: Unique) -> sa.ColumnElement[bool]:
        given = {spec.name: parameter(spec.position) for spec in self._model.fields}
        return sa.and_(*alike(self._dialect, unique, (table, given)))

    def other(self, name: object, build: Callable[[], sa.ClauseElement]) -> Statement:
        """Return what *build* builds, compiled once under *name*."""
        statement = self._others.get(name)
        if statement is None:
            statement = self._others[name] = self._compile(build())
        return statement

    def _compile(self, built: sa.ClauseElement) -> Statement:
        return compiled(built, self._dialect.compiler)

    def _insertion(self) -> sa.Insert:
        given = {spec.name: parameter(spec.position) for spec in self._model.given}
        return sa.insert(self._table).values(given)

    @cached_property
    def returning_insert(self) -> Statement:
        """The insertion that returns `returned_specs`, on databases that can."""
        returned = [self._table.c[name] for name in (*self._model.key_names, *self._model.left_out)]
        return self._compile(self._insertion().returning(*returned))

    def _assignments(self) -> dict[str, sa.ColumnElement[object]]:
        return {spec.name: parameter(spec.position) for spec in self._model.fields}

    def _build_replace(self) -> sa.ClauseElement:
        table = self._table
        written, condition = self.replacement()
        built = sa.update(table).values(written).where(condition)
        return built.returning(*table.c) if self._dialect.returns_changed else built

    def replacement(self) -> tuple[dict[str, sa.ColumnElement[object]], sa.ColumnElement[bool]]:
        """Return what overwrites a row, and what the row must fit: its key, and its version.

        The version is the parameter behind the row's own.
        """
        model, table = self._model, self._table
        kept = {spec.name for spec in model.fields if spec.kept}
        written: dict[str, sa.ColumnElement[object]] = {
            name: value for name, value in self._assignments().items() if name not in kept
        } or {model.key_names[0]: table.c[model.key_names[0]]}
        condition = self._equal(table, model.key_unique)
        if model.version is not None:
            wanted = table.c[model.version.name] == parameter(len(model.fields))
            condition = sa.and_(condition, wanted)
        if model.deleted_at is not None:
            condition = sa.and_(condition, table.c[model.deleted_at.name].is_(None))
        return written, condition


def float_of(value: object) -> float:
    """Return the float that *value*, a number, is."""
    return float(cast("float", value))


def key_encoder(encoders: Sequence[Codec]) -> Callable[[object], tuple[object, ...]]:
    """Return a generated function from a key to its values as the database keeps them."""
    scope: dict[str, object] = {f"e{at}": encode for at, encode in enumerate(encoders)}
    names = [f"v{at}" for at, _ in enumerate(encoders)]
    parts = [
        name if encode is None else f"e{at}({name})"
        for at, (name, encode) in enumerate(zip(names, encoders, strict=True))
    ]
    key = names[0] if len(names) == 1 else "key"
    unpacked = "" if len(names) == 1 else f"    {', '.join(names)} = key\n"
    source = f"def encode({key}):\n{unpacked}    return ({', '.join(parts)},)"
    exec(source, scope)  # noqa: S102 - built from positions alone
    return cast("Callable[[object], tuple[object, ...]]", scope["encode"])


def row_encoder(model: Model[E], encoders: Sequence[Codec]) -> Callable[[Row], tuple[object, ...]]:
    """Return a generated function from a row to its values as the database keeps them."""
    scope: dict[str, object] = {}
    parts: list[str] = []
    for spec in model.fields:
        value, function = f"v{spec.position}", encoders[spec.position]
        if function is not None:
            scope[f"e{spec.position}"] = function
            parts.append(f"None if {value} is None else e{spec.position}({value})")
        else:
            parts.append(value)
    names = ", ".join(f"v{spec.position}" for spec in model.fields)
    source = f"def encode(row):\n    {names}, = row\n    return ({', '.join(parts)},)"
    exec(source, scope)  # noqa: S102 - built from positions alone
    return cast("Callable[[Row], tuple[object, ...]]", scope["encode"])
