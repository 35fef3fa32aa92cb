"""JSON: type and value are kept, told apart, and found by path."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from holdfast.errors import InvalidQueryError, InvalidValueError
from holdfast.records.conformance.case import case
from holdfast.records.conformance.lab import same
from holdfast.records.conformance.sample_entities import Camera, GridPoint, Specimen

if TYPE_CHECKING:
    from holdfast.records.conformance.lab import Lab

SCALARS: dict[str, object] = {
    "one": 1,
    "true": True,
    "text one": "1",
    "half": 1.5,
    "zero": 0,
    "false": False,
    "empty": "",
    "none": None,
    "list": [1],
    "object": {"a": 1},
    "no list": [],
    "no object": {},
    "most": 2**63 - 1,
    "least": -(2**63),
    "big": 2**53 + 1,
    "tiny": 5e-324,
    "text true": "true",
    "text null": "null",
    "wide": "\U0001f3a5 e\u0301 \"'\\",
}


def _equal(left: object, right: object) -> bool:
    """Return whether two JSON values are equal in type and value; numbers are one type."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return left == right
    return same(left, right)


async def _scalars(lab: Lab) -> None:
    await lab.repository(Specimen).add_many(
        [Specimen(text=name, attributes={"v": value}) for name, value in SCALARS.items()]
        + [Specimen(text="missing"), Specimen(text="deeper", attributes={"w": {"v": 1}})]
    )


async def _names(lab: Lab, predicate: object) -> set[str]:
    return {each.text for each in await lab.repository(Specimen).find(predicate)}  # type: ignore[arg-type]


@case("JSON-1")
async def json_keeps_type_and_value(lab: Lab) -> None:
    repository = lab.repository(Specimen)
    documents: list[dict[str, object]] = [
        {"v": value, "nested": {"list": [value, [value]]}} for value in SCALARS.values()
    ]
    documents += [
        {"": 1, "a.b": 2, "a b": 3, "$": 4, "[0]": 5, '"': 6, "\u00e9": 7, "\U0001f3a5": 8},
        {"deep": [[[[[[[[[[{"end": None}]]]]]]]]]]},
        {"float": 1.0, "int": 1},
        {"many": list(range(2000))},
    ]
    for document in documents:
        given = await repository.add(Specimen(attributes=document, items=[document]))
        found = await repository.get_one(given.id)
        assert same(found.attributes, document), (found.attributes, document)
        assert same(found.items, [document])


@case("JSON-2")
async def json_is_equal_in_type_and_value_whatever_the_order_of_names(lab: Lab) -> None:
    await _scalars(lab)
    for value in SCALARS.values():
        expected = {name for name, other in SCALARS.items() if _equal(value, other)}
        assert await _names(lab, Specimen.attributes == {"v": value}) == expected, value
    repository = lab.repository(Specimen)
    await repository.add(Specimen(text="two", attributes={"a": 1, "b": [{"c": 2, "d": 3}]}))
    assert await _names(lab, Specimen.attributes == {"b": [{"d": 3, "c": 2}], "a": 1}) == {"two"}
    assert await _names(lab, Specimen.attributes == {"b": [{"d": 3, "c": 2}]}) == set()
    assert await _names(lab, Specimen.attributes == {"a": True, "b": [{"c": 2, "d": 3}]}) == set()


@case("JSON-2", "NULL-1")
async def a_path_compares_in_type_and_value(lab: Lab) -> None:
    await _scalars(lab)
    everybody = {*SCALARS, "missing", "deeper"}
    path = Specimen.attributes["v"]
    for value in SCALARS.values():
        if value is None:
            continue
        expected = {name for name, other in SCALARS.items() if _equal(value, other)}
        assert await _names(lab, path == value) == expected, value
        assert await _names(lab, path != value) == everybody - expected, value
        assert await _names(lab, path.in_([value])) == expected, value
        assert await _names(lab, path.not_in([value])) == everybody - expected, value
    assert await _names(lab, path == 1.0) == {"one"}


@case("JSON-3", "NULL-3")
async def a_path_that_leads_nowhere_is_null(lab: Lab) -> None:
    await _scalars(lab)
    path = Specimen.attributes["v"]
    assert await _names(lab, path.is_null()) == {"none", "missing", "deeper"}
    assert await _names(lab, path == None) == {"none", "missing", "deeper"}  # noqa: E711
    assert await _names(lab, path.in_([None, 1])) == {"none", "missing", "deeper", "one"}
    assert await _names(lab, Specimen.attributes["w"]["v"] == 1) == {"deeper"}
    assert await _names(lab, path[0] == 1) == {"list"}
    assert await _names(lab, path["a"] == 1) == {"object"}
    assert await _names(lab, path["0"] == 1) == set()
    assert await _names(lab, path[1].is_null()) == {*SCALARS, "missing", "deeper"}
    assert await _names(lab, Specimen.maybe_attributes["v"].is_null()) == {
        *SCALARS, "missing", "deeper"
    }  # fmt: skip


@case("JSON-3")
async def a_path_goes_by_any_name(lab: Lab) -> None:
    repository = lab.repository(Specimen)
    names = [
        "",
        "a.b",
        "a b",
        "$",
        "[0]",
        '"',
        "'",
        "\u00e9",
        "\U0001f3a5",
        "0",
        "#",
        "*",
        "a\\b",
        "?",
    ]
    for name in names:
        await repository.add(Specimen(text=name, attributes={name: "here"}))
    for name in names:
        assert await _names(lab, Specimen.attributes[name] == "here") == {name}
    await repository.add(Specimen(text="list", items=["a", ["b"]]))
    assert await _names(lab, Specimen.items[1][0] == "b") == {"list"}


@case("JSON-4")
async def only_numbers_and_texts_have_an_order_in_json(lab: Lab) -> None:
    await _scalars(lab)
    path = Specimen.attributes["v"]
    numbers = {"one", "half", "zero", "most", "least", "big", "tiny"}
    below_two = {"one", "half", "zero", "least", "tiny"}
    assert await _names(lab, path < 2) == below_two
    assert await _names(lab, path >= 2) == numbers - below_two
    assert await _names(lab, path > 2**53) == {"most", "big"}
    assert await _names(lab, path > "1") == {"text true", "text null", "wide"}
    assert await _names(lab, path <= "1") == {"text one", "empty"}
    assert await _names(lab, path.contains("u")) == {"text true", "text null"}
    assert await _names(lab, path.startswith("1")) == {"text one"}
    assert await _names(lab, path.endswith("e")) == {"text true"}
    assert await _names(lab, path.iequals("TRUE")) == {"text true"}
    assert await _names(lab, path.icontains("ULL")) == {"text null"}


@case("JSON-4")
async def json_itself_has_no_order(lab: Lab) -> None:
    async with lab.refused(InvalidQueryError):
        Specimen.attributes.asc()
    async with lab.refused(InvalidQueryError):
        _ = Specimen.attributes < {}
    async with lab.refused(InvalidQueryError):
        _ = Specimen.attributes["a"] < True
    async with lab.refused(InvalidQueryError):
        _ = Specimen.text["a"]
    async with lab.refused(InvalidQueryError):
        _ = Specimen.items[-1]


@case("JSON-5")
async def what_is_no_json_is_refused_with_its_place(lab: Lab) -> None:
    repository = lab.repository(Specimen)
    loop: dict[str, object] = {}
    loop["self"] = loop
    deep: list[object] = []
    for _ in range(200):
        deep = [deep]
    wrong: list[tuple[object, str]] = [
        (float("nan"), "a.b[1]"),
        (float("inf"), "a.b[1]"),
        (2**63, "a.b[1]"),
        ("nul\0", "a.b[1]"),
        ("\ud800", "a.b[1]"),
        ({1, 2}, "a.b[1]"),
        ((1, 2), "a.b[1]"),
        (Decimal(1), "a.b[1]"),
        (b"bytes", "a.b[1]"),
        ({1: "int key"}, "a.b[1]"),
        ({"\0": 1}, "a.b[1]"),
        (loop, "a.b[1]"),
        (deep, "a.b[1]"),
    ]
    async with lab.unchanged():
        for value, place in wrong:
            async with lab.refused(InvalidValueError) as caught:
                await repository.add(Specimen(attributes={"a": {"b": [0, value]}}))
            assert caught.error.field == "attributes"
            assert place in caught.error.reason, caught.error
        wholes: tuple[object, ...] = ([], "text", 1, None)
        for whole in wholes:
            bad = Specimen()
            vars(bad)["attributes"] = whole
            async with lab.refused(InvalidValueError):
                await repository.add(bad)
        async with lab.refused(InvalidValueError):
            _ = Specimen.attributes["a"] == float("nan")


@case("JSON-6")
async def dataclasses_and_models_are_kept_as_json(lab: Lab) -> None:
    repository = lab.repository(Specimen)
    given = await repository.add(
        Specimen(point=GridPoint(1.5, 2.0, "corner"), camera=Camera(name="rear", tags=["x"]))
    )
    found = await repository.get_one(given.id)
    assert type(found.point) is GridPoint
    assert type(found.camera) is Camera
    assert found.maybe_point is None
    assert await repository.count(Specimen.point["label"] == "corner") == 1
    assert await repository.count(Specimen.point["x"] > 1) == 1
    assert await repository.count(Specimen.camera["tags"][0] == "x") == 1
    assert await repository.count(Specimen.camera["port"] == 554) == 1
    assert await repository.count(Specimen.point == GridPoint(1.5, 2.0, "corner")) == 1
    assert await repository.count(Specimen.point == GridPoint(1.5, 2.0)) == 0
