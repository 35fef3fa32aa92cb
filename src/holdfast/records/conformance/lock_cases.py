"""Row locks: what a transaction has read stays as it is until its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import InvalidQueryError, TransactionError
from holdfast.records.conformance.case import case
from holdfast.records.conformance.sample_entities import Author, Book, Tally
from holdfast.records.driver import StoreCapability

if TYPE_CHECKING:
    from holdfast.records.conformance.lab import Lab

LOCKS = (StoreCapability.TRANSACTIONS, StoreCapability.ROW_LOCKS)


@case("LOCK-1", needs=LOCKS)
async def who_locks_before_it_changes_loses_no_update(lab: Lab) -> None:
    tallies = lab.repository(Tally)
    await tallies.add(Tally(id="t"))

    async def raised() -> None:
        async with lab.store.transaction():
            found = await tallies.get_one("t", lock="update")
            await tallies.patch("t", Tally.total.to(found.total + 1))

    outcomes = await lab.together([raised] * 30)
    assert outcomes == [None] * 30
    assert (await tallies.get_one("t")).total == 30


@case("LOCK-1", needs=LOCKS)
async def what_others_have_locked_can_be_left_out(lab: Lab) -> None:
    tallies = lab.repository(Tally)
    await tallies.add_many([Tally(id=each, total=at) for at, each in enumerate("abcd")])

    async def taken(limit: int | None = None) -> str:
        async with lab.store.transaction():
            found = await tallies.find(
                Tally.total < 3,
                order_by=Tally.total.desc(),
                limit=limit,
                lock="update",
                skip_locked=True,
            )
        return "".join(each.id for each in found)

    outside, one = lab.outside(taken), lab.outside(lambda: taken(1))
    async with lab.store.transaction():
        assert (await tallies.get("c", lock="update")) is not None
        assert await outside() == "ba", "the locked row was waited for or given"
        assert await one() == "b", "the limit counts what is given"
        found = await tallies.find(Tally.id == "b", lock="update")
        assert [each.id for each in found] == ["b"]
        assert await outside() == "a"
        assert await taken() == "cba", "one's own locks are no hindrance"
    assert await outside() == "cba", "the end of the transaction lets go"


@case("LOCK-1", needs=(*LOCKS, StoreCapability.SAVEPOINTS))
async def a_lock_that_makes_no_sense_is_refused(lab: Lab) -> None:
    authors = lab.repository(Author)
    author = await authors.add(Author(name="a"))
    await lab.repository(Book).add(Book(title="b", author_id=author.id))
    for read in (
        lambda: authors.get(author.id, lock="update"),
        lambda: authors.get_one(author.id, lock="update"),
        lambda: authors.find(lock="update"),
    ):
        async with lab.refused(TransactionError):
            await read()
        async with lab.refused(TransactionError):
            async with lab.store.transaction(read_only=True):
                await read()
    async with lab.store.transaction():
        for wrong in (
            lambda: authors.get(author.id, lock="share"),  # type: ignore[arg-type]
            lambda: authors.find(lock=True),  # type: ignore[arg-type]
            lambda: authors.find(skip_locked=True),
        ):
            async with lab.refused(InvalidQueryError):
                await wrong()
        assert await authors.get(None if author.id is None else author.id, lock="update") == author
        (loaded,) = await authors.find(lock="update", load=[Author.books])
        assert [each.title for each in loaded.books] == ["b"]
        found = await authors.get_one(author.id, lock="update", load=[Author.books])
        assert [each.title for each in found.books] == ["b"]
