"""How deep conditions may lie in one another on SQLite, whose parser has a stack of its own."""

import sqlite3

import pytest

from holdfast.errors import UnsupportedError
from holdfast.records.conformance.sample_entities import Member, entities_for
from holdfast.records.driver import StoreCapability
from holdfast.sync import open_store

ENTITIES = entities_for(frozenset(StoreCapability) - {StoreCapability.SEQUENCES})


def test_conditions_deeper_than_sqlite_can_parse_are_refused_and_the_store_works_on(tmp_path):
    with open_store(f"sqlite:///{tmp_path}/a.db", ENTITIES) as store:
        store.create_schema()
        members = store.repository(Member)
        members.add(Member(id=1, name="a"))
        deep = Member.id == 1
        for _ in range(40):
            deep = (Member.id == 2) | (deep & (Member.name == "a"))
        if sqlite3.sqlite_version_info < (3, 46):  # its stack has grown with need since
            with pytest.raises(UnsupportedError, match="so deep in one another"):
                members.count(deep)
        else:
            assert members.count(deep) == 1
        assert members.count() == 1
