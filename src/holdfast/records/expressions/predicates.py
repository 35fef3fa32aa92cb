"""Predicates and orders as data: what is asked for, with nothing about how.

Predicate = Compare | CompareOperands | In | InRows | InSubquery | IsNull | HasItem | Match
          | HasWords | Related | After | And | Or | Not | Everything

Values inside are row values (see `values/value.py`): already checked, copied and free of None. The
logic is two-valued: a comparison with a null is false, and its negation is true.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, cast

from holdfast.errors import InvalidQueryError
from holdfast.records.expressions.operands import RowFilter, may_be_null

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from holdfast.records.expressions.operands import Column, Join, Operand, Path
    from holdfast.records.search.search_words import SearchTerms

    Of = TypeVar("Of", default=Any)
else:
    from typing import TypeVar

    Of = TypeVar("Of")

T_co = TypeVar("T_co", covariant=True)


class Predicate(RowFilter, Generic[Of]):
    """A condition on a row of the entity Of.

    Combine with & | ~; `and`, `or` and `not` can't be overloaded.
    """

    __slots__ = ()

    def __and__(self, other: Predicate[Of]) -> Predicate[Of]:
        return And((*_parts(self, And), *_parts(_predicate(other), And)))

    def __or__(self, other: Predicate[Of]) -> Predicate[Of]:
        return Or((*_parts(self, Or), *_parts(_predicate(other), Or)))

    def __invert__(self) -> Predicate[Of]:
        return self.part if isinstance(self, Not) else Not(self)

    def __bool__(self) -> bool:
        raise TypeError(
            "a predicate has no truth value: combine predicates with & | ~ instead of "
            "`and`, `or`, `not`, and write a.between(x, y) instead of x < a < y"
        )


class Operator(enum.Enum):
    """How a value is compared; `!=` is the negation of EQ."""

    __hash__ = object.__hash__  # Enum's own is a call of Python, at each look for a statement

    EQ = "=="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="


@dataclass(frozen=True, slots=True)
class Compare(Predicate):
    """The operand has a value, and it stands so to *value*. A JSON path's type must fit too."""

    operand: Operand
    operator: Operator
    value: object


@dataclass(frozen=True, slots=True)
class CompareOperands(Predicate):
    """Both have a value, and *left* stands so to *right*; they are of one type."""

    left: Operand
    operator: Operator
    right: Operand


@dataclass(frozen=True, slots=True)
class In(Predicate):
    """The operand's value is one of *values*. No values: nothing fits."""

    operand: Operand
    values: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class InRows(Predicate):
    """The values of *columns*, taken together, are one of *rows*. No rows: nothing fits."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[object, ...], ...]


@dataclass(frozen=True, slots=True)
class Subquery(Generic[T_co]):
    """The values that *column* has in the rows of *target* that fit *where*, nulls apart."""

    target: type
    column: Column
    where: Predicate


@dataclass(frozen=True, slots=True)
class InSubquery(Predicate):
    """The operand has a value, and it is one of those of *query*, which are of its type."""

    operand: Operand
    query: Subquery[object]


@dataclass(frozen=True, slots=True)
class IsNull(Predicate):
    """The operand has no value; for a JSON path: it leads nowhere, or to a JSON null."""

    operand: Operand


@dataclass(frozen=True, slots=True)
class HasItem(Predicate):
    """The operand is a JSON list, and one of its items is the JSON *value*."""

    operand: Column | Path
    value: object


class Part(enum.Enum):
    """Which part of a text is compared."""

    __hash__ = object.__hash__  # as `Operator`

    WHOLE = "equals"
    ANYWHERE = "contains"
    START = "startswith"
    END = "endswith"


@dataclass(frozen=True, slots=True)
class Match(Predicate):
    """The operand is text, and *text* is the named part of it: a literal, never a pattern.

    With *ignore_case* both sides are folded by `fold_case` first.
    """

    operand: Operand
    part: Part
    text: str
    ignore_case: bool = False


@dataclass(frozen=True, slots=True)
class HasWords(Predicate):
    """Each piece that *terms* want stands in a document of *columns*, and no unwanted one in any.

    A document is text as `search_words` makes it; a null has no words. `spelled_out` says it by
    the other predicates.
    """

    columns: tuple[Column, ...]
    terms: SearchTerms


@dataclass(frozen=True, slots=True)
class Related(Predicate):
    """The relation leads to a row, or to several, of which at least one fits *where*."""

    join: Join
    where: Predicate


@dataclass(frozen=True, slots=True)
class After(Predicate):
    """The row comes after the position that *values* name in *order*; None stands for null.

    What keyset pages are made of. `expanded` says it by the other predicates.
    """

    order: tuple[Order, ...]
    values: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class And(Predicate):
    """All of *parts* fit."""

    parts: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class Or(Predicate):
    """One of *parts* fits."""

    parts: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class Not(Predicate):
    """*part* does not fit; with two-valued logic this is true where a null was compared."""

    part: Predicate


@dataclass(frozen=True, slots=True)
class Everything(Predicate):
    """Every row; what has to be said before all rows are changed or deleted."""


Node: TypeAlias = (
    Compare
    | CompareOperands
    | In
    | InRows
    | InSubquery
    | IsNull
    | HasItem
    | Match
    | HasWords
    | Related
    | After
    | And
    | Or
    | Not
    | Everything
)


def node(predicate: RowFilter) -> Node:
    """Return *predicate* as the closed union that it is one of, for `match` and assert_never."""
    return cast("Node", predicate)


def everything() -> Predicate:
    """Return the predicate that every row fits."""
    return Everything()


def all_of(predicates: tuple[Predicate, ...]) -> Predicate:
    """Return the predicate that all of *predicates* make together; everything for none."""
    if not predicates:
        return Everything()
    first, *rest = predicates
    joined = _predicate(first)
    for predicate in rest:
        joined &= _predicate(predicate)
    return joined


def parts_of(predicate: Predicate) -> tuple[Predicate, ...]:
    """Return what all has to fit for *predicate* to fit: the parts of an And, else itself."""
    return predicate.parts if isinstance(predicate, And) else (predicate,)


def operands_of(
    leaf: Compare | CompareOperands | In | InRows | IsNull | HasItem | Match,
) -> tuple[Operand, ...]:
    """Return what *leaf* reads of a row."""
    match leaf:
        case CompareOperands(left, _, right):
            return (left, right)
        case InRows(columns):
            return columns
        case _:
            return (leaf.operand,)


def spelled_out(words: HasWords) -> Predicate:
    """Return *words* in terms of the other predicates, for a driver that has no better way."""

    def stands(piece: str) -> Predicate:
        return Or(tuple(Match(column, Part.ANYWHERE, piece) for column in words.columns))

    terms = words.terms
    return And((*map(stands, terms.wanted), *(Not(stands(each)) for each in terms.unwanted)))


def expanded(after: After) -> Predicate:
    """Return *after* in terms of the other predicates, for a driver that has no better way."""
    places = list(zip(after.order, after.values, strict=True))
    result: Predicate | None = None
    for by, value in reversed(places):
        further = _further(by, value)
        if result is None:
            result = further
        else:
            same = IsNull(by.operand) if value is None else Compare(by.operand, Operator.EQ, value)
            result = further | (same & result)
    assert result is not None
    first, value = places[0]
    if len(places) > 1 and value is not None and (first.first or not may_be_null(first.operand)):
        # Implied by the rest, and what lets an index on the first field start at the right place.
        bound = Operator.LE if first.descending else Operator.GE
        result = Compare(first.operand, bound, value) & result
    return result


def _further(by: Order, value: object) -> Predicate:
    if value is None:
        return Not(IsNull(by.operand)) if by.first else In(by.operand, ())
    further = Compare(by.operand, Operator.LT if by.descending else Operator.GT, value)
    if by.first or not may_be_null(by.operand):
        return further
    return Or((further, IsNull(by.operand)))


def _parts(predicate: Predicate, kind: type[And | Or]) -> tuple[Predicate, ...]:
    return predicate.parts if isinstance(predicate, kind) else (predicate,)


def _predicate(value: object) -> Predicate:
    if isinstance(value, Predicate):
        return value
    raise InvalidQueryError(
        f"expected a predicate such as Video.duration > 60, got {value!r}"
        + (
            "; a comparison with a value of another type gives a plain bool"
            if isinstance(value, bool)
            else ""
        )
    )


@dataclass(frozen=True, slots=True)
class Order(Generic[Of]):
    """A direction along an operand. Nulls come last unless *first* says otherwise."""

    operand: Operand
    descending: bool = False
    first: bool = False

    def nulls_first(self) -> Order[Of]:
        """Return the same order with nulls at its beginning."""
        return Order(self.operand, self.descending, first=True)

    def nulls_last(self) -> Order[Of]:
        """Return the same order with nulls at its end, where they stand by default."""
        return Order(self.operand, self.descending, first=False)
