"""Writes of several rows: judged by what they leave, in whatever order a database meets them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import DuplicateError, ForeignKeyError, InvalidQueryError
from holdfast.records.conformance.case import case
from holdfast.records.conformance.sample_entities import Author, Book, Chapter, Member, Note
from holdfast.records.expressions.predicates import everything

if TYPE_CHECKING:
    from holdfast.records.conformance.lab import Lab
    from holdfast.records.repository import Repository


async def _chiefs(members: Repository[Member]) -> dict[int, int | None]:
    return {each.id: each.chief_id for each in await members.find()}


@case("SET-1")
async def rows_of_a_batch_point_at_one_another_in_any_order(lab: Lab) -> None:
    members = lab.repository(Member)
    batch = [
        Member(id=1, chief_id=2),
        Member(id=2, chief_id=3),
        Member(id=3),
        Member(id=4, chief_id=4),
    ]
    result = await members.add_many(batch)
    assert [each.id for each in result.entities] == [1, 2, 3, 4]
    assert await _chiefs(members) == {1: 2, 2: 3, 3: None, 4: 4}
    result = await members.add_many(
        [
            Member(id=5, chief_id=6),
            Member(id=6, chief_id=9),
            Member(id=7, chief_id=8),
            Member(id=8),
        ],
        atomic=False,
    )
    refused = [
        each.fields if isinstance(each, ForeignKeyError) else None for each in result.results
    ]
    assert refused == [("chief_id",), ("chief_id",), None, None]
    stored = await members.upsert_many(
        [Member(id=10, chief_id=12), Member(id=11, chief_id=10), Member(id=12, chief_id=1)]
    )
    assert [each.entity.id for each in stored] == [10, 11, 12]
    assert [each.created for each in stored] == [True, True, True]


@case("SET-1", "WRITE-2")
async def a_circle_of_new_rows_is_refused(lab: Lab) -> None:
    members = lab.repository(Member)
    circle = [Member(id=5), Member(id=1, chief_id=2), Member(id=2, chief_id=1)]
    async with lab.refused(ForeignKeyError) as caught:
        await members.add_many(circle)
    assert caught.error.fields == ("chief_id",)
    assert caught.error.index in (1, 2)
    async with lab.refused(ForeignKeyError):
        await members.upsert_many(circle)
    await members.add_many([Member(id=1), Member(id=2), Member(id=5)])
    await members.upsert_many(circle)
    assert await _chiefs(members) == {1: 2, 2: 1, 5: None}


@case("SET-1", "WRITE-2")
async def a_conflict_in_a_batch_is_told_by_the_place_it_was_given_at(lab: Lab) -> None:
    members = lab.repository(Member)
    await members.add(Member(id=9, rank=1))
    batch = [Member(id=3, chief_id=1), Member(id=1, rank=5), Member(id=2, rank=1)]
    async with lab.refused(DuplicateError) as duplicate:
        await members.add_many(batch)
    assert (duplicate.error.fields, duplicate.error.index) == (("rank",), 2)
    async with lab.refused(DuplicateError) as duplicate:
        await members.upsert_many(batch)
    assert (duplicate.error.fields, duplicate.error.index) == (("rank",), 2)
    async with lab.refused(ForeignKeyError) as foreign:
        await members.upsert_many([Member(id=8), Member(id=7, chief_id=99), Member(id=6)])
    assert foreign.error.index == 1


@case("SET-1", "REF-2")
async def rows_that_point_at_one_another_are_deleted_together(lab: Lab) -> None:
    members = lab.repository(Member)

    async def again() -> None:
        await members.delete_where(everything())
        await members.add_many([Member(id=number) for number in range(1, 8)])
        for number, chief in ((1, 2), (2, 1), (3, 4), (4, 5), (6, 6)):
            await members.patch(number, Member.chief_id.to(chief))

    await again()
    assert await members.delete_many([1, 2]) == 2
    assert await members.delete_many([5, 3, 4]) == 3
    assert await members.delete(6) is True
    await again()
    assert await members.delete_where(Member.chief_id.is_null() | (Member.chief_id > 0)) == 7
    await again()
    assert await members.delete_where(Member.chief_id.in_([1, 2, 4, 5])) == 4
    await again()
    for keys in ([1], [5, 4], [2, 3]):
        async with lab.refused(ForeignKeyError) as caught:
            await members.delete_many(keys)
        assert caught.error.fields == ("chief_id",)


@case("SET-1", "WHERE-1")
async def a_unique_number_is_not_added_to_in_many_rows_at_once(lab: Lab) -> None:
    members = lab.repository(Member)
    await members.add_many([Member(id=number, rank=number) for number in (2, 1, 3)])
    for amount in (1, -1, 10):
        async with lab.refused(InvalidQueryError):
            added = Member.rank.increment(amount)  # type: ignore[misc]
            await members.update_where(everything(), changes=[added])
    assert (await members.patch(3, Member.rank.increment())).rank == 4  # type: ignore[misc]
    async with lab.refused(DuplicateError):
        await members.patch(1, Member.rank.increment())  # type: ignore[misc]
    async with lab.refused(DuplicateError):
        await members.update_where(everything(), changes=[Member.rank.to(7)])


@case("SET-1", "UPSERT-3")
async def rows_are_upserted_in_the_order_of_their_fields(lab: Lab) -> None:
    members = lab.repository(Member)
    batch = [
        Member(id=5, name="first"),
        Member(id=2, name="other"),
        Member(id=5, name="second"),
        Member(id=1),
    ]
    stored = await members.upsert_many(batch)
    assert [(each.entity.id, each.entity.name, each.created) for each in stored] == [
        (5, "first", True), (2, "other", True), (5, "second", False), (1, "", True),
    ]  # fmt: skip
    assert (await members.get_one(5)).name == "second"
    by_rank = [Member(id=20, rank=3), Member(id=21), Member(id=22, rank=1), Member(id=23)]
    stored = await members.upsert_many(by_rank, on=[Member.rank])
    assert [each.entity.id for each in stored] == [20, 21, 22, 23]
    # What one row lets go of, a later one in that order takes.
    moved = [Member(id=22, rank=2), Member(id=20, rank=1)]
    async with lab.refused(DuplicateError) as caught:
        await members.upsert_many(moved)
    assert caught.error.index == 1
    assert len(await members.upsert_many([Member(id=22, rank=3), Member(id=20, rank=2)])) == 2


@case("SCHEMA-2")
async def clear_empties_all_tables_and_leaves_them(lab: Lab) -> None:
    members, books = lab.repository(Member), lab.repository(Book)
    author = await lab.repository(Author).add(Author(name="Ann"))
    book = await books.add(Book(title="One", author_id=author.id, editor_id=author.id))
    chapter = await lab.repository(Chapter).add(Chapter(id="c", book_id=book.id))
    await lab.repository(Note).add(Note(id=1, chapter_id=chapter.id))
    await members.add_many([Member(id=1), Member(id=2, chief_id=1), Member(id=3, chief_id=3)])
    await members.patch(1, Member.chief_id.to(2))
    await lab.store.clear()
    for model in lab.store.models:
        assert await lab.store.repository(model.entity).count() == 0
    await members.add(Member(id=1))
    await lab.store.clear()
    assert await members.count() == 0
