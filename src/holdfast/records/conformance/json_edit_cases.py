"""Changes inside JSON: lists grow and shrink, places are set and removed, and all of it adds up."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from holdfast.errors import InvalidQueryError, InvalidValueError
from holdfast.records.conformance.case import case
from holdfast.records.conformance.lab import same
from holdfast.records.conformance.sample_entities import GridPoint, Specimen
from holdfast.records.expressions.predicates import everything

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from uuid import UUID

    from holdfast.records.conformance.lab import Lab
    from holdfast.records.expressions.field_changes import Change

PLACE = Specimen.attributes["v"]
AT = Specimen.attributes
WIDE = "\U0001f3a5 e\u0301 \"'\\ -%s"
ITEMS: list[object] = [1, True, "1", 1.5, None, {"b": 2, "a": [1]}, WIDE, 1e18, [], {}]
EDITS: list[tuple[Change, object, object]] = [
    (PLACE.append("x"), [1], [1, "x"]),
    (PLACE.append([1]), [], [[1]]),
    (PLACE.append(None), [None], [None, None]),
    (PLACE.append(1.0, if_absent=True), [1], [1]),
    (PLACE.append(1, if_absent=True), [True, "1"], [True, "1", 1]),
    (PLACE.append({"a": 1, "b": 2}, if_absent=True), [{"b": 2, "a": 1}], [{"a": 1, "b": 2}]),
    (PLACE.append(WIDE, if_absent=True), [WIDE], [WIDE]),
    (PLACE.append(2**63 - 1), [2**53 + 1], [2**53 + 1, 2**63 - 1]),
    (PLACE.append("x"), None, ["x"]),
    (PLACE.append("x", if_absent=True), None, ["x"]),
    *((PLACE.remove_item(item), [*ITEMS, item, "z"], [
        each for each in [*ITEMS, "z"] if each is not item
    ]) for item in ITEMS),
    (PLACE.remove_item(1.0), [1, 1, True], [True]),
    (PLACE.remove_item("x"), [], []),
    (PLACE.remove_item("x"), "x", "x"),
    (PLACE.remove_item("x"), None, None),
    (PLACE.remove_item("x"), {"x": "x"}, {"x": "x"}),
    (PLACE[1].to("x"), [1, 2, 3], [1, "x", 3]),
    (PLACE[1].remove(), [1, 2, 3], [1, 3]),
    (PLACE[3].remove(), [1, 2, 3], [1, 2, 3]),
    (PLACE["a"].remove(), [1], [1]),
    (PLACE[0].remove(), {"0": 1}, {"0": 1}),
    (PLACE["a"]["b"].remove(), {"a": 5}, {"a": 5}),
    (PLACE["a"]["b"].remove(), {"a": {"b": 1, "c": 2}}, {"a": {"c": 2}}),
    (PLACE["a"]["b"].to(None), {"c": 1}, {"c": 1, "a": {"b": None}}),
    (PLACE["a"]["b"].to([1.0]), None, {"a": {"b": [1.0]}}),
    (PLACE["a"].append(1), {"a": None}, {"a": [1]}),
    (PLACE[0]["a"].append(1), [{"a": [0]}, 5], [{"a": [0, 1]}, 5]),
    (PLACE[0][0].to(2), [[1, 0]], [[2, 0]]),
]  # fmt: skip


async def _given(lab: Lab, **values: object) -> UUID:
    made = Specimen()
    vars(made).update(values)
    return (await lab.repository(Specimen).add(made)).id


@case("JSON-8", "JSON-9")
async def places_in_json_are_changed_and_the_rest_stays(lab: Lab) -> None:
    repository = lab.repository(Specimen)
    rest = {"one": 1.0, "big": 1e18, "-": "-1", "": [WIDE, {}], "list": [[]]}
    key = await _given(lab)
    for change, before, after in EDITS:
        await repository.patch(key, Specimen.attributes.to({**rest, "v": before}))
        found = await repository.patch(key, change)
        assert same(found.attributes, {**rest, "v": after}), (change, found.attributes)
    stored = await repository.get_one(key)
    assert same(stored.attributes, {**rest, "v": EDITS[-1][2]})


@case("JSON-8")
async def a_place_is_any_name(lab: Lab) -> None:
    repository = lab.repository(Specimen)
    key = await _given(lab)
    expected: dict[str, object] = {}
    for name in ("", "a.b", "$", "[0]", '"', "'", "\\", "-", "-a", "*", "?", "%s", ":a", WIDE):
        place = Specimen.attributes[name]
        expected = {**expected, name: {name: [name, name]}}
        await repository.patch(key, place[name].append(name))
        await repository.patch(key, place[name].append(name, if_absent=True))
        found = await repository.patch(key, place[name].append(name), place["-x"].to(name))
        cast("dict[str, object]", expected[name])["-x"] = name
        assert same(found.attributes, expected), name
    for name in list(expected):
        place = Specimen.attributes[name]
        found = await repository.patch(key, place[name].remove_item(name), place["-x"].remove())
        assert same(found.attributes, {**expected, name: {name: []}}), name
        found = await repository.patch(key, place.remove())
        del expected[name]
        assert same(found.attributes, expected), name


@case("JSON-8", "JSON-9")
async def a_field_that_is_a_list_is_changed_itself(lab: Lab) -> None:
    repository = lab.repository(Specimen)
    key = await _given(lab, items=["a", 1, "a"])
    found = await repository.patch(key, Specimen.items.append("b"))
    assert same(found.items, ["a", 1, "a", "b"])
    found = await repository.patch(key, Specimen.items.append(True, if_absent=True))
    found = await repository.patch(key, Specimen.items.append(1.0, if_absent=True))
    assert same(found.items, ["a", 1, "a", "b", True])
    found = await repository.patch(key, Specimen.items.remove_item("a"))
    assert same(found.items, [1, "b", True])
    found = await repository.patch(key, Specimen.items[1].remove(), Specimen.items[0].to({}))
    assert same(found.items, [{}, True])
    place = Specimen.maybe_attributes["a"]
    found = await repository.patch(key, place.remove_item("x"), place.remove())
    assert found.maybe_attributes is None
    found = await repository.patch(key, place["b"].append(1))
    assert same(found.maybe_attributes, {"a": {"b": [1]}})


@case("JSON-9")
async def what_has_no_such_place_is_refused(lab: Lab) -> None:
    repository = lab.repository(Specimen)
    key = await _given(lab, attributes={"text": "a", "list": [1], "object": {}, "none": None})
    refused: list[Change] = [
        AT["text"].append(1),
        AT["object"].append(1, if_absent=True),
        AT["list"]["a"].to(1),
        AT["text"]["a"]["b"].to(1),
        AT["list"][1].to(1),
        AT["list"][0].append(1),
        AT["none"][0].to(1),
        AT["missing"][0].append(1),
        AT["object"][0].to(1),
        Specimen.maybe_attributes["a"][0].to(1),
    ]
    async with lab.unchanged():
        for change in refused:
            async with lab.refused(InvalidValueError) as caught:
                await repository.patch(key, change)
            assert caught.error.field == change.column.name, change
        async with lab.refused(InvalidValueError):
            await repository.update_where(everything(), changes=refused[0])
        async with lab.refused(InvalidValueError):
            await repository.take(everything(), changes=refused[0], limit=1)


@case("JSON-10")
async def changes_inside_one_field_are_made_in_their_order(lab: Lab) -> None:
    repository = lab.repository(Specimen)
    key = await _given(lab, attributes={"tags": ["a", "b"]}, number=1)
    other = await _given(lab, number=2)
    tags, made = AT["tags"], AT["n"]["m"]
    first: list[Change] = [tags[0].remove(), tags.append("c"), made.to(1), tags[0].to("z")]
    then: list[Change] = [tags.remove_item("c"), made.remove(), tags.append("b", if_absent=True)]
    async with lab.refused(InvalidValueError):
        await repository.update_where(everything(), changes=[tags[1].to(0), *first])
    found = await repository.patch(key, *first, Specimen.number.increment(1))
    assert same(found.attributes, {"tags": ["z", "c"], "n": {"m": 1}})
    assert (found.number, found.version) == (2, 2)
    assert await repository.update_where(Specimen.number == 2, changes=then) == 2
    assert same((await repository.get_one(key)).attributes, {"tags": ["z", "b"], "n": {}})
    assert same((await repository.get_one(other)).attributes, {"tags": ["b"]})
    taken = await repository.take(everything(), changes=tags.append("t"), limit=2)
    assert {each.id: each.attributes["tags"] for each in taken} == {
        key: ["z", "b", "t"],
        other: ["b", "t"],
    }
    async with lab.refused(InvalidQueryError):
        await repository.patch(key, AT["a"].to(1), Specimen.attributes.to({}))
    async with lab.refused(InvalidQueryError):
        await repository.patch(key, *([tags.append(1)] * 21))


@case("JSON-11", "CONC-1")
async def concurrent_changes_of_one_list_are_all_kept(lab: Lab) -> None:
    repository = lab.repository(Specimen)
    key = await _given(lab)
    log, once = AT["log"], AT["once"]
    changes = [log.append(at) for at in range(20)] + [once.append("x", if_absent=True)] * 5
    calls: list[Callable[[], Coroutine[object, None, Specimen]]] = [
        partial(repository.patch, key, change) for change in changes
    ]
    outcomes = await lab.together(calls)
    assert all(isinstance(each, Specimen) for each in outcomes), outcomes
    found = await repository.get_one(key)
    assert sorted(cast("list[int]", found.attributes.get("log", []))) == list(range(20))
    assert (found.attributes.get("once"), found.version) == (["x"], 26)


@case("JSON-12")
async def what_is_checked_as_a_whole_is_not_changed_inside(lab: Lab) -> None:
    wrong: list[Callable[[], Change]] = [
        lambda: Specimen.point["x"].to(1),
        lambda: Specimen.camera["tags"].append("x"),
        lambda: Specimen.attributes.append(1),  # type: ignore[call-overload, misc]
        lambda: Specimen.point.append(GridPoint(0.0, 0.0)),  # type: ignore[call-overload, misc]
        lambda: Specimen.text.append("x"),  # type: ignore[call-overload, misc]
        lambda: Specimen.items["a"].to(1),
        lambda: Specimen.attributes[0].to(1),
    ]
    for made in wrong:
        async with lab.refused(InvalidQueryError):
            made()
    deep: list[object] = []
    for _ in range(98):
        deep = [deep]
    for value in (float("nan"), {1}, 2**63, deep):
        async with lab.refused(InvalidValueError):
            AT["a"]["b"].to(value)
