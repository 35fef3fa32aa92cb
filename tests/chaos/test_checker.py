"""The checker of the chaos run counts each wrong, and nothing where all is right."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from chaos.checker import Found, check
from chaos.faults import Mark
from chaos.history import Operation, Record, Told, read
from chaos.report import Run, page

ACKNOWLEDGED, REFUSED, UNKNOWN = Told.ACKNOWLEDGED, Told.REFUSED, Told.UNKNOWN

DONE = ["succeeded"]


def history(*steps):
    """Operations one after another, a second each: domain, verb, key, and what else is said."""
    return [
        Operation(
            client="one", domain=domain, verb=verb, key=key, began=at, ended=at + 0.5,
            **{"told": ACKNOWLEDGED, "boot": "first", **more},
        )
        for at, (domain, verb, key, more) in enumerate(steps)
    ]  # fmt: skip


RIGHT = history(
    ("records", "add", "a", {"value": 0}),
    ("records", "change", "a", {"value": 1}),
    ("records", "get", "a", {"answer": 1}),
    ("records", "add", "b", {"value": 0}),
    ("records", "delete", "b", {}),
    ("records", "add", "c", {"value": 0, "told": REFUSED}),
    ("records", "add", "d", {"value": 0}),
    ("records", "change", "d", {"value": 1, "told": UNKNOWN}),
    ("counters", "count", "n", {}),
    ("counters", "count", "n", {}),
    ("counters", "count", "n", {"told": UNKNOWN}),
    ("objects", "put", "o", {"value": "sha"}),
    ("objects", "get", "o", {"answer": "sha"}),
    ("cache", "write", "p", {"value": 1}),
    ("cache", "read", "p", {"answer": 1}),
    ("cache", "write", "p", {"value": 2}),
    ("cache", "read", "p", {"answer": 1, "boot": "second"}),  # another life, told of it a bit later
    ("jobs", "enqueue", "j", {}),
    ("jobs", "enqueue", "k", {"told": UNKNOWN}),
    ("models", "register", "m", {"told": UNKNOWN}),
    ("models", "register", "m", {}),
)


def found(**changes):
    right = Found(
        rows={"a": 1, "d": 1},
        entries={"a": ["add", "patch"], "b": ["add", "delete"], "d": ["add", "patch"]},
        counters={"n": 2, "account-0": 990, "account-1": 1010},
        opening=2000,
        objects={"o": "sha"},
        prices={"p": 2},
        cached={"p": 2},
        orders={"j"},
        jobs={"j": DONE},
        effects={"j": 1},
        ticks=[10, 12, 14],
        models=["m"],
    )
    return replace(right, **changes)


def wrongs(verdict):
    return {(domain, kind) for domain, kinds in verdict.wrong.items() for kind in kinds}


@pytest.mark.parametrize(
    "there",
    [
        found(),
        found(rows={"a": 1, "d": 0}, entries={**found().entries, "d": ["add"]}),
        found(counters={**found().counters, "n": 3}),
        found(orders={"j", "k"}, jobs={"j": DONE, "k": DONE}, effects={"j": 1, "k": 1}),
    ],
    ids=["nothing unknown happened", "not the change", "the count", "the job"],
)  # fmt: skip
def test_what_is_right_is_found_right_whether_the_unknown_happened_or_not(there):
    assert wrongs(check(RIGHT, there)) == set()


PLANTED = {
    "a row is gone": (found(rows={"d": 1}), ("records", "lost")),
    "a change is undone": (found(rows={"a": 0, "d": 1}), ("records", "lost")),
    "a deleted row is back": (found(rows={"a": 1, "b": 0, "d": 1}), ("records", "lost")),
    "a refused row is there": (found(rows={"a": 1, "c": 0, "d": 1}), ("records", "torn")),
    "a row of nobody": (found(rows={"a": 1, "d": 1, "x": 5}), ("records", "torn")),
    "a count is gone": (found(counters={**found().counters, "n": 1}), ("counters", "lost")),
    "a count twice": (found(counters={**found().counters, "n": 4}), ("counters", "doubled")),
    "half a transfer": (found(counters={"n": 2, "account-0": 990}), ("transfers", "torn")),
    "an object is gone": (found(objects={}), ("objects", "lost")),
    "an object is another": (found(objects={"o": "else"}), ("objects", "lost")),
    "a price is gone": (found(prices={"p": 1}, cached={"p": 1}), ("cache", "lost")),
    "a cached price is old": (found(cached={"p": 1}), ("cache", "stale")),
    "a job is gone": (found(jobs={}, effects={}), ("jobs", "lost")),
    "a job without its row": (found(jobs={"j": DONE, "k": DONE}, effects={"j": 1, "k": 1}),
                              ("jobs", "torn")),
    "two jobs": (found(jobs={"j": ["succeeded", "succeeded"]}), ("jobs", "doubled")),
    "a job ended twice": (found(effects={"j": 2}), ("jobs", "doubled")),
    "a job never ended": (found(jobs={"j": ["running"]}, effects={}), ("jobs", "lost")),
    "a job without effect": (found(effects={}), ("jobs", "lost")),
    "a tick twice": (found(ticks=[10, 12, 12, 14]), ("schedules", "doubled")),
    "a tick is missing": (found(ticks=[10, 14]), ("schedules", "lost")),
    "a change without entry": (found(entries={**found().entries, "a": ["add"]}), ("audit", "lost")),
    "two entries": (found(entries={**found().entries, "b": ["add", "delete", "delete"]}),
                    ("audit", "doubled")),
    "an entry of what was undone": (found(rows={"a": 1, "d": 0}), ("audit", "torn")),
    "a log that was changed": (found(log=["changed"]), ("audit", "torn")),
    "an entry outside of the log": (found(waiting=1), ("audit", "lost")),
    "a version is gone": (found(models=[]), ("models", "lost")),
    "two versions": (found(models=["m", "m"]), ("models", "doubled")),
    "bytes of a version are gone": (found(damages=["weights.bin"]), ("models", "lost")),
    "an upload is left": (found(left={"upload in parts": ["o"]}), ("platform", "leaked")),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_each_wrong_is_counted_as_what_it_is(name):
    there, wrong = PLANTED[name]
    assert wrongs(check(RIGHT, there)) == {wrong}


@pytest.mark.parametrize(
    ("step", "wrong"),
    [
        (("records", "get", "a", {"answer": 0}), ("records", "stale")),
        (("records", "get", "a", {"answer": None}), ("records", "lost")),
        (("objects", "get", "o", {"told": REFUSED, "status": 404}), ("objects", "lost")),
        (("cache", "read", "p", {"answer": 1}), ("cache", "stale")),
        (("console", "look", "/", {"told": UNKNOWN, "status": 500}), ("console", "failed")),
    ],
)
def test_an_answer_that_was_wrong_is_counted(step, wrong):
    (last,) = history(step)
    late = replace(last, began=100.0, ended=101.0)
    assert wrongs(check([*RIGHT, late], found())) == {wrong}


def test_a_history_is_read_as_it_was_written_and_the_page_shows_what_is_wrong(tmp_path):
    record = Record(tmp_path)
    for each in RIGHT:
        record.add(each)
    record.close()
    assert read(tmp_path) == RIGHT
    verdict = check(RIGHT, found(objects={"o": "<other>"}))
    run = Run(
        seed=7, began=datetime(2026, 1, 1, tzinfo=UTC), seconds=60, history=RIGHT,
        marks=[Mark("kill api", 3.0, 5.0)], absent={"full disk": "mounting takes root"}, place="x",
    )  # fmt: skip
    text = page(run, verdict)
    assert "&lt;other&gt; is there, acknowledged was sha" in text
    assert '<td class="bad">1' in text
    assert text.count("<title>kill api, 3 to 5 s</title>") == 1
    assert "mounting takes root" in text
    assert "http" not in text.replace("http-equiv", "")
