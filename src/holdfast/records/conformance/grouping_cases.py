"""Groups that are filtered, ordered and cut; different values; percentiles; parts of a time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from holdfast.errors import InvalidQueryError
from holdfast.records.conformance.case import case
from holdfast.records.conformance.sample_entities import MOMENT, Author, Specimen, Tally
from holdfast.records.driver import StoreCapability
from holdfast.records.entities.field import count

if TYPE_CHECKING:
    from holdfast.records.conformance.lab import Lab

_TALLIES = ((1, 2), (1, 5), (2, None), (2, 4), (2, 2**62), (3, 2**62), (3, 2**62), (None, -1))
"""The number by which tallies are grouped, and their total; no total is 0."""


async def _tallies(lab: Lab) -> None:
    await lab.repository(Tally).add_many(
        [
            Tally(
                id=f"t{at}",
                maybe=group,
                total=total or 0,
                ratio=float(total is None),
                amount=Decimal(at) / 4,
                spent=timedelta(seconds=at),
            )
            for at, (group, total) in enumerate(_TALLIES)
        ]
    )


@case("GROUP-1", "AGG-2", "NULL-2")
async def groups_can_be_filtered_by_their_aggregates(lab: Lab) -> None:
    await _tallies(lab)
    tallies = lab.repository(Tally)
    total = Tally.total.sum()
    assert await tallies.aggregate(count(), by=Tally.maybe, having=count() > 1) == [
        (1, 2), (2, 3), (3, 2)
    ]  # fmt: skip
    assert await tallies.aggregate(count(), by=Tally.maybe, having=total >= 2**63) == [(3, 2)]
    assert await tallies.aggregate(
        total, by=Tally.maybe, having=[Tally.total.max() < 10, ~(Tally.maybe == 1)]
    ) == [(None, -1)]
    means = (Tally.total.avg() == 3.5) | (Tally.spent.sum() > timedelta(seconds=12))
    assert await tallies.aggregate(Tally.amount.sum(), by=Tally.maybe, having=means) == [
        (1, Decimal("0.25"))
    ]
    exact = Tally.amount.sum() == Decimal("2.75")
    assert await tallies.aggregate(count(), by=Tally.maybe, having=exact) == [(3, 2)]
    assert await tallies.aggregate(count(), by=Tally.maybe, having=Tally.maybe.is_null()) == [
        (None, 1)
    ]
    async with lab.unchanged():
        not_groups: list[Any] = [Tally.total > 1, Author.born.sum() > 1, Tally.amount.avg]
        for having in not_groups:
            async with lab.refused(InvalidQueryError):
                await tallies.aggregate(count(), by=Tally.maybe, having=having)
        async with lab.refused(InvalidQueryError):
            await tallies.aggregate(count(), having=count() > 1)
        async with lab.refused(InvalidQueryError):
            Tally.amount.avg().desc()
        async with lab.refused(InvalidQueryError):
            await tallies.aggregate(count(), by=Specimen.attributes)  # type: ignore[arg-type]


@case("GROUP-2", "ORDER-2", "FIND-1")
async def groups_come_along_their_aggregates(lab: Lab) -> None:
    await _tallies(lab)
    tallies = lab.repository(Tally)
    total = Tally.total.sum()
    assert await tallies.aggregate(total, by=Tally.maybe, order_by=total.desc()) == [
        (3, 2**63), (2, 2**62 + 4), (1, 7), (None, -1)
    ]  # fmt: skip
    assert await tallies.aggregate(
        count(), by=Tally.maybe, order_by=[count().desc(), Tally.maybe.desc().nulls_first()]
    ) == [(2, 3), (3, 2), (1, 2), (None, 1)]
    ties = await tallies.aggregate(count(), by=Tally.maybe, order_by=count(), limit=2)
    assert ties == [(None, 1), (1, 2)], "then along the groups"
    assert await tallies.aggregate(count(), by=Tally.maybe, limit=0) == []
    last = await tallies.aggregate(
        Tally.id.max(), by=[Tally.maybe, Tally.ratio], order_by=Tally.amount.max().desc(), limit=2
    )
    assert last == [(None, 0.0, "t7"), (3, 0.0, "t6")]
    async with lab.unchanged():
        not_of_groups: list[Any] = [Tally.total, Tally.id.asc(), Author.born.sum().desc(), "total"]
        for order in not_of_groups:
            async with lab.refused(InvalidQueryError):
                await tallies.aggregate(count(), by=Tally.maybe, order_by=order)
        async with lab.refused(InvalidQueryError):
            await tallies.aggregate(count(), order_by=count())
        async with lab.refused(InvalidQueryError):
            await tallies.aggregate(count(), limit=1)


@case("GROUP-3", "AGG-1")
async def different_values_are_counted(lab: Lab) -> None:
    await _tallies(lab)
    tallies = lab.repository(Tally)
    found = await tallies.aggregate(
        Tally.maybe.count_distinct(), Tally.total.count_distinct(), Tally.id.count_distinct()
    )
    assert found == [(3, 6, 8)]
    assert await tallies.aggregate(
        Tally.total.count_distinct(), by=Tally.maybe, having=Tally.total.count_distinct() == 1
    ) == [(3, 1), (None, 1)]
    specimens = lab.repository(Specimen)
    await specimens.add_many([Specimen(text=each) for each in ("a", "A", "a ", "a")])
    assert await specimens.aggregate(Specimen.text.count_distinct()) == [(3,)]
    async with lab.refused(InvalidQueryError):
        Specimen.attributes.count_distinct()


@case("GROUP-3", needs=(StoreCapability.PERCENTILES,))
async def percentiles_lie_between_values(lab: Lab) -> None:
    await _tallies(lab)
    tallies = lab.repository(Tally)
    middle, most = Tally.total.percentile(0.5), Tally.total.percentile(0.9)
    small = await tallies.aggregate(
        middle, most, Tally.maybe.percentile(0), Tally.ratio.percentile(1), where=Tally.total < 9
    )
    assert small == [(2.0, 4.6, 1.0, 1.0)]
    assert await tallies.aggregate(middle, where=Tally.id == "x") == [(None,)]
    assert await tallies.aggregate(
        middle, by=Tally.maybe, having=middle < 2**61, order_by=middle.desc()
    ) == [(2, 4.0), (1, 3.5), (None, -1.0)]
    async with lab.unchanged():
        no_fractions: list[Any] = [-0.1, 1.5, True, "0.5"]
        for wrong in no_fractions:
            async with lab.refused(InvalidQueryError):
                Tally.total.percentile(wrong)
        async with lab.refused(InvalidQueryError):
            Tally.id.percentile(0.5)  # type: ignore[misc]


_MOMENTS = (
    datetime(2024, 3, 30, 21, 59, 59, 999999, UTC),
    datetime(2024, 3, 30, 22, 0, 0, 0, UTC),
    datetime(2024, 3, 31, 0, 30, 0, 0, UTC),
    datetime(2024, 3, 31, 1, 30, 0, 0, UTC),
    datetime(2024, 3, 31, 20, 59, 59, 0, UTC),
    datetime(2024, 10, 27, 0, 15, 0, 0, UTC),
    datetime(2024, 10, 27, 1, 15, 0, 0, UTC),
    datetime(2024, 12, 30, 23, 0, 0, 5, UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999999, UTC),
)


@case("GROUP-4")
async def rows_are_grouped_by_the_hour_day_week_month_or_year(lab: Lab) -> None:
    specimens = lab.repository(Specimen)
    await specimens.add_many([Specimen(moment=each, maybe_moment=each) for each in _MOMENTS])
    moment = Specimen.moment
    assert await specimens.aggregate(count(), by=moment.truncated("day")) == [
        (date(1969, 12, 31), 1), (date(2024, 3, 30), 2), (date(2024, 3, 31), 3),
        (date(2024, 10, 27), 2), (date(2024, 12, 30), 1),
    ]  # fmt: skip
    assert await specimens.aggregate(
        count(), by=moment.truncated("week"), order_by=count().desc(), limit=2
    ) == [(date(2024, 3, 25), 5), (date(2024, 10, 21), 2)]
    assert await specimens.aggregate(count(), by=moment.truncated("month"), having=count() > 1) == [
        (date(2024, 3, 1), 5), (date(2024, 10, 1), 2)
    ]  # fmt: skip
    assert await specimens.aggregate(count(), by=moment.truncated("year")) == [
        (date(1969, 1, 1), 1), (date(2024, 1, 1), 8)
    ]  # fmt: skip
    hours = await specimens.aggregate(count(), by=moment.truncated("hour"), limit=2)
    assert hours == [
        (datetime(1969, 12, 31, 23, tzinfo=UTC), 1), (datetime(2024, 3, 30, 21, tzinfo=UTC), 1)
    ]  # fmt: skip
    await specimens.add(Specimen(maybe_moment=None))
    day = Specimen.maybe_moment.truncated("day")
    assert await specimens.select(day, distinct=True, order_by=day.desc(), limit=2) == [
        (date(2024, 12, 30),), (date(2024, 10, 27),)
    ]  # fmt: skip
    assert await specimens.count(day < date(2024, 3, 31)) == 3
    assert await specimens.count(~(day == date(2024, 3, 31))) == 7
    page = await specimens.page(order_by=[day, moment.desc()], size=3)
    rest = await specimens.page(order_by=[day, moment.desc()], size=9, cursor=page.next)
    assert [each.maybe_moment for each in (*page, *rest)][:4] == [
        _MOMENTS[8], _MOMENTS[1], _MOMENTS[0], _MOMENTS[4]
    ]  # fmt: skip
    assert rest.items[-1].maybe_moment is None
    async with lab.unchanged():
        for unit, zone in (("minute", "UTC"), ("day", "Nowhere"), ("day", ""), ("day", 2)):
            async with lab.refused(InvalidQueryError):
                moment.truncated(unit, zone=zone)  # type: ignore[call-overload]
        async with lab.refused(InvalidQueryError):
            Specimen.day.truncated("day")  # type: ignore[misc]


@case("GROUP-4", needs=(StoreCapability.TIME_ZONES,))
async def a_day_is_that_of_the_zones_clocks(lab: Lab) -> None:
    specimens = lab.repository(Specimen)
    await specimens.add_many([Specimen(moment=each) for each in _MOMENTS])
    moment = Specimen.moment
    assert await specimens.aggregate(
        count(), by=moment.truncated("day", zone="Europe/Athens"), having=count() > 1
    ) == [(date(2024, 3, 31), 4), (date(2024, 10, 27), 2)]
    years = await specimens.aggregate(count(), by=moment.truncated("year", zone="Asia/Tokyo"))
    assert years == [(date(1970, 1, 1), 1), (date(2024, 1, 1), 8)]
    autumn = moment.truncated("hour", zone="Europe/Athens")
    october = moment.truncated("month", zone="Europe/Athens") == date(2024, 10, 1)
    assert await specimens.select(autumn, where=october, order_by=moment) == [
        (datetime(2024, 10, 27, 0, tzinfo=UTC),), (datetime(2024, 10, 27, 1, tzinfo=UTC),)
    ], "the hour that the clocks strike twice is two"  # fmt: skip
    half = await specimens.select(
        moment.truncated("hour", zone="Asia/Kolkata"), order_by=moment.desc(), limit=1
    )
    assert half == [(datetime(2024, 12, 30, 22, 30, tzinfo=UTC),)]


@case("GROUP-4", needs=(StoreCapability.TIME_ZONES,))
async def what_a_zones_calendar_has_no_day_for_is_in_its_first_or_last(lab: Lab) -> None:
    specimens = lab.repository(Specimen)
    first = datetime(1, 1, 1, 0, 0, 30, tzinfo=UTC)
    last = datetime.max.replace(tzinfo=UTC)
    await specimens.add_many([Specimen(moment=each, maybe_moment=each) for each in (first, last)])
    await specimens.add(Specimen(moment=MOMENT))
    for moment in (Specimen.moment, Specimen.maybe_moment):
        for zone, at, outside in (
            ("Asia/Tokyo", last, {"day": date.max, "week": date(9999, 12, 27)}),
            ("America/New_York", first, {"day": date.min, "month": date.min, "year": date.min}),
        ):
            for unit, day in outside.items():
                found = await specimens.select(
                    moment.truncated(unit, zone=zone),  # type: ignore[call-overload]
                    where=moment == at,
                )
                assert found == [(day,)], (zone, unit)
    hour = Specimen.moment.truncated("hour", zone="Europe/London")
    hours = await specimens.select(hour, order_by=Specimen.moment)
    assert [hours[0], hours[-1]] == [
        (datetime(1, 1, 1, tzinfo=UTC),), (datetime(9999, 12, 31, 23, tzinfo=UTC),)
    ], "the clocks of London were 75 seconds behind, in the year 0"  # fmt: skip
    nowhere = Specimen.maybe_moment.truncated("day", zone="Asia/Tokyo")
    assert await specimens.count(nowhere.is_null()) == 1


@case("DISTINCT-1", "SELECT-1", "ORDER-2")
async def a_selection_can_be_of_different_values(lab: Lab) -> None:
    await _tallies(lab)
    tallies = lab.repository(Tally)
    assert await tallies.select(Tally.maybe, distinct=True) == [(1,), (2,), (3,), (None,)]
    down = [Tally.maybe.desc().nulls_first()]
    assert await tallies.select(Tally.maybe, distinct=True, order_by=down, limit=2, offset=1) == [
        (3,), (2,)
    ]  # fmt: skip
    both = await tallies.select(
        Tally.maybe, Tally.total, distinct=True, where=Tally.maybe > 1, order_by=Tally.total.desc()
    )
    assert both == [(2, 2**62), (3, 2**62), (2, 4), (2, 0)]
    async with lab.unchanged():
        for order in (Tally.total, Tally.id.desc()):
            async with lab.refused(InvalidQueryError):
                await tallies.select(Tally.maybe, distinct=True, order_by=order)
        async with lab.refused(InvalidQueryError):
            await lab.repository(Specimen).select(Specimen.attributes, distinct=True)
