"""Values: what goes in comes out, in value and type, or is refused at the door."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from holdfast.errors import InvalidValueError
from holdfast.records.conformance.case import case
from holdfast.records.conformance.lab import same
from holdfast.records.conformance.sample_entities import (
    Author,
    Camera,
    Colour,
    GridPoint,
    Level,
    Note,
    Setting,
    Specimen,
    Tally,
)
from holdfast.uuid7 import uuid7

if TYPE_CHECKING:
    from holdfast.records.conformance.lab import Lab
    from holdfast.records.entities.field import Field

MOST, LEAST = 2**63 - 1, -(2**63)
EDGES: dict[str, tuple[object, ...]] = {
    "flag": (True, False),
    "number": (0, -1, 2**31, 2**53 + 1, MOST, LEAST),
    "ratio": (0.1, -1.5, 1e-300, 5e-324, 1.7976931348623157e308, 2.0, float(2**53)),
    "text": (
        "",
        " ",
        "a ",
        "zero\u200bwidth",
        "e\u0301",
        "\u00e9",
        "\U0001f3a5",
        "\n\t\r",
        "x" * 20_000,
    ),
    "data": (b"", b"\0", bytes(range(256)), b"\xff\xfe", b"'"),
    "amount": (
        Decimal("0.00"),
        Decimal("9999999999.99"),
        Decimal("-9999999999.99"),
        Decimal("0.01"),
    ),
    "moment": (
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2024, 2, 29, 0, 0, 0, 1, tzinfo=UTC),
    ),
    "day": (date.min, date.max, date(2024, 2, 29)),
    "at": (time.min, time.max, time(12, 30, 0, 1)),
    "span": (
        timedelta(0),
        timedelta(microseconds=-1),
        timedelta(days=106_000_000),
        timedelta(days=-1, seconds=86_399, microseconds=999_999),
    ),
    "token": (UUID(int=0), UUID(int=2**128 - 1), UUID("00000000-0000-4000-8000-00000000abcd")),
    "colour": tuple(Colour),
    "level": tuple(Level),
    "point": (GridPoint(1.5, -2.0), GridPoint(0.0, 0.0, "origin \U0001f3a5")),
    "camera": (Camera(name=""), Camera(name="rear", port=8554, tags=["a", "a", ""])),
}
NULLABLE = {
    "label": "short",
    "maybe_flag": False,
    "maybe_number": 0,
    "maybe_ratio": 0.0,
    "maybe_data": b"",
    "maybe_amount": Decimal("0.0000"),
    "maybe_moment": datetime(2000, 1, 1, tzinfo=UTC),
    "maybe_day": date(2000, 1, 1),
    "maybe_at": time(0),
    "maybe_span": timedelta(0),
    "maybe_token": UUID(int=0),
    "maybe_colour": Colour.GREEN,
    "maybe_attributes": {},
    "maybe_point": GridPoint(0.0, 0.0),
}


def specimen(**values: object) -> Specimen:
    """Return a specimen with *values* in the named fields, right or wrong."""
    made = Specimen()
    for name, value in values.items():
        setattr(made, name, value)
    return made


@case("VALUE-1", "TEXT-4")
async def every_value_comes_back_in_value_and_type(lab: Lab) -> None:
    repository = lab.repository(Specimen)
    for name, values in EDGES.items():
        for value in values:
            given = specimen(**{name: value})
            added = await repository.add(given)
            found = await repository.get_one(given.id)
            for stored in (added, found):
                assert same(getattr(stored, name), value), (name, value, getattr(stored, name))
            assert added == found


@case("VALUE-1", "NULL-2")
async def every_value_is_found_by_equality(lab: Lab) -> None:
    repository = lab.repository(Specimen)
    for name, values in EDGES.items():
        if name in ("point", "camera"):
            continue
        field = getattr(Specimen, name)
        for value in values:
            given = await repository.add(specimen(**{name: value}))
            keys = [each.id for each in await repository.find(field == value)]
            assert given.id in keys, (name, value)
            assert given.id in [each.id for each in await repository.find(field.in_([value]))]
            assert given.id not in [each.id for each in await repository.find(field != value)]


@case("VALUE-1", "VALUE-7")
async def an_empty_value_is_not_a_missing_one(lab: Lab) -> None:
    repository = lab.repository(Specimen)
    none = await repository.add(Specimen())
    some = await repository.add(specimen(**NULLABLE))
    stored = await repository.get_one(some.id)
    for name, value in NULLABLE.items():
        assert getattr(none, name) is None
        assert same(getattr(stored, name), value), name
        field = getattr(Specimen, name)
        assert [each.id for each in await repository.find(field.is_null())] == [none.id], name
        assert [each.id for each in await repository.find(~field.is_null())] == [some.id], name


@case("VALUE-2")
async def a_moment_is_kept_as_utc_to_the_microsecond(lab: Lab) -> None:
    repository = lab.repository(Specimen)
    tehran = timezone(timedelta(hours=3, minutes=30))
    given = await repository.add(
        Specimen(moment=datetime(2024, 3, 1, 1, 0, 0, 987654, tzinfo=tehran))
    )
    stored = (await repository.get_one(given.id)).moment
    assert stored == datetime(2024, 2, 29, 21, 30, 0, 987654, tzinfo=UTC)
    assert stored.utcoffset() == timedelta(0)
    assert stored.tzinfo is UTC
    assert given.moment.tzinfo is UTC, "what is returned is what is stored"
    same_instant = datetime(2024, 3, 1, 2, 30, 0, 987654, tzinfo=timezone(timedelta(hours=5)))
    assert await repository.count(Specimen.moment == same_instant) == 1
    assert await repository.count(Specimen.moment > same_instant - timedelta(microseconds=1)) == 1
    assert await repository.count(Specimen.moment > same_instant) == 0


@case("VALUE-4")
async def minus_zero_is_zero(lab: Lab) -> None:
    repository = lab.repository(Specimen)
    given = await repository.add(Specimen(ratio=-0.0, amount=Decimal("-0.00")))
    assert same((await repository.get_one(given.id)).ratio, 0.0)
    assert same((await repository.get_one(given.id)).amount, Decimal("0.00"))
    assert await repository.count(Specimen.ratio == 0.0) == 1


@case("VALUE-5")
async def decimals_are_exact_and_have_the_declared_scale(lab: Lab) -> None:
    repository = lab.repository(Specimen)
    given = await repository.add(
        Specimen(amount=Decimal(7), maybe_amount=Decimal("99999999999999.9999"))
    )
    stored = await repository.get_one(given.id)
    assert str(stored.amount) == "7.00"
    assert str(stored.maybe_amount) == "99999999999999.9999"
    near = Specimen.maybe_amount == Decimal("99999999999999.9998")
    assert await repository.count(near) == 0
    assert await repository.count(Specimen.amount == Decimal("7.000")) == 1


WRONG: tuple[tuple[str, object, str], ...] = (
    ("moment", datetime(2024, 1, 1), "VALUE-2"),  # noqa: DTZ001 - what is to be refused
    ("moment", datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5))), "VALUE-2"),
    ("moment", date(2024, 1, 1), "VALUE-8"),
    ("moment", "2024-01-01T00:00:00+00:00", "VALUE-8"),
    ("ratio", float("nan"), "VALUE-4"),
    ("ratio", float("inf"), "VALUE-4"),
    ("ratio", float("-inf"), "VALUE-4"),
    ("ratio", 10**400, "VALUE-4"),
    ("ratio", True, "VALUE-8"),
    ("ratio", Decimal(1), "VALUE-8"),
    ("number", MOST + 1, "VALUE-3"),
    ("number", LEAST - 1, "VALUE-3"),
    ("number", True, "VALUE-8"),
    ("number", 1.0, "VALUE-8"),
    ("number", "1", "VALUE-8"),
    ("number", None, "VALUE-7"),
    ("flag", 1, "VALUE-8"),
    ("flag", None, "VALUE-7"),
    ("text", "nul\0", "VALUE-6"),
    ("text", "lone \ud800", "VALUE-6"),
    ("text", "\udfff", "VALUE-6"),
    ("text", b"bytes", "VALUE-8"),
    ("text", None, "VALUE-7"),
    ("label", "x" * 11, "VALUE-6"),
    ("label", "\U0001f3a5" * 11, "VALUE-6"),
    ("data", b"x" * 1001, "VALUE-6"),
    ("data", "text", "VALUE-8"),
    ("amount", Decimal("0.001"), "VALUE-5"),
    ("amount", Decimal(10000000000), "VALUE-5"),
    ("amount", Decimal("NaN"), "VALUE-5"),
    ("amount", Decimal("Infinity"), "VALUE-5"),
    ("amount", Decimal("sNaN"), "VALUE-5"),
    ("amount", 1.5, "VALUE-8"),
    ("amount", 1, "VALUE-8"),
    ("day", datetime(2024, 1, 1, tzinfo=UTC), "VALUE-8"),
    ("at", time(1, tzinfo=UTC), "VALUE-8"),
    ("span", timedelta.max, "VALUE-3"),
    ("span", 5, "VALUE-8"),
    ("token", "00000000-0000-4000-8000-00000000abcd", "VALUE-8"),
    ("colour", "red", "VALUE-9"),
    ("level", 1, "VALUE-9"),
    ("point", {"x": 1.0, "y": 2.0}, "VALUE-9"),
    ("point", GridPoint(float("nan"), 0.0), "VALUE-9"),
    ("camera", "front", "VALUE-9"),
)


@case(
    "VALUE-2",
    "VALUE-3",
    "VALUE-4",
    "VALUE-5",
    "VALUE-6",
    "VALUE-7",
    "VALUE-8",
    "VALUE-9",
    "VALUE-10",
)
async def a_value_that_can_t_be_kept_is_refused_by_every_write(lab: Lab) -> None:
    repository = lab.repository(Specimen)
    stored = await repository.add(Specimen(text="kept"))
    for name, value, rule in WRONG:
        bad = specimen(**{name: value})
        writes = (
            lambda bad=bad: repository.add(bad),
            lambda bad=bad: repository.add_many([Specimen(), bad]),
            lambda bad=bad: repository.add_many([Specimen(), bad], atomic=False),
            lambda bad=bad: repository.upsert(bad),
        )
        for write in writes:
            try:
                await write()
            except InvalidValueError as error:
                assert (error.entity, error.field) == ("Specimen", name), (rule, error)
                assert error.reason, (rule, error)
            else:
                raise AssertionError(f"{rule}: {name} took {value!r}")
        assert await repository.count() == 1, (rule, name, value)
    for name, value, _rule in WRONG[::5]:
        changed = await repository.get_one(stored.id)
        setattr(changed, name, value)
        async with lab.refused(InvalidValueError):
            await repository.update(changed)


@case("VALUE-10")
async def a_value_that_can_t_be_kept_is_refused_in_predicates_and_changes(lab: Lab) -> None:
    repository = lab.repository(Specimen)
    stored = await repository.add(Specimen())
    async with lab.unchanged():
        for name, value, rule in WRONG:
            field: Field[object] = getattr(Specimen, name)
            if value is not None and name not in ("point", "camera"):
                async with lab.refused(InvalidValueError) as caught:
                    _ = field == value
                assert (caught.error.field, rule) == (name, rule)
                async with lab.refused(InvalidValueError) as caught:
                    field.in_([value])
                assert (caught.error.field, rule) == (name, rule)
            async with lab.refused(InvalidValueError) as caught:
                await repository.patch(stored.id, field.to(value))
            assert caught.error.field == name


@case("VALUE-8")
async def subclasses_are_kept_as_their_plain_type(lab: Lab) -> None:
    class Text(str):
        __slots__ = ()

    class Number(int):
        pass

    repository = lab.repository(Specimen)
    given = await repository.add(Specimen(text=Text("x"), number=Number(5), ratio=3))
    assert same(given.text, "x")
    assert same(given.number, 5)
    assert same(given.ratio, 3.0)


@case("VALUE-7")
async def a_missing_value_is_refused(lab: Lab) -> None:
    repository = lab.repository(Specimen)
    given = Specimen()
    del given.text
    async with lab.refused(InvalidValueError) as caught:
        await repository.add(given)
    assert caught.error.field == "text"


@case("VALUE-11")
async def a_key_is_never_empty_nor_of_another_type(lab: Lab) -> None:
    settings, tallies = lab.repository(Setting), lab.repository(Tally)
    async with lab.refused(InvalidValueError):
        await settings.add(Setting(name=""))
    async with lab.refused(InvalidValueError):
        await tallies.upsert(Tally(id=""))
    async with lab.refused(InvalidValueError):
        await settings.get("")
    async with lab.refused(InvalidValueError):
        await settings.get_many(["a", 5])
    async with lab.refused(InvalidValueError):
        await lab.repository(Specimen).get("00000000-0000-4000-8000-00000000abcd")
    async with lab.refused(InvalidValueError):
        await lab.repository(Note).delete(True)
    async with lab.refused(InvalidValueError):
        await settings.add(Setting(name="x" * 256))


@case("VALUE-1", "TEXT-1")
async def keys_of_every_type_are_told_apart(lab: Lab) -> None:
    settings = lab.repository(Setting)
    names = [
        "a",
        "A",
        "a ",
        " a",
        "\u00e9",
        "e\u0301",
        "\U0001f3a5",
        "%",
        "_",
        "'",
        '"',
        "a\\b",
        "1",
    ]
    for name in names:
        await settings.add(Setting(name=name, value=name))
    for name in names:
        assert (await settings.get_one(name)).value == name
    assert {each.name for each in await settings.find()} == set(names)
    authors = lab.repository(Author)
    author = await authors.add(Author(name="one"))
    assert await authors.get(uuid7()) is None
    assert await authors.get(author.id) == author


@case("COPY-1")
async def what_is_returned_is_a_copy(lab: Lab) -> None:
    repository = lab.repository(Specimen)
    given = Specimen(attributes={"list": [1, {"deep": 1}]}, items=[[1]], point=GridPoint(1.0, 2.0))
    added = await repository.add(given)
    found = await repository.get_one(given.id)
    (listed,) = await repository.find()
    twice = await repository.get_many([given.id, given.id])
    paged = (await repository.page()).items[0]
    (streamed,) = [each async for each in repository.stream()]
    for each in (given, added, found, listed, *twice, paged, streamed):
        assert each is not None
        each.attributes["list"][1]["deep"] = 2  # type: ignore[index]
        each.attributes["new"] = 1
        each.items[0].append(2)  # type: ignore[attr-defined]
        each.point.x = 9.0
        each.camera.tags.append("changed")
        each.text = "changed"
        stored = await repository.get_one(given.id)
        assert stored.attributes == {"list": [1, {"deep": 1}]}
        assert stored.items == [[1]]
        assert stored.point == GridPoint(1.0, 2.0)
        assert stored.camera.tags == []
        assert stored.text == ""


@case("COPY-1")
async def what_a_write_was_given_is_a_copy(lab: Lab) -> None:
    repository = lab.repository(Specimen)
    value: dict[str, object] = {"list": [1]}
    stored = await repository.add(Specimen())
    patched = await repository.patch(stored.id, Specimen.attributes.to(value))
    value["list"].append(2)  # type: ignore[attr-defined]
    patched.attributes.clear()
    assert (await repository.get_one(stored.id)).attributes == {"list": [1]}
    same_value: dict[str, object] = {"list": [1]}
    assert await repository.count(Specimen.attributes == same_value) == 1
    changed = await repository.get_one(stored.id)
    updated = await repository.update(changed)
    changed.attributes["x"] = 1
    updated.attributes["y"] = 1
    assert (await repository.get_one(stored.id)).attributes == {"list": [1]}
    upserted = (await repository.upsert(await repository.get_one(stored.id))).entity
    upserted.attributes["z"] = 1
    assert (await repository.get_one(stored.id)).attributes == {"list": [1]}


@case("COPY-1")
async def two_results_of_one_row_share_nothing(lab: Lab) -> None:
    repository = lab.repository(Specimen)
    given = await repository.add(Specimen(items=[[1]]))
    first, second = await repository.get_many([given.id, given.id])
    assert first is not None
    assert second is not None
    first.items.append(2)
    assert second.items == [[1]]


@case("VALUE-1", "COPY-1")
async def a_whole_float_is_a_float_in_every_answer(lab: Lab) -> None:
    tallies = lab.repository(Tally)
    given = await tallies.add(Tally(id="a", ratio=0.0))
    answers = [
        given,
        (await tallies.upsert(Tally(id="a", ratio=2.0))).entity,
        (await tallies.upsert_many([Tally(id="a", ratio=0.0)]))[0].entity,
        await tallies.patch("a", Tally.ratio.to(3.0)),
        await tallies.patch("a", Tally.ratio.increment(1.0)),
    ]
    last = answers[-1]
    last.ratio = 7.0
    answers += [await tallies.update(last), *await tallies.find()]
    assert [type(each.ratio) for each in answers] == [float] * len(answers)
    ((least, total),) = await tallies.aggregate(Tally.ratio.min(), Tally.ratio.sum())
    assert (type(least), type(total)) == (float, float)
    assert type((await tallies.select(Tally.ratio))[0][0]) is float
