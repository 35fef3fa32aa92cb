"""The leaf of an entry: everything is in it, and it is the same in each version of Holdfast."""

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import pytest

from holdfast.audit import AuditEntry
from holdfast.audit.entry_leaf import erasing, leaf_of
from holdfast.errors import IntegrityError

AT = datetime(2026, 11, 30, 12, 30, 15, 123456, tzinfo=UTC)
SALT = bytes(range(16))
CHANGES = {"name": ["a", "b"], "size": [None, 4]}
PARTS = {
    "actor": "ann",
    "key": "k1",
    "reason": "asked",
    "request": None,
    "changes.name": ["a", "b"],
    "changes.size": [None, 4],
}


def entry(**others):
    values = {
        "id": 7,
        "at": AT,
        "verb": "update",
        "entity": "Project",
        "key": "k1",
        "actor": "ann",
        "reason": "asked",
        "changes": CHANGES,
        "salt": SALT,
        **others,
    }
    number = values.pop("id")
    made = AuditEntry(**values)
    made.id = number
    return made


def test_a_leaf_is_made_as_it_always_was():
    """By what the module says of it, done without Holdfast: a log must verify years later."""

    def commitment(name, value):
        salt = hmac.new(SALT, name.encode(), hashlib.sha256).digest()
        text = json.dumps(value, separators=(",", ":"))
        return hashlib.sha256(salt + text.encode()).hexdigest()

    data = {
        "at": "2026-11-30T12:30:15.123456Z",
        "entity": "Project",
        "id": 7,
        "parts": {name: commitment(name, value) for name, value in PARTS.items()},
        "verb": "update",
    }
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    assert leaf_of(entry()) == hashlib.sha256(b"\0" + text.encode()).digest()


@pytest.mark.parametrize(
    "others",
    [
        {"id": 8},
        {"at": AT + timedelta(microseconds=1)},
        {"verb": "delete"},
        {"entity": "Person"},
        {"key": "k2"},
        {"actor": None},
        {"reason": ""},
        {"request": "r1"},
        {"changes": {"name": ["a", "b"]}},
        {"changes": {**CHANGES, "size": [None, 5]}},
        {"changes": {**CHANGES, "more": [None, 1]}},
        {"salt": SALT[::-1]},
    ],
    ids="-".join,
)
def test_whatever_of_an_entry_is_changed_its_leaf_is_another(others):
    assert leaf_of(entry(**others)) != leaf_of(entry())


def test_parts_are_erased_one_after_the_other_and_the_leaf_stays():
    found, gone = entry(), []
    for name in PARTS:
        found = entry(**{**vars(found), **erasing(found, {name})})
        gone.append(name)
        assert leaf_of(found) == leaf_of(entry())
        assert found.erased["commitments"].keys() == set(gone)
        assert found.erased["salts"].keys() == PARTS.keys() - set(gone)
        assert found.salt is None
    assert (found.actor, found.key, found.reason, found.changes) == (None, None, None, {})
    found.erased["commitments"]["actor"] = "0" * 64
    assert leaf_of(found) != leaf_of(entry())


def test_an_entry_without_its_salts_has_no_leaf():
    with pytest.raises(IntegrityError, match="entry 7 has no salt"):
        leaf_of(entry(salt=None))
    erased = erasing(entry(), {"actor"})
    erased["changes"] = {**erased["changes"], "more": 1}
    with pytest.raises(IntegrityError, match=r"entry 7 has no salt for changes\.more"):
        leaf_of(entry(**erased))


def test_the_order_of_names_in_a_value_makes_no_difference():
    """A database may keep JSON in an order of its own."""
    one, other = {"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "c": 2}, "a": 1}
    first = entry(changes={"x": [None, one], "y": [1, 2]})
    assert leaf_of(entry(changes={"y": [1, 2], "x": [None, other]})) == leaf_of(first)
