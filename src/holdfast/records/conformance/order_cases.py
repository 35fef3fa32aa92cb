"""Orders: total, nulls last, ties by key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.records.conformance.case import case
from holdfast.records.conformance.sample_entities import Note, Setting, Specimen, Tally

if TYPE_CHECKING:
    from holdfast.records.conformance.lab import Lab


@case("ORDER-1")
async def without_an_order_rows_come_by_key(lab: Lab) -> None:
    repository = lab.repository(Setting)
    for name in ("m", "\U0001f3a5", "b", "B", "a", "\uffff", "10", "9"):
        await repository.add(Setting(name=name))
    found = [each.name for each in await repository.find()]
    assert found == ["10", "9", "B", "a", "b", "m", "\uffff", "\U0001f3a5"]
    specimens = await lab.repository(Specimen).add_many([Specimen() for _ in range(20)])
    keys = sorted(each.id for each in specimens.entities)
    assert [each.id for each in await lab.repository(Specimen).find()] == keys


@case("ORDER-1")
async def ties_break_by_key_along_the_last_order(lab: Lab) -> None:
    repository = lab.repository(Tally)
    await repository.add_many(
        [
            Tally(id=name, total=total)
            for name, total in zip("hgfedcba", (1, 2, 1, 2, 1, 2, 1, 2), strict=True)
        ]
    )
    found = await repository.find(order_by=Tally.total.desc())
    assert "".join(each.id for each in found) == "gecahfdb"
    found = await repository.find(order_by=[Tally.total.asc()])
    assert "".join(each.id for each in found) == "bdfhaceg"
    found = await repository.find(order_by=[Tally.total.asc(), Tally.id.desc()])
    assert "".join(each.id for each in found) == "hfdbgeca"
    found = await repository.find(order_by=Tally.id.desc())
    assert "".join(each.id for each in found) == "hgfedcba"


@case("ORDER-2")
async def nulls_come_last_unless_said_otherwise(lab: Lab) -> None:
    repository = lab.repository(Tally)
    await repository.add_many(
        [
            Tally(id=name, maybe=value)
            for name, value in (("a", 2), ("b", None), ("c", 1), ("d", None))
        ]
    )
    for order, expected in (
        (Tally.maybe.asc(), "cabd"),
        (Tally.maybe.desc(), "acdb"),
        (Tally.maybe.asc().nulls_first(), "bdca"),
        (Tally.maybe.desc().nulls_first(), "dbac"),
        (Tally.maybe.asc().nulls_first().nulls_last(), "cabd"),
    ):
        found = await repository.find(order_by=order)
        assert "".join(each.id for each in found) == expected, order
        some = await repository.find(order_by=order, limit=2, offset=1)
        assert "".join(each.id for each in some) == expected[1:3], order
        for where, fitting in (
            (Tally.maybe >= 1, "ac"),
            (~Tally.maybe.is_null(), "ac"),
            (Tally.maybe.in_([2]), "a"),
            (~(Tally.maybe == 1), "abd"),
            ((Tally.maybe == 1) | Tally.maybe.is_null(), "bcd"),
        ):
            told = "".join(each.id for each in await repository.find(where, order_by=order))
            assert told == "".join(each for each in expected if each in fitting), (order, where)


@case("ORDER-1", "ORDER-2")
async def orders_nest(lab: Lab) -> None:
    repository = lab.repository(Specimen)
    await repository.add_many(
        [
            Specimen(label=label, maybe_number=number, text=f"{label}{number}")
            for label in (None, "b", "a")
            for number in (2, None, 1)
        ]
    )
    found = await repository.find(
        order_by=[Specimen.label.desc(), Specimen.maybe_number.asc().nulls_first()]
    )
    assert [each.text for each in found] == [
        "bNone",
        "b1",
        "b2",
        "aNone",
        "a1",
        "a2",
        "NoneNone",
        "None1",
        "None2",
    ]


@case("ORDER-3")
async def numbers_are_ordered_by_value(lab: Lab) -> None:
    repository = lab.repository(Note)
    values = [0, -1, 10, 9, 2**63 - 1, -(2**63), 2**53, 2**53 + 1]
    specimens = lab.repository(Specimen)
    await specimens.add_many([Specimen(number=each, ratio=each / 3) for each in values])
    found = await specimens.find(order_by=Specimen.number.asc())
    assert [each.number for each in found] == sorted(values)
    found = await specimens.find(order_by=Specimen.ratio.desc())
    assert [each.ratio for each in found] == sorted((each / 3 for each in values), reverse=True)
    assert await repository.find() == []
