"""What a predicate reads: of which rows, how far, and how much one may say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import InvalidQueryError
from holdfast.records.expressions.operands import (
    RelatedAggregate,
    RelatedColumn,
    RowFilter,
    SearchRank,
    starts_in,
)
from holdfast.records.expressions.predicates import (
    After,
    And,
    Everything,
    HasWords,
    InRows,
    InSubquery,
    Not,
    Or,
    Predicate,
    Related,
    node,
    operands_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from holdfast.records.expressions.operands import Join, Operand, Start

DEEPEST = 250  # levels of predicates within one another
WIDEST = 10_000  # comparisons in one predicate
FARTHEST = 8  # relations that one predicate follows one after another
MOST_RELATED = 100  # relations in one predicate


def columns_of(predicate: Predicate) -> Iterator[tuple[Start | Join, type | None]]:
    """Yield what *predicate* reads, and of which entity's row; None: of the row it is asked of.

    Raises InvalidQueryError when it is nested deeper or says more than every backend can take.
    """
    waiting: list[tuple[RowFilter, int, tuple[type, ...]]] = [(predicate, 1, ())]
    compared = related = 0

    def follow(target: type, where: RowFilter) -> None:
        nonlocal related
        related += 1
        if len(beyond) == FARTHEST or related > MOST_RELATED:
            raise InvalidQueryError(
                f"a predicate goes at most {FARTHEST} relations far, and has at most "
                f"{MOST_RELATED} in all"
            )
        waiting.append((where, depth + 1, (*beyond, target)))

    while waiting:
        each, depth, beyond = waiting.pop()
        if depth > DEEPEST:
            raise InvalidQueryError(f"the predicates are nested more than {DEEPEST} deep")
        entity = beyond[-1] if beyond else None
        match leaf := node(each):
            case And(parts) | Or(parts):
                waiting += [(part, depth + 1, beyond) for part in reversed(parts)]
                continue
            case Not(part):
                waiting.append((part, depth + 1, beyond))
                continue
            case Related(join, where):
                operands: Sequence[Operand] = ()
                yield join, entity
                follow(join.target, where)
            case InSubquery(operand, query):
                operands = [operand]
                yield query.column, query.target
                follow(query.target, query.where)
            case HasWords(columns, terms):
                compared += len(columns) * (len(terms.wanted) + len(terms.unwanted))
                operands = list(columns)
            case After(order):
                operands = [by.operand for by in order]
            case Everything():
                operands = ()
            case _:
                operands = operands_of(leaf)
        for operand in operands:
            for start in starts_in(operand):
                yield start, entity
                if isinstance(start, RelatedAggregate):
                    follow(start.join.target, start.where)
        compared += 1
        if compared > WIDEST:
            raise InvalidQueryError(f"more than {WIDEST} predicates in one: in_() takes a list")


def follows_relations(predicate: Predicate) -> bool:
    """Return whether *predicate* reads other rows than the one that it is asked of."""
    match leaf := node(predicate):
        case Related() | InSubquery():
            return True
        case And(parts) | Or(parts):
            return any(map(follows_relations, parts))
        case Not(part):
            return follows_relations(part)
        case After(order):
            return any(map(_leads_on, (by.operand for by in order)))
        case InRows() | HasWords() | Everything():
            return False
        case _:
            return any(map(_leads_on, operands_of(leaf)))


def _leads_on(operand: Operand) -> bool:
    further = (RelatedColumn, RelatedAggregate, SearchRank)
    return any(isinstance(start, further) for start in starts_in(operand))
