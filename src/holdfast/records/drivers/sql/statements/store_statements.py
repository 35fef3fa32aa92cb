"""The statements of a store: those that read, and here those that change rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache, reduce
from typing import TYPE_CHECKING, Any, TypeVar, assert_never

import sqlalchemy as sa

from holdfast.records.drivers.sql.statements.assignment_order import in_turn
from holdfast.records.drivers.sql.statements.condition_facts import by_key
from holdfast.records.drivers.sql.statements.dialect import joined
from holdfast.records.drivers.sql.statements.joined_aggregates import JoinedAggregates
from holdfast.records.drivers.sql.statements.joined_table import JoinedTable
from holdfast.records.drivers.sql.statements.read_statements import ReadStatements
from holdfast.records.expressions.field_changes import EditJson, Increment, SetBy, SetFrom, SetTo
from holdfast.records.expressions.predicate_reach import follows_relations
from holdfast.records.expressions.predicates import parts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from holdfast.records.driver_requests import Taking, Update
    from holdfast.records.drivers.sql.statements.dialect import Dialect, Expression, Shape
    from holdfast.records.drivers.sql.statements.statement import Parameters
    from holdfast.records.entities.model import Model
    from holdfast.records.expressions.field_changes import Change
    from holdfast.records.expressions.predicates import Predicate
    from holdfast.records.values.field_spec import FieldSpec
    from holdfast.records.values.json_edit import JsonEdit

E = TypeVar("E")


@lru_cache(maxsize=8)
def statements_of(
    models: tuple[Model[object], ...], dialect: Dialect, schema: str = ""
) -> StoreStatements:
    """Return the statements for *models*: the same ones for each store of these in *schema*."""
    return StoreStatements(models, dialect, schema)


@dataclass(frozen=True, slots=True)
class Beside:
    """What a statement does beside its update: it has a *shape* and *values* of its own.

    *build* is given what is assigned, the condition, and the number of its first parameter.
    """

    shape: Shape
    values: Sequence[object]
    build: Callable[[dict[str, Expression], Expression, int], sa.ClauseElement]


class StoreStatements(ReadStatements):
    """The statements for some models in one dialect: see `ReadStatements`."""

    def update(
        self, update: Update[E], *, returning: bool, record: Beside | None = None
    ) -> tuple[str, Sequence[object]]:
        """Return SQL and values for *update*; *returning* the rows that it changed.

        With a *record*, the update of one row that inserts it too.
        """
        values: list[object] = []
        ordered: Sequence[Change] | None = update.changes
        if self.dialect.assigns_in_turn:
            ordered = in_turn(update.changes)
        changes = ordered or update.changes
        assigned = tuple(self._walk_change(change, values) for change in changes)
        shape = (
            "update",
            update.model.table,
            returning,
            assigned,
            self._conditions.walk(update.where, values),
            None if record is None else record.shape,
        )
        first = len(values)
        if record is not None:
            values += record.values

        def build(table: sa.Table, parameters: Parameters) -> sa.ClauseElement:
            source = JoinedTable(self.tables, table)
            assignments = {
                change.column.name: self._assignment(source, change, parameters)
                for change in changes
            }
            condition = self._fitting(table, update.model, update.where, parameters)
            if record is not None:
                return record.build(assignments, condition, first)
            if ordered is None:
                return _update_from_copy(table, update.model, assignments, condition)
            built = sa.update(table).ordered_values(*_by_column(table, assignments))
            built = built.where(condition)
            return built.returning(*table.c) if returning else built

        return self._statement(shape, update.model, build, values)

    def take(self, taking: Taking[E], *, locks: bool) -> tuple[str, Sequence[object]]:
        """Return SQL and values for *taking*, which returns the rows; *locks*: it holds them."""
        update, takings = taking.update, _in_few_numbers(taking.each())
        values: list[object] = []
        shape = (
            "take",
            update.model.table,
            tuple(self._walk_change(change, values) for change in update.changes),
            tuple(self._walk_part(each, values) for each in takings),
        )

        def build(table: sa.Table, parameters: Parameters) -> sa.ClauseElement:
            outside = JoinedTable(self.tables, table)
            assignments = {
                change.column.name: self._assignment(outside, change, parameters)
                for change in update.changes
            }
            names = update.model.key_names
            picked = [self._picked(outside.again(), each, parameters) for each in takings]
            if locks:
                picked = [each.with_for_update(skip_locked=True) for each in picked]
            these = _is_picked([table.c[name] for name in names], picked, locks=locks)
            built = sa.update(table).ordered_values(*_by_column(table, assignments))
            return built.where(these).returning(*table.c)

        return self._statement(shape, update.model, build, values)

    def _walk_part(self, taking: Taking[E], values: list[object]) -> Shape:
        """Append the values of the rows that *taking* finds, and return its shape."""
        shape = (
            self._conditions.walk(taking.update.where, values),
            self._walk_order(taking.order, values, JoinedAggregates()),
        )
        values += (taking.limit, 0)
        return shape

    def _picked(
        self, source: JoinedTable, taking: Taking[E], parameters: Parameters
    ) -> sa.Select[Any]:
        """Return the search for the keys of the rows that *taking* finds."""
        condition = self._conditions.condition(source, taking.update.where, parameters)
        where = taking.update.where
        along = self._order(source, taking.order, parameters, where=where)
        picked = sa.select(*(source.table.c[name] for name in taking.update.model.key_names))
        picked = picked.select_from(source.rows).where(condition).order_by(*along)
        return picked.limit(parameters.next()).offset(parameters.next())

    def _walk_change(self, change: Change, values: list[object]) -> Shape:
        """Append the values of *change*, and return its shape."""
        spec = change.column.spec
        match change:
            case SetTo(_, value):
                values.append(self._conditions.encode(spec, value))
                return (spec, "set")
            case SetFrom(_, operand):
                return (spec, self._conditions.walk_value(operand, values))
            case SetBy(_, by, chosen):
                encode = self._conditions.encode
                keys = [encode(by.spec, each) for each in chosen]
                given = [encode(spec, each) for each in chosen.values()]
                values += self.dialect.choice_values((by.spec, keys), (spec, given))
                return (spec, "by", by.spec)
            case Increment(_, amount):
                values.append(self._conditions.encode(spec, amount))
                return (spec, "add")
            case EditJson(_, edits):
                return (spec, *(self._walk_edit(spec, edit, values) for edit in edits))
            case _:
                assert_never(change)

    def _walk_edit(self, spec: FieldSpec, edit: JsonEdit, values: list[object]) -> Shape:
        shape, given = self.dialect.edit_values(spec, edit)
        values += given
        return (edit.action, tuple(map(type, edit.steps)), shape)

    def delete(self, model: Model[E], where: Predicate) -> tuple[str, Sequence[object]]:
        """Return SQL and values that delete the rows of *model* that fit *where*."""
        values: list[object] = []
        shape = ("delete", model.table, self._conditions.walk(where, values))

        def build(table: sa.Table, parameters: Parameters) -> sa.ClauseElement:
            return sa.delete(table).where(self._fitting(table, model, where, parameters))

        return self._statement(shape, model, build, values)

    def _fitting(
        self, table: sa.Table, model: Model[E], where: Predicate, parameters: Parameters
    ) -> Expression:
        """Return the condition for the rows of a write, on which what it writes has no bearing.

        What is asked of the row itself is asked at the row too: it may have changed since it was
        found, and a version that was expected must be the one that is overwritten.
        """
        parts = parts_of(where)
        source = JoinedTable(self.tables, table, by_key=by_key(model, where))
        built = [self._conditions.condition(source, part, parameters) for part in parts]
        if self.dialect.writes_see_one_state or not follows_relations(where):
            return joined(sa.and_, built)
        own = [each for part, each in zip(parts, built, strict=True) if not follows_relations(part)]
        keys = [table.c[name] for name in model.key_names]
        # DISTINCT keeps the server from merging it into the statement, which it then refuses.
        found = sa.select(*keys).where(*built).distinct().subquery("holdfast found")
        return joined(sa.and_, [*own, _together(keys).in_(sa.select(*found.c))])

    def _assignment(
        self, source: JoinedTable, change: Change, parameters: Parameters
    ) -> Expression:
        match change:
            case SetTo():
                return parameters.next()
            case SetFrom(_, operand):
                return self._conditions.value(source, operand, parameters)
            case SetBy(column, by, _):
                found = source.column(by)
                return self.dialect.choice(by.spec, found, column.spec, parameters)
            case Increment(column, _):
                stored = source.column(column)
                return self.dialect.increased(column.spec, stored, parameters.next())
            case EditJson(column, edits):
                found = source.column(column)
                for edit in edits:
                    found = self.dialect.edited(found, edit, parameters)
                return found
            case _:
                assert_never(change)


def _by_column(
    table: sa.Table, assignments: Mapping[str, Expression]
) -> list[tuple[sa.Column[Any], Expression]]:
    return [(table.c[name], value) for name, value in assignments.items()]


def _in_few_numbers(takings: list[Taking[E]]) -> list[Taking[E]]:
    """Return *takings*, with some of nothing behind them: 1, 2, 4, 8 ... in all.

    Each number of them is a text of its own to compile, which takes ten times as long as to run it.
    """
    nothing = replace(takings[0], limit=0)
    wanted = 1 << (len(takings) - 1).bit_length()
    return takings + [nothing] * (wanted - len(takings))


def _is_picked(
    keys: Sequence[sa.Column[Any]], picked: Sequence[sa.Select[Any]], *, locks: bool
) -> Expression:
    """Return whether *keys* are among those that one of *picked* finds, each asked once.

    PostgreSQL would else ask a search that *locks* and has a limit once for each row, and so find
    more than that. Of an array it knows that few rows have to be looked up.
    """
    if locks and len(keys) == 1:
        arrays: list[Expression] = [sa.func.array(each.scalar_subquery()) for each in picked]
        return keys[0] == sa.any_(reduce(lambda some, more: some.op("||")(more), arrays))
    found = [
        each.cte(f"holdfast picked {number}") if locks else each.subquery()
        for number, each in enumerate(picked)
    ]
    return _together(keys).in_(sa.union_all(*(sa.select(*each.c) for each in found)))


def _together(keys: Sequence[sa.Column[Any]]) -> Expression:
    return keys[0] if len(keys) == 1 else sa.tuple_(*keys)


def _update_from_copy(
    table: sa.Table,
    model: Model[E],
    assignments: Mapping[str, Expression],
    condition: Expression,
) -> sa.ClauseElement:
    """Return the update whose values are computed of a copy of the rows, made and locked first."""
    keys = [table.c[name] for name in model.key_names]
    named = [value.label(f"new {name}") for name, value in assignments.items()]
    # DISTINCT keeps the copy apart, which the server would merge into the statement.
    copied = sa.select(*keys, *named).where(condition).distinct().with_for_update()
    copy = copied.subquery("holdfast copy")
    new = {name: copy.c[f"new {name}"] for name in assignments}
    return sa.update(table).values(new).where(*(key == copy.c[key.name] for key in keys))
