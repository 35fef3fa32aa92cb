"""Predicates and changes as functions of a row: what they mean, said once in Python."""

from __future__ import annotations

import operator
from functools import reduce
from typing import TYPE_CHECKING, Any, TypeAlias, assert_never, cast

from holdfast.errors import InvalidValueError
from holdfast.records.entities.joins import deleted_field, local_field
from holdfast.records.expressions.arithmetic import calculated, convert
from holdfast.records.expressions.field_changes import (
    Change,
    EditJson,
    Increment,
    SetBy,
    SetFrom,
    SetTo,
)
from holdfast.records.expressions.operands import (
    Aggregate,
    Calculation,
    Coalesced,
    Column,
    Constant,
    Converted,
    Folded,
    GroupValue,
    Length,
    Operand,
    Path,
    RelatedAggregate,
    RelatedColumn,
    SearchRank,
    Truncated,
)
from holdfast.records.expressions.predicates import (
    After,
    And,
    Compare,
    CompareOperands,
    Everything,
    HasItem,
    HasWords,
    In,
    InRows,
    InSubquery,
    IsNull,
    Match,
    Not,
    Operator,
    Or,
    Order,
    Part,
    Related,
    Subquery,
    expanded,
    node,
    spelled_out,
)
from holdfast.records.values.aggregate_values import aggregated, plus
from holdfast.records.values.json_edit import edited
from holdfast.records.values.json_values import json_equal
from holdfast.records.values.text import ValueRejected, fold_case
from holdfast.records.values.truncated_times import truncated
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from holdfast.records.driver_requests import Groups
    from holdfast.records.entities.model import Row
    from holdfast.records.expressions.operands import Join, RowFilter

Follow: TypeAlias = "Callable[[Join | Subquery[object], object], Iterable[Row]]"
"""Returns the rows of a target whose remote field (see `joins`) has a value, which is not None."""

_COMPARISONS: dict[Operator, Callable[[Any, Any], bool]] = {
    Operator.EQ: operator.eq,
    Operator.LT: operator.lt,
    Operator.LE: operator.le,
    Operator.GT: operator.gt,
    Operator.GE: operator.ge,
}


def fits(predicate: RowFilter, follow: Follow) -> Callable[[Row], bool]:
    """Return the function that tells whether a row fits *predicate*.

    It remembers what it found behind a reference, so it is for one call on rows that stay.
    """
    match leaf := node(predicate):
        case Everything():
            return lambda _row: True
        case And(parts):
            functions = [fits(part, follow) for part in parts]
            return lambda row: all(function(row) for function in functions)
        case Or(parts):
            functions = [fits(part, follow) for part in parts]
            return lambda row: any(function(row) for function in functions)
        case Not(part):
            function = fits(part, follow)
            return lambda row: not function(row)
        case After():
            return fits(expanded(leaf), follow)
        case HasWords():
            return fits(spelled_out(leaf), follow)
        case IsNull(operand):
            read = reader(operand, follow)
            return lambda row: read(row) is None
        case Related(join, where):
            read = operator.itemgetter(local_field(join).position)
            return _has_related(read, join, fits(where, follow), follow)
        case InSubquery(operand, query):
            read = reader(operand, follow)
            return _has_related(read, query, fits(query.where, follow), follow)
        case CompareOperands(left, how, right):
            read, beside = reader(left, follow), reader(right, follow)
            compared = _COMPARISONS[how]
            return lambda row: (
                (found := read(row)) is not None
                and (other := beside(row)) is not None
                and compared(found, other)
            )
        case HasItem(operand, value):
            read = reader(operand, follow)
            return lambda row: has_item(read(row), value)
        case Compare(operand, how, value):
            read = reader(operand, follow)
            return _leaf(read, lambda found: compares(operand, how, found, value))
        case In(operand, values):
            read = reader(operand, follow)
            if operand.type.kind is Kind.JSON:
                return _leaf(read, lambda found: any(json_equal(found, each) for each in values))
            chosen = frozenset(values)
            return _leaf(read, lambda found: found in chosen)
        case InRows(columns, rows):
            wanted_rows = frozenset(rows)
            values_of = operator.itemgetter(*(column.spec.position for column in columns))
            if len(columns) == 1:
                return lambda row: (values_of(row),) in wanted_rows
            return lambda row: values_of(row) in wanted_rows
        case Match(operand, part, text, ignore_case):
            wanted = fold_case(text) if ignore_case else text
            read = reader(operand, follow)
            return _leaf(read, lambda found: matches(found, part, wanted, ignore_case=ignore_case))
        case _:
            assert_never(leaf)


def compares(operand: Operand, how: Operator, found: object, value: object) -> bool:
    """Return whether *found*, which is not None, stands to *value* as *how* says."""
    if operand.type.kind is Kind.JSON:
        if how is Operator.EQ:
            return json_equal(found, value)
        return in_json_order(how, found, value)
    return _COMPARISONS[how](found, value)


def in_json_order(how: Operator, left: object, right: object) -> bool:
    """Return whether *left* stands to *right* as *how* says: numbers or texts, never a mixture."""
    if isinstance(left, bool) or isinstance(right, bool):
        return False
    alike = (isinstance(left, str) and isinstance(right, str)) or (
        isinstance(left, (int, float)) and isinstance(right, (int, float))
    )
    return alike and _COMPARISONS[how](left, right)


def has_item(found: object, value: object) -> bool:
    """Return whether *found* is a list and *value* is one of its items."""
    return isinstance(found, list) and any(
        json_equal(item, value) for item in cast("list[object]", found)
    )


def matches(found: object, part: Part, wanted: str, *, ignore_case: bool) -> bool:
    """Return whether *found* is text with *wanted*, already folded if need be, in its *part*."""
    if not isinstance(found, str):
        return False
    text = fold_case(found) if ignore_case else found
    match part:
        case Part.WHOLE:
            return text == wanted
        case Part.ANYWHERE:
            return wanted in text
        case Part.START:
            return text.startswith(wanted)
        case Part.END:
            return text.endswith(wanted)
        case _:
            assert_never(part)


def value_at(value: object, steps: tuple[str | int, ...]) -> object:
    """Return what the JSON *value* holds at *steps*, None where they lead nowhere."""
    for step in steps:
        if isinstance(step, str):
            if not isinstance(value, dict):
                return None
            value = value.get(step)
        else:
            if not isinstance(value, list) or step >= len(value):
                return None
            value = value[step]
    return value


def changed(row: Row, changes: Iterable[Change]) -> Row:
    """Return *row* with *changes* made.

    Raises InvalidValueError when a sum can't be stored, or JSON can't be changed so.
    """
    values = list(row)
    for change in changes:
        spec = change.column.spec
        match change:
            case SetTo(_, value):
                values[spec.position] = value
            case SetFrom(_, operand):
                found = reader(operand, _nowhere)(row)
                made = None if found is None else spec.to_row(change.column.entity, found)
                values[spec.position] = made
            case SetBy(_, by, chosen):
                values[spec.position] = chosen.get(row[by.spec.position], row[spec.position])
            case Increment(_, amount):
                stored = row[spec.position]
                if stored is not None:
                    total = plus(stored, amount)
                    values[spec.position] = spec.to_row(change.column.entity, total)
            case EditJson(column, edits):
                try:
                    values[spec.position] = reduce(edited, edits, row[spec.position])
                except ValueRejected as unfit:
                    raise InvalidValueError(column.entity, column.name, str(unfit)) from None
            case _:
                assert_never(change)
    return tuple(values)


def sort(rows: Iterable[Row], order: tuple[Order, ...], follow: Follow) -> list[Row]:
    """Return *rows* along *order*."""
    ordered = list(rows)
    for by in reversed(order):
        read = reader(by.operand, follow)
        known = [row for row in ordered if read(row) is not None]
        unknown = [row for row in ordered if read(row) is None]
        known.sort(key=cast("Callable[[Row], str]", read), reverse=by.descending)
        ordered = [*unknown, *known] if by.first else [*known, *unknown]
    return ordered


def first_of_groups(rows: Iterable[Row], groups: Groups, limit: int | None) -> list[Row]:
    """Return the first *limit* of *rows* in each of *groups*; rows of no group are left out."""
    at, met = groups.column.spec.position, dict.fromkeys(groups.values, 0)
    found: list[Row] = []
    for row in rows:
        if row[at] in met and (limit is None or met[row[at]] < limit):
            met[row[at]] += 1
            found.append(row)
    return found


def _leaf(read: Callable[[Row], object], holds: Callable[[object], bool]) -> Callable[[Row], bool]:
    def check(row: Row) -> bool:
        found = read(row)
        return found is not None and holds(found)

    return check


def _nowhere(_join: object, _value: object) -> tuple[Row, ...]:
    """Return no rows: what a change is made of is read of its own row."""
    return ()


def _has_related(
    read: Callable[[Row], object],
    beyond: Join | Subquery[object],
    holds: Callable[[Row], bool],
    follow: Follow,
) -> Callable[[Row], bool]:
    known: dict[object, bool] = {None: False}
    follow = _to_the_living(beyond, follow)

    def check(row: Row) -> bool:
        value = read(row)
        if value not in known:
            known[value] = any(holds(found) for found in follow(beyond, value))
        return known[value]

    return check


def _to_the_living(join: Join | Subquery[object], follow: Follow) -> Follow:
    """Return *follow*, which follows *join* to the rows that are not marked as deleted."""
    marked = deleted_field(join)
    if marked is None:
        return follow
    at = marked.position

    def living(each: Join | Subquery[object], value: object) -> Iterable[Row]:
        return [row for row in follow(each, value) if each != join or row[at] is None]

    return living


def reader(operand: Operand, follow: Follow) -> Callable[[Row], object]:
    """Return the function that reads *operand* of a row; remembers what `fits` does."""
    match operand:
        case Column(_, spec):
            return operator.itemgetter(spec.position)
        case Path(column, steps):
            position = column.spec.position
            return lambda row: value_at(row[position], steps)
        case RelatedColumn(joins, column):
            join, *further = joins
            follow = _to_the_living(join, follow)
            beyond: Operand = RelatedColumn(tuple(further), column) if further else column
            read, local = reader(beyond, follow), local_field(join).position
            known: dict[object, object] = {None: None}

            def read_related(row: Row) -> object:
                value = row[local]
                if value not in known:
                    known[value] = next((read(found) for found in follow(join, value)), None)
                return known[value]

            return read_related
        case SearchRank():
            documents = {column: reader(column, follow) for column in operand.columns}
            return lambda row: operand.of(lambda column: cast("str", documents[column](row) or ""))
        case RelatedAggregate(join, where, aggregate):
            return _related_aggregate(join, fits(where, follow), aggregate, follow)
        case Truncated(column, unit, zone):
            at = column.spec.position
            return lambda row: (
                None if row[at] is None else truncated(cast("datetime", row[at]), unit, zone)
            )
        case GroupValue(position):
            return operator.itemgetter(position)
        case Aggregate():
            raise AssertionError(f"{operand!r} is of a group, and no row has it")
        case Constant(value):
            return lambda _row: value
        case Calculation(left, _, right):
            return _of_two(operand, reader(left, follow), reader(right, follow))
        case Converted(part):
            return _of_one(reader(part, follow), lambda value: convert(operand, value))
        case Folded(part):
            return _of_one(reader(part, follow), lambda text: fold_case(cast("str", text)))
        case Length(part):
            return _of_one(reader(part, follow), lambda text: len(cast("str", text)))
        case Coalesced(operands):
            readers = [reader(part, follow) for part in operands]
            return lambda row: next(
                (found for each in readers if (found := each(row)) is not None), None
            )
        case _:
            assert_never(operand)


def _related_aggregate(
    join: Join, holds: Callable[[Row], bool], aggregate: Aggregate, follow: Follow
) -> Callable[[Row], object]:
    local = local_field(join).position
    follow = _to_the_living(join, follow)
    known: dict[object, object] = {}

    def read(row: Row) -> object:
        value = row[local]
        if value not in known:
            found = [each for each in follow(join, value) if holds(each)]
            known[value] = aggregate_of(aggregate, found, follow)
        return known[value]

    return read


def _of_one(
    read: Callable[[Row], object], function: Callable[[object], object]
) -> Callable[[Row], object]:
    return lambda row: None if (found := read(row)) is None else function(found)


def _of_two(
    made: Calculation, left: Callable[[Row], object], right: Callable[[Row], object]
) -> Callable[[Row], object]:
    def read(row: Row) -> object:
        one, other = left(row), right(row)
        return None if one is None or other is None else calculated(made, one, other)

    return read


def aggregate_of(aggregate: Aggregate, rows: Sequence[Row], follow: Follow) -> object:
    """Return *aggregate* over *rows*."""
    if aggregate.operand is None:
        return len(rows)
    values = [value for value in map(reader(aggregate.operand, follow), rows) if value is not None]
    return aggregated(aggregate.function, values, aggregate.fraction)
