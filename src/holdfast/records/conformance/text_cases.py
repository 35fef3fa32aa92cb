"""Text: compared by code point, searched to the letter, folded only when asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.records.conformance.case import case
from holdfast.records.conformance.sample_entities import Setting, Specimen

if TYPE_CHECKING:
    from holdfast.records.conformance.lab import Lab

TEXTS = (
    "",
    " ",
    "A",
    "Z",
    "a",
    "a ",
    "a%",
    "a\\",
    "a_",
    "ab",
    "z",
    "\u00c4",
    "\u00df",
    "\u00e4",
    "a\u0308",
    "\u0130",
    "\u03a3",
    "\u03c2",
    "\u03c3",
    "\u1e9e",
    "\u2126",
    "\ud7ff",
    "\ue000",
    "\ufb01",
    "\uff21",
    "\uffff",
    "\U00010000",
    "\U00010400",
    "\U00010428",
    "\U0001f3a5",
    "\U0010ffff",
    "1",
    "10",
    "2",
    "NULL",
    "null",
    "'",
    '"',
    "--",
    "a\nb",
    "tab\t",
)
WILDCARDS = (
    "100%",
    "100 percent",
    "a_b",
    "axb",
    "a\\b",
    "a\\%b",
    "*",
    "?",
    "[ab]",
    "a",
    "%",
    "_",
    "\\",
    "^a$",
    "(",
    "a.b",
)


async def _stored(lab: Lab, texts: tuple[str, ...]) -> None:
    await lab.repository(Specimen).add_many([Specimen(text=text) for text in texts])


async def _found(lab: Lab, predicate: object) -> set[str]:
    return {each.text for each in await lab.repository(Specimen).find(predicate)}  # type: ignore[arg-type]


@case("TEXT-1", "ORDER-3")
async def text_is_ordered_by_code_point(lab: Lab) -> None:
    await _stored(lab, TEXTS)
    repository = lab.repository(Specimen)
    found = await repository.find(order_by=Specimen.text.asc())
    expected = sorted(TEXTS, key=lambda text: [ord(char) for char in text])
    assert [each.text for each in found] == expected
    found = await repository.find(order_by=Specimen.text.desc())
    assert [each.text for each in found] == expected[::-1]


@case("TEXT-1")
async def text_is_compared_by_code_point(lab: Lab) -> None:
    await _stored(lab, TEXTS)
    for text in TEXTS:
        points = [ord(char) for char in text]
        assert await _found(lab, Specimen.text == text) == {text}
        assert await _found(lab, Specimen.text != text) == set(TEXTS) - {text}
        smaller = {each for each in TEXTS if [ord(char) for char in each] < points}
        assert await _found(lab, Specimen.text < text) == smaller, text
        assert await _found(lab, Specimen.text >= text) == set(TEXTS) - smaller, text


@case("TEXT-1")
async def keys_differ_by_case_padding_and_composition(lab: Lab) -> None:
    settings = lab.repository(Setting)
    for name in ("key", "KEY", "key ", "\u00e9", "e\u0301"):
        assert (await settings.upsert(Setting(name=name))).created, name
    assert await settings.count() == 5


@case("TEXT-2")
async def searches_are_to_the_letter(lab: Lab) -> None:
    texts = tuple(dict.fromkeys((*TEXTS, *WILDCARDS)))
    await _stored(lab, texts)
    for wanted in (*WILDCARDS, "", "a", "A", "\U0001f3a5", "\u0308", "\u00e4", "'", "\n", "0%"):
        for found, holds in (
            (Specimen.text.contains(wanted), str.__contains__),
            (Specimen.text.startswith(wanted), str.startswith),
            (Specimen.text.endswith(wanted), str.endswith),
        ):
            expected = {text for text in texts if holds(text, wanted)}
            assert await _found(lab, found) == expected, (wanted, holds)


@case("TEXT-2", "NULL-2")
async def searches_leave_nulls_out_and_their_negations_take_them_in(lab: Lab) -> None:
    repository = lab.repository(Specimen)
    await repository.add_many([Specimen(label=None), Specimen(label=""), Specimen(label="ab")])
    assert await repository.count(Specimen.label.contains("")) == 2
    assert await repository.count(~Specimen.label.contains("a")) == 2
    assert await repository.count(~Specimen.label.startswith("a")) == 2
    assert await repository.count(~Specimen.label.iequals("AB")) == 2


@case("TEXT-3")
async def case_is_folded_one_code_point_to_one(lab: Lab) -> None:
    await _stored(lab, TEXTS)

    def fold(text: str) -> list[str]:
        return [char.lower() if len(char.lower()) == 1 else char for char in text]

    for wanted in (*TEXTS, "AB", "aB", "\u00c4"):
        expected = {text for text in TEXTS if fold(text) == fold(wanted)}
        assert await _found(lab, Specimen.text.iequals(wanted)) == expected, wanted
        inside = "".join(fold(wanted))
        expected = {text for text in TEXTS if inside in "".join(fold(text))}
        assert await _found(lab, Specimen.text.icontains(wanted)) == expected, wanted
    assert await _found(lab, Specimen.text.icontains("%")) == {"a%"}
    assert await _found(lab, Specimen.text.icontains("_")) == {"a_"}
    assert await _found(lab, Specimen.text.iequals("\u00df")) == {"\u00df"} | {
        text for text in TEXTS if text == "\u1e9e"
    }
