"""Questions that follow relations: conditions, orders, values and groups of related entities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdfast.errors import InvalidCursorError, InvalidQueryError, PreconditionFailedError
from holdfast.records.conformance.case import case
from holdfast.records.conformance.sample_entities import Author, Book, Chapter, Member, Note
from holdfast.records.conformance.statement_counter import CountingDriver
from holdfast.records.driver import StoreCapability
from holdfast.records.entities.field import count, subquery
from holdfast.records.expressions.predicate_reach import FARTHEST, MOST_RELATED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.records.conformance.lab import Lab
    from holdfast.records.entities.field import Field
    from holdfast.records.expressions.predicates import Order, Predicate
    from holdfast.records.expressions.related_field import RelatedField
    from holdfast.records.repository import Repository

NUMBERED = (StoreCapability.GENERATED_KEYS,)
LOCKS = (*NUMBERED, StoreCapability.TRANSACTIONS, StoreCapability.ROW_LOCKS)
_BOOKS = (
    ("u", "north", None),
    ("v", "north", None),
    ("w", "north", "south"),
    ("x", "south", "north"),
    ("y", "south", "south"),
)


async def _library(lab: Lab) -> None:
    """Store three authors, one of them without books, and five books, two without an editor."""
    north, south, _ = (
        await lab.repository(Author).add_many(
            [Author(name="north", born=1950), Author(name="south"), Author(name="west", born=1960)]
        )
    ).results
    assert isinstance(north, Author)
    assert isinstance(south, Author)
    ids = {"north": north.id, "south": south.id}
    for title, author, editor in _BOOKS:
        editor_id = None if editor is None else ids[editor]
        book = await lab.repository(Book).add(
            Book(title=title, author_id=ids[author], editor_id=editor_id)
        )
        if title in "vx":
            chapters = [
                Chapter(id=f"{title}{each}", book_id=book.id, heading=each) for each in "ab"
            ]
            await lab.repository(Chapter).add_many(chapters)
    await lab.repository(Note).add(Note(id=1, chapter_id="xb", text="night"))


async def _titles(lab: Lab, *where: Predicate, order: Sequence[Order] = ()) -> str:
    return "".join(
        each.title for each in await lab.repository(Book).find(*where, order_by=order or Book.title)
    )


async def _names(lab: Lab, *where: Predicate) -> list[str]:
    found = await lab.repository(Author).find(*where, order_by=Author.name)
    return [each.name for each in found]


@case("REL-3", needs=NUMBERED)
async def a_condition_can_be_on_what_a_reference_leads_to(lab: Lab) -> None:
    await _library(lab)
    assert await _titles(lab, Book.author.has(Author.name == "north")) == "uvw"
    assert await _titles(lab, ~Book.author.has(Author.name == "north")) == "xy"
    assert await _titles(lab, Book.editor.has(Author.name == "north")) == "x"
    assert await _titles(lab, ~Book.editor.has(Author.name == "north")) == "uvwy"
    assert await _titles(lab, Book.editor.has(Author.name != "north")) == "wy"
    assert await _titles(lab, Book.editor.has()) == "wxy"
    assert (
        await _titles(lab, Book.author.has(Author.born.is_null(), Author.name == "south")) == "xy"
    )
    assert await _titles(lab, Book.author.has(Author.born > 0)) == "uvw"
    either = Book.editor.has(Author.name == "south") | (Book.title == "u")
    assert await _titles(lab, either, Book.author.has(Author.name == "north")) == "uw"
    books = lab.repository(Book)
    assert await books.count(either) == 3
    assert await books.exists(Book.editor.has(Author.name == "west")) is False
    assert (await books.one(Book.editor.has(Author.name == "north"))).title == "x"
    first = await books.first(Book.author.has(Author.name == "south"), order_by=Book.title.desc())
    assert first is not None
    assert first.title == "y"
    assert await books.select(Book.title, where=Book.editor.has(Author.name == "north")) == [("x",)]
    assert await books.aggregate(count(), where=~Book.editor.has()) == [(2,)]


@case("REL-3", needs=NUMBERED)
async def a_condition_can_be_on_those_that_point_here(lab: Lab) -> None:
    await _library(lab)
    assert await _names(lab, Author.books.any()) == ["north", "south"]
    assert await _names(lab, Author.books.none()) == ["west"]
    assert await _names(lab, Author.books.any(Book.title == "x")) == ["south"]
    assert await _names(lab, Author.books.none(Book.title == "x")) == ["north", "west"]
    assert await _names(lab, Author.books.none(Book.editor_id.is_null())) == ["south", "west"]
    one_for_both = Author.books.any(Book.title == "w", Book.editor_id.is_null())
    assert await _names(lab, one_for_both) == [], "one of them has to fit all"
    one_for_each = Author.books.any(Book.title == "w") & Author.books.any(Book.editor_id.is_null())
    assert await _names(lab, one_for_each) == ["north"]


@case("REL-3", "NULL-1", needs=NUMBERED)
async def a_row_fits_a_condition_on_others_or_its_negation(lab: Lab) -> None:
    await _library(lab)
    books, authors = lab.repository(Book), lab.repository(Author)
    for where in (
        Book.editor.has(Author.born > 1900),
        Book.editor.has(~(Author.born > 1900)),
        Book.editor.has(Author.email == "a", Author.name == "north"),
        ~Book.editor.has() | Book.editor.has(Author.born.is_null()),
    ):
        assert await books.count(where) + await books.count(~where) == 5
        assert set(await _titles(lab, where)) ^ set(await _titles(lab, ~where)) == set("uvwxy")
    for of_many in (Author.books.any(Book.editor.has(Author.born > 1900)), Author.books.none()):
        assert await authors.count(of_many) + await authors.count(~of_many) == 3


@case("REL-3", "QUERY-1", needs=NUMBERED)
async def conditions_follow_relations_to_any_depth_that_is_allowed(lab: Lab) -> None:
    await _library(lab)
    at_night = Author.books.any(Book.chapters.any(Chapter.notes.any(Note.text == "night")))
    assert await _names(lab, at_night) == ["south"]
    assert await _names(lab, ~at_night) == ["north", "west"]
    there_and_back = Book.author.has(Author.books.any(Book.chapters.any(Chapter.heading == "a")))
    assert await _titles(lab, there_and_back) == "uvwxy"
    beside = Book.author.has(Author.books.none(Book.editor.has(Author.name == "north")))
    assert await _titles(lab, beside) == "uvw"
    members = lab.repository(Member)
    chain = [Member(id=each, chief_id=each - 1 or None) for each in range(1, FARTHEST + 3)]
    await members.add_many(chain)
    far = Member.id == 1
    for _ in range(FARTHEST):
        far = Member.chief.has(far)
    assert [each.id for each in await members.find(far)] == [FARTHEST + 1]
    async with lab.refused(InvalidQueryError):
        await members.find(Member.chief.has(far))
    wide = Member.chief.has(Member.id == 0)
    for _ in range(MOST_RELATED - 1):
        wide |= Member.reports.any(Member.id == 3)
    assert [each.id for each in await members.find(wide)] == [2]
    async with lab.refused(InvalidQueryError):
        await members.find(wide | Member.chief.has())


@case("REL-3", "WHERE-1", "WRITE-7", needs=NUMBERED)
async def what_fits_by_its_relations_can_be_changed_and_deleted(lab: Lab) -> None:
    await _library(lab)
    books = lab.repository(Book)
    of_north = Book.author.has(Author.name == "north")
    assert await books.update_where(of_north, Book.title > "u", changes=[Book.title.to("z")]) == 2
    assert await _titles(lab) == "uxyzz"
    (first, *_) = await books.find(order_by=Book.title)
    async with lab.refused(PreconditionFailedError):
        await books.patch(first.id, Book.title.to("a"), when=Book.editor.has())
    patched = await books.patch(first.id, Book.title.to("a"), when=of_north & ~Book.editor.has())
    assert patched.title == "a"
    nobody = Author.id.in_([])
    again = Author.books.any(Book.author_id.in_([]))  # which leads back to what is written
    for never in (Book.author.has(nobody), Book.author.has(again), Book.editor.has(nobody)):
        assert await books.update_where(never, changes=Book.title.to("n")) == 0
        assert await books.delete_where(never) == 0
        assert await books.delete_where(Book.title == "n", ~never) == 0
    assert await books.delete_where(of_north, Book.chapters.none()) == 2
    assert await _titles(lab) == "xyz"
    assert await lab.repository(Author).delete_where(Author.books.none()) == 1
    assert await _names(lab) == ["north", "south"]


@case("REL-3", "WHERE-1", "WRITE-7", needs=NUMBERED)
async def what_is_always_so_may_stand_beside_a_condition_on_relations(lab: Lab) -> None:
    await _library(lab)
    books = lab.repository(Book)
    never, always = Book.title.in_([]), Book.editor_id.not_in([])
    other = Book.author.has(Author.books.any(Book.title == "x"))  # of south: x and y
    own = Book.author_id.in_(subquery(Book.author_id, Book.title == "v"))  # of north: u, v, w
    expected = {
        always | other: "uvwxy",
        always & other: "xy",
        never | own: "uvw",
        never & own: "",
        ~(never & other): "uvwxy",
        ~(always | own): "",
        Book.author.has(Author.born.not_in([]) | Author.books.any(never)): "uvwxy",
        Book.author.has(Author.name.in_([])) | own: "uvw",
        ~Book.author.has(Author.books.any(never)) | own: "uvwxy",
        Book.chapters.any(Chapter.heading.not_in([]) | Chapter.notes.any(Note.id.in_([]))): "vx",
        (always | other) & own: "uvw",
        ~Book.author_id.in_(subquery(Book.author_id, never & other)): "uvwxy",
    }
    for where, titles in expected.items():
        assert await _titles(lab, where) == titles, where
        found = await books.update_where(where, changes=Book.editor_id.to(None))
        assert found == len(titles), where
    one = await books.first(Book.title == "x")
    assert one is not None
    assert (await books.patch(one.id, Book.title.to("z"), when=always | own)).title == "z"
    async with lab.refused(PreconditionFailedError):
        await books.patch(one.id, Book.title.to("x"), when=never & own)
    await lab.repository(Chapter).delete_where(Chapter.heading.not_in([]))
    assert await books.delete_where((never | own) & Book.title.not_in([])) == 3
    assert await books.delete_where(always | own) == 2


@case("REL-3", "SET-1")
async def a_write_has_no_bearing_on_which_rows_it_fits(lab: Lab) -> None:
    members = lab.repository(Member)
    await members.add_many(
        [Member(id=1, name="a"), Member(id=2, chief_id=1), Member(id=3, chief_id=2)]
    )
    under_a = Member.chief.has(Member.name == "a")
    assert await members.update_where(under_a, changes=[Member.name.to("a")]) == 1
    assert [each.name for each in await members.find()] == ["a", "a", ""]
    assert await members.delete_where(Member.reports.none()) == 1
    assert [each.id for each in await members.find()] == [1, 2]


@case("REL-3", "CONC-3", needs=NUMBERED)
async def one_of_many_changes_one_version_whatever_its_relations(lab: Lab) -> None:
    await _library(lab)
    authors = lab.repository(Author)
    north = await authors.one(Author.name == "north")

    async def changed() -> Author:
        when = Author.books.any(Book.title == "u")
        return await authors.patch(north.id, Author.born.to(1), version=1, when=when)

    outcomes = await lab.together([changed] * 8)
    assert [type(each) for each in outcomes].count(Author) == 1, outcomes
    assert (await authors.get_one(north.id)).version == 2


@case("REL-3", "QUERY-2", "QUERY-3", needs=NUMBERED)
async def a_condition_on_others_must_be_about_them(lab: Lab) -> None:
    await _library(lab)
    books: Repository[Any] = lab.repository(Book)
    foreign: Predicate = Chapter.heading == "a"  # of any entity, for type checkers
    owned: Predicate = Book.title == "u"
    title: Field[str] = Book.title
    name: RelatedField[str | None] = Book.author[Author.name]
    async with lab.unchanged():
        for wrong in (
            Book.author.has(owned),
            Book.author.has(Author.books.any(foreign)),
            Chapter.book.has(Book.title == "u"),
            ~Author.books.any() | owned,
        ):
            async with lab.refused(InvalidQueryError):
                await books.find(wrong)
        for field in (
            Chapter.book[Book.title],
            Book.author[title],
            Book.author[name],
        ):
            async with lab.refused(InvalidQueryError):
                await books.find(order_by=field.asc())
            async with lab.refused(InvalidQueryError):
                await books.select(field)
        async with lab.refused(InvalidQueryError):
            Book.author.has(True)  # type: ignore[arg-type]
        async with lab.refused(InvalidQueryError):
            Book.author["name"]  # type: ignore[index]


ORDERS: tuple[tuple[tuple[Order, ...], str], ...] = (
    ((Book.editor[Author.name].asc(),), "xwyuv"),
    ((Book.editor[Author.name].desc(),), "ywxvu"),
    ((Book.editor[Author.name].asc().nulls_first(),), "uvxwy"),
    ((Book.author[Author.born].asc(), Book.title.desc()), "wvuyx"),
    ((Book.author[Author.name].desc(), Book.editor[Author.born].desc()), "xywvu"),
    ((Book.title.desc(), Book.author[Author.name].asc()), "yxwvu"),
)


@case("REL-4", "ORDER-1", "ORDER-2", "PAGE-1", "PAGE-2", "STREAM-1", needs=NUMBERED)
async def rows_can_be_ordered_by_what_they_lead_to(lab: Lab) -> None:
    await _library(lab)
    books = lab.repository(Book)
    for order, expected in ORDERS:
        assert await _titles(lab, order=order) == expected, order
        assert "".join([e.title async for e in books.stream(order_by=order, batch=2)]) == expected
        page = await books.page(order_by=order, size=2, total=True)
        assert page.total == 5
        seen = [page]
        while page.next is not None:
            page = await books.page(order_by=order, size=2, cursor=page.next)
            seen.append(page)
        assert "".join(each.title for page in seen for each in page) == expected, order
        for before in reversed(seen[:-1]):
            assert page.previous is not None
            page = await books.page(order_by=order, size=2, cursor=page.previous)
            assert page.items == before.items, order
        assert page.previous is None
    found = await books.find(
        Book.editor.has(), order_by=Book.editor[Author.name], limit=1, offset=1
    )
    assert [each.title for each in found] == ["w"]


@case("REL-4", "REL-2", needs=NUMBERED)
async def an_order_can_go_by_what_lies_several_references_away(lab: Lab) -> None:
    await _library(lab)
    chapters = lab.repository(Chapter)
    order = (Chapter.book[Book.editor[Author.name]].desc(), Chapter.heading.desc())
    with CountingDriver.around(lab.store) as counting:
        chapters = lab.repository(Chapter)
        page = await chapters.page(order_by=order, size=3)
        rest = await chapters.page(order_by=order, size=3, cursor=page.next)
    assert [each.id for each in (*page, *rest)] == ["xb", "xa", "vb", "va"]
    assert counting.reads == 2, "the place of a page is read with its rows"


@case("REL-4", "PAGE-3", "PAGE-4", needs=NUMBERED)
async def pages_by_related_fields_stay_where_they_are(lab: Lab) -> None:
    await _library(lab)
    books = lab.repository(Book)
    order = Book.author[Author.name].asc()
    page = await books.page(order_by=order, size=2)
    assert [each.title for each in page] == ["u", "v"]
    await lab.repository(Chapter).delete_where(Chapter.book_id == page.items[-1].id)
    for each in page:
        await books.delete(each.id)
    (east,) = (await lab.repository(Author).add_many([Author(name="east")])).results
    assert isinstance(east, Author)
    await books.add(Book(title="a", author_id=east.id))
    rest = await books.page(order_by=order, size=5, cursor=page.next)
    assert [each.title for each in rest] == ["w", "x", "y"], "what came before it is not shown"
    async with lab.refused(InvalidCursorError):
        await books.page(order_by=Book.editor[Author.name].asc(), cursor=page.next)
    async with lab.refused(InvalidCursorError):
        await books.page(Book.editor.has(), order_by=order, cursor=page.next)


@case("REL-5", needs=NUMBERED)
async def what_rows_lead_to_can_be_selected_and_grouped_by(lab: Lab) -> None:
    await _library(lab)
    books = lab.repository(Book)
    rows = await books.select(Book.title, Book.editor[Author.name], order_by=Book.title)
    assert rows == [("u", None), ("v", None), ("w", "south"), ("x", "north"), ("y", "south")]
    groups = await books.aggregate(count(), by=Book.editor[Author.name])
    assert groups == [("north", 1), ("south", 2), (None, 2)]
    several = await books.aggregate(
        count(),
        Book.title.max(),
        where=Book.editor.has(),
        by=[Book.author[Author.born], Book.title],
    )
    assert several == [(1950, "w", 1, "w"), (None, "x", 1, "x"), (None, "y", 1, "y")]


@case("REL-4", "LOCK-1", needs=LOCKS)
async def what_a_locked_row_leads_to_is_not_held(lab: Lab) -> None:
    await _library(lab)
    authors = lab.repository(Author)
    south = await authors.one(Author.name == "south")
    changing = lab.outside(lambda: authors.patch(south.id, Author.born.to(1)))
    async with lab.store.transaction():
        found = await lab.repository(Book).find(
            Book.editor.has(), order_by=Book.editor[Author.name].desc(), limit=2, lock="update"
        )
        assert [each.title for each in found] == ["y", "w"]
        assert (await changing()).born == 1
