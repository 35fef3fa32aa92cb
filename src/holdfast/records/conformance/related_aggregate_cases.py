"""Aggregates of relations: in results, conditions, orders and pages, in the one statement."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

from holdfast.errors import InvalidCursorError, InvalidQueryError, InvalidValueError
from holdfast.records.conformance.case import case
from holdfast.records.conformance.sample_entities import Author, Book, Chapter, Member, Note
from holdfast.records.conformance.statement_counter import CountingDriver
from holdfast.records.driver import StoreCapability
from holdfast.records.entities.field import count

if TYPE_CHECKING:
    from holdfast.records.conformance.lab import Lab
    from holdfast.records.expressions.predicates import Order, Predicate

NUMBERED = (StoreCapability.GENERATED_KEYS,)
_LARGE = 2**62
_STAFF = (
    (1, None, 5, "a"),
    (2, None, None, "b"),
    (3, None, None, "b"),
    (4, 1, _LARGE, "b"),
    (5, 1, _LARGE + 1, "a"),
    (6, 1, None, "c"),
    (7, 1, _LARGE + 2, "a"),
    (8, 2, 4, "a"),
    (9, 2, -3, "b"),
    (10, 3, None, "a"),
)
"""The key of each member, its chief's, its rank and its name."""


async def _staff(lab: Lab) -> None:
    members = [
        Member(id=key, chief_id=chief, rank=rank, name=name) for key, chief, rank, name in _STAFF
    ]
    await lab.repository(Member).add_many(members)


async def _keys(lab: Lab, *where: Predicate, order: tuple[Order, ...] = ()) -> list[int]:
    return [each.id for each in await lab.repository(Member).find(*where, order_by=order)]


@case("RELAGG-1", "AGG-1", "SELECT-1", "REL-2")
async def a_selection_can_have_aggregates_of_relations(lab: Lab) -> None:
    await _staff(lab)
    reports = Member.reports
    with CountingDriver.around(lab.store) as counting:
        members = lab.repository(Member)
        rows = await members.select(
            Member.id, reports.count(), reports.sum(Member.rank), reports.avg(Member.rank),
            reports.min(Member.rank), reports.max(Member.name), reports.count_distinct(Member.name),
            where=Member.id < 5,
        )  # fmt: skip
    assert counting.reads == 1
    total = 3 * _LARGE + 3
    assert rows == [
        (1, 4, total, float(total) / 3, _LARGE, "c", 3),
        (2, 2, 1, 0.5, -3, "b", 2),
        (3, 1, None, None, None, "a", 1),
        (4, 0, None, None, None, None, 0),
    ]
    named = reports.where(Member.name == "a")
    some = await lab.repository(Member).select(
        Member.id, named.count(), reports.where(Member.name == "b").count(),
        named.where(Member.rank > 4).sum(Member.rank), limit=3, order_by=Member.id.desc(), offset=7,
    )  # fmt: skip
    assert some == [(3, 1, 0, None), (2, 1, 1, None), (1, 2, 1, 2 * _LARGE + 3)]
    under = reports.where(Member.reports.count() > 1, Member.chief.has()).count()
    assert await lab.repository(Member).select(under, limit=1) == [(0,)]


@case("RELAGG-2", "NULL-1", "NULL-2", "QUERY-1")
async def a_condition_can_be_on_an_aggregate_of_a_relation(lab: Lab) -> None:
    await _staff(lab)
    number, ranks = Member.reports.count(), Member.reports.sum(Member.rank)
    assert await _keys(lab, number > 1) == [1, 2]
    assert await _keys(lab, number == 0, Member.id < 6) == [4, 5]
    assert await _keys(lab, number.between(1, 2)) == [2, 3]
    assert await _keys(lab, number.in_([1, 4, 9])) == [1, 3]
    assert await _keys(lab, number.in_([])) == []
    assert await _keys(lab, ranks > 2**63) == [1]
    assert await _keys(lab, ranks == 3 * _LARGE + 3) == [1]
    assert await _keys(lab, ~ranks.is_null()) == [1, 2]
    assert await _keys(lab, ranks != 1, Member.id < 4) == [1, 3], "no sum is not 1"
    assert await _keys(lab, Member.reports.avg(Member.rank) == 0.5) == [2]
    assert await _keys(lab, Member.reports.max(Member.name) == "b") == [2]
    either = (Member.reports.where(Member.name == "c").count() == 1) | (Member.name == "c")
    assert await _keys(lab, either) == [1, 6]
    many = reduce(or_, (ranks == each for each in (*range(-30, 2), 3 * _LARGE + 3)))
    assert await _keys(lab, many | (number == 1)) == [1, 2, 3]
    assert await _keys(lab, Member.chief.has(number > 3)) == [4, 5, 6, 7]
    assert await _keys(lab, Member.reports.any(number == 0, Member.rank < 0)) == [2]
    members = lab.repository(Member)
    for where in (number > 1, ranks > 0, ranks < 0, Member.reports.min(Member.name) == "a"):
        assert await members.count(where) + await members.count(~where) == len(_STAFF)
    assert await members.update_where(number > 1, changes=[Member.name.to("x")]) == 2
    assert await members.delete_where(number == 0, Member.name == "a") == 4
    assert await _keys(lab) == [1, 2, 3, 4, 6, 9]


@case("RELAGG-3", "ORDER-1", "ORDER-2", "PAGE-1", "PAGE-2", "PAGE-4", "STREAM-1")
async def rows_can_be_ordered_and_paged_by_aggregates_of_relations(lab: Lab) -> None:
    await _staff(lab)
    members = lab.repository(Member)
    number, ranks = Member.reports.count(), Member.reports.sum(Member.rank)
    for order, expected in (
        ((number.desc(),), [1, 2, 3, 10, 9, 8, 7, 6, 5, 4]),
        ((ranks.asc(), number.desc(), Member.id.asc()), [2, 1, 3, 4, 5, 6, 7, 8, 9, 10]),
        ((ranks.desc().nulls_first(), Member.name.asc()), [5, 7, 8, 10, 3, 4, 9, 6, 1, 2]),
        ((Member.reports.avg(Member.rank).desc(), Member.id.asc()), [1, 2, *range(3, 11)]),
    ):
        assert await _keys(lab, order=order) == expected, order
        assert [each.id async for each in members.stream(order_by=order, batch=3)] == expected
        page = await members.page(order_by=order, size=2, total=True)
        assert page.total == len(_STAFF)
        seen = [page]
        while page.next is not None:
            page = await members.page(order_by=order, size=2, cursor=page.next)
            seen.append(page)
        assert [each.id for page in seen for each in page] == expected, order
        back = await members.page(order_by=order, size=2, cursor=page.previous)
        assert back.items == seen[-2].items, order
    some = await members.find(Member.name == "a", order_by=number, limit=2, offset=4)
    assert [each.id for each in some] == [1]
    page = await members.page(order_by=number.desc(), size=2)
    async with lab.refused(InvalidCursorError):
        other = Member.reports.where(Member.name == "a").count()
        await members.page(order_by=other.desc(), cursor=page.next)


@case("RELAGG-1", "GROUP-1", needs=NUMBERED)
async def aggregates_go_by_the_relation_they_name_and_can_be_grouped_by(lab: Lab) -> None:
    north, south, west = (
        await lab.repository(Author).add_many([Author(name=each) for each in ("n", "s", "w")])
    ).entities
    for author, title in ((north, "u"), (north, "v"), (south, "w"), (south, "x"), (west, "y")):
        book = Book(title=title, author_id=author.id, editor_id=north.id)
        book = await lab.repository(Book).add(book)
        if title in "ux":
            await lab.repository(Chapter).add_many(
                [Chapter(id=f"{title}{each}", book_id=book.id, heading=each) for each in "ab"]
            )
    await lab.repository(Note).add(Note(id=1, chapter_id="xb"))
    authors, books = lab.repository(Author), lab.repository(Book)
    with_chapters = Author.books.where(Book.chapters.count() == 2)
    rows = await authors.select(
        Author.name, Author.books.count(), with_chapters.count(), with_chapters.max(Book.title),
        order_by=[with_chapters.count().desc(), Author.name.desc()],
    )  # fmt: skip
    assert rows == [("s", 2, 1, "x"), ("n", 2, 1, "u"), ("w", 1, 0, None)]
    noted = Book.chapters.where(Chapter.notes.any()).count()
    found = await books.select(Book.title, Book.chapters.count(), noted, Book.author[Author.name])
    assert found[0] == ("u", 2, 0, "n")
    assert found[3] == ("x", 2, 1, "s")
    histogram = await authors.aggregate(count(), by=Author.books.count())
    assert histogram == [(1, 1), (2, 2)]
    by_both = await books.aggregate(
        count(), by=[Book.chapters.count(), Book.author[Author.name]], where=Book.title < "y"
    )
    assert by_both == [(0, "n", 1), (0, "s", 1), (2, "n", 1), (2, "s", 1)]
    loaded = await authors.find(
        order_by=Author.name, load=[Author.books.order_by(Book.chapters.count().desc()).limit(1)]
    )
    assert [book.title for each in loaded for book in each.books] == ["u", "x", "y"]


@case("RELAGG-1", "QUERY-2", "VALUE-10")
async def an_aggregate_of_a_relation_must_be_of_its_entity(lab: Lab) -> None:
    await _staff(lab)
    members = lab.repository(Member)
    reports = Member.reports
    async with lab.unchanged():
        foreign: list[Any] = [Author.born, Author.name == "a"]
        wrongs: list[Any] = [
            Author.books.count(),
            reports.sum(foreign[0]),
            reports.where(foreign[1]).count(),
        ]
        for wrong in wrongs:
            async with lab.refused(InvalidQueryError):
                await members.select(wrong)
            async with lab.refused(InvalidQueryError):
                await members.find(order_by=wrong.desc())
            async with lab.refused(InvalidQueryError):
                await members.count(wrong > 1)
        for unmeant in (
            lambda: reports.limit(1).count(),
            lambda: reports.sum(Member.name),  # type: ignore[arg-type]
            lambda: reports.max("rank"),  # type: ignore[arg-type]
            lambda: reports.count() > None,
        ):
            async with lab.refused(InvalidQueryError):
                unmeant()
        async with lab.refused(InvalidQueryError):
            await members.find(count() > 1)
        for value in (True, "1", 1.5):
            async with lab.refused(InvalidValueError):
                await members.find(reports.sum(Member.rank) == value)  # type: ignore[arg-type]
