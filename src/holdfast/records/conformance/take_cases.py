"""Rows that are found, changed and returned in one step: each is taken by one caller."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import InvalidQueryError
from holdfast.records.conformance.case import case
from holdfast.records.conformance.sample_entities import Tally
from holdfast.records.driver import StoreCapability
from holdfast.records.expressions.predicates import everything

if TYPE_CHECKING:
    from holdfast.records.conformance.lab import Lab

LOCKS = (StoreCapability.TRANSACTIONS, StoreCapability.ROW_LOCKS)


@case("TAKE-1")
async def the_first_along_the_order_are_changed_and_returned(lab: Lab) -> None:
    tallies = lab.repository(Tally)
    await tallies.add_many([Tally(id=each, total=at % 3) for at, each in enumerate("abcdef")])
    order = (Tally.total.desc(), Tally.id.desc())
    taken = await tallies.take(
        Tally.total < 3,
        changes=[Tally.total.increment(10), Tally.maybe.to(7)],
        order_by=order,
        limit=3,
    )
    assert {each.id: each.total for each in taken} == {"f": 12, "c": 12, "e": 11}
    assert all(each.maybe == 7 and each.version == 2 for each in taken)
    found = {each.id: each for each in await tallies.find()}
    assert all(found[each.id] == each for each in taken)
    assert {each.id: each.version for each in found.values() if each.total < 10} == {
        "a": 1,
        "b": 1,
        "d": 1,
    }


@case("TAKE-1")
async def no_more_are_taken_than_there_are(lab: Lab) -> None:
    tallies = lab.repository(Tally)
    await tallies.add_many([Tally(id="a"), Tally(id="b", total=5)])
    change = Tally.total.to(9)
    assert [each.id for each in await tallies.take(Tally.total == 0, changes=change, limit=9)] == [
        "a"
    ]
    assert await tallies.take(Tally.total == 0, changes=change, limit=9) == []
    assert await tallies.take(Tally.total == 5, changes=change, limit=0) == []
    assert (await tallies.get_one("b")).total == 5
    assert len(await tallies.take(everything(), changes=change, limit=9)) == 2


@case("TAKE-1")
async def a_take_without_a_predicate_or_a_limit_is_refused(lab: Lab) -> None:
    tallies = lab.repository(Tally)
    await tallies.add(Tally(id="a"))
    async with lab.refused(InvalidQueryError):
        await tallies.take(changes=Tally.total.to(1), limit=1)
    for wrong in (-1, None, "1"):
        async with lab.refused(InvalidQueryError):
            await tallies.take(
                everything(),
                changes=Tally.total.to(1),
                limit=wrong,  # type: ignore[arg-type]
            )


@case("TAKE-1")
async def however_many_take_at_once_each_row_is_taken_once(lab: Lab) -> None:
    tallies = lab.repository(Tally)
    await tallies.add_many([Tally(id=f"{number:02}") for number in range(40)])
    taken: list[str] = []

    async def taker() -> None:
        while found := await tallies.take(
            Tally.total == 0, changes=Tally.total.increment(1), order_by=Tally.id.asc(), limit=3
        ):
            taken.extend(each.id for each in found)

    outcomes = await lab.together([taker] * 8)
    assert outcomes == [None] * 8
    assert sorted(taken) == [f"{number:02}" for number in range(40)]
    assert {each.total for each in await tallies.find()} == {1}


@case("TAKE-1", needs=(StoreCapability.TRANSACTIONS,))
async def what_a_transaction_has_taken_goes_back_when_it_is_undone(lab: Lab) -> None:
    tallies = lab.repository(Tally)
    await tallies.add_many([Tally(id=each) for each in "abc"])
    async with lab.unchanged():
        async with lab.refused(InvalidQueryError):
            async with lab.store.transaction():
                change = Tally.total.to(1)
                first = await tallies.take(
                    Tally.total == 0, changes=change, order_by=Tally.id.asc(), limit=2
                )
                rest = await tallies.take(Tally.total == 0, changes=change, limit=2)
                assert [sorted(each.id for each in part) for part in (first, rest)] == [
                    ["a", "b"],
                    ["c"],
                ]
                raise InvalidQueryError("undone")


@case("TAKE-2")
async def of_each_part_as_many_are_taken_as_it_says(lab: Lab) -> None:
    tallies = lab.repository(Tally)
    await tallies.add_many([Tally(id=each, total=at % 3) for at, each in enumerate("abcdefghi")])
    taken = await tallies.take(
        Tally.id < "h",
        changes=Tally.total.increment(10),
        order_by=Tally.id.desc(),
        limit=[(Tally.total == 0, 2), (Tally.total == 1, 9), (Tally.total == 2, 0)],
    )
    wanted = {"g": 10, "d": 10, "e": 11, "b": 11}
    assert {each.id: each.total for each in taken} == wanted
    found = {each.id: each.total for each in await tallies.find(Tally.total >= 10)}
    assert found == wanted
    assert await tallies.take(everything(), changes=Tally.total.to(0), limit=[]) == []
    async with lab.refused(InvalidQueryError):
        await tallies.take(everything(), changes=Tally.total.to(1), limit=[(Tally.total == 11, -1)])
    if StoreCapability.TRANSACTIONS in lab.store.capabilities:
        async with lab.store.transaction():
            parts = [(Tally.total == 10, 1), (Tally.total == 11, 1)]
            again = await tallies.take(
                Tally.total >= 10, changes=Tally.total.to(0), order_by=Tally.id.asc(), limit=parts
            )
        assert sorted(each.id for each in again) == ["b", "d"]


@case("TAKE-1", needs=LOCKS)
async def what_others_hold_is_passed_over(lab: Lab) -> None:
    tallies = lab.repository(Tally)
    await tallies.add_many([Tally(id=each) for each in "abc"])

    async def taken() -> list[str]:
        found = await tallies.take(
            Tally.total == 0, changes=Tally.total.to(1), order_by=Tally.id.asc(), limit=1
        )
        return [each.id for each in found]

    outside = lab.outside(taken)
    async with lab.store.transaction():
        assert await taken() == ["a"]
        assert await tallies.get("b", lock="update") is not None
        assert await outside() == ["c"]
        assert await outside() == []
    assert await outside() == ["b"]
