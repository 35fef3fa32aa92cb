"""Predicates and reads: two-valued logic, and every verb that asks."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from holdfast.errors import InvalidQueryError, MultipleFoundError, NotFoundError
from holdfast.records.conformance.case import case
from holdfast.records.conformance.sample_entities import (
    MOMENT,
    Author,
    Book,
    Colour,
    Level,
    Note,
    Setting,
    Specimen,
    Tally,
)
from holdfast.records.expressions.predicates import everything
from holdfast.uuid7 import uuid7

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.records.conformance.lab import Lab
    from holdfast.records.expressions.predicates import Order, Predicate
    from holdfast.records.repository import Repository


async def _numbers(lab: Lab, *numbers: int | None) -> None:
    await lab.repository(Specimen).add_many([Specimen(maybe_number=each) for each in numbers])


async def _found(lab: Lab, predicate: Predicate) -> list[int | None]:
    found = await lab.repository(Specimen).find(
        predicate, order_by=Specimen.maybe_number.asc().nulls_first()
    )
    return [each.maybe_number for each in found]


@case("NULL-1")
async def every_row_fits_a_predicate_or_its_negation(lab: Lab) -> None:
    repository = lab.repository(Specimen)
    await repository.add_many(
        [
            Specimen(
                label=label, maybe_number=number, attributes={} if number is None else {"n": number}
            )
            for label in (None, "", "a", "B")
            for number in (None, 0, 1)
        ]
    )
    atoms = (
        Specimen.maybe_number == 1,
        Specimen.maybe_number != 1,
        Specimen.maybe_number < 1,
        Specimen.maybe_number >= 0,
        Specimen.maybe_number.in_([0, 1]),
        Specimen.maybe_number.in_([]),
        Specimen.maybe_number.in_([None, 0]),
        Specimen.maybe_number.not_in([0]),
        Specimen.maybe_number.between(0, 0),
        Specimen.maybe_number.is_null(),
        Specimen.label.contains("a"),
        Specimen.label.iequals("b"),
        Specimen.label.startswith(""),
        Specimen.attributes["n"] == 1,
        Specimen.attributes["n"] > 0,
        Specimen.attributes["n"].is_null(),
        everything(),
    )
    everyone = await repository.count()

    async def ids(predicate: Predicate) -> set[object]:
        return {key for (key,) in await repository.select(Specimen.id, where=predicate)}

    async def fits_or_not(predicate: Predicate) -> None:
        fitting, other = await ids(predicate), await ids(~predicate)
        assert not fitting & other, predicate
        assert len(fitting) + len(other) == everyone, predicate

    for left in atoms:
        await fits_or_not(left)
        for predicate in (left, ~left):
            fitting = await ids(predicate)
            assert {each.id for each in await repository.find(predicate)} == fitting, predicate
            assert await repository.count(predicate) == len(fitting), predicate
            assert await repository.exists(predicate) is bool(fitting), predicate
        for right in _one_of_each_way_to_ask:
            await fits_or_not(left & right)
            await fits_or_not(left | ~right)


_one_of_each_way_to_ask = (
    Specimen.maybe_number < 1,  # a column that may be null
    Specimen.label.contains("a"),  # text in one
    Specimen.attributes["n"] > 0,  # a place in JSON that may be missing
    Specimen.maybe_number.in_([]),  # nothing
    everything(),
)


@case("NULL-2")
async def a_comparison_with_a_null_is_false_and_its_negation_true(lab: Lab) -> None:
    await _numbers(lab, None, 1, 2)
    number = Specimen.maybe_number
    assert await _found(lab, number == 1) == [1]
    assert await _found(lab, number != 1) == [None, 2]
    assert await _found(lab, ~(number == 1)) == [None, 2]
    assert await _found(lab, number < 2) == [1]
    assert await _found(lab, ~(number < 2)) == [None, 2]
    assert await _found(lab, ~(number >= 2)) == [None, 1]
    assert await _found(lab, number.not_in([1])) == [None, 2]
    assert await _found(lab, ~number.between(1, 1)) == [None, 2]
    assert await _found(lab, ~(number < 2) & ~(number > 1)) == [None]


@case("NULL-3")
async def none_stands_for_null_where_it_has_a_meaning(lab: Lab) -> None:
    await _numbers(lab, None, 1, 2)
    number = Specimen.maybe_number
    assert await _found(lab, number == None) == [None]  # noqa: E711
    assert await _found(lab, number != None) == [1, 2]  # noqa: E711
    assert await _found(lab, number.in_([None, 2])) == [None, 2]
    assert await _found(lab, number.not_in([None, 2])) == [1]
    assert await _found(lab, number.in_([])) == []
    assert await _found(lab, number.not_in([])) == [None, 1, 2]
    assert await _found(lab, number.in_([None])) == [None]
    async with lab.refused(InvalidQueryError):
        _ = number < None


@case("QUERY-1")
async def predicates_combine(lab: Lab) -> None:
    await _numbers(lab, None, 1, 2, 3, 4)
    number = Specimen.maybe_number
    one, two, three = number == 1, number == 2, number == 3
    assert await _found(lab, one | two & three) == [1]
    assert await _found(lab, (one | two) & ~two) == [1]
    assert await _found(lab, ~(one | two)) == [None, 3, 4]
    assert await _found(lab, ~~one) == [1]
    assert await _found(lab, ~everything()) == []
    assert await _found(lab, number.between(2, 3)) == [2, 3]
    assert await _found(lab, number.between(3, 2)) == []
    repository = lab.repository(Specimen)
    found = await repository.find(number > 1, number < 4, number != 3)
    assert [each.maybe_number for each in found] == [2]
    many = number.in_([*range(3000), 3])
    assert await _found(lab, many) == [1, 2, 3, 4]
    deep = one
    for _ in range(60):
        deep = ~(deep & two) | three
    assert await repository.count(deep) + await repository.count(~deep) == 5
    wide = one
    for value in range(2000):
        wide = wide | (number == value)
    assert await _found(lab, wide) == [1, 2, 3, 4]
    for _ in range(45):
        deep = ~deep | two
    async with lab.refused(InvalidQueryError):
        await repository.count(deep)


@case("QUERY-1", "ORDER-1", "FIND-1")
async def keys_and_indexed_fields_answer_as_any_others(lab: Lab) -> None:
    """Whatever a backend takes a short cut for: the key, references, the heads of indexes."""
    writers = [await lab.repository(Author).add(Author(name=name)) for name in "ab"]
    repository = lab.repository(Book)
    stored = [
        await repository.add(
            Book(
                title=title,
                author_id=writers[number % 2].id,
                editor_id=None if number % 3 else writers[0].id,
            )
        )
        for number, title in enumerate(("m", "b", "m", "a", "m", "z", "b", "m"))
    ]
    middle = stored[4]
    first = writers[0].id
    conditions: list[tuple[Predicate, Callable[[Book], bool]]] = [
        (Book.id == middle.id, lambda each: each.id == middle.id),
        (Book.id != middle.id, lambda each: each.id != middle.id),
        (Book.id < middle.id, lambda each: each.id < middle.id),
        (Book.id <= middle.id, lambda each: each.id <= middle.id),
        (Book.id > middle.id, lambda each: each.id > middle.id),
        (Book.id >= middle.id, lambda each: each.id >= middle.id),
        (Book.id.in_([middle.id, stored[0].id]), lambda each: each.id in (middle.id, stored[0].id)),
        (Book.author_id == first, lambda each: each.author_id == first),
        (Book.editor_id == first, lambda each: each.editor_id == first),
        (Book.editor_id.is_null(), lambda each: each.editor_id is None),
        (
            (Book.author_id == first) & (Book.title >= "m"),
            lambda each: each.author_id == first and each.title >= "m",
        ),
        (
            (Book.author_id == first) & (Book.title < "m") & (Book.id == middle.id),
            lambda each: each.author_id == first and each.title < "m" and each.id == middle.id,
        ),
        (
            (Book.author_id == first) & (Book.title == "m") & (Book.id > stored[0].id),
            lambda each: each.author_id == first and each.title == "m" and each.id > stored[0].id,
        ),
    ]
    orders: list[tuple[list[Order], Callable[[Book], tuple[str | int, ...]], bool]] = [
        ([], lambda each: (each.id,), False),
        ([Book.id.desc()], lambda each: (each.id,), True),
        ([Book.title.asc()], lambda each: (each.title, each.id), False),
        ([Book.title.desc()], lambda each: (each.title, each.id), True),
    ]
    for predicate, holds in conditions:
        fitting = [each for each in stored if holds(each)]
        assert await repository.count(predicate) == len(fitting), predicate
        for order, place, backwards in orders:
            wanted = [each.id for each in sorted(fitting, key=place, reverse=backwards)]
            found = await repository.find(predicate, order_by=order)
            assert [each.id for each in found] == wanted, (predicate, order)
            part = await repository.find(predicate, order_by=order, limit=2, offset=1)
            assert [each.id for each in part] == wanted[1:3], (predicate, order)
            page = await repository.page(predicate, order_by=order, size=2)
            met = [each.id for each in page]
            while page.next is not None:
                page = await repository.page(predicate, order_by=order, size=2, cursor=page.next)
                met += [each.id for each in page]
            assert met == wanted, (predicate, order)


@case("QUERY-1", "ORDER-3")
async def every_type_compares_in_its_own_order(lab: Lab) -> None:
    repository = lab.repository(Specimen)
    low = Specimen()
    high = Specimen(
        flag=True,
        number=10,
        ratio=10.5,
        text="b",
        data=b"\xff",
        amount=low.amount + 10,
        moment=MOMENT + timedelta(microseconds=1),
        day=low.day + timedelta(days=1),
        at=low.at.replace(microsecond=1),
        span=timedelta(days=10),
        token=UUID(int=2**127),
        level=Level.HIGH,
    )
    lowest = Specimen(
        number=-9,
        ratio=-9.5,
        data=b"",
        amount=low.amount - 9,
        moment=MOMENT.replace(year=904),
        day=low.day.replace(year=999, day=1),
        span=timedelta(microseconds=-1),
        colour=Colour.GREEN,
    )
    await repository.add_many([low, high, lowest])
    for name in (
        "flag",
        "number",
        "ratio",
        "text",
        "data",
        "amount",
        "moment",
        "day",
        "at",
        "span",
        "token",
        "level",
    ):
        field = getattr(Specimen, name)
        found = await repository.find(field > getattr(low, name))
        assert [each.id for each in found] == [high.id], name
        assert await repository.count(field <= getattr(low, name)) == 2, name
        found = await repository.find(order_by=field.desc())
        assert found[0].id == high.id, name
        values = [getattr(each, name) for each in found]
        assert values == sorted(values, reverse=True), name
    by_colour = await repository.find(order_by=Specimen.colour.asc())
    assert by_colour[0].id == lowest.id, "an enum is ordered by its value"


@case("GET-1")
async def get_finds_by_key(lab: Lab) -> None:
    repository = lab.repository(Note)
    assert await repository.get(1) is None
    async with lab.refused(NotFoundError) as caught:
        await repository.get_one(7)
    assert (caught.error.entity, caught.error.key) == ("Note", 7)
    tallies = lab.repository(Tally)
    await tallies.add_many([Tally(id=each) for each in "abc"])
    found = await tallies.get("b")
    assert found is not None
    assert found.id == "b"
    many = await tallies.get_many(["c", "x", "a", "c", "b"])
    assert [None if each is None else each.id for each in many] == ["c", None, "a", "c", "b"]
    assert await tallies.get_many([]) == []
    lots = await tallies.get_many([f"k{number}" for number in range(5000)] + ["a"])
    assert len(lots) == 5001
    assert lots[-1] is not None


@case("FIND-1")
async def limit_and_offset_cut_the_result(lab: Lab) -> None:
    repository = lab.repository(Setting)
    await repository.add_many([Setting(name=each) for each in "abcdefg"])

    async def names(limit: int | None, offset: int) -> str:
        return "".join(each.name for each in await repository.find(limit=limit, offset=offset))

    for limit in (None, 0, 1, 3, 7, 100):
        for offset in (0, 1, 3, 6, 7, 100):
            end = None if limit is None else offset + limit
            assert await names(limit, offset) == "abcdefg"[offset:end], (limit, offset)
    assert await names(2**62, 2**62) == ""
    for bad in (-1, True, "1", 1.5):
        async with lab.refused(InvalidQueryError):
            await repository.find(limit=bad)  # type: ignore[arg-type]
        async with lab.refused(InvalidQueryError):
            await repository.find(offset=bad)  # type: ignore[arg-type]


@case("FIND-2")
async def first_and_one_pick_a_single_row(lab: Lab) -> None:
    repository = lab.repository(Setting)
    assert await repository.first() is None
    async with lab.refused(NotFoundError) as missing:
        await repository.one()
    assert missing.error.key is None
    await repository.add_many([Setting(name=each, value=each * 2) for each in "abc"])
    first = await repository.first(order_by=Setting.name.desc())
    assert first is not None
    assert first.name == "c"
    assert (await repository.one(Setting.value == "bb")).name == "b"
    async with lab.refused(MultipleFoundError):
        await repository.one(Setting.name > "a")
    async with lab.refused(NotFoundError):
        await repository.one(Setting.name > "c")


@case("FIND-3")
async def count_and_exists_see_all_that_fits(lab: Lab) -> None:
    repository = lab.repository(Setting)
    assert await repository.count() == 0
    assert await repository.exists() is False
    await repository.add_many([Setting(name=each) for each in "abcdefghijkl"])
    assert await repository.count() == 12
    assert await repository.count(Setting.name > "b", Setting.name != "d") == 9
    assert await repository.exists(Setting.name == "l") is True
    assert await repository.exists(Setting.name == "m") is False
    assert await repository.exists(Setting.name.in_([])) is False


@case("QUERY-2")
async def a_foreign_field_is_refused(lab: Lab) -> None:
    repository: Repository[Any] = lab.repository(Setting)
    await repository.add(Setting(name="a"))
    foreign: Predicate = Author.name == "x"
    nested = (Setting.name == "a") & ~(foreign | (Setting.name == "b"))
    async with lab.unchanged():
        for predicate in (foreign, nested, ~foreign, Tally.id == "a", Author.name.in_([])):
            for ask in (
                repository.find,
                repository.first,
                repository.one,
                repository.page,
                repository.count,
                repository.exists,
                repository.delete_where,
            ):
                async with lab.refused(InvalidQueryError):
                    await ask(predicate)
            async with lab.refused(InvalidQueryError):
                await repository.update_where(predicate, changes=[Setting.value.to("x")])
            async with lab.refused(InvalidQueryError):
                await repository.patch("a", Setting.value.to("x"), when=predicate)
            async with lab.refused(InvalidQueryError):
                _ = [each async for each in repository.stream(predicate)]
        async with lab.refused(InvalidQueryError):
            await repository.find(order_by=Author.name.asc())
        async with lab.refused(InvalidQueryError):
            await repository.patch("a", Author.name.to("x"))
        async with lab.refused(InvalidQueryError):
            await repository.upsert(Setting(name="a"), on=[Author.name])
        async with lab.refused(InvalidQueryError):
            await repository.add(Author(name="x"))
        async with lab.refused(InvalidQueryError):
            await repository.update(Tally(id="a"))


@case("QUERY-3")
async def what_is_no_predicate_is_refused(lab: Lab) -> None:
    repository = lab.repository(Setting)
    await repository.add(Setting(name="a"))
    for wrong in (True, False, None, "name = 'a'", 1, Setting.name):
        async with lab.refused(InvalidQueryError):
            await repository.find(wrong)  # type: ignore[arg-type]
        async with lab.refused(InvalidQueryError):
            await repository.delete_where(wrong)  # type: ignore[arg-type]
    for combine in (
        lambda: (Setting.name == "a") and (Setting.name == "b"),
        lambda: not (Setting.name == "a"),
        lambda: (Setting.name == "a") or (Setting.name == "b"),
        lambda: "a" < Setting.name < "c",
    ):
        try:
            combine()
        except TypeError as error:
            assert "& | ~" in str(error)
        else:
            raise AssertionError("a predicate was taken for a truth value")
    async with lab.refused(InvalidQueryError):
        await repository.find(order_by="name")  # type: ignore[arg-type]
    async with lab.refused(InvalidQueryError):
        _ = Setting.name == Tally.total
    async with lab.refused(InvalidQueryError):
        Tally.total.contains("1")
    async with lab.refused(InvalidQueryError):
        Setting.name.contains(1)  # type: ignore[arg-type]


@case("STREAM-1")
async def a_stream_yields_all_in_order_whatever_the_batch(lab: Lab) -> None:
    repository = lab.repository(Specimen)
    await repository.add_many(
        [Specimen(maybe_number=None if each % 5 == 0 else each % 3) for each in range(40)]
    )
    order = [Specimen.maybe_number.desc()]
    expected = [each.id for each in await repository.find(order_by=order)]
    for batch in (1, 7, 39, 40, 41):
        streamed = [each.id async for each in repository.stream(order_by=order, batch=batch)]
        assert streamed == expected, batch
    for bad in (0, -1):
        async with lab.refused(InvalidQueryError):
            _ = [each async for each in repository.stream(batch=bad)]


@case("STREAM-1")
async def rows_may_come_and_go_while_a_stream_runs(lab: Lab) -> None:
    repository = lab.repository(Setting)
    await repository.add_many([Setting(name=f"{each:02}") for each in range(20)])
    seen: list[str] = []
    async for each in repository.stream(order_by=Setting.name.asc(), batch=3):
        seen.append(each.name)
        if each.name == "05":
            await repository.delete_where(Setting.name.in_(["01", "05", "06", "15"]))
            await repository.add_many([Setting(name="000"), Setting(name="195")])
    stays = [f"{each:02}" for each in range(20) if each not in (1, 5, 6, 15)]
    assert [name for name in seen if name in stays] == stays
    assert len(set(seen)) == len(seen)
    whole = [each.name async for each in repository.stream(batch=3)]
    assert sorted(whole) == sorted([*stays, "000", "195"]), "in whatever order, each once"


@case("GET-1", "VALUE-1")
async def a_uuid_that_is_not_there_is_not_found(lab: Lab) -> None:
    repository = lab.repository(Author)
    author = await repository.add(Author(name="a"))
    near = UUID(int=author.id.int ^ 1)
    assert await repository.get_many([near, author.id, uuid7()]) == [None, author, None]
