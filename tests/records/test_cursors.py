"""Cursors of other processes, and cursors that somebody made up."""

import base64
import json
import os
import re
import subprocess
import sys
from datetime import UTC, date, datetime, time
from uuid import UUID

import pytest

from holdfast import subquery
from holdfast.errors import InvalidQueryError
from holdfast.records import cursor as cursors
from holdfast.records.conformance.sample_entities import Author, Specimen
from holdfast.records.entities.model import model_of
from holdfast.records.expressions.operands import Column
from holdfast.records.expressions.predicates import Everything, InRows, Order
from holdfast.records.values.value import Kind

PROGRAM = """
from holdfast.records import cursor as cursors
from holdfast.records.conformance.sample_entities import Author, Sample
from holdfast.records.expressions.predicates import all_of
names = {"front", "rear", "left", "right", "top"}
where = all_of(
    tuple({Sample.name.in_(names), Sample.text.not_in({"a", "b", "c"}), Sample.number == 1})
)
where &= Sample.document["camera"].in_(names)
where &= Sample.document.in_([{name: 1 for name in names}, {}])
for name in names:
    where |= Sample.text.startswith(name)
print(cursors.CursorCodec(where, (Sample.id.asc(),)).encode(cursors.Cursor("after", ("x",))))
"""


def test_a_cursor_holds_in_a_process_whose_sets_have_another_order():
    made = set()
    for seed in range(4):
        environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
        command = [sys.executable, "-c", PROGRAM]
        made.add(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)
    assert len(made) == 1


def test_queries_that_differ_have_other_cursors():
    order = (Specimen.id.asc(),)
    wheres = [
        Everything(),
        Specimen.text == "a",
        ~(Specimen.text == "a"),
        Specimen.text.in_(["a"]),
        Specimen.text.in_(["a", "b"]),
        Specimen.text.in_(["a', 'b"]),
        (Specimen.text == "a") & (Specimen.number == 1),
        (Specimen.text == "a") | (Specimen.number == 1),
        (Specimen.text == "a") & (Specimen.maybe_number == 1),
        Specimen.attributes["a"] == 1,
        Specimen.attributes["a"] == "1",
        Specimen.attributes["a"].in_([1, 2]),
        Specimen.attributes["a"].in_([[1, 2]]),
        Specimen.attributes["a"].in_([[2, 1]]),
        Specimen.attributes == {"a": 1, "b": 2},
        Specimen.attributes == {"a": 2, "b": 1},
    ]
    place = cursors.Cursor("after", ("x",))
    made = {cursors.CursorCodec(each, order).encode(place) for each in wheres}
    assert len(made) == len(wheres)


def forged(cursor, value):
    fingerprint, direction, _ = json.loads(base64.urlsafe_b64decode(cursor + "=="))
    body = json.dumps([fingerprint, direction, value]).encode()
    return base64.urlsafe_b64encode(body).decode().rstrip("=")


ORDERED = [spec for spec in model_of(Specimen).fields if spec.type.kind is not Kind.JSON]
MADE_UP = (
    None, True, 0, -1, 5, 2**63, 2**64 - 1, 1e300, 1e308, -0.0, "", "x", "5", "1e9", "NaN",
    "Infinity",
    "\ud83d", "\0", "0" * 5_000, "9" * 5_000, "2024-02-30", "2024-02-29", "2024-02-29T00:00:00",
    "0001-01-01T00:00:00+23:59", "24:00", "12:00+01:00", "zz", "00", "{}", [], [1], {}, {"a": 1},
    [[]] * 50, "1" * 32, "red", "blue",
)  # fmt: skip


@pytest.mark.parametrize("spec", ORDERED, ids=lambda spec: spec.name)
def test_a_made_up_cursor_is_a_place_or_is_refused(spec):
    order = (Order(Column("Specimen", spec)),)
    codec = cursors.CursorCodec(Everything(), order)
    known = codec.encode(cursors.Cursor("after", (None,)))
    for value in MADE_UP:
        try:
            found = codec.decode(forged(known, [value]))
        except InvalidQueryError:
            continue
        (place,) = found.values
        assert place is None or spec.type.kind.value in (
            type(place).__name__, type(place).__name__.lower()
        )  # fmt: skip
        assert place is not None or spec.type.nullable


@pytest.mark.parametrize("values", [None, 5, "x", {}, {"a": 1, "b": 2}, [], [1, 2], [[1]]])
def test_a_made_up_list_of_places_is_refused(values):
    order = (Specimen.number.asc(), Specimen.text.asc(), Specimen.id.asc())
    codec = cursors.CursorCodec(Everything(), order)
    known = codec.encode(cursors.Cursor("after", (1, "a", None)))
    for forgery in (forged(known, values), known[: len(known) // 2], f"{known}!", 5, None, b"x"):
        with pytest.raises(InvalidQueryError):
            codec.decode(forgery)


def test_a_cursor_is_the_same_text_in_each_version():
    """Clients hold cursors while a service is renewed."""
    order = (Specimen.moment.desc(), Specimen.day.asc(), Specimen.at.asc(), Specimen.id.asc())
    place = (
        datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
        date(2026, 1, 2),
        time(3, 4, 5),
        UUID(int=7),
    )
    made = cursors.CursorCodec(Specimen.number == 1, order).encode(cursors.Cursor("after", place))
    held = json.loads(base64.urlsafe_b64decode(made + "=" * (-len(made) % 4)))
    assert held == ["009d90bc2c20a43a81", "after", [
        "2026-01-02T03:04:05.000678+00:00", "2026-01-02", "03:04:05",
        "00000000-0000-0000-0000-000000000007",
    ]]  # fmt: skip


def in_rows(*rows):
    """Return the condition that text and number are one of *rows*."""
    specs = {spec.name: spec for spec in model_of(Specimen).fields}
    columns = tuple(Column("Specimen", specs[name]) for name in ("text", "number"))
    return InRows(columns, rows)


def chosen(field, *where):
    return Specimen.text.in_(subquery(field, *where))


DIFFERENT = [
    (Specimen.number == 1, Specimen.number == 2),
    (Specimen.number == 1, Specimen.maybe_number == 1),
    (Specimen.number < 1, Specimen.number <= 1),
    (Specimen.number.in_([1, 2]), Specimen.number.in_([1, 3])),
    (in_rows(("x", 1), ("y", 2)), in_rows(("x", 1), ("y", 3))),
    (Specimen.number < Specimen.maybe_number, Specimen.number <= Specimen.maybe_number),
    (Specimen.number < Specimen.maybe_number, Specimen.level < Specimen.maybe_number),
    (Specimen.number < Specimen.maybe_number, Specimen.number < Specimen.number + 1),
    (chosen(Author.name), chosen(Author.email)),
    (chosen(Author.name), chosen(Author.name, Author.born == 1)),
    (chosen(Author.name), Specimen.label.in_(subquery(Author.name))),
    (Specimen.items.has_item("x"), Specimen.items.has_item("y")),
    (Specimen.items.has_item("x"), Specimen.attributes["a"].has_item("x")),
    (Specimen.label.is_null(), Specimen.maybe_number.is_null()),
    (Specimen.text.startswith("a"), Specimen.text.endswith("a")),
    (Specimen.attributes == {"a": 1, "b": [1, 2]}, Specimen.attributes == {"a": 1, "b": [1, 3]}),
    (Specimen.items == [1, [2]], Specimen.items == [1, 2]),
]


@pytest.mark.parametrize("pair", DIFFERENT, ids=str)
def test_a_cursor_of_another_condition_is_refused(pair):
    order = (Specimen.number.asc(), Specimen.id.asc())
    one, other = (cursors.CursorCodec(where, order) for where in pair)
    place = cursors.Cursor("after", (1, UUID(int=1)))
    assert one.decode(one.encode(place)) == place
    with pytest.raises(InvalidQueryError, match="another query: other filters or order"):
        other.decode(one.encode(place))


@pytest.mark.parametrize("text", ["", "x", "*", "+/==", "A" * 8, "AAAA\n", "Ü", "bnVsbA", "W10"])
def test_what_is_no_cursor_is_said_to_be_damaged(text):
    with pytest.raises(InvalidQueryError, match="damaged: it is not one that a page gave"):
        cursors.CursorCodec(Everything(), (Specimen.id.asc(),)).decode(text)


def test_a_cursor_can_stand_in_an_address_whatever_it_holds():
    order = (Specimen.text.asc(), Specimen.id.asc())
    codec = cursors.CursorCodec(Everything(), order)
    for number in range(64):
        place = cursors.Cursor("before", (f"ÿ~?>{number}", UUID(int=number)))
        text = codec.encode(place)
        assert re.fullmatch(r"[A-Za-z0-9_-]+", text)
        assert codec.decode(text) == place
