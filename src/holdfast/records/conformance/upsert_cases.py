"""Upserts: add, or overwrite what holds the same unique fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import DuplicateError, ForeignKeyError, InvalidQueryError
from holdfast.records.conformance.case import case
from holdfast.records.conformance.sample_entities import Author, Book, Chapter, Note
from holdfast.records.driver import StoreCapability

if TYPE_CHECKING:
    from holdfast.records.conformance.lab import Lab


@case("UPSERT-1")
async def an_upsert_adds_or_overwrites(lab: Lab) -> None:
    repository = lab.repository(Author)
    began = lab.clock.now
    first = await repository.upsert(Author(name="a", born=1))
    assert first.created
    assert first.entity.version == 1
    later = lab.clock.advance()
    second = await repository.upsert(Author(id=first.entity.id, name="b"))
    assert second.created is False
    assert (second.entity.name, second.entity.born) == ("b", None)
    assert (second.entity.version, second.entity.created_at) == (2, began)
    assert second.entity.updated_at == later
    third = await repository.upsert(Author(name="b", born=3), on=[Author.name])
    assert third.created is False
    assert (third.entity.id, third.entity.born, third.entity.version) == (first.entity.id, 3, 3)
    assert await repository.find() == [third.entity]
    async with lab.refused(InvalidQueryError):
        await repository.upsert(Author(name="b"), on=[Author.born])
    await repository.add(Author(name="other", email="o@x"))
    async with lab.refused(DuplicateError) as caught:
        await repository.upsert(Author(name="b", email="o@x"), on=[Author.name])
    assert caught.error.fields == ("email",)
    async with lab.refused(DuplicateError) as caught:
        await repository.upsert(Author(id=first.entity.id, name="new"), on=[Author.name])
    assert caught.error.fields == ("id",)


@case("UPSERT-1", "UNIQUE-2")
async def a_null_is_never_the_same(lab: Lab) -> None:
    repository = lab.repository(Author)
    first = await repository.add(Author(name="a"))
    async with lab.refused(DuplicateError) as caught:
        await repository.upsert(Author(id=first.id, name="b"), on=[Author.email])
    assert caught.error.fields == ("id",)
    async with lab.refused(DuplicateError) as caught:
        await repository.upsert_many(
            [Author(name="c"), Author(id=first.id, name="b")], on=[Author.email]
        )
    assert (caught.error.fields, caught.error.index) == (("id",), 1)
    second = await repository.upsert(Author(name="b"), on=[Author.email])
    assert second.created
    assert await repository.count(Author.email.is_null()) == 2


@case("UPSERT-3", "TX-9", needs=(StoreCapability.TRANSACTIONS,))
async def a_transaction_goes_on_after_a_batch_of_upserts_that_was_refused(lab: Lab) -> None:
    repository = lab.repository(Author)
    first = await repository.add(Author(name="a", email="a@x"))
    batches = [
        [Author(name="c", email="b@x"), Author(id=first.id, name="b", email=email)]
        for email in ("c@x", None)
    ]
    async with lab.store.transaction():
        for batch in batches:
            await repository.add(Author(name=f"before {batch[1].email}"))
            async with lab.refused(DuplicateError) as caught:
                await repository.upsert_many(batch, on=[Author.email])
            assert (caught.error.fields, caught.error.index) == (("id",), 1)
    assert await repository.count() == 3


@case("UPSERT-1", "REF-1", needs=(StoreCapability.GENERATED_KEYS,))
async def an_upsert_keeps_references(lab: Lab) -> None:
    author = await lab.repository(Author).add(Author(name="a"))
    book = await lab.repository(Book).add(Book(title="b", author_id=author.id))
    chapters = lab.repository(Chapter)
    await chapters.add(Chapter(id="c", book_id=book.id))
    await lab.repository(Note).add(Note(id=1, chapter_id="c"))
    async with lab.refused(ForeignKeyError):
        await chapters.upsert(Chapter(id="d", book_id=book.id + 1))
    async with lab.refused(ForeignKeyError):
        await chapters.upsert(Chapter(id="c", book_id=book.id + 1))
    await chapters.upsert(Chapter(id="c", book_id=book.id, heading="new"))
    assert await lab.repository(Note).count() == 1, "overwriting is not deleting"


@case("UPSERT-1")
async def the_given_key_counts_only_for_a_row_that_is_created(lab: Lab) -> None:
    repository = lab.repository(Author)
    first = await repository.add(Author(name="a"))
    second = await repository.add(Author(name="b"))
    found = await repository.upsert(Author(id=second.id, name="a", born=1900), on=[Author.name])
    assert not found.created
    assert (found.entity.id, found.entity.born) == (first.id, 1900)
    assert await repository.get(second.id) == second
