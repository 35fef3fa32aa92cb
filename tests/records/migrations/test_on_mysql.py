"""Migrations on MySQL: what of the others' tests its own SQL could fail, and what is its own."""

import pytest

from holdfast import Entity, Field, field, generated_key, open_store
from holdfast.errors import MigrationError
from holdfast.records.migrations import Migrations
from records.migrations import library
from records.migrations.test_changing import (
    changed,
    entity,
    stored,
    test_nulls_get_the_default_of_what_becomes_required,
    values,
)
from records.migrations.test_documented import test_what_an_alteration_does_not_name_stays
from records.migrations.test_moving import (
    made,
    test_create_schema_and_migrations_make_the_same,
    test_rows_survive_a_change_and_its_undoing,
)
from records.migrations.test_refusing import (
    migrations,
    test_a_migration_that_fails_says_where_the_database_stands,
)

__all__ = [
    "migrations",
    "test_a_migration_that_fails_says_where_the_database_stands",
    "test_create_schema_and_migrations_make_the_same",
    "test_nulls_get_the_default_of_what_becomes_required",
    "test_rows_survive_a_change_and_its_undoing",
    "test_what_an_alteration_does_not_name_stays",
]


@pytest.fixture
def database(make_database):
    return make_database("mysql")


async def test_a_file_that_was_written_on_sqlite_runs_there(database, make_database, tmp_path):
    laptop = make_database("sqlite")
    await made(laptop, tmp_path, library.first())
    await made(laptop, tmp_path, library.second())
    migrations = Migrations(database.url, library.second(), folder=tmp_path)
    await migrations.upgrade()
    assert await migrations.check() == ()
    await migrations.downgrade("-1")
    await migrations.upgrade()
    assert await migrations.check() == ()


class Remarked(Entity, table="things"):
    id: Field[int] = generated_key()
    value: Field[str]
    remark: Field[str] = field(default=r"it's 100% \a:b")
    raw: Field[bytes] = field(default=b"\x00'\\")


async def test_rows_that_are_there_get_what_a_new_text_or_document_begins_with(database, tmp_path):
    before = entity(str)
    await stored(database, tmp_path, before, "x")
    await changed(database, tmp_path, Remarked)
    async with open_store(database.url, [Remarked]) as store:
        (row,) = await store.repository(Remarked).find()
    assert (row.remark, row.raw) == (r"it's 100% \a:b", b"\x00'\\")
    assert await Migrations(database.url, [Remarked], folder=tmp_path).check() == ()


async def test_text_that_is_no_document_is_refused_before_anything_is_changed(database, tmp_path):
    text, document = entity(str), entity(list[object])
    await stored(database, tmp_path, text, "[1]", "no document")
    migrations = Migrations(database.url, [document], folder=tmp_path)
    await migrations.create("documents")
    with pytest.raises(MigrationError, match="things has rows whose value does not survive"):
        await migrations.upgrade()
    assert await values(database, text) == ["[1]", "no document"]
    database.execute("UPDATE things SET value = '[2]' WHERE value <> '[1]'")
    await migrations.upgrade()
    assert await values(database, document) == [[1], [2]]
