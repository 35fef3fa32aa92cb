"""A value of its own for each of many rows, chosen by that of a field: `Field.to_by`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import InvalidQueryError, InvalidValueError
from holdfast.records.conformance.case import case
from holdfast.records.conformance.lab import same
from holdfast.records.conformance.sample_entities import (
    Author,
    Book,
    Specimen,
    Tally,
)
from holdfast.records.conformance.value_cases import EDGES, NULLABLE, specimen
from holdfast.records.expressions.predicates import everything
from holdfast.uuid7 import uuid7

if TYPE_CHECKING:
    from holdfast.records.conformance.lab import Lab


@case("WHERE-2")
async def each_row_gets_the_value_under_its_key(lab: Lab) -> None:
    tallies = lab.repository(Tally)
    await tallies.add_many([Tally(id=each, total=at) for at, each in enumerate("abcde")])
    given = {"e": 50, "b": 20, "c": None, "nowhere": 1}
    changed = await tallies.update_where(
        Tally.total != 1, changes=[Tally.maybe.to_by(Tally.id, given), Tally.total.increment(10)]
    )
    assert changed == 2, "it fits the condition too, and no row under another key is changed"
    found = [(each.id, each.total, each.maybe, each.version) for each in await tallies.find()]
    assert found == [
        ("a", 0, None, 1),
        ("b", 1, None, 1),
        ("c", 12, None, 2),
        ("d", 3, None, 1),
        ("e", 14, 50, 2),
    ]
    both = [
        Tally.maybe.to_by(Tally.id, {"a": 1, "b": 2}),
        Tally.total.to_by(Tally.id, {"b": 3, "c": 4}),
    ]
    assert await tallies.update_where(everything(), changes=both) == 1
    assert ((await tallies.get_one("b")).maybe, (await tallies.get_one("b")).total) == (2, 3)


@case("WHERE-2", "TAKE-1")
async def what_is_taken_gets_the_value_under_its_key(lab: Lab) -> None:
    tallies = lab.repository(Tally)
    await tallies.add_many([Tally(id=each, total=at) for at, each in enumerate("abcd")])
    taken = await tallies.take(
        Tally.total > 0,
        changes=Tally.maybe.to_by(Tally.id, {"a": 1, "b": 2, "d": 4}),
        order_by=Tally.total.desc(),
        limit=9,
    )
    assert {each.id: each.maybe for each in taken} == {"b": 2, "d": 4}
    parts = [(Tally.total < 2, 1), (Tally.total >= 2, 1)]
    change = Tally.maybe.to_by(Tally.id, {each: at for at, each in enumerate("abcd")})
    taken = await tallies.take(everything(), changes=change, order_by=Tally.id.desc(), limit=parts)
    assert {each.id: each.maybe for each in taken} == {"b": 1, "d": 3}


@case("WHERE-2", "VALUE-1", "VALUE-7")
async def every_kind_of_value_is_given_by_key(lab: Lab) -> None:
    specimens = lab.repository(Specimen)
    for name, values in (EDGES | {name: (one, None) for name, one in NULLABLE.items()}).items():
        rows = [Specimen(id=uuid7()) for _ in values]
        await specimens.add_many(rows)
        given = {row.id: value for row, value in zip(rows, values, strict=True)}
        field = getattr(Specimen, name)
        assert await specimens.update_where(
            everything(), changes=field.to_by(Specimen.id, given)
        ) == len(given)
        for key, value in given.items():
            stored = getattr(await specimens.get_one(key), name)
            assert same(stored, value), (name, value, stored)


@case("WHERE-2", "VALUE-1")
async def values_of_every_kind_choose(lab: Lab) -> None:
    specimens = lab.repository(Specimen)
    for name, values in EDGES.items():
        if name in ("point", "camera"):
            continue
        rows = [specimen(**{name: value, "label": name}) for value in values]
        rows += [specimen(**{name: value}) for value in values]
        await specimens.add_many(rows)
        field = getattr(Specimen, name)
        given = {value: at for at, value in enumerate(values)}
        change = Specimen.maybe_number.to_by(field, given)
        assert await specimens.update_where(Specimen.label == name, changes=change) == len(values)
        for row in rows:
            wanted = given[getattr(row, name)] if row.label else None
            assert (await specimens.get_one(row.id)).maybe_number == wanted, (name, row)


@case("WHERE-2")
async def what_is_chosen_by_may_change_in_the_same_write(lab: Lab) -> None:
    tallies = lab.repository(Tally)
    await tallies.add_many([Tally(id=each, total=at % 2) for at, each in enumerate("abcd")])
    await tallies.add(Tally(id="e", total=7))
    chosen = Tally.maybe.to_by(Tally.total, {0: 10, 1: 11, 2: 12})
    changed = await tallies.update_where(everything(), changes=[Tally.total.increment(1), chosen])
    assert changed == 4
    found = {each.id: (each.total, each.maybe) for each in await tallies.find()}
    assert found == {"a": (1, 10), "b": (2, 11), "c": (1, 10), "d": (2, 11), "e": (7, None)}
    by_null = Tally.total.to_by(Tally.maybe, {10: 0})
    assert await tallies.update_where(Tally.id == "e", changes=by_null) == 0


@case("WHERE-2")
async def values_that_can_not_be_given_so_are_refused(lab: Lab) -> None:
    tallies = lab.repository(Tally)
    await tallies.add(Tally(id="a"))
    async with lab.unchanged():
        async with lab.refused(InvalidQueryError):
            await tallies.patch("a", Tally.maybe.to_by(Tally.id, {"a": 1}))
        async with lab.refused(InvalidQueryError):
            Tally.maybe.to_by(Tally.id, {})
        async with lab.refused(InvalidValueError):
            Tally.maybe.to_by(Tally.id, {1: 1})  # type: ignore[misc]
        async with lab.refused(InvalidValueError):
            Tally.maybe.to_by(Tally.id, {"a": "x"})  # type: ignore[dict-item]
        async with lab.refused(InvalidQueryError):
            Specimen.number.to_by(Specimen.items, {"a": 1})  # type: ignore[misc]
        async with lab.refused(InvalidQueryError):
            change = Specimen.number.to_by(Specimen.id, {uuid7(): 1})
            await tallies.update_where(everything(), changes=change)  # type: ignore[arg-type]
        async with lab.refused(InvalidQueryError):
            await lab.repository(Author).update_where(
                everything(), changes=Author.name.to_by(Author.id, {uuid7(): "unique"})
            )
        async with lab.refused(InvalidQueryError):
            await lab.repository(Book).update_where(
                everything(), changes=Book.author_id.to_by(Book.id, {1: uuid7()})
            )
