"""What an index leads to of the rows that a list of records is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from holdfast.console.bounded_look import Wanted
from holdfast.errors import InvalidQueryError
from holdfast.fastapi.crud.list_query import MOST_PREDICATES
from holdfast.records import text_matches
from holdfast.records.expressions.operands import Column
from holdfast.records.expressions.predicates import Order
from holdfast.records.record_filters import parse_filters

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from holdfast.records import Predicate
    from holdfast.records.entities.model import Model

E = TypeVar("E")

_RANGES = ("gte", "gt", "lte", "lt")


def indexes_of(model: Model[E]) -> Iterator[tuple[str, ...]]:
    """Yield the fields of each index: those of keys, uniques and references too.

    The key stands at the end of each.
    """
    declared = (*model.uniques, *model.indexes)
    leading = {names[0] for names in (model.key_names, *declared)}
    references = ((each.name,) for each in model.references if each.name not in leading)
    yield model.key_names
    for names in (*declared, *references):
        yield (*names, *(name for name in model.key_names if name not in names))


def newest_first(model: Model[E]) -> list[Order]:
    """Return the order of a list that nobody ordered: by an indexed time of creation, or by key."""
    made = model.created_at
    by_time = made is not None and any(index[0] == made.name for index in indexes_of(model))
    first = [made] if made is not None and by_time else []
    return [Order(Column(model.name, each), descending=True) for each in (*first, *model.keys)]


@dataclass(frozen=True, slots=True)
class IndexedRows:
    """The rows that are asked for, and how they are found.

    *within* are the filters that an index has in the order of `newest_first`, *sought* the others;
    *led* are those of them that an index leads to, each with the order that it has them in.
    *is_ordered* tells whether an index has what is *within* in the order that is asked for.
    """

    order: Sequence[Order]
    within: list[Predicate]
    sought: list[Predicate]
    led: list[tuple[Predicate, Sequence[Order]]]
    is_ordered: bool

    def wanted(self, model: Model[E]) -> Wanted:
        """Return what a page looks for: among all rows only where an index leads there."""
        return Wanted(
            newest=newest_first(model)[0],
            within=self.within,
            sought=self.sought,
            led=self.led,
            order=self.order,
            bounded=bool(self.sought) or not self.is_ordered,
        )


def indexed_rows(
    model: Model[E],
    filters: Mapping[str, str],
    sort: Sequence[Order],
    text: str = "",
    *,
    words_led: bool = False,
) -> IndexedRows:
    """Return how the rows that fit *filters* are found, along *sort* or the newest first.

    *filters* are as an address has them, `duration__gte`; *words_led*: an index leads to those that
    have the words of *text*. Raises InvalidQueryError and InvalidValueError.
    """
    indexes = list(indexes_of(model))
    newest = [_name(each) for each in newest_first(model)]
    within: list[Predicate] = []
    sought: list[Predicate] = []
    led: list[tuple[Predicate, Sequence[Order]]] = []
    is_narrowed = False
    if sum(value.count(",") + 1 for value in filters.values()) > MOST_PREDICATES:
        raise InvalidQueryError(f"more than {MOST_PREDICATES} values are asked for")
    for name, value in filters.items():
        (where,) = parse_filters(model.entity, [f"{name}={value}"])
        named, operator = (name, "") if name in model.by_name else name.rsplit("__", 1)
        leading = [index for index in indexes if index[0] == named]
        if named == newest[0] and operator in _RANGES:
            within.append(where)
        elif not (operator or is_narrowed) and any([*index[1:]] == newest for index in leading):
            is_narrowed = True
            within.append(where)
        else:
            sought.append(where)
            if leading and operator in ("", "in", *_RANGES):
                rest = leading[0] if operator else leading[0][1:]
                order = [Order(Column(model.name, model.by_name[each])) for each in rest]
                led.append((where, order))
    in_order = not sort or (not is_narrowed and _has_order(model, indexes, sort))
    if text:
        words = text_matches(model.entity, text)
        sought.append(words)
        led += [(words, ())] if words_led else []
    return IndexedRows(sort or newest_first(model), within, sought, led, in_order)


def _has_order(model: Model[E], indexes: Sequence[tuple[str, ...]], sort: Sequence[Order]) -> bool:
    """Return whether an index has all rows in the order *sort*, nulls included."""
    wanted = [_name(each) for each in sort]
    wanted += [name for name in model.key_names if name not in wanted]
    one_way = len({each.descending for each in sort}) == 1
    nulls = any(each.descending and model.by_name[_name(each)].type.nullable for each in sort)
    return one_way and not nulls and any([*index] == wanted for index in indexes)


def _name(order: Order) -> str:
    assert isinstance(order.operand, Column)
    return order.operand.spec.name
