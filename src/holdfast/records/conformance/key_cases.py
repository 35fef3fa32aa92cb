"""Composite keys: several fields that tell the rows apart together."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from holdfast.errors import (
    DuplicateError,
    ForeignKeyError,
    InvalidValueError,
    NotFoundError,
    StaleVersionError,
)
from holdfast.records.conformance.case import case
from holdfast.records.conformance.sample_entities import Author, Book, Credit, Following, Member
from holdfast.records.driver import StoreCapability

if TYPE_CHECKING:
    from holdfast.records.conformance.lab import Lab


def _one(follower: int, followed: int, closeness: int = 0) -> Following:
    return Following(follower_id=follower, followed_id=followed, closeness=closeness)


def _key(one: Following) -> tuple[int, int]:
    return one.follower_id, one.followed_id


async def _followings(lab: Lab, members: int = 4) -> None:
    """Store *members* of which each follows all others, more closely the later ones."""
    numbers = range(1, members + 1)
    await lab.repository(Member).add_many([Member(id=each, name=f"m{each}") for each in numbers])
    await lab.repository(Following).add_many(
        [_one(a, b, closeness=b) for a in numbers for b in numbers if a != b]
    )


@case("COMPOSITE-1", "GET-1", "REL-2")
async def a_row_is_found_by_all_fields_of_its_key(lab: Lab) -> None:
    await _followings(lab)
    followings = lab.repository(Following)
    assert _key(await followings.get_one((1, 2))) == (1, 2)
    assert await followings.get((1, 1)) is None
    async with lab.refused(NotFoundError) as caught:
        await followings.get_one((2, 9))
    assert caught.error.key == (2, 9)
    wanted = [(3, 1), (1, 3), (9, 9), (3, 1), (1, 1)]
    found = [None if each is None else _key(each) for each in await followings.get_many(wanted)]
    assert found == [(3, 1), (1, 3), None, (3, 1), None], "the fields go together, not by halves"
    assert await followings.delete((1, 2)) is True
    assert await followings.delete((1, 2)) is False
    assert await followings.delete_many([(2, 1), (1, 3), (2, 1), (3, 3)]) == 2
    assert await followings.count() == 9
    assert await followings.delete_many([(a, b) for a in range(30) for b in range(30)]) == 9


@case("COMPOSITE-1", "VALUE-10")
async def a_key_that_is_no_tuple_of_its_fields_is_refused(lab: Lab) -> None:
    await _followings(lab, 2)
    followings = lab.repository(Following)
    async with lab.unchanged():
        for wrong in (1, (1,), (1, 2, 3), [1, 2], (1, "2"), (1, None), "12"):
            async with lab.refused(InvalidValueError):
                await followings.get(wrong)
            async with lab.refused(InvalidValueError):
                await followings.get_many([(1, 2), wrong])
            async with lab.refused(InvalidValueError):
                await followings.delete_many([(1, 2), wrong])


@case("COMPOSITE-2", "WRITE-1", "WRITE-4", "ERR-1")
async def rows_are_written_by_all_fields_of_their_key(lab: Lab) -> None:
    await _followings(lab)
    followings = lab.repository(Following)
    async with lab.unchanged():
        async with lab.refused(DuplicateError) as caught:
            await followings.add(_one(1, 2))
        assert caught.error.fields == ("follower_id", "followed_id")
        async with lab.refused(DuplicateError) as again:
            await followings.add_many([_one(1, 1), _one(2, 1)])
        assert (again.error.fields, again.error.index) == (("follower_id", "followed_id"), 1)
        async with lab.refused(ForeignKeyError) as missing:
            await followings.add(_one(1, 9))
        assert missing.error.fields == ("followed_id",)
        async with lab.refused(StaleVersionError):
            await followings.patch((1, 2), Following.closeness.to(7), version=2)
        async with lab.refused(NotFoundError):
            await followings.patch((2, 2), Following.closeness.to(7))
        async with lab.refused(NotFoundError):
            await followings.update(await _unstored(lab))
    batch = await followings.add_many([_one(1, 1), _one(2, 1), _one(2, 2)], atomic=False)
    assert [type(each) for each in batch.results] == [Following, DuplicateError, Following]
    patched = await followings.patch((1, 2), Following.closeness.increment(5), version=1)
    assert (_key(patched), patched.closeness, patched.version) == ((1, 2), 7, 2)
    patched.closeness = 9
    assert (await followings.update(patched)).version == 3
    assert (await followings.get_one((2, 1))).closeness == 1, "another row was changed"


async def _unstored(lab: Lab) -> Following:
    """Return a following as it was stored, which is gone by now."""
    followings = lab.repository(Following)
    made = await followings.add(_one(4, 4))
    await followings.delete((4, 4))
    return made


@case("COMPOSITE-2", "UPSERT-1")
async def an_upsert_goes_by_all_fields_of_the_key(lab: Lab) -> None:
    await _followings(lab, 3)
    followings = lab.repository(Following)
    first = await followings.upsert(_one(1, 2, closeness=8))
    assert (first.created, first.entity.closeness, first.entity.version) == (False, 8, 2)
    batch = await followings.upsert_many(
        [_one(3, 3, 1), _one(1, 2, 5), _one(2, 2, 2), _one(3, 3, 4)],
        on=(Following.followed_id, Following.follower_id),
    )
    assert [each.created for each in batch] == [True, False, True, False]
    assert (await followings.get_one((3, 3))).closeness == 4
    assert (await followings.get_one((1, 2))).version == 3
    assert (await followings.get_one((2, 1))).version == 1
    assert await followings.count() == 8
    await lab.repository(Member).add_many([Member(id=each) for each in range(10, 40)])
    many = await followings.upsert_many([_one(1, each) for each in range(10, 40)])
    assert [_key(each.entity) for each in many] == [(1, each) for each in range(10, 40)]


@case("COMPOSITE-3", "ORDER-1", "PAGE-1")
async def ties_break_by_all_fields_of_the_key(lab: Lab) -> None:
    await _followings(lab)
    followings = lab.repository(Following)
    keys = [(a, b) for a in range(1, 5) for b in range(1, 5) if a != b]
    assert [_key(each) for each in await followings.find()] == keys
    for order, expected in (
        (Following.follower_id.asc(), keys),
        (Following.closeness.desc(), sorted(keys, key=lambda k: (k[1], k[0], k[1]), reverse=True)),
        (Following.followed_id, sorted(keys, key=lambda k: (k[1], k[0]))),
        (Following.follower_id.desc(), sorted(keys, reverse=True)),
        ((Following.followed_id.desc(), Following.follower_id.asc()),
         sorted(keys, key=lambda k: (-k[1], k[0]))),
    ):  # fmt: skip
        seen: list[tuple[int, int]] = []
        page = await followings.page(order_by=order, size=5)
        seen += map(_key, page.items)
        while page.next is not None:
            last = page
            page = await followings.page(order_by=order, size=5, cursor=page.next)
            seen += map(_key, page.items)
            back = await followings.page(order_by=order, size=5, cursor=page.previous)
            assert [_key(each) for each in back.items] == [_key(each) for each in last.items]
        assert seen == expected
        streamed = [_key(each) async for each in followings.stream(order_by=order, batch=4)]
        assert streamed == expected


@case("COMPOSITE-4", "REF-1", "REF-3", "REL-3", "SET-1", needs=(StoreCapability.GENERATED_KEYS,))
async def a_part_of_a_key_can_be_a_reference(lab: Lab) -> None:
    await _followings(lab)
    followings, members = lab.repository(Following), lab.repository(Member)
    loaded = await followings.get_one((3, 2), load=[Following.follower, Following.followed])
    assert (loaded.follower.name, loaded.followed.name) == ("m3", "m2")
    by_name = Following.followed.has(Member.name == "m1")
    assert [_key(each) for each in await followings.find(by_name)] == [(2, 1), (3, 1), (4, 1)]
    ordered = await followings.find(
        order_by=[Following.followed[Member.name].desc(), Following.follower_id], limit=2
    )
    assert [_key(each) for each in ordered] == [(1, 4), (2, 4)]
    assert await followings.update_where(by_name, changes=[Following.closeness.to(50)]) == 3
    assert await followings.delete_where(Following.follower.has(Member.name == "m4"), by_name) == 1
    assert await followings.count(Following.closeness == 50) == 2
    assert await members.delete(2) is True
    assert [_key(each) for each in await followings.find()] == [
        (1, 3), (1, 4), (3, 1), (3, 4), (4, 3),
    ]  # fmt: skip
    author = await lab.repository(Author).add(Author(name="a"))
    book = await lab.repository(Book).add(Book(title="b", author_id=author.id))
    made = await lab.repository(Credit).add(Credit(book_id=book.id, author_id=author.id))
    assert (await lab.repository(Credit).upsert(made)).created is False, "it has no field but these"
    found = await lab.repository(Credit).select(Credit.author_id, Credit.book_id)
    assert cast("list[object]", found) == [(author.id, book.id)]
    await lab.repository(Book).delete(book.id)
    assert await lab.repository(Credit).count() == 0
