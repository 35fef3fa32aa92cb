"""`holdfast records`: any entity listed, shown, exported, imported."""

import io
import json
import re
import sys
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID, uuid4

import pyarrow.parquet as pq
import pytest

from cli.measurements import Colour, Measurement, Reading
from cli.program import here
from holdfast import sync
from holdfast.records.filter_operator import FILTER_METHODS
from servers import database_on

OWN = ("records", "--entities", "cli.measurements:Measurement", "Measurement")

FULL = {
    "name": 'full, "quoted"\nand broken', "note": "", "on": False, "count": -3, "ratio": 1e-9,
    "raw": bytes(range(256)), "price": Decimal("12.34"),
    "at": datetime(2026, 1, 31, 12, 0, 0, 1, UTC), "day": date(2026, 1, 31),
    "hour": time(23, 59, 59, 999999), "took": timedelta(days=2, microseconds=5),
    "colour": Colour.BLUE, "extra": {"a": [1, None, "ü"]}, "tags": ["x", "y,z"],
}  # fmt: skip


def stored(url="sqlite:///holdfast-data/holdfast.db"):
    with sync.open_store(url, [Measurement], verify="off") as store:
        return store.repository(Measurement).find(order_by=Measurement.name)


def same(one, other):
    skipped = {"created_at", "version"}
    return {k: v for k, v in vars(one).items() if k not in skipped} == {
        k: v for k, v in vars(other).items() if k not in skipped
    }


@pytest.fixture
def two():
    """Two measurements in the data folder: one with all there is, one with defaults."""
    Path("holdfast-data").mkdir()
    with sync.open_store("sqlite:///holdfast-data/holdfast.db", [Measurement]) as store:
        store.create_schema()
        made = [Measurement(id=uuid4(), **FULL), Measurement(id=UUID(int=7), name="plain")]
        store.repository(Measurement).add_many(made)
    return stored()


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_what_is_exported_is_imported_as_it_was(two, kind):
    ran = here(*OWN, "export", "-o", f"all.{kind}")
    assert (ran.code, ran.err) == (0, "2 exported\n")
    with sync.open_store("sqlite:///holdfast-data/holdfast.db", [Measurement]) as store:
        store.repository(Measurement).delete_many([each.id for each in two])
    ran = here(*OWN, "import", f"all.{kind}", "--json")
    assert ran.json == {"imported": 2}, ran.err
    full, plain = stored()
    if kind == "csv":  # which has no empty text where a null may stand
        assert full.note is None
        full.note = ""
    assert same(full, two[0])
    assert same(plain, two[1])


def test_parquet_has_the_types_of_the_fields(two):
    here(*OWN, "export", "-o", "all.parquet")
    types = {each.name: str(each.type) for each in pq.read_schema("all.parquet")}
    assert types["count"] == "int64"
    assert types["price"] == "decimal128(10, 2)"
    assert types["at"] == "timestamp[us, tz=UTC]"
    assert types["took"] == "duration[us]"
    assert types["id"] == types["extra"] == "string"


def test_import_is_all_or_nothing_and_names_the_line(two):
    lines = [{"id": str(uuid4()), "name": f"n{n}"} for n in range(1500)]
    lines[1400]["count"] = "many"
    Path("bad.jsonl").write_text("\n".join(map(json.dumps, lines)))
    ran = here(*OWN, "import", "bad.jsonl")
    assert ran.code == 4
    assert "Measurement.count: expected a whole number, got 'many'; at bad.jsonl:1401" in ran.err
    assert len(stored()) == 2


def test_import_of_a_key_that_is_there_is_a_conflict_unless_it_overwrites(two):
    Path("again.csv").write_text(f"id,name,count\n{two[1].id},renamed,9\n")
    ran = here(*OWN, "import", "again.csv")
    assert (ran.code, "in the records 1 to 1 of again.csv" in ran.err) == (5, True)
    assert here(*OWN, "import", "again.csv", "--upsert").code == 0
    assert {(each.name, each.count) for each in stored()} >= {("renamed", 9)}


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.jsonl", b"{", "a.jsonl:1.line: is not JSON"),
        ("a.jsonl", b"\n[1]", "a.jsonl:2.line: expected a JSON object, got list"),
        ("a.jsonl", b'{"nmae": 1}', "nmae: is not a field; fields are: id, name"),
        ("a.jsonl", b'{"id": "00000000-0000-0000-0000-000000000001"}', "name"),
        ("a.jsonl", b'{"id": "x", "name": "n"}', "id: expected a UUID, got 'x'"),
        ("a.csv", b"id,name\n1", "a.csv:2.line: expected 2 cells, as the header"),
        ("a.csv", b"id,name\n1,2,3", "a.csv:2.line: expected 2 cells, as the header"),
        ("a.csv", b"\xff\xfe", "a.csv.CSV: can't be read"),
        ("a.csv", b'id,raw\n1,"&&"', "expected a UUID"),
        ("a.parquet", b"PAR1 not", "a.parquet.Parquet: can't be read"),
        ("a.xlsx", b"", "ends in none of .jsonl, .ndjson, .csv, .parquet; say --format"),
    ],
)
def test_a_file_that_can_not_be_read_is_told(two, name, content, says):
    Path(name).write_bytes(content)
    ran = here(*OWN, "import", name)
    assert ran.code in (2, 4), ran.err
    assert says in ran.err
    assert "Traceback" not in ran.err
    assert len(stored()) == 2


def test_records_are_piped(two, monkeypatch):
    lines = here(*OWN, "export", "name=plain").out
    assert json.loads(lines)["name"] == "plain"
    piped = lines.replace("plain", "piped").replace(str(UUID(int=7)), str(UUID(int=8)))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(piped.encode())))
    assert here(*OWN, "import", "-").code == 0
    assert here(*OWN, "get", UUID(int=8), "--json").json["name"] == "piped"


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (["name=plain"], ["plain"]),
        (["name__ne=plain"], [FULL["name"]]),
        (["count__lt=0"], [FULL["name"]]),
        (["count__gte=0"], ["plain"]),
        (["count__lte=-3", "on=false"], [FULL["name"]]),
        (["price__gt=2.5"], [FULL["name"]]),
        (["colour=2"], [FULL["name"]]),
        (["colour__in=1,2"], [FULL["name"], "plain"]),
        (["colour__not_in=2"], ["plain"]),
        (["at__is_null=true"], ["plain"]),
        (["extra__is_null=false"], [FULL["name"], "plain"]),
        (["at__lt=2026-02-01T00:00:00Z"], [FULL["name"]]),
        (["took__gt=P1D"], [FULL["name"]]),
        (["name__startswith=pl", "name__endswith=n", "name__contains=lai"], ["plain"]),
        (["name__iequals=PLAIN"], ["plain"]),
        (["name__icontains=QUOTED"], [FULL["name"]]),
    ],
)
def test_filters(two, filters, found):
    listed = here(*OWN, "list", *filters, "--sort", "name", "--json")
    assert [each["name"] for each in listed.json] == found, listed.err


def test_list_sorts_limits_and_chooses_columns(two):
    ran = here(*OWN, "list", "--sort=-count,name", "--fields", "count,name", "--limit", "1")
    assert ran.out.split() == ["count", "name", "0", "plain"]
    assert "the first 1; --limit shows more" in ran.err
    assert "not shown: " in here(*OWN, "list").err
    assert "\\n" in here(*OWN, "list", "--fields=name").out


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("list", "name"), 2, "expected FIELD=VALUE or FIELD__OP=VALUE"),
        (("list", "nmae=1"), 2, "Measurement has no field 'nmae'; fields are: id, name"),
        (("list", "name__like=1"), 2, "'like' is not an operator; expected one of ne, lt"),
        (("list", "count=many"), 4, "Measurement.count: expected a whole number, got 'many'"),
        (("list", "colour=9"), 4, "Measurement.colour: expected one of 1, 2"),
        (("list", "count__contains=1"), 2, "count is not a text field"),
        (("list", "extra=1"), 2, "extra is JSON, which has no filter but is_null"),
        (("list", "at__is_null=maybe"), 2, "expected true or false"),
        (("list", "at=2026-01-01T00:00:00"), 4, "no time zone"),
        (("list", "--sort", "nmae"), 2, "the sort 'nmae': Measurement has no field"),
        (("list", "--fields", "nmae"), 2, "--fields: Measurement has no field"),
        (("list", "--limit", "0"), 2, "--limit"),
        (("get", "7"), 4, "Measurement.id: expected a UUID"),
        (("get", UUID(int=1)), 3, str(UUID(int=1))),
        (("export", "-o", "x.xlsx"), 2, "say --format"),
        (("export", "-o", "no/such/folder.csv"), 6, "can't be written"),
        (("import", "nowhere.csv"), 6, "'nowhere.csv' can't be read: No such file"),
        (("import", "-", "--format", "parquet"), 2, "not from standard input"),
        (("import", "x.csv", "--format", "xml"), 2, "expected one of jsonl, csv, parquet"),
    ],
)
def test_what_is_wrong_is_named(two, args, code, says):
    ran = here(*OWN, *args)
    assert (ran.code, says in ran.err) == (code, True), ran.err
    assert ran.err.count("\n") == 1


def test_an_export_that_fails_leaves_the_old_file(two):
    Path("all.csv").write_text("old")
    assert here(*OWN, "export", "nmae=1", "-o", "all.csv").code == 2
    assert Path("all.csv").read_text() == "old"
    assert sorted(path.name for path in Path().iterdir()) == ["all.csv", "holdfast-data"]


def test_entities_are_those_of_the_platform_by_class_or_table():
    Path("holdfast-data").mkdir()
    assert here("records", "projects", "list", "--json").json == []
    assert here("records", "Job", "list", "--json").json == []
    ran = here("records", "Nothing", "list")
    assert ran.code == 2
    for name in ("Clip", "Job", "ModelVersion", "Project", "Video"):
        assert re.search(rf"\b{name}\b", ran.err), ran.err
    assert "Missing" in here("records").err


@pytest.mark.parametrize("name", ["postgresql", "mariadb"])
def test_records_on_a_server_by_the_name_that_people_have(monkeypatch, name):
    with database_on(name) as url:
        monkeypatch.setenv("DATABASE_URL", url)
        Path("a.jsonl").write_text(json.dumps({"id": str(UUID(int=3)), "name": "served"}))
        assert here(*OWN, "import", "a.jsonl").code == 0
        assert here(*OWN, "list", "name=served", "--json").json[0]["id"] == str(UUID(int=3))


def test_the_operators_are_those_of_the_documentation():
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    (sentence,) = [line for line in page.splitlines() if "OP is `ne`" in line]
    assert all(f"`{each}`" in sentence for each in FILTER_METHODS if each)


def test_shell_completion_knows_commands(monkeypatch):
    monkeypatch.setenv("_HOLDFAST_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "holdfast rec")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert here().out.split() == ["records"]


def test_a_composite_key_is_a_value_for_each_of_its_fields():
    own = ("records", "--entities", "cli.measurements:Reading", "Reading")
    Path("holdfast-data").mkdir()
    with sync.open_store("sqlite:///holdfast-data/holdfast.db", [Reading]) as store:
        store.create_schema()
        store.repository(Reading).add(Reading(sensor="north", number=7, value=1.5))
    assert here(*own, "get", "north", "7", "--json").json["value"] == 1.5
    for key, code, says in (
        (("north",), 4, "Reading.sensor, number: expected a value for each, got 1"),
        (("north", "x"), 4, "Reading.number: expected a whole number"),
        (("north", "8"), 3, "no such key: ('north', 8)"),
    ):
        ran = here(*own, "get", *key)
        assert (ran.code, says in ran.err) == (code, True), ran.err
    lines = here(*own, "export").out.replace("1.5", "2.5")
    Path("more.jsonl").write_text(lines)
    assert here(*own, "import", "more.jsonl", "--upsert").code == 0
    assert here(*own, "get", "north", "7", "--json").json["value"] == 2.5
