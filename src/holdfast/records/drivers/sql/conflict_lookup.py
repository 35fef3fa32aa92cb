"""What was in the way of a write, where the database does not say: what to ask it, as data.

The driver that has a connection asks, one waiting for the answer and another awaiting it; what is
asked, in which order, and what the answer means stands here once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from holdfast.errors import DuplicateError, ForeignKeyError, InvalidValueError
from holdfast.records.driver import Select
from holdfast.records.drivers.sql.failure import FailureKind
from holdfast.records.model import model_of
from holdfast.records.query import Compare, Everything, Operator, SetTo

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from holdfast.errors import ConflictError
    from holdfast.records.driver import Update
    from holdfast.records.drivers.sql.store_statements import StoreStatements
    from holdfast.records.field_spec import FieldSpec
    from holdfast.records.model import Model
    from holdfast.records.query import Predicate

E = TypeVar("E")
Fields = tuple[str, ...]
Question = tuple[str, "Sequence[object]"]
"""A statement and its values; what it asks is so when it finds a row."""


def conflict(
    kind: FailureKind, model: Model[E], fields: Fields, index: int | None = None
) -> ConflictError:
    """Return the error for a row, number *index* of its batch, whose *fields* were in the way."""
    made = DuplicateError if kind is FailureKind.DUPLICATE else ForeignKeyError
    return made(model.name, fields, index)


def overflow(update: Update[E]) -> InvalidValueError:
    """Return the error for an increment, or another expression, that its field can't hold."""
    sums = [each.column for each in update.changes if not isinstance(each, SetTo)]
    names = [column.name for column in sums if column.spec.role == "plain"]
    return InvalidValueError(
        update.model.name, ", ".join(names), "the result is too large for the field"
    )


def same_rows(
    statements: StoreStatements,
    model: Model[E],
    encoded: Sequence[object],
    *,
    stored: bool,
    on: Fields,
) -> Iterator[tuple[Fields, Question]]:
    """Yield unique fields and the question whether a row has those of *encoded*.

    *stored*: it replaces the one under its key, which does not count. *on*: of an upsert, which
    overwrites the row with the same *on* fields, that one does not count, and its key matters only
    where there is none.
    """
    prepared = statements.of_model(model)
    key = (model.key.name,)
    replaced = on if on and on != key else key if stored or on else ()
    for unique in (key, *model.uniques):
        if unique == replaced or (unique == key and stored):
            continue
        if unique == key and replaced:
            same = prepared.same(unique, without=replaced)
        else:
            same = prepared.same(unique, but=replaced)
        yield unique, (same.sql, same.bind(encoded))


def taken_values(
    statements: StoreStatements, update: Update[E]
) -> Iterator[tuple[Fields, Question]]:
    """Yield unique fields that *update* changes, and whether a row it leaves has those values."""
    for unique in touched(update):
        same: Predicate = Everything()
        for change in update.changes:
            if change.column.name in unique and isinstance(change, SetTo):
                same &= Compare(change.column, Operator.EQ, change.value)
        yield unique, statements.select(Select(update.model, same & ~update.where, (), 1))


def touched(update: Update[E]) -> list[Fields]:
    """Return the unique sets of fields of which *update* changes at least one."""
    changed = {change.column.name for change in update.changes}
    return [unique for unique in update.model.uniques if changed & set(unique)]


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
    quote = statements.dialect.compiler.identifier_preparer.quote
    sql, values = statements.delete(model, where)
    condition = sql.partition(" WHERE ")[2] or "1"
    table = statements.tables[model.table]
    key = quote(table.c[model.key.name].name)
    for child in statements.models:
        for spec in child.references:
            reference = spec.reference
            assert reference is not None
            if reference.on_delete == "restrict" and model_of(reference.target()) is model:
                column = quote(statements.tables[child.table].c[spec.name].name)
                held = (
                    f"SELECT 1 FROM {quote(child.table)} WHERE {column} IN "  # noqa: S608 - names of the models
                    f"(SELECT {key} FROM {quote(table.name)} WHERE {condition}) LIMIT 1"
                )
                yield child, (spec.name,), (held, values)
