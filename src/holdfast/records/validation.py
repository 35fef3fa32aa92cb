"""What callers ask for, checked against the model: pure functions from words to queries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar, assert_never, cast

from holdfast.errors import InvalidQueryError, InvalidValueError
from holdfast.records.entities.field import Field
from holdfast.records.entities.model import Model, model_of
from holdfast.records.expressions.expression import Expression
from holdfast.records.expressions.field_changes import (
    CHANGES,
    MOST_EDITS,
    Change,
    EditJson,
    Increment,
    SetBy,
    SetFrom,
    SetTo,
)
from holdfast.records.expressions.group_aggregate import GroupAggregate
from holdfast.records.expressions.operands import (
    Aggregate,
    Column,
    Join,
    Operand,
    RelatedAggregate,
    RelatedColumn,
    SearchRank,
    Start,
    ValueColumn,
)
from holdfast.records.expressions.predicate_reach import columns_of
from holdfast.records.expressions.predicates import Everything, In, IsNull, Order, Predicate, all_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from holdfast.records.values.field_spec import FieldSpec

E = TypeVar("E")
T = TypeVar("T")

_MOST_ROWS = 2**62


def condition(model: Model[E], where: Iterable[object], *, with_deleted: bool = False) -> Predicate:
    """Return what all of *where* make together, of the living unless *with_deleted*.

    Raises InvalidQueryError for a foreign field.
    """
    predicate = all_of(tuple(predicates(model, where)))
    for found, entity in columns_of(predicate):
        _check_owner(model if entity is None else model_of(entity), found)
    if model.living is None or with_deleted:
        return predicate
    return model.living if isinstance(predicate, Everything) else predicate & model.living


def predicates(model: Model[E], words: Iterable[object]) -> Iterable[Predicate]:
    """Return the predicates that *words* are, in the library's own words or Holdfast's."""
    if model.adapter is not None:
        words = map(model.adapter.arguments.predicate, words)
    return cast("Iterable[Predicate]", words)


def orders(model: Model[E], order_by: object) -> tuple[object, ...]:
    """Return the orders that *order_by* says, one or several, in Holdfast's own words."""
    words = one_or_several(order_by)
    if model.adapter is None:
        return words
    return tuple(
        word.asc() if _is_computed(word) else model.adapter.arguments.order(word) for word in words
    )


def _is_computed(word: object) -> TypeGuard[Expression[Any] | GroupAggregate[Any]]:
    """Return whether *word* is one of Holdfast's own for what is computed of fields."""
    return isinstance(word, (Expression, GroupAggregate)) and not isinstance(word, Field)


def check_operand(model: Model[E], operand: Operand) -> None:
    """Raise InvalidQueryError when *operand*, or what it is computed of, is not of *model*."""
    for found, entity in columns_of(IsNull(operand)):
        _check_owner(model if entity is None else model_of(entity), found)


def _check_owner(model: Model[Any], found: Start | Join) -> None:
    """Raise InvalidQueryError when what is read is not of *model*, or a path breaks on its way."""
    match found:
        case Column():
            owned(model, found)
        case Join(source):
            if source is not model.entity:
                raise InvalidQueryError(f"{found!r} is not a relation of {model.name}")
        case RelatedColumn(joins, column):
            for join in joins:
                _check_owner(model, join)
                model = model_of(join.target)
            owned(model, column)
        case SearchRank(columns):
            for document in columns:
                _check_owner(model, document)
        case RelatedAggregate(join, _, aggregate):
            _check_owner(model, join)
            if aggregate.operand is not None:
                check_operand(model_of(join.target), aggregate.operand)
        case Aggregate():
            raise InvalidQueryError(
                f"{found!r} is of a group of rows: aggregate(having=, order_by=) take it"
            )
        case _:
            assert_never(found)


def one_or_several(given: object) -> tuple[object, ...]:
    """Return what is *given*, one thing or a list or tuple of them, as a tuple."""
    return tuple(cast("Sequence[object]", given)) if isinstance(given, (list, tuple)) else (given,)


def several(verb: str, given: Iterable[T]) -> list[T]:
    """Return the things that *verb* is given. Raises InvalidQueryError for one alone.

    A text would else be taken for its characters.
    """
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise InvalidQueryError(f"{verb} takes several, such as a list: got {given!r:.100}")
    return list(given)


def owned(model: Model[E], column: Column) -> FieldSpec:
    """Return the column's field. Raises InvalidQueryError when it is not one of *model*."""
    if model.by_name.get(column.spec.name) is not column.spec:
        raise InvalidQueryError(f"{column!r} is not a field of {model.name}")
    return column.spec


def total_order(model: Model[E], order_by: object) -> tuple[Order, ...]:
    """Return the order with the key at its end, so that no two rows are alike in it.

    The key runs the way that the last order does, so that an index serves both directions.
    Of a composite key each field is added that is not in the order yet.
    """
    given = tuple(
        word.asc() if isinstance(word, Expression) else word for word in orders(model, order_by)
    )
    ordered: set[FieldSpec] = set()
    found: list[Order] = []
    for by in given:
        if not isinstance(by, Order):
            raise InvalidQueryError(f"expected an order such as Video.title.asc(), got {by!r}")
        if isinstance(by.operand, Column):
            ordered.add(owned(model, by.operand))
        else:
            check_operand(model, by.operand)
        found.append(by)
    descending = bool(found) and found[-1].descending
    rest = [column for column in model.key_columns if column.spec not in ordered]
    return (*found, *(Order(column, descending) for column in rest))


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


def value_columns(model: Model[E], values: Iterable[object]) -> tuple[ValueColumn, ...]:
    """Return what *values* read: fields of *model*, of what it leads to, or computed of them."""
    found: list[ValueColumn] = []
    for word in values:
        if isinstance(word, Field) or not isinstance(word, Expression):
            found += columns(model, (word,))
            continue
        check_operand(model, word.operand)
        found.append(word.operand)
    return tuple(found)


def aggregates(model: Model[E], wanted: Iterable[object]) -> tuple[Aggregate, ...]:
    """Return *wanted*, which are aggregates over *model*'s fields, at least one."""
    wanted = (each.operand if isinstance(each, GroupAggregate) else each for each in wanted)
    if model.adapter is not None:
        wanted = map(model.adapter.arguments.aggregate, wanted)
    found = tuple(cast("Iterable[Aggregate]", wanted))
    for each in found:
        if not isinstance(each, Aggregate):
            raise InvalidQueryError(
                f"expected an aggregate such as Video.duration.sum() or count(), got {each!r}"
            )
        if each.operand is not None:
            check_operand(model, each.operand)
    if not found:
        raise InvalidQueryError("no aggregates: expected such as Video.duration.sum() or count()")
    return found


def changes(model: Model[E], wanted: object, *, now: datetime) -> tuple[Change, ...]:
    """Return *wanted*, one change or several, with what every write changes too.

    That is nothing when all of them are changes of unversioned fields. Raises InvalidQueryError for
    values by those of a field, which are for many rows.
    """
    found = _changes(model, wanted, now=now)
    for change in found:
        if isinstance(change, SetBy):
            raise InvalidQueryError(
                f"{change.column!r}.to_by is for update_where and take; to gives one row its value"
            )
    return found


def _changes(model: Model[E], wanted: object, *, now: datetime) -> tuple[Change, ...]:
    nothing = isinstance(wanted, (list, tuple, Mapping)) and not wanted
    if model.adapter is not None and not nothing:
        if isinstance(wanted, CHANGES):
            wanted = (wanted,)
        wanted = model.adapter.arguments.changes(wanted, now=now)
    found = () if nothing else one_or_several(wanted)
    return _with_store_set(model, cast("tuple[Change, ...]", found), now=now)


def _with_store_set(
    model: Model[E], wanted: tuple[Change, ...], *, now: datetime
) -> tuple[Change, ...]:
    if not wanted:
        raise InvalidQueryError("no changes: expected such as Video.title.to('x')")
    made: dict[str, Change] = {}
    for change in wanted:
        if not isinstance(change, CHANGES):
            raise InvalidQueryError(
                f"expected a change such as Video.title.to('x'), got {change!r}"
            )
        spec = owned(model, change.column)
        if spec.role != "plain":
            raise InvalidQueryError(f"{change.column!r} is set by the store alone")
        made[spec.name] = _together(change, made.get(spec.name))
        if isinstance(change, SetFrom):
            check_operand(model, change.operand)
        if isinstance(change, SetBy):
            owned(model, change.by)
        if isinstance(change, (SetFrom, SetBy)):
            _check_several(model, change)
    if all(change.column.spec.declaration.unversioned for change in wanted):
        return tuple(made.values())
    extra: list[Change] = []
    if model.version is not None:
        extra.append(Increment(Column(model.name, model.version), 1))
    if model.updated_at is not None:
        extra.append(SetTo(Column(model.name, model.updated_at), now))
    return (*made.values(), *extra)


def _together(change: Change, earlier: Change | None) -> Change:
    """Return *change* after the *earlier* one of the same field. Raises InvalidQueryError."""
    if earlier is None:
        return change
    if not isinstance(change, EditJson) or not isinstance(earlier, EditJson):
        raise InvalidQueryError(f"{change.column!r} is changed twice")
    edits = (*earlier.edits, *change.edits)
    if len(edits) > MOST_EDITS:
        raise InvalidQueryError(
            f"{change.column!r}: more than {MOST_EDITS} changes inside; set the whole field"
        )
    return EditJson(change.column, edits)


def _check_several(model: Model[E], change: SetFrom | SetBy) -> None:
    """Raise InvalidQueryError for a change, of another value in each row, of what others tell."""
    held = {name for each in model.all_uniques for name in each.reads}
    if change.column.spec.reference is not None or change.column.name in held:
        raise InvalidQueryError(
            f"{change.column!r} is unique or a reference: it is set to a value, which can be told "
            "from that of other rows"
        )


def set_changes(model: Model[E], wanted: object, *, now: datetime) -> tuple[Change, ...]:
    """Return the `changes` that are to be made to many rows at once.

    Raises InvalidQueryError for an increment of a unique field too: databases look at each row as
    they come to it, and would find one's sum taken by another that is still to be increased.
    """
    found = _changes(model, wanted, now=now)
    unique = {name for each in model.all_uniques for name in each.fields}
    for change in found:
        if isinstance(change, Increment) and change.column.name in unique:
            raise InvalidQueryError(
                f"{change.column!r} is unique, so it can't be incremented in many rows at once: "
                "patch them one by one"
            )
    return found


def with_a_value(where: Predicate, changed: Iterable[Change]) -> Predicate:
    """Return *where*, of the rows alone for which all of *changed* have a value."""
    given = (In(each.by, tuple(each.values)) for each in changed if isinstance(each, SetBy))
    return all_of((where, *given))


def conflict_fields(model: Model[E], on: object) -> tuple[str, ...]:
    """Return the names of the unique fields that *on* means: the key when it says nothing."""
    names = {column.name for column in columns(model, one_or_several(on))} or {*model.key_names}
    known = (model.key_unique, *model.all_uniques)
    found = [each for each in known if set(each.fields) == names]
    whole = [each for each in found if each.plain]
    if whole or len(found) == 1:
        return (whole or found)[0].fields
    said = ", ".join(sorted(names))
    if found:
        several = ", ".join(each.name for each in found)
        raise InvalidQueryError(f"{said}: unique in several ways ({several}), so on= can't name it")
    raise InvalidQueryError(f"{said}: not declared unique, so on= can't name it")


def check_given(model: Model[E], entities: Iterable[E], on: tuple[str, ...]) -> None:
    """Raise InvalidValueError for an upsert by a unique that one of *entities* leaves out."""
    reads = model.unique_on(on).reads if model.server_defaults else ()
    for spec in model.server_defaults:
        if spec.name in reads and any(spec.name not in vars(each) for each in entities):
            raise InvalidValueError(
                model.name, spec.name, "is left to the database, and the upsert goes by it"
            )


def check_deletable(model: Model[E]) -> None:
    """Raise InvalidQueryError for an entity whose rows are not deleted by a mark."""
    if model.deleted_at is None:
        raise InvalidQueryError(f"{model.name} has no deleted_at() field: what is deleted is gone")


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
