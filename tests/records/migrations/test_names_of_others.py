"""Names that others chose, in the database, are text in what is generated and never code."""

import ast
from pathlib import Path

import pytest

from holdfast import Entity, Field, field, generated_key
from holdfast.errors import ConfigurationError
from holdfast.sync import Migrations

ODD_NAMES = (
    "a\nraise SystemExit('planted')\n#",
    "b\r    raise SystemExit('planted')",
    "c\u2028raise SystemExit('planted')",
    "d\u202e'planted'",
    'e"""\n\'\'\'raise SystemExit("planted")',
    "f\\' {planted} %s",
)


class Before(Entity, table="things"):
    id: Field[int] = generated_key()
    value: Field[str] = field(default="")


class After(Entity, table="things"):
    id: Field[int] = generated_key()
    value: Field[str] = field(default="")
    other: Field[str] = field(default="")


def test_a_column_name_in_the_database_is_never_code_of_a_migration(database, tmp_path):
    migrations = Migrations(database.url, [Before], folder=tmp_path)
    migrations.create("things")
    migrations.upgrade()
    quote = {"mariadb": "`"}.get(database.kind, '"')
    # SQLAlchemy reads MariaDB's tables line by line, and has no columns whose names break one.
    read = [name for name in ODD_NAMES if len(name.splitlines()) == 1]
    for name in read if database.kind == "mariadb" else ODD_NAMES:
        quoted = name.replace(quote, quote * 2)
        database.execute(f"ALTER TABLE things ADD COLUMN {quote}{quoted}{quote} INTEGER")
    later = Migrations(database.url, [After], folder=tmp_path)
    text = Path(later.create("more")).read_text()
    calls = [
        node for node in ast.walk(ast.parse(text)) if isinstance(node, (ast.Raise, ast.Import))
    ]
    assert [ast.unparse(node) for node in calls] == ["import sqlalchemy as sa"]
    assert all(line.isprintable() for line in text.splitlines())
    assert "Was one of them renamed?" in text


def test_a_name_that_breaks_the_line_stays_in_its_comment_in_sql(make_database, tmp_path):
    database = make_database("postgresql")
    migrations = Migrations(database.url, [Before], folder=tmp_path)
    migrations.create("things")
    path = Path(migrations.create("odd", empty=True))
    names = "'things\\n; DROP TABLE x', 'b\\r\\ny'"
    call = f"operations.refuse_nulls({names})"
    path.write_text(path.read_text().replace("    pass", f"    {call}", 1))
    sql = migrations.sql()
    assert "DROP TABLE x" in sql
    assert not any(line.lstrip().startswith((";", "y must")) for line in sql.splitlines())


def test_a_field_is_named_by_an_identifier():
    for name in ("a b", "x=print('planted')", "class", "a\nb", "9", ""):
        with pytest.raises(ConfigurationError, match="identifier"):
            type(Entity)(
                "Odd",
                (Entity,),
                {name: field(), "__annotations__": {"id": Field[int], name: Field[int]}},
                table="odd",
            )
