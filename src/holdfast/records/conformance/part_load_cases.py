"""Parts of relations: the first few of each, in one query."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import InvalidQueryError
from holdfast.records.conformance.case import case
from holdfast.records.conformance.sample_entities import Author, Book, Chapter, Member
from holdfast.records.conformance.statement_counter import CountingDriver
from holdfast.records.driver import StoreCapability

if TYPE_CHECKING:
    from holdfast.records.conformance.lab import Lab
    from holdfast.records.entities.relation import Many

_STAFF = (
    (1, None, None, "a"),
    (2, None, None, "b"),
    (3, None, None, "c"),
    (4, 1, 9, "a"),
    (5, 1, None, "a"),
    (6, 1, 8, "b"),
    (7, 1, 7, "a"),
    (8, 2, 6, "b"),
    (9, 8, 5, "c"),
    (10, 8, 4, "c"),
)
"""The key of each member, its chief's, its rank and its name."""


async def _staff(lab: Lab) -> None:
    members = [
        Member(id=key, chief_id=chief, rank=rank, name=name) for key, chief, rank, name in _STAFF
    ]
    await lab.repository(Member).add_many(members)


async def _loaded(lab: Lab, part: Many[Member]) -> list[list[int]]:
    """Return the keys of what *part* loads, for the first three members."""
    found = await lab.repository(Member).find(Member.id < 4, load=[part])
    return [[each.id for each in chief.reports] for chief in found]


@case("LOAD-1", "REL-1", "ORDER-2")
async def each_gets_the_part_of_its_relation_that_was_asked_for(lab: Lab) -> None:
    await _staff(lab)
    reports = Member.reports
    assert await _loaded(lab, reports) == [[4, 5, 6, 7], [8], []]
    assert await _loaded(lab, reports.limit(2)) == [[4, 5], [8], []]
    assert await _loaded(lab, reports.limit(0)) == [[], [], []]
    assert await _loaded(lab, reports.order_by(Member.rank)) == [[7, 6, 4, 5], [8], []]
    down = Member.rank.desc().nulls_first()
    assert await _loaded(lab, reports.order_by(down).limit(3)) == [[5, 4, 6], [8], []]
    assert await _loaded(lab, reports.order_by(Member.name.desc()).limit(3)) == [[6, 7, 5], [8], []]
    named = reports.where(Member.name == "a").where(Member.rank != 9)
    assert await _loaded(lab, named) == [[5, 7], [], []]
    assert await _loaded(lab, named.order_by(Member.id.desc()).limit(1)) == [[7], [], []]
    leading = reports.where(Member.reports.any(Member.rank < 5) | ~Member.chief.has(Member.id == 1))
    assert await _loaded(lab, leading.limit(2)) == [[], [8], []]
    assert await _loaded(lab, reports.limit(2)) == [[4, 5], [8], []], "a part changed the relation"


@case("LOAD-1", "REL-2")
async def the_first_of_each_cost_one_query_and_lead_on(lab: Lab) -> None:
    await _staff(lab)
    part = Member.reports.order_by(Member.rank).limit(1)
    with CountingDriver.around(lab.store) as counting:
        members = lab.repository(Member)
        found = await members.find(
            Member.id < 4, load=[part.then(part.then(Member.chief), Member.chief), Member.chief]
        )
    assert counting.reads == 5, "one for the members, one for each relation that leads anywhere"
    assert [[each.id for each in chief.reports] for chief in found] == [[7], [8], []]
    (eight,) = found[1].reports
    assert eight.chief is not None
    assert eight.chief.id == 2
    assert [each.id for each in eight.reports] == [10]
    order = Member.id.asc()
    streamed = [
        each async for each in members.stream(Member.id < 4, order_by=order, batch=2, load=[part])
    ]
    paged = await members.page(Member.id < 4, order_by=order, size=3, load=[part])
    for some in (streamed, paged.items):
        assert [[each.id for each in chief.reports] for chief in some] == [[7], [8], []]


@case("LOAD-1", "REL-4", needs=(StoreCapability.GENERATED_KEYS,))
async def the_first_of_each_can_be_those_by_what_they_lead_to(lab: Lab) -> None:
    north, south = (
        await lab.repository(Author).add_many([Author(name="north"), Author(name="south")])
    ).entities
    for title, author, editor in (
        ("u", north, None), ("v", north, south), ("w", north, north), ("x", south, north),
    ):  # fmt: skip
        editor_id = None if editor is None else editor.id
        book = Book(title=title, author_id=author.id, editor_id=editor_id)
        book = await lab.repository(Book).add(book)
        await lab.repository(Chapter).add(Chapter(id=title, book_id=book.id))
    await lab.repository(Chapter).delete("w")
    order = Book.editor[Author.name].desc()
    for part, expected in (
        (Author.books.order_by(order).limit(2), ["vw", "x"]),
        (Author.books.order_by(order.nulls_first(), Book.title).limit(2), ["uv", "x"]),
        (Author.books.where(Book.chapters.any()).order_by(order).limit(2), ["vu", "x"]),
    ):
        found = await lab.repository(Author).find(order_by=Author.name, load=[part])
        assert ["".join(book.title for book in each.books) for each in found] == expected


@case("LOAD-1", "QUERY-2")
async def a_part_of_a_relation_must_be_of_its_entity(lab: Lab) -> None:
    await _staff(lab)
    reports = Member.reports
    async with lab.unchanged():
        for wrong in (
            reports.where(Author.name == "a"),  # type: ignore[arg-type]
            reports.order_by(Author.name),  # type: ignore[arg-type]
            reports.limit(-1),
            reports.limit(True),
            reports.where(True),  # type: ignore[arg-type]
        ):
            async with lab.refused(InvalidQueryError):
                await lab.repository(Member).find(load=[wrong])
        async with lab.refused(InvalidQueryError):
            await lab.repository(Member).find(load=[reports.limit(2), reports])
        async with lab.refused(InvalidQueryError):
            reports.limit(2).any(Member.name == "a")
    same = [reports.limit(2), reports.limit(2)]
    assert len(await lab.repository(Member).find(load=same)) == len(_STAFF)
    named = await lab.repository(Member).find(reports.where(Member.name == "b").any())
    assert [each.id for each in named] == [1, 2]
