"""MariaDB: its native writes, and which field was in the way, which it does not say."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

import sqlalchemy as sa

from holdfast.errors import ConflictError
from holdfast.records.driver import Select
from holdfast.records.drivers.sql.dialect import parameter
from holdfast.records.drivers.sql.errno import MEANINGS
from holdfast.records.drivers.sql.overwriting import overwriting
from holdfast.records.drivers.sql.verbs import ServerRows, conflict
from holdfast.records.model import model_of
from holdfast.records.query import And, Compare, Everything, Operator, SetTo, node

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from holdfast.records.driver import Update
    from holdfast.records.drivers.sql.link import Fault, SeveralAtOnce
    from holdfast.records.drivers.sql.statements import Statement
    from holdfast.records.model import FieldSpec, Model, Row
    from holdfast.records.query import Predicate

E = TypeVar("E")

_CONFLICTS = ("duplicate", "foreign key", "other row")
_ROWS = 500  # of one statement


class MariaDBRows(ServerRows):
    """See `ServerRows`."""

    async def insert(
        self, model: Model[E], rows: Sequence[Row], *, atomic: bool
    ) -> list[Row | ConflictError]:
        if len(rows) == 1:
            return [await self._insert_one(model, rows[0], None, atomic=atomic)]

        async def at_once() -> list[Row | ConflictError]:
            stored: list[Row | ConflictError] = []
            for start in range(0, len(rows), _ROWS):
                stored += await self._insert_many(model, rows[start : start + _ROWS])
            return stored

        async def one_by_one() -> list[Row | ConflictError]:
            return [
                await self._insert_one(model, row, index, atomic=atomic)
                for index, row in enumerate(rows)
            ]

        at = model.key.position
        if len({row[at] is None for row in rows}) == 1:
            try:
                return await self.written(at_once, several=len(rows) > _ROWS)
            except Exception as error:
                if self.kind(error) not in _CONFLICTS:
                    raise self.classified(error, model) from error
        # Keys given and keys to number in one batch; or which row it was, the server does not say.
        return await self.written(one_by_one, several=True)

    async def _insert_one(
        self, model: Model[E], row: Row, index: int | None, *, atomic: bool
    ) -> Row | ConflictError:
        try:
            ((stored),) = await self._insert_many(model, (row,))
        except Exception as error:
            refused = await self.refused_row(model, error, row, index)
            if atomic or not isinstance(refused, ConflictError):
                raise refused from error
            return refused
        return stored

    async def _insert_many(self, model: Model[E], rows: Sequence[Row]) -> list[Row]:
        prepared, at = self.catalogue.writes(model), model.key.position
        encoded = [prepared.insert.bind(prepared.encode(row)) for row in rows]
        if rows[0][at] is not None:
            await self._execute(*_repeated(prepared.insert, encoded))
            return list(rows)

        def build() -> sa.ClauseElement:
            table = self.catalogue.statements.tables[model.table]
            values = {spec.name: parameter(spec.position) for spec in model.fields}
            return sa.insert(table).values(values).returning(table.c[model.key.name])

        found = await self._fetch(*_repeated(prepared.other("numbered", build), encoded))
        numbers = sorted(cast("int", row[0]) for row in found)
        return [
            (*row[:at], number, *row[at + 1 :]) for row, number in zip(rows, numbers, strict=True)
        ]

    async def replace(self, model: Model[E], row: Row, expected: int | None) -> E | None:
        replace = self.catalogue.writes(model).replace
        change = replace.sql, replace.bind([*self.catalogue.writes(model).encode(row), expected])

        async def refused(error: Exception) -> Exception:
            return await self.refused_row(model, error, row, None, stored=True)

        return await self._changed(model, row[model.key.position], change, refused)

    async def patch(self, update: Update[E]) -> E | None:
        change = self.catalogue.statements.update(update, returning=False)
        key = _key_of(update.model, update.where)

        async def refused(error: Exception) -> Exception:
            return await self.refused_update(update, error)

        return await self._changed(update.model, key, change, refused)

    async def _changed(
        self,
        model: Model[E],
        key: object,
        change: tuple[str, Sequence[object]],
        refused: Callable[[Exception], Awaitable[Exception]],
    ) -> E | None:
        """Run *change*, of one row, and return the row as it then is, None when it found none.

        UPDATE has no RETURNING here. So the change, the read and the transaction around them go
        there in one message and their answers come back in one.
        """
        prepared = self.catalogue.writes(model)
        sql, values = change
        texts: tuple[str, ...] = (sql, prepared.get.sql)
        alone = not self.in_transaction
        if alone:
            texts = ("START TRANSACTION", *texts, "COMMIT")
        try:
            found = await self._several("; ".join(texts), (*values, prepared.key(key)))
        except Exception as error:
            wrong = await refused(error)
            if alone and not self.lost:
                await self.rollback()
            raise wrong from error
        (count, _), (_, rows) = found[1:3] if alone else found
        return prepared.hydrate(rows)[0] if count else None

    async def _several(
        self, sql: str, values: Sequence[object]
    ) -> list[tuple[int, Sequence[Sequence[object]]]]:
        connection = cast("SeveralAtOnce", self.connection)
        return await self.watched(sql, connection.several(sql, values))

    def batched(self, statements: Sequence[str]) -> Sequence[str]:
        return ["; ".join(statements)]

    async def upsert(
        self, model: Model[E], rows: Sequence[Row], on: tuple[str, ...]
    ) -> list[tuple[E, bool]]:
        if len(rows) == 1:
            return [await self._upsert_one(model, rows[0], None, on)]

        async def at_once() -> list[tuple[E, bool]]:
            stored: list[tuple[E, bool]] = []
            for start in range(0, len(rows), _ROWS):
                stored += await self._upsert_many(model, rows[start : start + _ROWS], on)
            return stored

        async def one_by_one() -> list[tuple[E, bool]]:
            return [await self._upsert_one(model, row, index, on) for index, row in enumerate(rows)]

        try:
            return await self.written(at_once, several=True)
        except Exception as error:
            if self.kind(error) not in _CONFLICTS:
                raise self.classified(error, model) from error
        return await self.written(one_by_one, several=True)

    async def _upsert_many(
        self, model: Model[E], rows: Sequence[Row], on: tuple[str, ...]
    ) -> list[tuple[E, bool]]:
        prepared = self.catalogue.writes(model)
        statement = prepared.upsert(on)
        encoded = [statement.bind(prepared.encode(row)) for row in rows]
        found = await self._fetch(*_repeated(statement, encoded))
        stored = prepared.hydrate(row[:-1] for row in found)
        return [(entity, row[-1] == 1) for entity, row in zip(stored, found, strict=True)]

    async def _upsert_one(
        self, model: Model[E], row: Row, index: int | None, on: tuple[str, ...]
    ) -> tuple[E, bool]:
        try:
            return (await self._upsert_many(model, (row,), on))[0]
        except Exception as error:
            if self.kind(error) == "other row":
                found = await self._overwrite(model, row, on)
                if found is not None:
                    return found, False
            raise await self.refused_row(model, error, row, index, on=on) from error

    async def _overwrite(self, model: Model[E], row: Row, on: tuple[str, ...]) -> E | None:
        """Overwrite the row with the same *on* when another one stood first in the way."""
        prepared = self.catalogue.writes(model)
        table = self.catalogue.statements.tables[model.table]
        given = {spec.name: parameter(spec.position) for spec in model.fields}

        def built() -> sa.ClauseElement:
            update = sa.update(table).values(overwriting(model, table, on, given))
            return update.where(*(table.c[name] == given[name] for name in on))

        def stored() -> sa.ClauseElement:
            return sa.select(*table.c).where(*(table.c[name] == given[name] for name in on))

        change = prepared.other(("overwrite", on), built)
        search = prepared.other(("found by", on), stored)
        encoded = prepared.encode(row)

        async def work() -> E | None:
            try:
                count = await self._execute(change.sql, change.bind(encoded))
            except Exception as error:
                raise await self.refused_row(model, error, row, None, stored=True) from error
            if not count:
                return None
            return prepared.hydrate(await self._fetch(search.sql, search.bind(encoded)))[0]

        return await self.written(work, several=True)

    # --- what went wrong --------------------------------------------------------------------

    def meaning(self, fault: Fault) -> str:
        return MEANINGS.get(fault.code, "")

    async def refused_row(
        self,
        model: Model[E],
        error: Exception,
        row: Row,
        index: int | None,
        *,
        stored: bool = False,
        on: tuple[str, ...] = (),
    ) -> Exception:
        """Return what kept *row* out; *stored* when it replaces one under its key."""
        prepared = self.catalogue.writes(model)
        encoded = prepared.encode(row)
        kind = self.kind(error)
        if kind in ("duplicate", "other row"):
            uniques = model.uniques if stored else ((model.key.name,), *model.uniques)
            for unique in uniques:
                same = prepared.same(unique, but_key=stored)
                if unique != on and await self._any(same.sql, same.bind(encoded)):
                    return conflict("duplicate", model, unique, index)
            return conflict("duplicate", model, (), index)
        if kind == "foreign key":
            for spec in model.references:
                value = encoded[spec.position]
                if value is not None and not await self._has_target(spec, value):
                    return conflict(kind, model, (spec.name,), index)
            return conflict(kind, model, (), index)
        return self.classified(error, model)

    async def refused_change(self, update: Update[E], error: Exception) -> Exception:
        model, kind = update.model, self.kind(error)
        if kind == "duplicate":
            changed = {change.column.name for change in update.changes}
            touched = [unique for unique in model.uniques if changed & set(unique)]
            if len(touched) != 1:
                touched = [unique for unique in touched if await self._is_taken(update, unique)]
            return conflict(kind, model, touched[0] if touched else ())
        if kind == "foreign key":
            for change in update.changes:
                spec = change.column.spec
                if isinstance(change, SetTo) and spec.reference and change.value is not None:
                    value = self.catalogue.statements.encode(spec, change.value)
                    if not await self._has_target(spec, value):
                        return conflict(kind, model, (spec.name,))
            return conflict(kind, model, ())
        return self.classified(error, model)

    async def refused_deletion(
        self, model: Model[E], where: Predicate, error: Exception
    ) -> Exception:
        if self.kind(error) != "foreign key":
            return self.classified(error, model)
        sql, values = self.catalogue.statements.delete(model, where)
        condition = sql.partition(" WHERE ")[2] or "1"
        for child in self.catalogue.models:
            for spec in child.references:
                assert spec.reference is not None
                if model_of(spec.reference.target()) is not model:
                    continue
                if spec.reference.on_delete == "restrict" and await self._any(
                    f"SELECT 1 FROM `{child.table}` WHERE `{spec.name}` IN "  # noqa: S608 - names of the model
                    f"(SELECT `{model.key.name}` FROM `{model.table}` WHERE {condition}) LIMIT 1",
                    values,
                ):
                    return conflict("foreign key", child, (spec.name,))
        return conflict("foreign key", model, ())

    async def _is_taken(self, update: Update[E], unique: tuple[str, ...]) -> bool:
        """Tell whether a row that *update* leaves alone holds what it would give *unique*."""
        same: Predicate = Everything()
        for change in update.changes:
            if change.column.name in unique and isinstance(change, SetTo):
                same &= Compare(change.column, Operator.EQ, change.value)
        select = Select(update.model, same & ~update.where, (), 1)
        return await self._any(*self.catalogue.statements.select(select))

    async def _has_target(self, spec: FieldSpec, value: object) -> bool:
        assert spec.reference is not None
        target: Model[object] = model_of(spec.reference.target())
        return await self._any(self.catalogue.writes(target).get.sql, (value,))

    async def _any(self, sql: str, values: Sequence[object]) -> bool:
        return bool(await self._fetch(sql, values))


def _repeated(statement: Statement, rows: Sequence[Sequence[object]]) -> tuple[str, list[object]]:
    """Return *statement*, an insertion of one row, as one of all of *rows*."""
    if len(rows) == 1:
        return statement.sql, list(rows[0])
    head, _, rest = statement.sql.partition(" VALUES (")
    end = _closing(rest)
    group = f"({rest[:end]})"
    sql = f"{head} VALUES {', '.join([group] * len(rows))}{rest[end + 1 :]}"
    return sql, [value for row in rows for value in row]


def _closing(text: str) -> int:
    """Return where the parenthesis that stands open before *text* closes."""
    depth = 1
    for at, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return at
    raise AssertionError("a statement's parentheses match")


def _key_of(model: Model[E], where: Predicate) -> object:
    """Return the key that *where*, a patch's condition, asks for."""
    leaf = node(where)
    parts = leaf.parts if isinstance(leaf, And) else (where,)
    for part in parts:
        match node(part):
            case Compare(operand, Operator.EQ, value) if (
                getattr(operand, "spec", None) is model.key
            ):
                return value
    raise AssertionError("a patch names its key")
