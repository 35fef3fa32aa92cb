"""Functions of fields and expressions: what stands for a null, and what is made of text."""

# A text that may be null is one that is null alone, to the checker.
# pyright: reportOverlappingOverload=false

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, overload

from holdfast.records.expressions import arithmetic
from holdfast.records.expressions.expression import Expression, Valued
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from holdfast.records.expressions.expression import Given
    from holdfast.records.expressions.predicates import Of

T = TypeVar("T")
V = TypeVar("V")


def coalesce(first: Valued[T | None, Of], *others: Given[T, Of]) -> Expression[T, Of]:
    """Return the first that is not null: a field or expression, then others or a plain value.

    All are of one type. Raises InvalidQueryError where they are not.
    """
    start = first.operand
    operands = [start]
    for other in others:
        if isinstance(other, Valued):
            operands.append(other.operand)
        elif start.type.kind is Kind.DECIMAL:
            operands.append(arithmetic.number(other, start))
        else:
            operands.append(arithmetic.constant(other, start.type, start))
    return Expression(arithmetic.coalesced(tuple(operands)))


def lower(text: Valued[V, Of]) -> Expression[V, Of]:
    """Return the text in lower case, code point by code point: see `fold_case`."""
    return Expression(arithmetic.folded(text.operand))


@overload
def length(text: Valued[str, Of]) -> Expression[int, Of]: ...
@overload
def length(text: Valued[str | None, Of]) -> Expression[int | None, Of]: ...
def length(text: Valued[str | None, Of]) -> object:
    """Return the number of the text's code points."""
    return Expression(arithmetic.length(text.operand))
