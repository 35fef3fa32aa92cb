"""What callers ask for, checked against the model: pure functions from words to queries."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

from holdfast.errors import InvalidQueryError
from holdfast.records.field import Field
from holdfast.records.query import (
    Aggregate,
    Change,
    Column,
    Increment,
    Order,
    Predicate,
    SetTo,
    all_of,
    columns_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from holdfast.records.field_spec import FieldSpec
    from holdfast.records.model import Model

E = TypeVar("E")

_MOST_ROWS = 2**62


def condition(model: Model[E], where: Iterable[object]) -> Predicate:
    """Return what all of *where* make together. Raises InvalidQueryError for a foreign field."""
    if model.adapter is not None:
        where = map(model.adapter.arguments.predicate, where)
    predicate = all_of(tuple(cast("Iterable[Predicate]", where)))
    for column in columns_of(predicate):
        owned(model, column)
    return predicate


def several(where: object) -> Sequence[object]:
    """Return the conditions of *where*, one or a list or tuple of them."""
    return where if isinstance(where, (list, tuple)) else (where,)


def owned(model: Model[E], column: Column) -> FieldSpec:
    """Return the column's field. Raises InvalidQueryError when it is not one of *model*."""
    if model.by_name.get(column.spec.name) is not column.spec:
        raise InvalidQueryError(f"{column!r} is not a field of {model.name}")
    return column.spec


def total_order(model: Model[E], order_by: object) -> tuple[Order, ...]:
    """Return the order with the key at its end, so that no two rows are alike in it.

    The key runs the way that the last order does, so that an index serves both directions.
    """
    several = isinstance(order_by, (list, tuple))
    given: tuple[Order, ...] = (
        tuple(cast("Sequence[Order]", order_by)) if several else (cast("Order", order_by),)
    )
    if model.adapter is not None:
        given = tuple(map(model.adapter.arguments.order, given))
    has_key = False
    for by in given:
        if not isinstance(by, Order):
            raise InvalidQueryError(f"expected an order such as Video.title.asc(), got {by!r}")
        has_key |= owned(model, cast("Column", by.operand)) is model.key
    if has_key:
        return given
    return (*given, Order(Column(model.name, model.key), bool(given) and given[-1].descending))


def columns(model: Model[E], fields: Iterable[object]) -> tuple[Column, ...]:
    """Return the columns of *fields*, which are fields of *model*."""
    found: list[Column] = []
    for word in fields:
        if model.adapter is not None:
            found.append(model.adapter.arguments.column(word))
            continue
        if not isinstance(word, Field):
            raise InvalidQueryError(f"expected a field such as Video.title, got {word!r}")
        owned(model, word.column)
        found.append(word.column)
    return tuple(found)


def aggregates(model: Model[E], wanted: Iterable[object]) -> tuple[Aggregate, ...]:
    """Return *wanted*, which are figures of *model*'s fields, at least one."""
    if model.adapter is not None:
        wanted = map(model.adapter.arguments.aggregate, wanted)
    found = tuple(cast("Iterable[Aggregate]", wanted))
    for figure in found:
        if not isinstance(figure, Aggregate):
            raise InvalidQueryError(
                f"expected a figure such as Video.duration.sum() or count(), got {figure!r}"
            )
        if figure.operand is not None:
            owned(model, figure.operand)
    if not found:
        raise InvalidQueryError("no figures: expected such as Video.duration.sum() or count()")
    return found


def changes(model: Model[E], wanted: object, *, now: datetime) -> tuple[Change, ...]:
    """Return *wanted* with what every write changes too: version and time."""
    if wanted and model.adapter is not None:
        wanted = model.adapter.arguments.changes(wanted, now=now)
    return _with_store_set(model, tuple(cast("Sequence[Change]", wanted)), now=now)


def _with_store_set(
    model: Model[E], wanted: tuple[Change, ...], *, now: datetime
) -> tuple[Change, ...]:
    if not wanted:
        raise InvalidQueryError("no changes: expected such as Video.title.to('x')")
    seen: set[str] = set()
    for change in wanted:
        if not isinstance(change, (SetTo, Increment)):
            raise InvalidQueryError(
                f"expected a change such as Video.title.to('x'), got {change!r}"
            )
        spec = owned(model, change.column)
        if spec.role != "plain":
            raise InvalidQueryError(f"{change.column!r} is set by the store alone")
        if spec.name in seen:
            raise InvalidQueryError(f"{change.column!r} is changed twice")
        seen.add(spec.name)
    extra: list[Change] = []
    if model.version is not None:
        extra.append(Increment(Column(model.name, model.version), 1))
    if model.updated_at is not None:
        extra.append(SetTo(Column(model.name, model.updated_at), now))
    return (*wanted, *extra)


def conflict_fields(model: Model[E], on: Iterable[object]) -> tuple[str, ...]:
    """Return the names of the unique fields that *on* means: the key when it says nothing."""
    names = {column.name for column in columns(model, on)} or {model.key.name}
    for unique in ((model.key.name,), *model.uniques):
        if set(unique) == names:
            return unique
    raise InvalidQueryError(
        f"{', '.join(sorted(names))}: not declared unique, so on= can't name it"
    )


def require_predicate(where: Sequence[object], verb: str) -> None:
    """Raise InvalidQueryError when nothing was said about which rows."""
    if not where:
        raise InvalidQueryError(f"{verb} without a predicate: say everything() to mean all rows")


def count(name: str, value: int | None) -> int | None:
    """Return *value*, a number of rows. Raises InvalidQueryError."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise InvalidQueryError(f"{name}={value!r}: expected a whole number from 0 on")
    if value is not None and value > _MOST_ROWS:
        raise InvalidQueryError(f"{name}={value}: expected at most {_MOST_ROWS}")
    return value


def position(entity: object, order: tuple[Order, ...]) -> tuple[object, ...]:
    """Return the row values of *entity* that *order* goes by."""
    values = vars(entity)
    found: list[object] = []
    for by in order:
        spec = cast("Column", by.operand).spec
        value = values[spec.name]
        found.append(None if value is None else spec.type.check(value))
    return tuple(found)
