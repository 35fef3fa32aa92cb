"""Every rule has a case, every case a rule, and every backend runs them all."""

import re
from collections import Counter
from pathlib import Path

import pytest

from holdfast.records.conformance import CASES, StoreConformance
from holdfast.records.conformance.capability_cases import REFUSALS
from holdfast.records.conformance.case import case, cases_of
from holdfast.records.connect import driver_at
from holdfast.records.driver import StoreCapability

DOCS = Path(__file__).parents[2] / "docs"
SEMANTICS = DOCS / "semantics.md"
PLACES = {
    "memory": "memory://",
    "SQLite": "sqlite:///any.db",
    "PostgreSQL": "postgresql://u:p@host/d",
    "MariaDB": "mariadb://u:p@host/d",
    "MySQL": "mysql://u:p@host/d",
    "DynamoDB": "dynamodb://eu-central-1/any",
}


def rules():
    return re.findall(r"^- \*\*([A-Z]+-\d+)\*\* ", SEMANTICS.read_text("utf-8"), re.MULTILINE)


def cited():
    return {rule for each in (*CASES, *REFUSALS.values()) for rule in each.rules}


def test_every_rule_is_proved_by_a_case():
    assert set(rules()) - cited() == set()


def test_every_cited_rule_is_written_down():
    assert cited() - set(rules()) == set()


def test_no_rule_is_written_down_twice():
    assert [rule for rule, times in Counter(rules()).items() if times > 1] == []


def test_every_capability_has_a_case_for_its_refusal():
    assert set(REFUSALS) == set(StoreCapability)


def test_the_table_of_capabilities_says_what_each_backend_can_do():
    text = (DOCS / "records.md").read_text("utf-8")
    head, _, *lines = text[text.index("| `StoreCapability` |") :].partition("\n\n")[0].splitlines()
    said = {name: set() for name in (each.strip() for each in head.split("|")[2:-1])}
    for line in lines:
        _, first, *answers, _ = line.split("|")
        for name, answer in zip(said, answers, strict=True):
            if answer.strip().startswith("yes"):
                said[name] |= set(re.findall(r"`([A-Z_]+)`", first))
    known = {name: {each.name for each in driver_at(url).capabilities}
             for name, url in PLACES.items()}  # fmt: skip
    assert said == known
    assert set().union(*known.values()) == {each.name for each in StoreCapability}


def test_no_case_of_the_suite_is_forgotten():
    from holdfast.records.conformance import suite  # noqa: PLC0415 - its folder is what is asked

    folder = Path(suite.__file__).parent
    defined = sum(
        len(re.findall(r"^@case\(", path.read_text("utf-8"), re.MULTILINE))
        for path in folder.glob("*.py")
    )
    assert defined == len(CASES) + len(REFUSALS)


def test_a_backend_runs_every_case_in_both_ways(request):
    items = [item for item in request.session.items if item.cls is not None]
    chosen = [item for item in items if issubclass(item.cls, StoreConformance)]
    expected = {(each.name, "awaited") for each in CASES} | {
        (each.name, "blocking") for each in CASES if not each.tasks_only
    }
    if request.config.option.keyword or request.config.args != [str(Path(__file__).parent)]:
        marks = StoreConformance.test_case.pytestmark
        (runs,) = [mark.args[1] for mark in marks if mark.name == "parametrize"]
        assert {(run.values[0].name, run.values[1]) for run in runs} == expected
        return
    assert chosen
    for cls in {item.cls for item in chosen}:
        ran = {
            (item.callspec.params["case"].name, item.callspec.params["how"])
            for item in chosen
            if item.cls is cls and item.originalname == "test_case"
        }
        assert ran == expected, cls


def test_a_backend_can_not_replace_a_case():
    with pytest.raises(TypeError, match="does not replace a case"):

        class Cheat(StoreConformance):
            def test_case(self):
                pass


def test_a_case_cites_a_rule():
    with pytest.raises(ValueError, match="at least one rule"):
        case()


def test_two_cases_have_two_names():
    import types  # noqa: PLC0415

    one, other = types.ModuleType("one"), types.ModuleType("other")

    async def same(lab):
        raise AssertionError

    one.same, other.same = case("NULL-1")(same), case("NULL-1")(same)
    with pytest.raises(ValueError, match="two cases are named same"):
        cases_of(one, other)
