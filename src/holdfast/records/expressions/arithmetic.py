"""Arithmetic of rows: which types go together, what comes out, and the exact result.

Every result is checked where it arises, parts of a larger expression too: an int, a span of time,
and a Decimal counted in units of its last digit have 64 bits, a float is finite, a moment lies in
the years 1 to 9999 in UTC. Anything else is refused, never wrapped, rounded or turned into a float.
"""

from __future__ import annotations

import operator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import TYPE_CHECKING, cast

from holdfast.errors import InvalidQueryError, InvalidValueError, UntranslatableError
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
    Operation,
    Path,
    RelatedAggregate,
    RelatedColumn,
    SearchRank,
    ValueColumn,
    columns_in,
    parts_of_computed,
    starts_in,
)
from holdfast.records.values.aggregate_values import COUNTS
from holdfast.records.values.field_spec import Declaration, FieldSpec
from holdfast.records.values.json_values import INT_MAX, INT_MIN
from holdfast.records.values.text import ValueRejected
from holdfast.records.values.value import EXACT, Bounds, Kind, ValueType, value_type

if TYPE_CHECKING:
    from collections.abc import Callable

DEEPEST_EXPRESSION = 32  # operations within one another
MOST_SCALE = 18  # digits after the point of a Decimal
_MICROSECOND = timedelta(microseconds=1)
_TYPES: dict[Kind, type] = {
    Kind.INT: int,
    Kind.FLOAT: float,
    Kind.STR: str,
    Kind.TIMEDELTA: timedelta,
    Kind.DATETIME: datetime,
}

# --- types --------------------------------------------------------------------------------------


@cache
def spec_of(kind: Kind, *, nullable: bool, scale: int = 0) -> FieldSpec:
    """Return the field that results of *kind* could be those of; Decimals with *scale*."""
    if kind is Kind.DECIMAL:
        bounds = Bounds(None, None, scale)
        found = ValueType(Decimal, kind, nullable, bounds, _decimal_check(scale), None)
    else:
        found = replace(value_type(_TYPES[kind], Bounds()), nullable=nullable)
    return _named(found)


@cache
def _named(found: ValueType) -> FieldSpec:
    return FieldSpec("an expression", -1, found, Declaration(), None)


def _decimal_check(scale: int) -> Callable[[object], Decimal]:
    step, most = Decimal(1).scaleb(-scale), Decimal(INT_MAX).scaleb(-scale, context=EXACT)
    least = Decimal(INT_MIN).scaleb(-scale, context=EXACT)

    def check(value: object) -> Decimal:
        if not isinstance(value, Decimal):
            raise ValueRejected(f"expected Decimal, got {type(value).__name__}")
        try:
            exact = value.quantize(step, context=EXACT)
        except InvalidOperation:
            raise ValueRejected(f"{value} has more digits than can be kept") from None
        if not exact.is_finite() or exact != value:
            raise ValueRejected(f"{value} is not a number of {scale} digits after the point")
        if not least <= exact <= most:
            raise ValueRejected(f"{value} in units of its last digit does not fit in 64 bits")
        return exact or exact.copy_abs()

    return check


def scale_of(operand: Operand) -> int:
    """Return the digits after the point of *operand*'s values, which are ints or Decimals."""
    return operand.type.bounds.scale or 0


def constant(value: object, like: ValueType, of: Operand) -> Constant:
    """Return *value* as what can be a value of *like*; *of* is what it stands beside.

    Raises InvalidValueError.
    """
    try:
        checked = like.check(value)
    except ValueRejected as unfit:
        raise InvalidValueError(entity_of(of), repr(of), str(unfit)) from None
    return Constant(checked, _named(replace(like, nullable=False)))


def number(value: object, of: Operand) -> Constant:
    """Return the plain *value* as an operand of arithmetic beside *of*.

    Raises InvalidQueryError for one that there is no arithmetic of, and InvalidValueError.
    """
    if isinstance(value, Decimal):
        exponent = value.as_tuple().exponent
        scale = max(0, -exponent) if isinstance(exponent, int) else 0
        if scale > MOST_SCALE:
            raise InvalidValueError(
                entity_of(of), repr(of), f"{value} has more than {MOST_SCALE} digits of a fraction"
            )
        return constant(value, spec_of(Kind.DECIMAL, nullable=False, scale=scale).type, of)
    for kind in (Kind.INT, Kind.FLOAT, Kind.TIMEDELTA, Kind.DATETIME):
        if isinstance(value, _TYPES[kind]) and not isinstance(value, bool):
            return constant(value, spec_of(kind, nullable=False).type, of)
    raise InvalidQueryError(f"{of!r}: there is no arithmetic with {value!r:.100}")


def converted(operand: Operand, kind: Kind, scale: int = 0) -> Operand:
    """Return the number *operand* as one of *kind*; a Decimal with *scale*."""
    if operand.type.kind is kind and (kind is not Kind.DECIMAL or scale_of(operand) == scale):
        return operand
    spec = spec_of(kind, nullable=operand.nullable, scale=scale)
    if isinstance(operand, Constant):
        value = _convert(operand.value, spec.type)
        return Constant(value, spec)
    return Converted(operand, spec)


def alike(left: Operand, right: Operand, verb: str) -> tuple[Operand, Operand]:
    """Return both as operands of one type, so that they can be compared.

    Raises InvalidQueryError for two that have none in common.
    """
    for operand in (left, right):
        _check_of_row(operand)
        _check_own(operand)
    kinds = {left.type.kind, right.type.kind}
    if Kind.JSON in kinds:
        raise InvalidQueryError(f"{left!r} {verb} {right!r}: JSON is compared with values alone")
    if kinds == {Kind.INT, Kind.FLOAT}:
        return converted(left, Kind.FLOAT), converted(right, Kind.FLOAT)
    if Kind.DECIMAL in kinds and kinds <= {Kind.INT, Kind.DECIMAL}:
        scale = max(scale_of(left), scale_of(right))
        return converted(left, Kind.DECIMAL, scale), converted(right, Kind.DECIMAL, scale)
    if len(kinds) > 1:
        raise InvalidQueryError(f"{left!r} {verb} {right!r}: {_kinds(left, right)}")
    return left, right


def _kinds(left: Operand, right: Operand) -> str:
    return f"{left.type.kind.value} and {right.type.kind.value} don't go together"


# --- expressions --------------------------------------------------------------------------------


def calculation(left: Operand, operation: Operation, right: Operand) -> ValueColumn:
    """Return *operation* of two operands. Raises InvalidQueryError where their types have none."""
    for operand in (left, right):
        check_computable(operand)
    nullable = left.nullable or right.nullable
    kinds = left.type.kind, right.type.kind
    add = operation in (Operation.ADD, Operation.SUBTRACT)
    multiply = operation is Operation.MULTIPLY
    match kinds:
        case (Kind.DATETIME, Kind.TIMEDELTA) if add:
            return _made(left, operation, right, spec_of(Kind.DATETIME, nullable=nullable))
        case (Kind.TIMEDELTA, Kind.DATETIME) if operation is Operation.ADD:
            return _made(right, operation, left, spec_of(Kind.DATETIME, nullable=nullable))
        case (Kind.DATETIME, Kind.DATETIME) if operation is Operation.SUBTRACT:
            return _made(left, operation, right, spec_of(Kind.TIMEDELTA, nullable=nullable))
        case (Kind.TIMEDELTA, Kind.INT) | (Kind.INT, Kind.TIMEDELTA) if multiply:
            return _made(left, operation, right, spec_of(Kind.TIMEDELTA, nullable=nullable))
        case (Kind.TIMEDELTA, Kind.TIMEDELTA) if not multiply:
            if add:
                return _made(left, operation, right, spec_of(Kind.TIMEDELTA, nullable=nullable))
            return _quotient(left, right)
        case (Kind.DECIMAL, Kind.DECIMAL | Kind.INT) | (Kind.INT, Kind.DECIMAL):
            return _of_decimals(left, operation, right)
        case (Kind.INT | Kind.FLOAT, Kind.INT | Kind.FLOAT) if operation is Operation.DIVIDE:
            return _quotient(left, right)
        case (Kind.INT, Kind.INT):
            return _made(left, operation, right, spec_of(Kind.INT, nullable=nullable))
        case (Kind.INT | Kind.FLOAT, Kind.INT | Kind.FLOAT):
            left, right = converted(left, Kind.FLOAT), converted(right, Kind.FLOAT)
            return _made(left, operation, right, spec_of(Kind.FLOAT, nullable=nullable))
        case (Kind.DECIMAL, Kind.FLOAT) | (Kind.FLOAT, Kind.DECIMAL):
            raise InvalidQueryError(
                f"{left!r} {operation.value} {right!r}: neither a Decimal nor a float can hold the "
                "other exactly"
            )
        case _:
            raise InvalidQueryError(f"{left!r} {operation.value} {right!r}: {_kinds(left, right)}")


def _quotient(left: Operand, right: Operand) -> ValueColumn:
    """Return the quotient, a float; it is null where the divisor is 0."""
    left, right = converted(left, Kind.FLOAT), converted(right, Kind.FLOAT)
    if isinstance(right, Constant) and not right.value:
        raise InvalidQueryError(f"{left!r} / {right!r}: a division by 0 has no result")
    nullable = left.nullable or right.nullable or not isinstance(right, Constant)
    return _made(left, Operation.DIVIDE, right, spec_of(Kind.FLOAT, nullable=nullable))


def _of_decimals(left: Operand, operation: Operation, right: Operand) -> ValueColumn:
    scales = scale_of(left), scale_of(right)
    if operation is Operation.DIVIDE:
        raise InvalidQueryError(
            f"{left!r} / {right!r}: a quotient of Decimals has no exact digits; multiply instead"
        )
    if operation is Operation.MULTIPLY:
        scale = sum(scales)
        if scale > MOST_SCALE:
            raise InvalidQueryError(
                f"{left!r} * {right!r}: the product has {scale} digits after the point, at most "
                f"{MOST_SCALE} are kept"
            )
        left, right = (converted(each, Kind.DECIMAL, scale_of(each)) for each in (left, right))
    else:
        scale = max(scales)
        left, right = (converted(each, Kind.DECIMAL, scale) for each in (left, right))
    nullable = left.nullable or right.nullable
    return _made(left, operation, right, spec_of(Kind.DECIMAL, nullable=nullable, scale=scale))


def _made(left: Operand, operation: Operation, right: Operand, spec: FieldSpec) -> Calculation:
    made = Calculation(left, operation, right, spec)
    check_depth(made)
    return made


def coalesced(operands: tuple[Operand, ...]) -> ValueColumn:
    """Return the first of *operands* that is not null. Raises InvalidQueryError."""
    first = operands[0]
    for operand in operands:
        check_computable(operand)
        if operand.type.kind is not first.type.kind or operand.type.python != first.type.python:
            raise InvalidQueryError(f"coalesce: {_kinds(first, operand)}")
    if first.type.kind is Kind.DECIMAL:
        scale = max(map(scale_of, operands))
        operands = tuple(converted(each, Kind.DECIMAL, scale) for each in operands)
        kept = spec_of(Kind.DECIMAL, nullable=False, scale=scale).type
    else:
        lengths = [operand.type.bounds.max_length for operand in operands]
        longest = None if None in lengths else max(cast("list[int]", lengths))
        kept = replace(first.type, bounds=replace(first.type.bounds, max_length=longest))
    nullable = all(operand.nullable for operand in operands)
    made = Coalesced(operands, _named(replace(kept, nullable=nullable)))
    check_depth(made)
    return made


def folded(operand: Operand) -> ValueColumn:
    """Return the text *operand* in lower case. Raises InvalidQueryError for what is no text."""
    _check_text(operand, "lower")
    plain = replace(
        spec_of(Kind.STR, nullable=operand.nullable).type,
        bounds=Bounds(operand.type.bounds.max_length),
    )
    made = Folded(operand, _named(plain))
    check_depth(made)
    return made


def length(operand: Operand) -> ValueColumn:
    """Return the number of *operand*'s code points. Raises InvalidQueryError for no text."""
    _check_text(operand, "length")
    made = Length(operand, spec_of(Kind.INT, nullable=operand.nullable))
    check_depth(made)
    return made


def _check_text(operand: Operand, verb: str) -> None:
    check_computable(operand)
    if operand.type.kind is not Kind.STR:
        raise InvalidQueryError(f"{verb}({operand!r}): it is not text")


def assignable(column: Column, operand: Operand) -> ValueColumn:
    """Return *operand* as what gives *column* its value in a change.

    Raises InvalidQueryError where some of its values could not be kept there, and for a field of
    another row.
    """
    check_computable(operand)
    check_computable(column)
    if not all(isinstance(each, Column) for each in starts_in(operand)):
        raise InvalidQueryError(f"{column!r} can't be set to what is read of another row")
    if column.type.kind is Kind.FLOAT and operand.type.kind is Kind.INT:
        operand = converted(operand, Kind.FLOAT)
    scale = column.type.bounds.scale
    if column.type.kind is Kind.DECIMAL and operand.type.kind in (Kind.INT, Kind.DECIMAL):
        assert scale is not None
        if scale_of(operand) > scale:
            raise InvalidQueryError(
                f"{column!r} keeps {scale} digits after the point: {operand!r} may have more"
            )
        operand = converted(operand, Kind.DECIMAL, scale)
    types = column.type, operand.type
    if types[0].kind is not types[1].kind or types[0].python != types[1].python:
        raise InvalidQueryError(
            f"{column!r} can't be set to {operand!r}: {_kinds(column, operand)}"
        )
    if operand.nullable and not column.nullable:
        raise InvalidQueryError(
            f"{column!r} can't be null, but {operand!r} may be: say coalesce(..., value)"
        )
    longest, longer = (each.bounds.max_length for each in types)
    if longest is not None and (longer is None or longer > longest):
        raise InvalidQueryError(f"{column!r} is at most {longest} long: {operand!r} may be longer")
    return cast("ValueColumn", operand)


def check_computable(operand: Operand) -> None:
    """Raise InvalidQueryError for JSON, of which nothing is computed.

    Raises UntranslatableError for mapped columns: their library says how they are kept.
    """
    if isinstance(operand, Path) or operand.type.kind is Kind.JSON:
        raise InvalidQueryError(f"{operand!r} is JSON, of which nothing is computed")
    _check_of_row(operand)
    _check_own(operand)


def _check_own(operand: Operand) -> None:
    """Raise UntranslatableError for mapped columns: their library says how they are kept."""
    if any(column.spec.native_column is not None for column in columns_in(operand)):
        raise UntranslatableError(
            entity_of(operand), f"what is computed of {operand!r}", "its library says it"
        )


def _check_of_row(operand: Operand) -> None:
    """Raise InvalidQueryError for aggregates other than counts: databases keep no plain values."""
    for start in starts_in(operand):
        counts = isinstance(start, RelatedAggregate) and start.aggregate.function in COUNTS
        if not counts and not isinstance(start, (Column, RelatedColumn)):
            raise InvalidQueryError(
                f"{start!r}: of aggregates only counts are computed with or compared with fields"
            )


def check_same_type(operand: Operand, column: Column) -> None:
    """Raise InvalidQueryError when the values of both can't be looked for among one another."""
    one, other = operand.type, column.type
    if one.kind is not other.kind or one.python != other.python or one.kind is Kind.JSON:
        raise InvalidQueryError(f"{operand!r} in values of {column!r}: {_kinds(operand, column)}")
    if one.bounds.scale != other.bounds.scale:
        raise InvalidQueryError(
            f"{operand!r} in values of {column!r}: they have other digits after the point"
        )


def check_depth(operand: Operand) -> None:
    """Raise InvalidQueryError when more lies in one another than every backend can take."""
    if _levels(operand) > DEEPEST_EXPRESSION:
        raise InvalidQueryError(
            f"operations are nested more than {DEEPEST_EXPRESSION} deep in an expression"
        )


def _levels(operand: Operand) -> int:
    match operand:
        case (
            Column()
            | Path()
            | RelatedColumn()
            | RelatedAggregate()
            | SearchRank()
            | Aggregate()
            | GroupValue()
        ):
            return 0
        case _:
            return 1 + max(map(_levels, parts_of_computed(operand)), default=0)


def entity_of(operand: Operand) -> str:
    """Return the name of the entity whose rows *operand* is read of."""
    for column in columns_in(operand):
        return column.entity if isinstance(column, Column) else column.column.entity
    return "an expression"


# --- results ------------------------------------------------------------------------------------

_EXACTLY: dict[Operation, Callable[[Decimal, Decimal], Decimal]] = {
    Operation.ADD: EXACT.add,
    Operation.SUBTRACT: EXACT.subtract,
    Operation.MULTIPLY: EXACT.multiply,
}
_PLAINLY: dict[Operation, Callable[[float, float], float]] = {
    Operation.ADD: operator.add,
    Operation.SUBTRACT: operator.sub,
    Operation.MULTIPLY: operator.mul,
    Operation.DIVIDE: operator.truediv,
}


def calculated(made: Calculation, left: object, right: object) -> object:
    """Return the result of *made* of two row values, null where it has none.

    Raises InvalidValueError for one that its type can't hold.
    """
    if made.operation is Operation.DIVIDE and not right:
        return None
    try:
        return made.type.check(_result(made, left, right))
    except (ValueRejected, OverflowError):
        raise too_large(made) from None


def _result(made: Calculation, left: object, right: object) -> object:
    match left, right:
        case Decimal(), Decimal():
            return _EXACTLY[made.operation](left, right)
        case datetime(), datetime():
            return left - right
        case datetime(), timedelta():
            return left + right if made.operation is Operation.ADD else left - right
        case _:
            # Spans of time and numbers have the same operators.
            return _PLAINLY[made.operation](cast("float", left), cast("float", right))


def convert(made: Converted, value: object) -> object:
    """Return *value* as *made* has it. Raises InvalidValueError for a Decimal that can't be."""
    try:
        return _convert(value, made.type)
    except ValueRejected:
        raise too_large(made) from None


def _convert(value: object, wanted: ValueType) -> object:
    if wanted.kind is Kind.DECIMAL:
        return wanted.check(value if isinstance(value, Decimal) else Decimal(cast("int", value)))
    count = value // _MICROSECOND if isinstance(value, timedelta) else value
    return float(cast("float", count))


def too_large(made: Operand) -> InvalidValueError:
    """Return the error for a result that the type of *made* can't hold."""
    return InvalidValueError(
        entity_of(made), repr(made), f"the result is too large for {made.type.kind.value}"
    )
