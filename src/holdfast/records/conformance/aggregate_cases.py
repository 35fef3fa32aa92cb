"""Projections, aggregates, and the verbs that take many."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from holdfast.errors import DuplicateError, InvalidQueryError, InvalidValueError
from holdfast.records.conformance.case import case
from holdfast.records.conformance.lab import same
from holdfast.records.conformance.sample_entities import Author, Level, Setting, Specimen, Tally
from holdfast.records.entities.field import count

if TYPE_CHECKING:
    from holdfast.records.conformance.lab import Lab


@case("SELECT-1", "COPY-1")
async def a_projection_gives_the_values_of_fields(lab: Lab) -> None:
    repository = lab.repository(Specimen)
    await repository.add_many(
        [Specimen(text=each, number=place, items=[place]) for place, each in enumerate("cab")]
    )
    rows = await repository.select(Specimen.text, Specimen.number, order_by=Specimen.text.asc())
    assert rows == [("a", 1), ("b", 2), ("c", 0)]
    order = Specimen.text.desc()
    cut = await repository.select(Specimen.text, order_by=order, limit=1, offset=1)
    assert cut == [("b",)]
    (one,) = await repository.select(
        Specimen.colour, Specimen.point, Specimen.items, where=Specimen.text == "a"
    )
    whole = await repository.one(Specimen.text == "a")
    assert one == (whole.colour, whole.point, whole.items)
    one[2].append(5)
    assert (await repository.one(Specimen.text == "a")).items == [1]
    async with lab.refused(InvalidQueryError):
        await repository.select()
    async with lab.refused(InvalidQueryError):
        await repository.select(Author.name)  # type: ignore[arg-type]


@case("AGG-1", "NULL-2")
async def figures_leave_nulls_out(lab: Lab) -> None:
    repository = lab.repository(Tally)
    maybe = Tally.maybe
    nothing = await repository.aggregate(count(), maybe.count(), maybe.sum(), maybe.avg())
    assert nothing == [(0, 0, None, None)]
    await repository.add_many(
        [
            Tally(id=name, maybe=number, amount=Decimal(place) / 10)
            for place, (name, number) in enumerate(zip("abcd", (4, None, 1, None), strict=True))
        ]
    )
    (row,) = await repository.aggregate(
        count(), maybe.count(), maybe.sum(), maybe.avg(), maybe.min(), maybe.max()
    )
    assert same(list(row), [4, 2, 5, 2.5, 1, 4])
    ((total,),) = await repository.aggregate(Tally.amount.sum(), where=Tally.id != "a")
    assert total == Decimal("0.60")


@case("AGG-2")
async def figures_by_groups_come_in_the_order_of_the_groups(lab: Lab) -> None:
    repository = lab.repository(Tally)
    await repository.add_many(
        [
            Tally(id=name, maybe=number, total=place)
            for place, (name, number) in enumerate(zip("abcde", (2, None, 1, None, 2), strict=True))
        ]
    )
    rows = await repository.aggregate(count(), Tally.total.sum(), by=Tally.maybe)
    assert rows == [(1, 1, 2), (2, 2, 4), (None, 2, 4)]
    assert await repository.aggregate(count(), where=Tally.id == "x", by=Tally.maybe) == []
    async with lab.refused(InvalidQueryError):
        await repository.aggregate()
    async with lab.refused(InvalidQueryError):
        await repository.aggregate(Author.born.count())


@case("UPSERT-3", "WRITE-1")
async def many_upserts_are_one_write(lab: Lab) -> None:
    repository = lab.repository(Author)
    first = await repository.add(Author(name="a"))
    outcomes = await repository.upsert_many(
        [Author(name=each, born=1) for each in "abc"], on=[Author.name]
    )
    assert [each.created for each in outcomes] == [False, True, True]
    assert outcomes[0].entity.id == first.id
    assert [each.entity.name for each in outcomes] == ["a", "b", "c"]
    await repository.patch(first.id, Author.email.to("e"))
    async with lab.refused(DuplicateError):
        await repository.upsert_many(
            [Author(name="d"), Author(name="b", email="e")], on=[Author.name]
        )
    async with lab.refused(InvalidValueError):
        await repository.upsert_many([Author(name="d"), Author(name="\0")], on=[Author.name])
    assert await repository.upsert_many([]) == []


@case("DELETE-1")
async def many_are_deleted_by_key(lab: Lab) -> None:
    repository = lab.repository(Setting)
    await repository.add_many([Setting(name=each) for each in "abcd"])
    assert await repository.delete_many(["a", "x", "c", "a"]) == 2
    assert await repository.delete_many([]) == 0
    async with lab.refused(InvalidValueError):
        await repository.delete_many(["b", ""])
    assert [each.name for each in await repository.find()] == ["b", "d"]


@case("AGG-1", "ORDER-3")
async def the_least_and_the_greatest_of_every_kind_that_has_an_order(lab: Lab) -> None:
    repository = lab.repository(Specimen)
    small = Specimen(text="a", number=1)
    large = Specimen(
        flag=True, number=2, ratio=1.5, text="b", data=b"\xff", amount=Decimal("0.01"),
        token=UUID(int=2**128 - 1), span=timedelta(1), level=Level.HIGH,
    )  # fmt: skip
    await repository.add_many([large, small])
    for field in (
        Specimen.number, Specimen.ratio, Specimen.text, Specimen.data,
        Specimen.amount, Specimen.token, Specimen.span, Specimen.level,
    ):  # fmt: skip
        rows = await repository.select(field, order_by=Specimen.number.asc())
        found = await repository.aggregate(field.min(), field.max())
        assert same(list(found[0]), [value for (value,) in rows]), field
        grouped = await repository.aggregate(field.max(), by=Specimen.number)
        assert same([value for _, value in grouped], [value for (value,) in rows]), field
