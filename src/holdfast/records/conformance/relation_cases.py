"""References and relations: nothing dangles, and N entities cost no N queries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import ForeignKeyError, InvalidQueryError, NotLoadedError
from holdfast.records.conformance.case import case
from holdfast.records.conformance.sample_entities import Author, Book, Chapter, Note, Tally
from holdfast.records.conformance.statement_counter import CountingDriver
from holdfast.records.driver import StoreCapability
from holdfast.records.expressions.predicates import everything
from holdfast.uuid7 import uuid7

if TYPE_CHECKING:
    from holdfast.records.conformance.lab import Lab
    from holdfast.records.entities.relation import Relation

NUMBERED = (StoreCapability.GENERATED_KEYS,)


async def library(lab: Lab, *, authors: int = 3) -> None:
    """Store *authors* authors with two books each, of two chapters each, of two notes each."""
    for number in range(authors):
        author = await lab.repository(Author).add(Author(name=f"author {number}"))
        for title in ("first", "second"):
            book = await lab.repository(Book).add(
                Book(title=title, author_id=author.id, editor_id=author.id if number else None)
            )
            for heading in "ab":
                chapter = await lab.repository(Chapter).add(
                    Chapter(id=f"{book.id}{heading}", book_id=book.id, heading=heading)
                )
                await lab.repository(Note).add_many(
                    [Note(id=book.id * 100 + ord(heading) * 2 + each, chapter_id=chapter.id)
                     for each in range(2)]
                )  # fmt: skip


@case("REF-1", "WRITE-1", "ERR-1")
async def a_reference_points_at_a_row_or_is_refused(lab: Lab) -> None:
    author = await lab.repository(Author).add(Author(name="a"))
    books = lab.repository(Book)
    async with lab.refused(ForeignKeyError) as caught:
        await books.add(Book(title="b", author_id=uuid7()))
    assert (caught.error.entity, caught.error.fields) == ("Book", ("author_id",))
    async with lab.refused(ForeignKeyError) as caught:
        await books.add_many(
            [Book(title="b", author_id=author.id),
             Book(title="c", author_id=author.id, editor_id=uuid7())]
        )  # fmt: skip
    assert (caught.error.fields, caught.error.index) == (("editor_id",), 1)
    book = await books.add(Book(title="b", author_id=author.id))
    async with lab.refused(ForeignKeyError):
        await books.patch(book.id, Book.author_id.to(uuid7()))
    async with lab.refused(ForeignKeyError):
        await books.update_where(everything(), changes=[Book.editor_id.to(uuid7())])
    changed = await books.get_one(book.id)
    changed.editor_id = uuid7()
    async with lab.refused(ForeignKeyError):
        await books.update(changed)
    changed.editor_id = author.id
    assert (await books.update(changed)).editor_id == author.id


@case("REF-2", "ERR-1", "WRITE-1", needs=NUMBERED)
async def a_row_that_is_restricted_is_not_deleted(lab: Lab) -> None:
    await library(lab, authors=2)
    book = await lab.repository(Book).first()
    assert book is not None
    async with lab.refused(ForeignKeyError) as caught:
        await lab.repository(Book).delete(book.id)
    assert (caught.error.entity, caught.error.fields) == ("Chapter", ("book_id",))
    async with lab.refused(ForeignKeyError):
        await lab.repository(Book).delete_where(everything())
    async with lab.refused(ForeignKeyError):
        await lab.repository(Author).delete(book.author_id)
    await lab.repository(Chapter).delete_where(Chapter.book_id == book.id)
    assert await lab.repository(Book).delete(book.id) is True


@case("REF-3", needs=NUMBERED)
async def what_cascades_goes_with_its_target(lab: Lab) -> None:
    await library(lab, authors=2)
    assert await lab.repository(Note).count() == 16
    assert await lab.repository(Chapter).delete_where(Chapter.heading == "a") == 4
    assert await lab.repository(Note).count() == 8
    assert await lab.repository(Chapter).delete_where(everything()) == 4
    author = await lab.repository(Author).one(Author.name == "author 0")
    assert await lab.repository(Author).delete(author.id) is True
    assert await lab.repository(Book).count() == 2
    assert await lab.repository(Book).count(Book.author_id == author.id) == 0


@case("REF-4", needs=NUMBERED)
async def what_is_set_null_stays_without_its_target(lab: Lab) -> None:
    author = await lab.repository(Author).add(Author(name="author"))
    editor = await lab.repository(Author).add(Author(name="editor"))
    books = lab.repository(Book)
    for editor_id in (editor.id, author.id, None):
        await books.add(Book(title="b", author_id=author.id, editor_id=editor_id))
    assert await lab.repository(Author).delete(editor.id) is True
    assert [each.editor_id for each in await books.find()] == [None, author.id, None]
    assert await lab.repository(Author).delete_where(everything()) == 1
    assert await books.count() == 0, "both author and editor: it goes with its author"


@case("REL-1", needs=NUMBERED)
async def a_relation_is_there_when_it_was_asked_for(lab: Lab) -> None:
    await library(lab)
    books = lab.repository(Book)
    plain = await books.first()
    assert plain is not None
    for read in (lambda: plain.author, lambda: plain.editor, lambda: plain.chapters):
        try:
            read()
        except NotLoadedError as error:
            assert error.entity == "Book"
        else:
            raise AssertionError("a relation was there that nobody had asked for")
    relations: list[Relation] = [Book.author, Book.editor, Book.chapters]
    listed = await books.find(load=relations)
    one = await books.get_one(plain.id, load=relations)
    (page_item, *_) = await books.page(load=relations)
    (streamed, *_) = [each async for each in books.stream(load=relations, batch=2)]
    (many, *_) = await books.get_many([plain.id], load=relations)
    assert many is not None
    for book in (*listed, one, page_item, streamed, many):
        assert book.author.id == book.author_id
        assert (None if book.editor is None else book.editor.id) == book.editor_id
        assert [each.id for each in book.chapters] == [f"{book.id}a", f"{book.id}b"]
    assert [book.editor is None for book in listed] == [True, True, False, False, False, False]


@case("REL-1", needs=NUMBERED)
async def nobody_has_an_empty_list_not_a_missing_one(lab: Lab) -> None:
    author = await lab.repository(Author).add(Author(name="alone"))
    found = await lab.repository(Author).get_one(author.id, load=[Author.books])
    assert found.books == []
    assert await lab.repository(Author).find(Author.name == "nobody", load=[Author.books]) == []


@case("REL-1", needs=NUMBERED)
async def a_relation_of_another_entity_is_refused(lab: Lab) -> None:
    await library(lab, authors=1)
    async with lab.refused(InvalidQueryError):
        await lab.repository(Author).find(load=[Book.author])
    async with lab.refused(InvalidQueryError):
        await lab.repository(Author).find(load=[Author.books.then(Note.text)])  # type: ignore[arg-type]
    async with lab.refused(InvalidQueryError):
        await lab.repository(Author).find(load=[Author.name])  # type: ignore[list-item]


@case("REL-2", needs=NUMBERED)
async def loading_three_deep_takes_one_query_a_level(lab: Lab) -> None:
    deep = [Author.books.then(Book.chapters.then(Chapter.notes))]
    counts: list[int] = []
    made = 0
    for more in (2, 9):
        for number in range(made, made + more):
            author = await lab.repository(Author).add(Author(name=f"a{number}"))
            for title in "xy":
                book = await lab.repository(Book).add(Book(title=title, author_id=author.id))
                chapter = await lab.repository(Chapter).add(
                    Chapter(id=str(book.id), book_id=book.id)
                )
                await lab.repository(Note).add(Note(id=book.id, chapter_id=chapter.id))
        made += more
        with CountingDriver.around(lab.store) as counting:
            authors = await lab.repository(Author).find(load=deep)
        counts.append(counting.reads)
        assert len(authors) == made
        for author in authors:
            assert [len(book.chapters) for book in author.books] == [1, 1]
            assert all(len(chapter.notes) == 1 for b in author.books for chapter in b.chapters)
    assert counts == [4, 4], "one for the authors, one for each level below"


@case("REL-2")
async def reading_and_writing_takes_one_call_of_the_driver(lab: Lab) -> None:
    repository = lab.repository(Tally)
    with CountingDriver.around(lab.store) as counting:
        repository = lab.repository(Tally)
        await repository.add_many([Tally(id=f"{each}") for each in range(50)])
        await repository.get_many([f"{each}" for each in range(50)])
        await repository.find()
        await repository.page()
        await repository.update_where(everything(), changes=[Tally.total.increment(1)])
        await repository.delete_where(everything())
    assert (counting.reads, counting.writes) == (3, 3)
