"""The statements of a model whose shape never varies: by key, and whole rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from holdfast.records.drivers.sql.codecs import decoder, encoder
from holdfast.records.hydrate import hydrator

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.records.drivers.sql.statements import Statement, Statements
    from holdfast.records.model import Model, Row

E = TypeVar("E")


class Writes(Generic[E]):
    """What is prepared for one model. A row's values are parameters p0, p1, ... by position."""

    def __init__(self, model: Model[E], statements: Statements) -> None:
        self._model = model
        self._table = statements.tables[model.table]
        self._compile = statements.compile
        self._upserts: dict[tuple[str, ...], Statement] = {}
        table, key = self._table, self._table.c[model.key.name]
        self.hydrate = hydrator(model, decoder)
        self.encode = row_encoder(model)
        self.key_encoder = encoder(model.key)
        self.get = self._compile(sa.select(*table.c).where(key == _parameter(0)))
        self.insert = self._compile(sa.insert(table).values(self._assignments()))
        self.replace = self._compile(self._build_replace())

    def key(self, key: object) -> object:
        return key if self.key_encoder is None else self.key_encoder(key)

    def upsert(self, on: tuple[str, ...]) -> Statement:
        """Return the insertion that overwrites the row with the same *on* fields."""
        statement = self._upserts.get(on)
        if statement is None:
            statement = self._upserts[on] = self._compile(self._build_upsert(on))
        return statement

    def same(self, on: tuple[str, ...], *, but_key: bool = False) -> Statement:
        """Return the search for a row with the same *on* fields, under another key if so asked."""
        table = self._table
        one: sa.ColumnElement[int] = sa.literal_column("1")
        built = sa.select(one).select_from(table)
        for name in on:
            built = built.where(table.c[name] == _parameter(self._model.by_name[name].position))
        if but_key:
            key = self._model.key
            built = built.where(table.c[key.name] != _parameter(key.position))
        return self._compile(built)

    def _assignments(self) -> dict[str, sa.ColumnElement[object]]:
        return {spec.name: _parameter(spec.position) for spec in self._model.fields}

    def _build_replace(self) -> sa.ClauseElement:
        model, table = self._model, self._table
        kept = {model.key.name, *([model.created_at.name] if model.created_at else [])}
        written: dict[str, sa.ColumnElement[object]] = {
            name: value for name, value in self._assignments().items() if name not in kept
        } or {model.key.name: table.c[model.key.name]}
        built = sa.update(table).values(written)
        built = built.where(table.c[model.key.name] == _parameter(model.key.position))
        if model.version is not None:
            built = built.where(table.c[model.version.name] == _parameter(len(model.fields)))
        return built.returning(*table.c)

    def _build_upsert(self, on: tuple[str, ...]) -> sa.ClauseElement:
        model, table = self._model, self._table
        insert = sqlite_insert(table).values(self._assignments())
        kept = {model.key.name, *on, *([model.created_at.name] if model.created_at else [])}
        changes: dict[str, Callable[[], object] | object] = {
            spec.name: insert.excluded[spec.name] for spec in model.fields if spec.name not in kept
        }
        if model.version is not None:
            version = table.c[model.version.name]
            changes[model.version.name] = version + sa.literal_column("1")
        if not changes:
            changes[model.key.name] = table.c[model.key.name]
        return insert.on_conflict_do_update(index_elements=list(on), set_=changes).returning(
            *table.c
        )


def row_encoder(model: Model[E]) -> Callable[[Row], tuple[object, ...]]:
    """Return a function from a row to its values as SQLite keeps them, generated for *model*."""
    scope: dict[str, object] = {}
    parts: list[str] = []
    for spec in model.fields:
        value, function = f"v{spec.position}", encoder(spec)
        if function is not None:
            scope[f"e{spec.position}"] = function
            parts.append(f"None if {value} is None else e{spec.position}({value})")
        else:
            parts.append(value)
    names = ", ".join(f"v{spec.position}" for spec in model.fields)
    source = f"def encode(row):\n    {names}, = row\n    return ({', '.join(parts)},)"
    exec(source, scope)  # noqa: S102 - built from positions alone
    return cast("Callable[[Row], tuple[object, ...]]", scope["encode"])


def _parameter(position: int) -> sa.BindParameter[object]:
    return sa.bindparam(f"p{position}", type_=sa.types.NullType())
