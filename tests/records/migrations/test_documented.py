"""What docs/migrations.md tells to write into a file, done on each database with rows there."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from holdfast import Entity, Field, field, generated_key
from holdfast.errors import ConfigurationError, DuplicateError, MigrationError
from holdfast.sync import Migrations, open_store


def thing(**hints):
    """Return an entity of the table with these fields: name=(type, specifier's words)."""
    names = {name: field(**words) for name, (_, words) in hints.items()}
    annotations = {name: Field[hint] for name, (hint, _) in hints.items()}
    body = {"id": generated_key(), **names, "__annotations__": {"id": Field[int], **annotations}}
    return type(Entity)("Thing", (Entity,), body, table="things")


def migrated(database, folder, entity, edit=lambda text: text):
    """Write the file that leads to *entity*, change it as a person would, and run it."""
    migrations = Migrations(database.url, [entity], folder=folder)
    path = Path(migrations.create("step"))
    path.write_text(edit(path.read_text()))
    migrations.upgrade()
    assert migrations.check() == ()
    return migrations


def renaming(**names):
    """Return the edit that puts a renaming in the place of each pair, upwards and downwards."""

    def edit(text):
        up, down = text.split("def downgrade()")
        assert "Was one of them renamed?" in up
        for old, new in names.items():
            up, down = _renamed(up, old, new), _renamed(down, new, old)
        return f"{up}def downgrade(){down}"

    return edit


def _renamed(text, old, new):
    lines = text.splitlines(keepends=True)
    added = next(n for n, line in enumerate(lines) if f"add_column(sa.Column('{new}'" in line)
    lines[added] = f"        batch_op.alter_column('{old}', new_column_name='{new}')\n"
    refusal = f"operations.refuse_rows('things', '{new}')"
    gone = [each for each in lines if f"drop_column('{old}')" not in each and refusal not in each]
    assert len(gone) < len(lines)
    return "".join(gone)


RENAMED = [
    ("unique text", str, {"unique": True, "max_length": 50}, "a"),
    ("required number", int, {}, 5),
    ("decimal", Decimal, {"digits": (8, 2)}, Decimal("1.50")),
    ("moment", datetime, {}, datetime(2026, 1, 1, 1, 2, 3, 4, tzinfo=UTC)),
    ("document", dict[str, object], {}, {"a": [1]}),
]


@pytest.mark.parametrize(("hint", "words", "value"), [case[1:] for case in RENAMED],
                         ids=[case[0] for case in RENAMED])  # fmt: skip
def test_a_column_is_renamed_with_its_values(database, tmp_path, hint, words, value):
    before, after = thing(title=(hint, words)), thing(summary=(hint, words))
    migrated(database, tmp_path, before)
    with open_store(database.url, [before]) as store:
        store.repository(before).add(before(title=value))
    migrations = migrated(database, tmp_path, after, renaming(title="summary"))
    with open_store(database.url, [after]) as store:
        things = store.repository(after)
        assert things.one().summary == value
        things.add(after(summary="b" if value == "a" else value))
        if words.get("unique"):
            with pytest.raises(DuplicateError):
                things.add(after(summary="a"))
    assert Migrations(database.url, [after], folder=tmp_path).create("again") is None
    migrations.downgrade("-1")
    with open_store(database.url, [before]) as store:
        assert store.repository(before).first().title == value
    migrations.upgrade()
    migrations.downgrade("base")


def test_a_required_column_is_added_filled_and_then_required(database, tmp_path):
    before, after = thing(a=(int, {})), thing(a=(int, {}), note=(str, {"max_length": 40}))
    migrated(database, tmp_path, before)
    with open_store(database.url, [before]) as store:
        store.repository(before).add_many([before(a=1), before(a=2)])
    with pytest.raises(MigrationError, match="has rows"):
        migrated(database, tmp_path, after)

    def edit(text):
        text = re.sub(r"    operations.refuse_rows.*\n", "", text)
        text = text.replace("nullable=False))", "nullable=True))", 1)
        filled = (
            "    op.execute(\"UPDATE things SET note = 'old'\")\n"
            "    with op.batch_alter_table('things') as batch_op:\n"
            "        batch_op.alter_column('note', nullable=False)\n\n\n"
        )
        return text.replace("\n\n\ndef downgrade", f"\n{filled}def downgrade")

    (path,) = (
        each for each in (tmp_path / "versions").glob("*.py") if "refuse_rows" in each.read_text()
    )
    path.write_text(edit(path.read_text()))
    migrations = Migrations(database.url, [after], folder=tmp_path)
    migrations.upgrade()
    assert migrations.check() == ()
    with open_store(database.url, [after]) as store:
        assert [each.note for each in store.repository(after).find()] == ["old", "old"]


@pytest.mark.parametrize("default", [{}, {"default": "none"}])
def test_a_column_becomes_required(database, tmp_path, default):
    before = thing(note=(str | None, {"default": None}), other=(float, {"default": 0.5}))
    after = thing(note=(str, default), other=(float, {"default": 0.5}))
    migrated(database, tmp_path, before)
    with open_store(database.url, [before]) as store:
        store.repository(before).add_many([before(), before(note="x")])

    def edit(text):
        if default:
            assert "operations.fill_nulls(" in text
            return text
        call = "operations.fill_nulls('things', 'note', operations.initial_value('str', 'none'))"
        return text.replace("operations.refuse_nulls('things', 'note')", call)

    migrations = migrated(database, tmp_path, after, edit)
    with open_store(database.url, [after]) as store:
        assert {each.note for each in store.repository(after).find()} == {"none", "x"}
    migrations.downgrade("-1")
    with open_store(database.url, [before]) as store:
        store.repository(before).add(before())


def test_what_an_alteration_does_not_name_stays(database, tmp_path):
    """A default, a collation and the numbering outlive a change of something else."""
    before = thing(
        note=(str | None, {"default": None, "max_length": 40}), rank=(int, {"default": 3})
    )
    migrations = migrated(database, tmp_path, before)
    path = Path(migrations.create("by hand", empty=True))
    lines = (
        "    with op.batch_alter_table('things') as batch_op:\n"
        "        batch_op.alter_column('note', server_default='it is')\n"
        "        batch_op.alter_column('note', new_column_name='text')\n"
        "    with op.batch_alter_table('things') as batch_op:\n"
        "        batch_op.alter_column('text', new_column_name='note')\n"
        "        batch_op.alter_column('rank', nullable=True)\n"
        "    with op.batch_alter_table('things') as batch_op:\n"
        "        batch_op.alter_column('rank', nullable=False, server_default='7')\n"
    )
    path.write_text(path.read_text().replace("    pass\n", lines, 1))
    migrations.upgrade()
    assert migrations.check() == ()
    database.execute("INSERT INTO things (id) VALUES (41)")
    with open_store(database.url, [before]) as store:
        (row,) = store.repository(before).find(before.note == "it is")
        assert row.rank == 7
        assert store.repository(before).count(before.note == "IT IS") == 0


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_the_sql_of_a_renaming_needs_no_database(make_database, tmp_path, kind):
    database = make_database(kind)
    before, after = thing(title=(str, {})), thing(summary=(str, {}))
    migrated(database, tmp_path, before)
    migrations = migrated(database, tmp_path, after, renaming(title="summary"))
    sql = migrations.sql()
    assert re.search(r"ALTER TABLE things RENAME (COLUMN )?title TO summary", sql)


def test_the_sql_of_a_change_on_mariadb_wants_the_type_that_is_there(make_database, tmp_path):
    migrations = migrated(make_database("mariadb"), tmp_path, thing(title=(str, {})))
    path = Path(migrations.create("by hand", empty=True))
    text = path.read_text()
    change = "    op.alter_column('things', 'title', nullable=True)\n"
    path.write_text(text.replace("    pass\n", change, 1))
    with pytest.raises(ConfigurationError, match="existing_type"):
        migrations.sql()


def test_a_table_comes_and_goes_and_a_database_is_adopted(database, tmp_path):
    one = thing(a=(int, {}))
    with open_store(database.url, [one]) as store:
        store.create_schema()
        store.repository(one).add(one(a=1))
    migrations = Migrations(database.url, [one], folder=tmp_path)
    with pytest.raises(ConfigurationError, match="stamp"):
        migrations.create("first tables")
        migrations.upgrade()
    migrations.stamp()
    assert migrations.check() == ()
    assert [each.current for each in migrations.history()] == [True]
    none = Migrations(database.url, [], folder=tmp_path)
    none.create("gone")
    none.upgrade()
    assert none.check() == ()
    none.downgrade("-1")
    with open_store(database.url, [one]) as store:
        assert store.repository(one).count() == 0
