"""What conditions and orders that follow relations mean, said a second time, of members.

A condition is a plain tuple, such as ("any", ("==", "a")): at least one of those that a member
leads is named "a". The chief of a member, and so its reports, are looked for in a list of all.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, TypeAlias, cast

import hypothesis.strategies as st

from holdfast.records.conformance.sample_entities import Member

if TYPE_CHECKING:
    from holdfast.records.expressions.predicates import Order, Predicate

Condition: TypeAlias = tuple[object, ...]
Direction: TypeAlias = tuple[bool, bool]
"""Whether an order goes down, and whether nulls come first."""

STAFFS: st.SearchStrategy[list[tuple[str, int | None]]] = st.lists(
    st.tuples(st.sampled_from("ab"), st.none() | st.integers(0, 5)), max_size=6
)
"""Names, and the places of chiefs; one that would come later is none."""
CONDITIONS: st.SearchStrategy[Condition] = st.recursive(
    st.one_of(st.just(("alone",)), st.tuples(st.just("=="), st.sampled_from("ab"))),
    lambda parts: st.one_of(
        st.tuples(st.sampled_from("&|"), parts, parts),
        st.tuples(st.sampled_from(["~", "has", "any", "none"]), parts),
    ),
    max_leaves=4,
)


def members_of(staff: list[tuple[str, int | None]]) -> list[Member]:
    """Return the members that *staff* says, their keys being their places."""
    return [
        Member(id=at, name=name, chief_id=None if chief is None or chief > at else chief)
        for at, (name, chief) in enumerate(staff)
    ]


def predicate_of(condition: Condition) -> Predicate:
    """Return the predicate that *condition* is."""
    word, *rest = condition
    match word:
        case "alone":
            return Member.chief_id.is_null()
        case "==":
            return Member.name == cast("str", rest[0])
    first, *others = (predicate_of(cast("Condition", each)) for each in rest)
    match word:
        case "&":
            return first & others[0]
        case "|":
            return first | others[0]
        case "~":
            return ~first
        case "has":
            return Member.chief.has(first)
        case "any":
            return Member.reports.any(first)
        case "none":
            return Member.reports.none(first)
    raise ValueError(word)


def holds(condition: Condition, member: Member, everybody: list[Member]) -> bool:
    """Return whether *member*, one of *everybody*, fits *condition*."""
    word, *rest = condition
    if word == "alone":
        return member.chief_id is None
    if word == "==":
        return member.name == rest[0]
    first, *_ = parts = [cast("Condition", each) for each in rest]
    match word:
        case "&":
            return all(holds(part, member, everybody) for part in parts)
        case "|":
            return any(holds(part, member, everybody) for part in parts)
        case "~":
            return not holds(first, member, everybody)
    if word == "has":
        near = [each for each in everybody if member.chief_id == each.id]
    else:
        near = [each for each in everybody if each.chief_id == member.id]
    found = any(holds(first, each, everybody) for each in near)
    return not found if word == "none" else found


def order_of(direction: Direction) -> Order:
    """Return the order by the name of the chief that *direction* says."""
    down, first = direction
    order = Member.chief[Member.name].desc() if down else Member.chief[Member.name].asc()
    return order.nulls_first() if first else order


def ordered(members: list[Member], direction: Direction, everybody: list[Member]) -> list[Member]:
    """Return *members* by the name of their chief, then by key the same way."""
    down, first = direction
    names = {each.id: each.name for each in everybody}

    def compared(left: Member, right: Member) -> int:
        one, other = (
            None if each.chief_id is None else names[each.chief_id] for each in (left, right)
        )
        if (one is None) != (other is None):
            return -1 if (one is None) == first else 1
        if one is not None and other is not None and one != other:
            return -1 if (one < other) != down else 1
        return -1 if (left.id < right.id) != down else 1

    return sorted(members, key=functools.cmp_to_key(compared))
