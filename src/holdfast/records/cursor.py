"""Cursors: a position in a total order, in a form that a client can hold.

A cursor names the values of the order's fields at the row where a page ended, so that rows added
or deleted in between neither repeat nor hide a row. It is bound to the query it came from by a
fingerprint of it, and every value in it is checked again when it comes back.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Literal, assert_never, cast
from uuid import UUID

from holdfast.errors import InvalidCursorError
from holdfast.records.expressions.operands import (
    Aggregate,
    Column,
    GroupValue,
    Path,
    RelatedAggregate,
    may_be_null,
    starts_in,
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
    Or,
    Order,
    Predicate,
    Related,
    node,
)
from holdfast.records.values.text import ValueRejected
from holdfast.records.values.value import Kind
from holdfast.time_text import read_datetime, read_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.records.expressions.operands import Operand, RowFilter, ValueColumn

Direction = Literal["after", "before"]
_MICROSECOND = timedelta(microseconds=1)
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_FROM_URL_SAFE = bytes.maketrans(b"-_", b"+/")


@dataclass(frozen=True, slots=True)
class Cursor:
    """The rows beyond the row with *values* in the query's order, in *direction*."""

    direction: Direction
    values: tuple[object, ...]


class CursorCodec:
    """Makes and reads the cursors of one query: what fits *where*, along *order*.

    *of_table*: the rows come in the order of their table, *order* is by key and says which row.
    """

    def __init__(
        self, where: Predicate, order: tuple[Order, ...], *, of_table: bool = False
    ) -> None:
        self.where = where
        self.order = order
        self.of_table = of_table
        self._made: str | None = None  # a cached_property takes a lock on Python 3.11

    @property
    def _fingerprint(self) -> str:
        if self._made is None:
            made = _fingerprint(self.where, self.order)
            self._made = f"{made}-table" if self.of_table else made
        return self._made

    def encode(self, cursor: Cursor) -> str:
        """Return *cursor* as URL-safe text."""
        import orjson  # noqa: PLC0415 - for pages alone

        values = [
            value if type(value) in _JSON_KNOWS else _to_json(by, value)
            for by, value in zip(self.order, cursor.values, strict=True)
        ]
        body = orjson.dumps([self._fingerprint, cursor.direction, values])
        return binascii.b2a_base64(body, newline=False).translate(_URL_SAFE, b"=").decode("ascii")

    def decode(self, text: str) -> Cursor:
        """Return the cursor in *text*. Raises InvalidCursorError for any but this query's own."""
        import orjson  # noqa: PLC0415 - for pages alone

        try:
            padded = text.encode("ascii").translate(_FROM_URL_SAFE) + b"=" * (-len(text) % 4)
            body = orjson.loads(binascii.a2b_base64(padded, strict_mode=True))
            fingerprint, direction, values = body
        except (ValueError, TypeError, AttributeError, binascii.Error):
            raise _damaged() from None
        if fingerprint != self._fingerprint:
            raise InvalidCursorError("the cursor belongs to another query: other filters or order")
        directions = ("after",) if self.of_table else ("after", "before")
        if direction not in directions or not isinstance(values, list):
            raise _damaged()
        if len(values) != len(self.order):
            raise _damaged()
        return Cursor(
            cast("Direction", direction),
            tuple(_from_json(by, value) for by, value in zip(self.order, values, strict=True)),
        )


def _damaged() -> InvalidCursorError:
    return InvalidCursorError("the cursor is damaged: it is not one that a page gave")


def reverse(order: tuple[Order, ...]) -> tuple[Order, ...]:
    """Return the order that goes the other way."""
    return tuple(Order(by.operand, not by.descending, not by.first) for by in order)


def _column(by: Order) -> ValueColumn:
    assert not isinstance(by.operand, (Path, Aggregate, GroupValue))
    return by.operand


def _kind(by: Order) -> Kind:
    return by.operand.type.kind


def _fingerprint(where: Predicate, order: tuple[Order, ...]) -> str:
    import hashlib  # noqa: PLC0415 - for pages alone, and OpenSSL with it

    orders = [(_named(by.operand), by.descending, by.first) for by in order]
    text = f"{_canonical(where)} {orders}"
    return hashlib.blake2b(text.encode(), digest_size=9).hexdigest()


def _canonical(predicate: RowFilter) -> str:
    """Return a text of *predicate* that is the same in every process.

    What a query is made of may come from a set, whose order differs by process: values of a list,
    parts of an And or Or. Their order means nothing, so they stand in the order of their texts.
    """
    match leaf := node(predicate):
        case Compare(operand, how, value):
            return f"Compare({_named(operand)}, {how.value}, {_text(value)})"
        case In(operand, values):
            return f"In({_named(operand)}, {sorted({_text(value) for value in values})})"
        case InRows(columns, rows):
            return f"InRows({columns!r}, {sorted({_text(list(row)) for row in rows})})"
        case And(parts) | Or(parts):
            return f"{type(leaf).__name__}({sorted(map(_canonical, parts))})"
        case Not(part):
            return f"Not({_canonical(part)})"
        case Related(join, where):
            return f"Related({join!r}, {_canonical(where)})"
        case CompareOperands(left, how, right):
            return f"Compare({_named(left)}, {how.value}, {_named(right)})"
        case InSubquery(operand, query):
            chosen = f"{query.column!r}, {_canonical(query.where)}"
            return f"InSubquery({_named(operand)}, {chosen})"
        case HasItem(operand, value):
            return f"HasItem({operand!r}, {_text(value)})"
        case IsNull() | Match() | HasWords() | After() | Everything():
            return repr(leaf)
        case _:
            assert_never(leaf)


def _named(operand: Operand) -> str:
    text = repr(operand)
    if isinstance(operand, Column):
        return text
    for start in starts_in(operand):
        if isinstance(start, RelatedAggregate):
            named = f"{start.join!r}({_canonical(start.where)}).{start.aggregate!r}"
            text = text.replace(repr(start), named)
    return text


def _text(value: object) -> str:
    """Return a text of a row value; in JSON the order of names means nothing either."""
    if isinstance(value, dict):
        members = cast("dict[str, object]", value)
        return f"{{{', '.join(f'{name!r}: {_text(members[name])}' for name in sorted(members))}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_text, cast('list[object]', value)))}]"
    return repr(value)


def _to_json(by: Order, value: object) -> object:
    found = _TO_JSON.get(_kind(by), _same)(value)
    return str(found) if _is_sum(by) else found


def _is_sum(by: Order) -> bool:
    """Return whether the place is a sum, for which JSON's numbers may be too small."""
    operand = by.operand
    return (
        isinstance(operand, RelatedAggregate)
        and operand.spec.type.kind in _IN_JSON
        and (operand.aggregate.function == "sum" and operand.spec.type.kind is not Kind.FLOAT)
    )


def _from_json(by: Order, value: object) -> object:
    column = _column(by)
    if value is None:
        if may_be_null(column):
            return None
        raise InvalidCursorError(f"the cursor is damaged: no value for {column!r}")
    kind = column.type.kind
    if _is_sum(by) and isinstance(value, str):
        value = _whole(value)
    # Anybody can make a cursor: what JSON holds elsewhere is not the place of a row.
    if type(value) not in _IN_JSON.get(kind, (str,)):
        raise InvalidCursorError(f"the cursor is damaged: a bad value for {column!r}")
    try:
        decoded = _FROM_JSON.get(kind, _same)(value)
        if column.spec.type.load is not None:
            decoded = column.spec.type.load(decoded)
        return column.spec.type.check(decoded)
    except (ValueError, TypeError, ArithmeticError, InvalidOperation, ValueRejected):
        raise InvalidCursorError(f"the cursor is damaged: a bad value for {column!r}") from None


def _whole(text: str) -> object:
    try:
        return int(text)
    except ValueError:
        return text  # refused as what it is


def _same(value: object) -> object:
    return value


_JSON_KNOWS = frozenset({type(None), str, float, UUID, datetime, date, time})
"""The types of which orjson makes the same text as `str` and `isoformat`, at a tenth the cost."""
_TO_JSON: dict[Kind, Callable[..., object]] = {
    Kind.DECIMAL: str,
    Kind.TIMEDELTA: lambda value: value // _MICROSECOND,
    Kind.BYTES: bytes.hex,
}
_IN_JSON: dict[Kind, tuple[type, ...]] = {
    Kind.BOOL: (bool,),
    Kind.INT: (int,),
    Kind.FLOAT: (int, float),
    Kind.TIMEDELTA: (int,),
}
"""The types that JSON has for a kind; text where nothing is said."""
_FROM_JSON: dict[Kind, Callable[..., object]] = {
    Kind.UUID: UUID,
    Kind.DECIMAL: Decimal,
    Kind.DATETIME: read_datetime,  # whose check wants a zone
    Kind.DATE: date.fromisoformat,
    Kind.TIME: read_time,
    Kind.TIMEDELTA: lambda count: count * _MICROSECOND,
    Kind.BYTES: bytes.fromhex,
}
