"""Writes: all or nothing, checked by version, one row for all that upsert."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from holdfast.errors import (
    DuplicateError,
    ForeignKeyError,
    InvalidQueryError,
    InvalidValueError,
    NotFoundError,
    PreconditionFailedError,
    StaleVersionError,
)
from holdfast.records.conformance.case import case
from holdfast.records.conformance.lab import same
from holdfast.records.conformance.sample_entities import (
    Author,
    Book,
    Setting,
    Specimen,
    Tally,
)
from holdfast.records.driver import StoreCapability
from holdfast.records.expressions.predicates import everything
from holdfast.uuid7 import uuid7

if TYPE_CHECKING:
    from holdfast.records.conformance.lab import Lab


@case("WRITE-4")
async def the_store_sets_version_and_times(lab: Lab) -> None:
    repository = lab.repository(Author)
    began = lab.clock.now
    author = await repository.add(Author(name="a"))
    assert (author.version, author.created_at, author.updated_at) == (1, began, began)
    later = lab.clock.advance()
    author.name = "b"
    vars(author)["created_at"] = later
    author = await repository.update(author)
    assert (author.version, author.created_at, author.updated_at) == (2, began, later)
    latest = lab.clock.advance()
    author = await repository.patch(author.id, Author.name.to("c"))
    assert (author.version, author.created_at, author.updated_at) == (3, began, latest)
    last = lab.clock.advance()
    assert await repository.update_where(everything(), changes=[Author.born.to(1)]) == 1
    author = (await repository.upsert(await repository.get_one(author.id))).entity
    assert (author.version, author.created_at, author.updated_at) == (5, began, last)
    assert author == await repository.get_one(author.id)
    (other,) = (await repository.add_many([Author(name="z")])).entities
    assert (other.version, other.created_at, other.updated_at) == (1, last, last)
    for change in (Author.version.to(9), Author.created_at.to(began), Author.id.to(uuid7())):
        async with lab.refused(InvalidQueryError):
            await repository.patch(author.id, change)


@case("WRITE-1", "UNIQUE-1", "ERR-1")
async def a_taken_key_or_unique_value_is_refused(lab: Lab) -> None:
    repository = lab.repository(Author)
    first = await repository.add(Author(name="a", email="a@x"))
    other = await repository.add(Author(name="b"))
    async with lab.refused(DuplicateError) as caught:
        await repository.add(Author(id=first.id, name="c"))
    assert (caught.error.entity, caught.error.fields) == ("Author", ("id",))
    async with lab.refused(DuplicateError) as caught:
        await repository.add(Author(name="a"))
    assert caught.error.fields == ("name",)
    assert caught.error.index is None
    async with lab.refused(DuplicateError) as caught:
        await repository.add(Author(name="c", email="a@x"))
    assert caught.error.fields == ("email",)
    other.email = "a@x"
    async with lab.refused(DuplicateError) as caught:
        await repository.update(other)
    assert caught.error.fields == ("email",)
    async with lab.refused(DuplicateError) as caught:
        await repository.patch(other.id, Author.name.to("a"))
    assert caught.error.fields == ("name",)
    async with lab.refused(DuplicateError) as caught:
        await repository.update_where(everything(), changes=[Author.name.to("same")])
    assert caught.error.fields == ("name",)
    async with lab.refused(DuplicateError) as caught:
        await repository.upsert(Author(id=other.id, name="a"))
    assert caught.error.fields == ("name",)
    assert (await repository.add(Author(name="A"))).name == "A"


@case("UNIQUE-1")
async def a_unique_value_is_free_again_when_its_row_lets_go(lab: Lab) -> None:
    repository = lab.repository(Author)
    first = await repository.add(Author(name="a"))
    await repository.patch(first.id, Author.name.to("b"))
    second = await repository.add(Author(name="a"))
    await repository.delete(second.id)
    await repository.add(Author(name="a"))
    async with lab.refused(DuplicateError):
        await repository.add(Author(name="b"))


@case("UNIQUE-2")
async def any_number_of_rows_lack_a_unique_value(lab: Lab) -> None:
    repository = lab.repository(Author)
    await repository.add_many([Author(name=each) for each in "abc"])
    assert await repository.count(Author.email.is_null()) == 3
    created = await repository.upsert(Author(name="d"), on=[Author.name])
    assert created.created
    outcome = await repository.upsert(Author(name="e"), on=[Author.email])
    assert outcome.created, "null equals nothing, itself included"


@case("WRITE-2", "WRITE-1")
async def an_atomic_batch_is_stored_whole_or_not_at_all(lab: Lab) -> None:
    repository = lab.repository(Author)
    await repository.add(Author(name="taken"))
    async with lab.refused(DuplicateError) as caught:
        await repository.add_many([Author(name="a"), Author(name="b"), Author(name="taken")])
    assert (caught.error.index, caught.error.fields) == (2, ("name",))
    async with lab.refused(DuplicateError) as caught:
        await repository.add_many([Author(name="a"), Author(name="a"), Author(name="b")])
    assert caught.error.index == 1
    async with lab.refused(InvalidValueError):
        await repository.add_many([Author(name="a"), Author(name="\0")])
    stored = await repository.add_many([Author(name="b"), Author(name="a")])
    assert [each.name for each in stored.entities] == ["b", "a"]
    assert stored.errors == {}
    assert (await repository.add_many([])).results == []
    assert (await repository.add_many([], atomic=False)).results == []


@case("WRITE-3", "ERR-1")
async def a_batch_that_is_not_atomic_tells_about_each(lab: Lab) -> None:
    repository = lab.repository(Author)
    await repository.add(Author(name="taken"))
    batch = [Author(name=each) for each in ("a", "taken", "b", "a", "c")]
    result = await repository.add_many(batch, atomic=False)
    assert [each.name for each in result.entities] == ["a", "b", "c"]
    assert set(result.errors) == {1, 3}
    for index, error in result.errors.items():
        assert isinstance(error, DuplicateError)
        assert (error.fields, error.index) == (("name",), index)
    assert await repository.count() == 4
    async with lab.refused(InvalidValueError):
        await repository.add_many([Author(name="z"), Author(name="\ud800")], atomic=False)


@case("WRITE-3", "REF-1", "ERR-1")
async def a_batch_that_is_not_atomic_keeps_each_reference(lab: Lab) -> None:
    author = await lab.repository(Author).add(Author(name="a"))
    books = lab.repository(Book)
    result = await books.add_many(
        [
            Book(title="1", author_id=uuid7()),
            Book(title="2", author_id=author.id),
            Book(title="3", author_id=author.id, editor_id=uuid7()),
        ],
        atomic=False,
    )
    assert set(result.errors) == {0, 2}
    for index, name in ((0, "author_id"), (2, "editor_id")):
        error = result.errors[index]
        assert isinstance(error, ForeignKeyError)
        assert (error.fields, error.index) == ((name,), index)
    assert [each.title for each in await books.find()] == ["2"]


@case("WRITE-2", needs=(StoreCapability.LARGE_WRITES,))
async def a_large_batch_is_one_batch(lab: Lab) -> None:
    repository = lab.repository(Author)
    await repository.add(Author(name="n2500"))
    async with lab.refused(DuplicateError) as caught:
        await repository.add_many([Author(name=f"n{number}") for number in range(2600)])
    assert caught.error.index == 2500
    stored = await repository.add_many([Author(name=f"m{number}") for number in range(2600)])
    assert [each.name for each in stored.entities] == [f"m{number}" for number in range(2600)]


@case("WRITE-5", "ERR-1")
async def an_update_of_a_stale_version_is_refused(lab: Lab) -> None:
    repository = lab.repository(Tally)
    stored = await repository.add(Tally(id="t"))
    mine, theirs = await repository.get_one("t"), await repository.get_one("t")
    mine.total = 1
    theirs.total = 2
    assert (await repository.update(mine)).version == stored.version + 1
    async with lab.refused(StaleVersionError) as caught:
        await repository.update(theirs)
    error = caught.error
    assert (error.entity, error.key, error.expected, error.actual) == ("Tally", "t", 1, 2)
    ahead = await repository.get_one("t")
    vars(ahead)["version"] = 99
    async with lab.refused(StaleVersionError):
        await repository.update(ahead)
    async with lab.refused(InvalidValueError):
        await repository.update(Tally(id="t"))
    assert (await repository.get_one("t")).total == 1


@case("WRITE-5")
async def without_a_version_the_last_update_stays(lab: Lab) -> None:
    repository = lab.repository(Setting)
    await repository.add(Setting(name="a", value="1"))
    assert (await repository.update(Setting(name="a", value="2"))).value == "2"
    assert (await repository.update(Setting(name="a", value=None))).value is None
    async with lab.refused(NotFoundError):
        await repository.update(Setting(name="b"))
    async with lab.refused(InvalidQueryError):
        await repository.delete("a", version=1)


@case("WRITE-6")
async def an_update_to_the_same_values_is_a_write(lab: Lab) -> None:
    tallies, settings = lab.repository(Tally), lab.repository(Setting)
    stored = await tallies.add(Tally(id="t", total=5))
    stored = await tallies.update(stored)
    assert stored.version == 2
    stored = await tallies.patch("t", Tally.total.to(5))
    assert stored.version == 3
    assert await tallies.update_where(Tally.total == 5, changes=[Tally.total.to(5)]) == 1
    await settings.add(Setting(name="a", value="1"))
    assert await settings.update(Setting(name="a", value="1")) == Setting(name="a", value="1")
    assert (await settings.patch("a", Setting.value.to("1"))).value == "1"
    assert await settings.update_where(everything(), changes=[Setting.value.to("1")]) == 1
    assert (await settings.upsert(Setting(name="a", value="1"))).created is False


@case("WRITE-5", "WRITE-7", "ERR-1")
async def what_is_not_there_can_t_be_changed(lab: Lab) -> None:
    repository = lab.repository(Tally)
    gone = await repository.add(Tally(id="t"))
    assert await repository.delete("t") is True
    async with lab.refused(NotFoundError) as caught:
        await repository.update(gone)
    assert (caught.error.entity, caught.error.key) == ("Tally", "t")
    async with lab.refused(NotFoundError):
        await repository.patch("t", Tally.total.to(1))
    async with lab.refused(NotFoundError):
        await repository.patch("t", Tally.total.to(1), when=Tally.total == 0)
    assert await repository.delete("t") is False
    assert await repository.delete("t", version=1) is False


@case("WRITE-7")
async def a_patch_changes_what_it_names_and_nothing_else(lab: Lab) -> None:
    repository = lab.repository(Specimen)
    given = await repository.add(Specimen(text="a", number=1, label="x", attributes={"k": 1}))
    await repository.add(Specimen(text="other"))
    patched = await repository.patch(
        given.id, Specimen.text.to("b"), Specimen.label.to(None), Specimen.number.increment(2)
    )
    expected = {**vars(given), "text": "b", "label": None, "number": 3, "version": 2}
    assert vars(patched) == expected
    assert vars(await repository.get_one(given.id)) == expected
    assert await repository.count(Specimen.text == "other") == 1
    async with lab.refused(InvalidQueryError):
        await repository.patch(given.id)
    async with lab.refused(InvalidQueryError):
        await repository.patch(given.id, Specimen.number.to(1), Specimen.number.increment(1))
    async with lab.refused(InvalidQueryError):
        await repository.patch(given.id, Specimen.text == "x")  # type: ignore[arg-type]


@case("UNIQUE-1", "WRITE-1", "ERR-1")
async def a_change_that_clashes_names_the_field(lab: Lab) -> None:
    """Also when several unique fields change at once, and by whichever verb."""
    repository = lab.repository(Author)
    await repository.add(Author(name="a", email="a@example.com"))
    second = await repository.add(Author(name="b", email="b@example.com"))
    for changes, field in (
        ((Author.name.to("c"), Author.email.to("a@example.com")), "email"),
        ((Author.name.to("a"), Author.email.to("c@example.com")), "name"),
    ):
        async with lab.refused(DuplicateError) as caught:
            await repository.patch(second.id, *changes)
        assert caught.error.fields == (field,)
        async with lab.refused(DuplicateError) as caught:
            await repository.update_where(Author.id == second.id, changes=changes)
        assert caught.error.fields == (field,)
    assert await repository.get(second.id) == second


@case("WRITE-7", "ERR-1")
async def a_patch_holds_to_its_condition(lab: Lab) -> None:
    repository = lab.repository(Tally)
    await repository.add(Tally(id="t", total=5))
    patched = await repository.patch("t", Tally.total.increment(-5), when=Tally.total >= 5)
    assert patched.total == 0
    async with lab.refused(PreconditionFailedError) as caught:
        await repository.patch("t", Tally.total.increment(-5), when=Tally.total >= 5)
    assert (caught.error.entity, caught.error.key) == ("Tally", "t")
    assert (await repository.patch("t", Tally.maybe.to(1), when=Tally.maybe.is_null())).maybe == 1


@case("WRITE-8")
async def increments_add_to_what_is_stored(lab: Lab) -> None:
    repository = lab.repository(Tally)
    stored = await repository.add(Tally(id="t"))
    for _ in range(3):
        stored = await repository.patch(
            "t",
            Tally.total.increment(),
            Tally.ratio.increment(0.5),
            Tally.amount.increment(Decimal("0.10")),
            Tally.spent.increment(timedelta(microseconds=1)),
        )
    assert same(stored.total, 3)
    assert same(stored.ratio, 1.5)
    assert same(stored.amount, Decimal("0.30"))
    assert same(stored.spent, timedelta(microseconds=3))
    assert vars(await repository.get_one("t")) == vars(stored)
    assert await repository.update_where(everything(), changes=[Tally.total.increment(-4)]) == 1
    assert (await repository.get_one("t")).total == -1
    patched = await repository.patch("t", Tally.maybe.increment(1))  # type: ignore[misc]
    assert patched.maybe is None, "nothing plus one is nothing"


@case("WRITE-8", "VALUE-3", "VALUE-5", "WRITE-1")
async def a_sum_that_does_not_fit_is_refused(lab: Lab) -> None:
    repository = lab.repository(Tally)
    await repository.add_many(
        [
            Tally(id="a", total=2**63 - 1, amount=Decimal("9999.99"), ratio=1.7e308),
            Tally(id="b", total=-(2**63), amount=Decimal("-9999.99"), ratio=-1.7e308),
            Tally(id="c"),
        ]
    )
    for key, change, name in (
        ("a", Tally.total.increment(1), "total"),
        ("b", Tally.total.increment(-1), "total"),
        ("a", Tally.amount.increment(Decimal("0.01")), "amount"),
        ("b", Tally.amount.increment(Decimal("-0.01")), "amount"),
        ("a", Tally.ratio.increment(1.7e308), "ratio"),
        ("b", Tally.ratio.increment(-1.7e308), "ratio"),
    ):
        async with lab.refused(InvalidValueError) as caught:
            await repository.patch(key, change)
        assert (caught.error.entity, caught.error.field) == ("Tally", name)
        async with lab.refused(InvalidValueError):
            await repository.update_where(everything(), changes=[change])
    async with lab.refused(InvalidValueError):
        Tally.amount.increment(Decimal("0.001"))
    async with lab.refused(InvalidQueryError):
        Tally.id.increment(1)  # type: ignore[misc]


@case("WHERE-1")
async def update_where_changes_what_fits(lab: Lab) -> None:
    repository = lab.repository(Tally)
    await repository.add_many([Tally(id=each, total=place) for place, each in enumerate("abcd")])
    assert await repository.update_where(Tally.total >= 2, changes=[Tally.maybe.to(7)]) == 2
    assert [each.maybe for each in await repository.find()] == [None, None, 7, 7]
    assert [each.version for each in await repository.find()] == [1, 1, 2, 2]
    assert await repository.update_where(Tally.total > 9, changes=[Tally.maybe.to(7)]) == 0
    moved = await repository.update_where(Tally.total < 9, changes=[Tally.total.increment(9)])
    assert moved == 4, "each row is changed once, also when it no longer fits"
    async with lab.refused(InvalidQueryError):
        await repository.update_where(changes=[Tally.maybe.to(7)])
    async with lab.refused(InvalidQueryError):
        await repository.update_where(everything(), changes=[])


@case("WHERE-1")
async def delete_where_deletes_what_fits(lab: Lab) -> None:
    repository = lab.repository(Tally)
    await repository.add_many([Tally(id=each, total=place) for place, each in enumerate("abcd")])
    assert await repository.delete_where(Tally.total.in_([])) == 0
    assert await repository.delete_where(Tally.total >= 2, Tally.id != "d") == 1
    assert [each.id for each in await repository.find()] == ["a", "b", "d"]
    async with lab.refused(InvalidQueryError):
        await repository.delete_where()
    assert await repository.delete_where(everything()) == 3
    assert await repository.count() == 0


@case("DELETE-1", "WRITE-5", "ERR-1")
async def a_delete_holds_to_its_version(lab: Lab) -> None:
    repository = lab.repository(Tally)
    await repository.add_many([Tally(id="a"), Tally(id="b")])
    await repository.patch("a", Tally.total.to(1))
    async with lab.refused(StaleVersionError) as caught:
        await repository.delete("a", version=1)
    assert (caught.error.key, caught.error.expected, caught.error.actual) == ("a", 1, 2)
    assert await repository.delete("a", version=2) is True
    assert await repository.delete("a") is False
    assert [each.id for each in await repository.find()] == ["b"]


@case("WRITE-7", "WRITE-5", "ERR-1")
async def a_patch_holds_to_its_version(lab: Lab) -> None:
    repository = lab.repository(Tally)
    await repository.add_many([Tally(id=key) for key in ("0", "a", "z")])
    assert (await repository.patch("a", Tally.total.to(1), version=1)).total == 1
    async with lab.refused(StaleVersionError) as caught:
        await repository.patch("a", Tally.total.to(2), version=1)
    assert (caught.error.key, caught.error.expected, caught.error.actual) == ("a", 1, 2)
    async with lab.refused(PreconditionFailedError):
        await repository.patch("a", Tally.total.to(2), version=2, when=Tally.total == 9)
    async with lab.refused(StaleVersionError):
        await repository.patch("a", Tally.total.to(2), version=1, when=Tally.total == 9)
    assert (await repository.get_one("a")).total == 1
    async with lab.refused(NotFoundError):
        await repository.patch("b", Tally.total.to(2), version=1)
    assert [each.total for each in await repository.find()] == [0, 1, 0], "of the same version"


@case("KEY-1", needs=(StoreCapability.GENERATED_KEYS,))
async def the_store_numbers_upwards_and_never_twice(lab: Lab) -> None:
    author = await lab.repository(Author).add(Author(name="a"))
    repository = lab.repository(Book)
    first = await repository.add(Book(title="1", author_id=author.id))
    batch = await repository.add_many(
        [Book(title=str(each), author_id=author.id) for each in (2, 3)]
    )
    second, third = batch.entities
    assert 0 < first.id < second.id < third.id
    assert await repository.delete(third.id)
    fourth = await repository.add(Book(title="4", author_id=author.id))
    assert fourth.id > third.id
    upserted = await repository.upsert(Book(title="5", author_id=author.id))
    assert upserted.created
    assert upserted.entity.id > fourth.id
    fresh = Book(title="6", author_id=author.id)
    await repository.add(fresh)
    assert "id" not in vars(fresh), "what was given stays as it was"


@case("KEY-1", needs=(StoreCapability.GENERATED_KEYS,))
async def a_key_that_was_given_is_not_numbered_anew(lab: Lab) -> None:
    author = await lab.repository(Author).add(Author(name="a"))
    books = lab.repository(Book)

    def book(number: int | None) -> Book:
        made = Book(title="t", author_id=author.id)
        if number is not None:
            vars(made)["id"] = number
        return made

    first = await books.add(book(None))
    given = [
        await books.add(book(first.id + 1)),
        *(await books.add_many([book(first.id + 5)])).entities,
    ]
    upserted = await books.upsert(book(first.id + 9))
    assert upserted.created
    batch = await books.add_many([book(None), book(None)])
    later = [*batch.entities, await books.add(book(None))]
    assert [each.id for each in given] == [first.id + 1, first.id + 5]
    assert later[0].id > first.id + 9
    assert len({each.id for each in later}) == 3


@case("COUNTER-1")
async def a_change_of_unversioned_fields_alone_leaves_the_version(lab: Lab) -> None:
    repository = lab.repository(Tally)
    read = await repository.add(Tally(id="a", total=1, seen=1))
    counted = await repository.patch("a", Tally.seen.increment(2))
    assert (counted.seen, counted.version) == (3, 1)
    changed = await repository.update_where(Tally.total == 1, changes=Tally.seen.increment(4))
    assert changed == 1
    read.total = 2
    written = await repository.update(read)
    assert (written.total, written.seen, written.version) == (2, 7, 2)
    both = await repository.patch("a", Tally.seen.increment(), Tally.total.increment())
    assert (both.seen, both.total, both.version) == (8, 3, 3)
    found = await repository.upsert(Tally(id="a", total=5, seen=0))
    assert (found.entity.seen, found.entity.version, found.created) == (8, 4, False)
    async with lab.refused(StaleVersionError) as caught:
        await repository.patch("a", Tally.seen.increment(), version=3)
    assert (caught.error.expected, caught.error.actual) == (3, 4)
    assert (await repository.patch("a", Tally.seen.to(0), version=4)).version == 4
