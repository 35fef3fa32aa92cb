"""Relations of many to many: loaded, asked for, and their links made, removed and replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import (
    ForeignKeyError,
    InvalidQueryError,
    InvalidValueError,
    NotFoundError,
)
from holdfast.records.conformance.case import case
from holdfast.records.conformance.sample_entities import Author, Book, Credit, Following, Member
from holdfast.records.conformance.statement_counter import CountingDriver
from holdfast.records.driver import StoreCapability
from holdfast.records.expressions.predicates import everything
from holdfast.records.result_types import LinkChanges

if TYPE_CHECKING:
    from holdfast.records.conformance.lab import Lab
    from holdfast.records.expressions.predicates import Predicate

NUMBERED = (StoreCapability.GENERATED_KEYS,)
ATOMIC = (StoreCapability.TRANSACTIONS,)
_FOLLOWED = {1: (2, 3), 2: (1, 4), 3: (), 4: (4, 1, 2)}


async def _members(lab: Lab) -> None:
    """Store four members, and whom each follows."""
    await lab.repository(Member).add_many(
        [Member(id=each, name="ab"[each % 2], rank=9 - each) for each in _FOLLOWED]
    )
    await lab.repository(Following).add_many(
        [
            Following(follower_id=follower, followed_id=followed, closeness=followed)
            for follower, others in _FOLLOWED.items()
            for followed in others
        ]
    )


async def _follows(lab: Lab) -> dict[int, list[int]]:
    found = await lab.repository(Member).find(load=[Member.follows])
    return {each.id: [other.id for other in each.follows] for each in found}


async def _who(lab: Lab, *where: Predicate) -> list[int]:
    return [each.id for each in await lab.repository(Member).find(*where)]


@case("LINK-1", "REL-2")
async def linked_entities_are_loaded_from_both_ends_in_one_query(lab: Lab) -> None:
    await _members(lab)
    with CountingDriver.around(lab.store) as counting:
        members = await lab.repository(Member).find(load=[Member.follows, Member.followers])
    assert counting.reads == 3, "one for the members, one for each relation"
    assert {each.id: [other.id for other in each.follows] for each in members} == {
        1: [2, 3], 2: [1, 4], 3: [], 4: [1, 2, 4],
    }  # fmt: skip
    assert {each.id: [other.id for other in each.followers] for each in members} == {
        1: [2, 4], 2: [1, 4], 3: [1], 4: [2, 4],
    }  # fmt: skip
    one = await lab.repository(Member).get_one(2, load=[Member.follows.then(Member.followers)])
    assert [[each.id for each in other.followers] for other in one.follows] == [[2, 4], [2, 4]]
    assert [(each.name, each.rank) for each in one.follows] == [("b", 8), ("a", 5)]
    assert await lab.repository(Member).find(Member.id > 9, load=[Member.follows]) == []


@case("LINK-1", needs=NUMBERED)
async def entities_of_two_kinds_are_linked(lab: Lab) -> None:
    north, south = (
        await lab.repository(Author).add_many([Author(name="north"), Author(name="south")])
    ).entities
    books = [
        await lab.repository(Book).add(Book(title=title, author_id=north.id)) for title in "xyz"
    ]
    credited = lab.store.links(Book.credited)
    assert await credited.connect(books[0].id, [south.id, north.id]) == (south.id, north.id)
    of_south = lab.store.links(Author.credited_in)
    assert await of_south.connect(south.id, [book.id for book in books[:2]]) == (books[1].id,)
    found = await lab.repository(Book).find(order_by=Book.title, load=[Book.credited])
    assert [[each.name for each in book.credited] for book in found] == [
        ["north", "south"], ["south"], [],
    ]  # fmt: skip
    by_south = Book.credited.any(Author.name == "south")
    assert [each.title for each in await lab.repository(Book).find(by_south)] == ["x", "y"]
    assert await lab.repository(Book).count(Book.credited.none()) == 1
    authors = await lab.repository(Author).find(
        Author.credited_in.any(Book.title == "x") & ~Author.credited_in.any(Book.title == "y")
    )
    assert [each.name for each in authors] == ["north"]
    await lab.repository(Book).delete(books[0].id)
    assert await lab.repository(Credit).count() == 1


@case("LINK-2", "REL-3", "NULL-1")
async def a_condition_can_be_on_what_is_linked(lab: Lab) -> None:
    await _members(lab)
    assert await _who(lab, Member.follows.any(Member.rank > 6)) == [1, 2, 4]
    assert await _who(lab, Member.follows.any(Member.id == 2)) == [1, 4]
    assert await _who(lab, Member.followers.any(Member.id == 2)) == [1, 4]
    assert await _who(lab, Member.follows.none(Member.id == 2)) == [2, 3]
    assert await _who(lab, Member.follows.none()) == [3]
    assert await _who(lab, Member.follows.any()) == [1, 2, 4]
    both = Member.follows.any(Member.id == 1) & Member.follows.any(Member.id == 2)
    assert await _who(lab, both) == [4]
    assert await _who(lab, Member.follows.any(Member.id == 1, Member.id == 2)) == []
    far = Member.follows.any(Member.follows.none(), Member.name == "b")
    assert await _who(lab, far) == [1]
    assert await _who(lab, ~far) == [2, 3, 4]
    followed = Member.followers.any(Member.rank < 6)
    members = lab.repository(Member)
    assert await members.update_where(followed, changes=[Member.name.to("x")]) == 3
    assert await members.delete_where(Member.follows.none()) == 1
    async with lab.refused(InvalidQueryError):
        await members.find(Member.follows.any(Book.title == "x"))  # type: ignore[arg-type]


@case("LINK-5")
async def what_is_linked_is_counted_and_added_up(lab: Lab) -> None:
    await _members(lab)
    members = lab.repository(Member)
    follows, named_a = Member.follows, Member.followers.where(Member.name == "a")
    found = await members.select(
        Member.id,
        follows.count(),
        follows.sum(Member.rank),
        named_a.count(),
        named_a.max(Member.id),
    )
    assert found == [(1, 2, 13, 2, 4), (2, 2, 13, 1, 4), (3, 0, None, 0, None), (4, 3, 20, 2, 4)]
    assert await _who(lab, follows.count() >= 3) == [4]
    assert await _who(lab, named_a.sum(Member.rank) > 10) == [1, 4]
    ordered = await members.find(order_by=[follows.count().desc(), Member.id], limit=3)
    assert [each.id for each in ordered] == [4, 1, 2]


@case("LINK-3", "WRITE-1", needs=ATOMIC)
async def links_are_made_and_removed_once(lab: Lab) -> None:
    await _members(lab)
    follows = lab.store.links(Member.follows)
    assert await follows.connect(3, [4, 1, 4]) == (4, 1)
    assert await follows.connect(3, [1, 2, 4]) == (2,), "the others are linked already"
    assert await follows.connect(3, [1]) == ()
    assert await follows.connect(3, []) == ()
    assert await follows.disconnect(1, [2, 4]) == (2,)
    assert await follows.disconnect(1, [2]) == ()
    assert await lab.store.links(Member.followers).disconnect(4, [3, 1]) == (3,)
    assert await _follows(lab) == {1: [3], 2: [1, 4], 3: [1, 2], 4: [1, 2, 4]}
    assert (await lab.repository(Following).get_one((1, 3))).closeness == 3
    assert (await lab.repository(Following).get_one((3, 2))).closeness == 0
    async with lab.unchanged():
        async with lab.refused(ForeignKeyError) as caught:
            await follows.connect(3, [3, 9, 4])
        assert (caught.error.fields, caught.error.index) == (("followed_id",), 1)
        async with lab.refused(ForeignKeyError):
            await follows.connect(9, [1])
        async with lab.refused(InvalidValueError):
            await follows.disconnect(1, ["3"])
        async with lab.refused(InvalidQueryError):
            await follows.connect(1, "34")
        for wrong in (Member.reports, Member.follows.limit(2)):
            async with lab.refused(InvalidQueryError):
                lab.store.links(wrong)


@case("LINK-4", "WRITE-1", needs=ATOMIC)
async def links_are_replaced_and_those_that_stay_are_left_alone(lab: Lab) -> None:
    await _members(lab)
    follows = lab.store.links(Member.follows)
    assert await follows.replace(4, [3, 2]) == LinkChanges((3,), (1, 4))
    assert await follows.replace(4, [2, 3]) == LinkChanges((), ())
    kept = await lab.repository(Following).get_one((4, 2))
    assert (kept.closeness, kept.version) == (2, 1)
    assert await lab.store.links(Member.followers).replace(1, []) == LinkChanges((), (2,))
    assert await _follows(lab) == {1: [2, 3], 2: [4], 3: [], 4: [2, 3]}
    async with lab.unchanged():
        async with lab.refused(NotFoundError):
            await follows.replace(9, [])
        async with lab.refused(ForeignKeyError):
            await follows.replace(1, [4, 9])


@case("LINK-3", "LINK-4", needs=(StoreCapability.SAVEPOINTS,))
async def links_are_written_in_the_transaction_around(lab: Lab) -> None:
    await _members(lab)
    follows = lab.store.links(Member.follows)
    before = await _follows(lab)
    try:
        async with lab.store.transaction():
            await follows.replace(1, [1])
            try:
                await follows.connect(1, [4, 9])
            except ForeignKeyError:
                assert (await _follows(lab))[1] == [1], "what was refused has left a link"
            assert await follows.connect(1, [1, 4]) == (4,)
            assert (await _follows(lab))[1] == [1, 4]
            raise KeyError
    except KeyError:
        assert await _follows(lab) == before


@case("LINK-3", "LINK-4", needs=ATOMIC)
async def links_that_many_write_at_once_are_made_once_and_sets_not_mixed(lab: Lab) -> None:
    await _members(lab)
    await lab.repository(Following).delete_where(everything())
    follows, followers = lab.store.links(Member.follows), lab.store.links(Member.followers)
    wanted = [[1, 2, 3, 4], [4, 3, 2, 1], [2, 4, 1, 3], [3, 1]]
    made = await lab.together([lambda some=some: follows.connect(3, some) for some in wanted])  # type: ignore[misc]
    connected = [each for some in made if isinstance(some, tuple) for each in some]
    assert sorted(map(str, connected)) == ["1", "2", "3", "4"], made
    assert (await _follows(lab))[3] == [1, 2, 3, 4]
    gone = await lab.together([lambda: follows.disconnect(3, [4, 1]) for _ in range(4)])
    assert sorted(len(some) for some in gone if isinstance(some, tuple)) == [0, 0, 0, 2], gone
    sets = [[1, 2], [3, 4], [2, 3, 4], []]
    changed = await lab.together([lambda some=some: follows.replace(1, some) for some in sets])  # type: ignore[misc]
    assert all(isinstance(each, LinkChanges) for each in changed), changed
    assert (await _follows(lab))[1] in sets
    ends = await lab.together(
        [
            lambda: follows.replace(1, [1, 2]),
            lambda: followers.replace(2, [3, 4]),
            lambda: follows.replace(1, [1, 2]),
            lambda: followers.replace(2, [3, 4]),
        ]
    )
    assert all(isinstance(each, LinkChanges) for each in ends), ends
    left = await _follows(lab)
    by_two = [each for each, others in left.items() if 2 in others]
    assert (left[1], by_two) in (([1, 2], [1, 3, 4]), ([1], [3, 4])), "as if one after another"
