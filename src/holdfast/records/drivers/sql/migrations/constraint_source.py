"""Constraints in the words of a migration's file, which make them again on any database."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, assert_never, cast

from holdfast.records.entities.constraint import Check
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
    Or,
    Part,
    Related,
    node,
)
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from holdfast.records.entities.constraint import Constraint
    from holdfast.records.expressions.operands import Column, Operand
    from holdfast.records.expressions.predicates import Predicate
    from holdfast.records.values.field_spec import FieldSpec

_WORDS = {Part.ANYWHERE: "contains", Part.START: "startswith", Part.END: "endswith"}


def constraint_source(constraint: Constraint) -> str:
    """Return what stands behind the name where a file makes *constraint*."""
    if isinstance(constraint, Check):
        return predicate_source(constraint.predicate)
    fields = ", ".join(field_source(column.spec) for column in constraint.columns)
    where = "" if constraint.where is None else f", where={predicate_source(constraint.where)}"
    return f"[{fields}]{where}{', ignore_case=True' if constraint.ignore_case else ''}"


def predicate_source(predicate: Predicate) -> str:
    """Return *predicate*, of a constraint, by `operations.field`."""
    match leaf := node(predicate):
        case Compare(operand, how, value):
            column = _column(operand)
            return f"({_field(column)} {how.value} {value_source(column.spec, value)})"
        case In(operand, values):
            column = _column(operand)
            listed = ", ".join(value_source(column.spec, value) for value in values)
            return f"{_field(column)}.in_([{listed}])"
        case IsNull(operand):
            return f"{_field(_column(operand))}.is_null()"
        case Match(operand, part, text):
            return f"{_field(_column(operand))}.{_WORDS[part]}({text!r})"
        case And(parts):
            return f"({' & '.join(map(predicate_source, parts))})"
        case Or(parts):
            return f"({' | '.join(map(predicate_source, parts))})"
        case Not(part):
            return f"~{predicate_source(part)}"
        case CompareOperands(left, how, right):
            return f"({_field(_column(left))} {how.value} {_field(_column(right))})"
        case InRows() | InSubquery() | HasItem() | HasWords() | Related() | After() | Everything():
            raise AssertionError(f"no constraint's: {leaf!r}")
        case _:
            assert_never(leaf)


def value_source(spec: FieldSpec, value: object) -> str:
    """Return the row value *value* of a field as a file has it."""
    kind, bounds = spec.type.kind, spec.type.bounds
    if kind in (Kind.BOOL, Kind.INT, Kind.FLOAT, Kind.STR):
        return repr(value)
    digits = "" if bounds.precision is None else f", digits={(bounds.precision, bounds.scale)!r}"
    return f"operations.value({kind.value!r}, {written(kind, value)!r}{digits})"


def written(kind: Kind, value: Any) -> object:
    """Return a row value in the form that `operations.initial_value` and `value` take."""
    match kind:
        case Kind.TIMEDELTA:
            return cast("timedelta", value) // timedelta(microseconds=1)
        case Kind.BYTES:
            return cast("bytes", value).hex()
        case Kind.DECIMAL | Kind.DATETIME | Kind.DATE | Kind.TIME | Kind.UUID:
            return str(value)
        case Kind.BOOL | Kind.INT | Kind.FLOAT | Kind.STR | Kind.JSON:
            return value
        case _:
            assert_never(kind)


def _column(operand: Operand) -> Column:
    return cast("Column", operand)  # a constraint reads nothing else


def _field(column: Column) -> str:
    return field_source(column.spec)


def field_source(spec: FieldSpec) -> str:
    """Return what a file has for a field of a constraint."""
    kind, bounds = spec.type.kind, spec.type.bounds
    words = [repr(spec.name), repr(kind.value)]
    if spec.type.nullable:
        words.append("nullable=True")
    if bounds.precision is not None and bounds.scale is not None:
        words.append(f"digits={(bounds.precision, bounds.scale)!r}")
    if kind in (Kind.STR, Kind.BYTES) and bounds.max_length is not None:
        words.append(f"longest={bounds.max_length}")
    return f"operations.field({', '.join(words)})"
