"""What was in the way of a write, where the database does not say: what to ask it, as data.

The driver that has a connection asks, one waiting for the answer and another awaiting it; what is
asked, in which order, and what the answer means stands here once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from holdfast.errors import CheckError, InvalidValueError
from holdfast.records.driver_requests import Select
from holdfast.records.drivers.sql.statements.constraint_ddl import database_name
from holdfast.records.drivers.sql.statements.tables import named
from holdfast.records.entities.model import model_of
from holdfast.records.expressions.field_changes import EditJson, SetTo
from holdfast.records.expressions.operands import Column
from holdfast.records.rows.evaluate import changed
from holdfast.records.rows.row_rules import broken_check, check_error, takes_part, unique_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from holdfast.records.driver_requests import Update
    from holdfast.records.drivers.sql.statements.store_statements import StoreStatements
    from holdfast.records.entities.constraint import Unique
    from holdfast.records.entities.model import Model, Row
    from holdfast.records.expressions.predicates import Predicate
    from holdfast.records.values.field_spec import FieldSpec

E = TypeVar("E")
_LOOKED_AT = 1_000  # rows of an update in which what is in its way is looked for
Fields = tuple[str, ...]
Question = tuple[str, "Sequence[object]"]
"""A statement and its values; what it asks is so when it finds a row."""


def overflow(update: Update[E]) -> InvalidValueError:
    """Return the error for what the stored values don't allow: a sum, or a change inside JSON."""
    made = [each for each in update.changes if not isinstance(each, SetTo)]
    plain = [each for each in made if each.column.spec.role == "plain"]
    names = ", ".join(each.column.name for each in plain)
    edits = [isinstance(each, EditJson) for each in plain]
    reasons = ["the result is too large for the field"] if not all(edits) else []
    if any(edits):
        reasons.append("what is stored in the JSON can't be changed so")
    return InvalidValueError(update.model.name, names, ", or ".join(reasons))


def same_rows(
    statements: StoreStatements, model: Model[E], row: Row, *, stored: bool, on: Fields
) -> Iterator[tuple[Unique, Question]]:
    """Yield uniques and the question whether they can't tell a row from *row*.

    *stored*: it replaces the one under its key, which does not count. *on*: of an upsert, which
    overwrites the row with the same *on* fields, that one does not count, and its key matters only
    where there is none.
    """
    prepared = statements.of_model(model)
    encoded = prepared.encode(row)
    key = model.key_unique
    named = model.unique_on(on) if on else None
    replaced = named or (key if stored else None)
    for unique in (key, *model.all_uniques):
        if unique == replaced or (unique == key and stored) or not takes_part(unique, row):
            continue
        if unique == key and replaced:
            same = prepared.same(unique, without=replaced)
        else:
            same = prepared.same(unique, but=replaced)
        yield unique, (same.sql, same.bind(encoded))


def rows_of(update: Update[E]) -> tuple[Select[E], tuple[Column, ...]]:
    """Return the search for rows of *update* as they are, some of them where they are many."""
    model = update.model
    columns = tuple(Column(model.name, spec) for spec in model.fields)
    return Select(model, update.where, (), _LOOKED_AT), columns


def taken_by(
    statements: StoreStatements, update: Update[E], rows: Sequence[Row]
) -> Iterator[tuple[Unique, Question | None]]:
    """Yield uniques that *update* touches, and whether they can't tell a row from one of *rows*.

    These are as they are before it. None in place of a question: two of them become the same.
    """
    mine = touched(update)
    met: set[tuple[str, object]] = set()
    for row in rows:
        after = changed(row, update.changes)
        for unique in mine:
            values = unique_values(unique, after)
            if values is not None and (unique.name, values) in met:
                yield unique, None
            met.add((unique.name, values))
        asked = same_rows(statements, update.model, after, stored=True, on=())
        yield from ((unique, question) for unique, question in asked if unique in mine)


def undeclared_check(model: Model[E], name: str | None) -> CheckError | None:
    """Return the error for the check *name*, of which only the database knows.

    None for one that the model declares, for a limit of SQLite's numbers, and without a name.
    """
    if not name:
        return None
    if model.adapter is None:
        declared = {database_name(model.table, check) for check in model.checks}
        limits = {named("ck", model.table, [spec.name]) for spec in model.fields}
        if name in declared | limits:
            return None
    return CheckError(model.name, name, ())


def refused_by_check(update: Update[E], rows: Sequence[Row], name: str | None) -> InvalidValueError:
    """Return the error for *update*, which the check *name* refuses; *rows* are those before it."""
    model = update.model
    undeclared = undeclared_check(model, name)
    if undeclared is not None:
        return undeclared
    for row in rows:
        try:
            broken = broken_check(model, changed(row, update.changes))
        except InvalidValueError:
            return overflow(update)
        if broken is not None:
            return check_error(model, broken)
    names = {change.column.name for change in update.changes}
    known = [check for check in model.checks if names.intersection(check.fields)]
    return check_error(model, known[0]) if known else overflow(update)


def row_refused_by_check(model: Model[E], row: Row, name: str | None) -> InvalidValueError | None:
    """Return the error for *row*, which the check *name* refuses; None where none is known.

    It fits all as it is, or it would not have been sent. So it was to overwrite another one by an
    upsert, which keeps some of that one's values: a check of those is to blame.
    """
    undeclared = undeclared_check(model, name)
    if undeclared is not None:
        return undeclared
    broken = broken_check(model, row)
    kept = {*model.key_names, *([model.created_at.name] if model.created_at else [])}
    known = [broken] if broken else [each for each in model.checks if kept & {*each.fields}]
    return next((check_error(model, each) for each in (*known, *model.checks)), None)


def touched(update: Update[E]) -> list[Unique]:
    """Return the uniques of which *update* changes a field, or which rows they are of."""
    changed = {change.column.name for change in update.changes}
    return [unique for unique in update.model.all_uniques if changed & unique.reads]


def targets_of_row(
    statements: StoreStatements, model: Model[E], encoded: Sequence[object]
) -> Iterator[tuple[Fields, Question]]:
    """Yield references of the row, and the question whether what they point at is there."""
    for spec in model.references:
        if encoded[spec.position] is not None:
            yield (spec.name,), _target(statements, spec, encoded[spec.position])


def targets_of_update(
    statements: StoreStatements, update: Update[E]
) -> Iterator[tuple[Fields, Question]]:
    """Yield references that *update* sets, and the question whether their target is there."""
    for change in update.changes:
        spec = change.column.spec
        if isinstance(change, SetTo) and spec.reference and change.value is not None:
            value = statements.encode(spec, change.value)
            yield (spec.name,), _target(statements, spec, value)


def _target(statements: StoreStatements, spec: FieldSpec, value: object) -> Question:
    assert spec.reference is not None
    target: Model[object] = model_of(spec.reference.target())
    return statements.of_model(target).get.sql, (value,)


def pointers(
    statements: StoreStatements, model: Model[E], where: Predicate
) -> Iterator[tuple[Model[object], Fields, Question]]:
    """Yield what may hold the rows of *where*: its model, its reference, and whether it does."""
    preparer = statements.dialect.compiler.identifier_preparer
    quote = preparer.quote
    sql, values = statements.delete(model, where)
    condition = sql.partition(" WHERE ")[2] or "1"
    table = statements.tables[model.table]
    for child in statements.models:
        for spec in () if child.view else child.references:
            reference = spec.reference
            assert reference is not None
            if reference.on_delete == "restrict" and model_of(reference.target()) is model:
                key = quote(table.c[model.key.name].name)
                column = quote(statements.tables[child.table].c[spec.name].name)
                pointing = preparer.format_table(statements.tables[child.table])
                held = (
                    f"SELECT 1 FROM {pointing} WHERE {column} IN "  # noqa: S608 - names of the models
                    f"(SELECT {key} FROM {preparer.format_table(table)} WHERE {condition}) LIMIT 1"
                )
                yield child, (spec.name,), (held, values)
