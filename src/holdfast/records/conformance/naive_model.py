"""What records mean, said a second time: plain dicts, and nothing shared with the real code.

A condition is a plain tuple, such as ("==", "number", 5) or ("&", left, right): `predicate_of`
makes the real predicate of it, `holds` tells what it means for a row.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, TypeAlias, cast

from holdfast.errors import InvalidValueError
from holdfast.records.conformance.sample_entities import Sample
from holdfast.records.expressions.predicates import everything

if TYPE_CHECKING:
    from holdfast.records.expressions.field_changes import Change
    from holdfast.records.expressions.predicates import Order, Predicate

Row: TypeAlias = dict[str, object]
Condition: TypeAlias = tuple[object, ...]
Direction: TypeAlias = tuple[str, bool, bool]
"""A field's name, whether it goes down, whether nulls come first."""


def predicate_of(condition: Condition) -> Predicate:
    """Return the predicate that *condition* is."""
    word, *rest = condition
    match word:
        case "&":
            return predicate_of(_part(rest[0])) & predicate_of(_part(rest[1]))
        case "|":
            return predicate_of(_part(rest[0])) | predicate_of(_part(rest[1]))
        case "~":
            return ~predicate_of(_part(rest[0]))
        case "all":
            return everything()
    field = getattr(Sample, cast("str", rest[0]))
    if rest[0] == "document":
        field = field["k"]
    made: object
    match word:
        case "==":
            made = field == rest[1]
        case "!=":
            made = field != rest[1]
        case "<":
            made = field < rest[1]
        case ">=":
            made = field >= rest[1]
        case "null":
            made = field.is_null()
        case _:
            made = getattr(field, cast("str", word))(rest[1])
    return cast("Predicate", made)


def holds(condition: Condition, row: Row) -> bool:
    """Return whether *row* fits *condition*."""
    word, *rest = condition
    match word:
        case "&":
            return holds(_part(rest[0]), row) and holds(_part(rest[1]), row)
        case "|":
            return holds(_part(rest[0]), row) or holds(_part(rest[1]), row)
        case "~":
            return not holds(_part(rest[0]), row)
        case "all":
            return True
    found = row[cast("str", rest[0])]
    if rest[0] == "document":
        found = cast("dict[str, object]", found).get("k")
    value = rest[1] if len(rest) > 1 else None
    match word:
        case "null":
            return found is None
        case "==":
            return _equal(found, value)
        case "!=":
            return not _equal(found, value)
        case "in_":
            return any(_equal(found, each) for each in cast("list[object]", value))
        case "not_in":
            return not any(_equal(found, each) for each in cast("list[object]", value))
        case "<":
            return _sortable(found, value) and _rank(found) < _rank(value)
        case ">=":
            return _sortable(found, value) and _rank(found) >= _rank(value)
    return _searched(cast("str", word), found, cast("str", value))


def _part(value: object) -> Condition:
    return cast("Condition", value)


def _equal(found: object, value: object) -> bool:
    if isinstance(found, bool) != isinstance(value, bool):
        return False
    if isinstance(found, str) != isinstance(value, str):
        return False
    return found == value


def _sortable(found: object, value: object) -> bool:
    if isinstance(found, str):
        return isinstance(value, str)
    if isinstance(found, bool):
        return isinstance(value, bool)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(found, (int, float)) and number


def _rank(value: object) -> float:
    """Return what *value* is ordered by; only ever compared with that of the same type."""
    if isinstance(value, str):
        return cast("float", [ord(char) for char in value])
    return cast("float", value)


def _searched(word: str, found: object, wanted: str) -> bool:
    if not isinstance(found, str):
        return False
    if word.startswith("i"):
        found, wanted = _folded(found), _folded(wanted)
    starts = range(len(found) - len(wanted) + 1)
    places = [at for at in starts if all(found[at + i] == c for i, c in enumerate(wanted))]
    match word:
        case "contains" | "icontains":
            return bool(places)
        case "startswith":
            return 0 in places
        case "endswith":
            return len(found) - len(wanted) in places
        case "iequals":
            return 0 in places and len(found) == len(wanted)
    raise ValueError(word)


def _folded(text: str) -> str:
    return "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def edit_of(word: str, value: object) -> Change:
    """Return the change inside the document that *word* and *value* are."""
    place = Sample.document["k"]
    match word:
        case "append":
            return place.append(value)
        case "append if absent":
            return place.append(value, if_absent=True)
        case "remove_item":
            return place.remove_item(value)
        case "to":
            return place.to(value)
        case "remove":
            return place.remove()
    raise ValueError(word)


def edited(row: Row, word: str, value: object) -> Row:
    """Return *row* with that change made. Raises InvalidValueError."""
    document = dict(cast("dict[str, object]", row["document"]))
    if word == "remove":
        document.pop("k", None)
    elif word == "to":
        document["k"] = value
    elif isinstance(found := document.get("k"), list):
        items = cast("list[object]", found)
        others = [each for each in items if not _equal(each, value)]
        if word == "remove_item":
            document["k"] = others
        elif word == "append" or others == items:
            document["k"] = [*items, value]
    elif word != "remove_item":
        if found is not None:
            raise InvalidValueError("Sample", "document", "k is not a list")
        document["k"] = [value]
    return {**row, "document": document}


def orders_of(directions: list[Direction]) -> list[Order]:
    """Return the orders that *wanted* names."""
    orders: list[Order] = []
    for name, down, nulls_first in directions:
        field = getattr(Sample, name)
        order: Order = field.desc() if down else field.asc()
        orders.append(order.nulls_first() if nulls_first else order)
    return orders


def ordered(rows: list[Row], directions: list[Direction]) -> list[Row]:
    """Return *rows* along *directions*, then by key the way the last of them goes."""
    down = bool(directions) and directions[-1][1]
    total: list[Direction] = [*directions, ("id", down, False)]

    def compared(left: Row, right: Row) -> int:
        for name, down, nulls_first in total:
            one, other = left[name], right[name]
            if one is None or other is None:
                if (one is None) != (other is None):
                    return -1 if (one is None) == nulls_first else 1
                continue
            low, high = _rank(one), _rank(other)
            if low != high:
                return -1 if (low < high) != down else 1
        return 0

    return sorted(rows, key=functools.cmp_to_key(compared))
