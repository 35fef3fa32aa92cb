"""Which uniques and checks of entities a database has, lacks, and has of no entity any more.

They are compared by name alone: a name ends in a digest of what the constraint says.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from alembic.operations import ops

from holdfast.records.drivers.sql.migrations.constraint_source import constraint_source
from holdfast.records.drivers.sql.statements.constraint_ddl import CHECK, UNIQUE, database_name
from holdfast.records.drivers.sql.statements.schema_inspection import place_of
from holdfast.records.entities.table_names import in_schema, without_schema

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from alembic.script import ScriptDirectory

    from holdfast.records.entities.constraint import Constraint
    from holdfast.records.entities.model import Model

_OURS = re.compile(rf"({CHECK}|{UNIQUE})_.+_[0-9a-f]{{8}}\d?", re.DOTALL)
_FIELD = re.compile(r"""operations\.field\((['"])(.+?)\1""")
_MAKERS = {"check": 0, "add_check": 1, "add_unique": 1}
"""At which place the words of a file that make a constraint have its name."""
_INDEXES = {
    "sqlite": "SELECT '', 1, tbl_name, name FROM sqlite_master WHERE type = 'index'",
    "postgresql": (
        "SELECT n.nspname::text, pg_catalog.pg_table_is_visible(t.oid), t.relname::text, "
        "i.relname::text FROM pg_catalog.pg_index x "
        "JOIN pg_catalog.pg_class t ON t.oid = x.indrelid "
        "JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid "
        "JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace "
        "WHERE pg_catalog.pg_table_is_visible(t.oid) OR n.nspname IN ({schemas})"
    ),
    "mysql": (
        "SELECT DISTINCT table_schema, table_schema = DATABASE(), table_name, index_name "
        "FROM information_schema.statistics WHERE table_schema IN (DATABASE(), {schemas})"
    ),
}
"""The schema of each index, whether a name without one means it, its table and its name.

Of the schema that such a name means, and of those named.
"""


def is_ours(name: object) -> bool:
    """Return whether *name* is one that a database has a constraint of `__constraints__` under."""
    return isinstance(name, str) and _OURS.fullmatch(without_schema(name)) is not None


class ConstraintOp(ops.MigrateOperation):
    """A constraint that is added to a table, or dropped.

    *source* is what a file says behind its name to make it; None where no file ever said it.
    """

    def __init__(self, table: str, name: str, source: str | None, *, adds: bool) -> None:
        self.table_name = table
        self.constraint_name = name
        self.source = source
        self.adds = adds

    @property
    def reads(self) -> frozenset[str]:
        """The fields that it is about."""
        return frozenset(name for _, name in _FIELD.findall(self.source or ""))

    @property
    def is_unique(self) -> bool:
        """Whether it is a unique; else it is a check."""
        return self.constraint_name.startswith(f"{UNIQUE}_")

    def reverse(self) -> ConstraintOp:
        """Return the opposite."""
        return ConstraintOp(self.table_name, self.constraint_name, self.source, adds=not self.adds)

    def to_diff_tuple(self) -> tuple[str, str]:
        """Return what Alembic calls a difference."""
        return ("add_constraint" if self.adds else "remove_constraint", self.constraint_name)


def add_constraint_changes(
    changes: ops.UpgradeOps,
    models: Sequence[Model[Any]],
    found: Mapping[str, Collection[str]],
    sources: Mapping[str, str],
) -> None:
    """Add to *changes* what tables lack and have too much of constraints.

    *found* are the names that each table has, *sources* the words of earlier files by name.
    """
    made = {each.table_name: each for each in changes.ops if isinstance(each, ops.CreateTableOp)}
    gone = {each.table_name: each for each in changes.ops if isinstance(each, ops.DropTableOp)}
    wanted: dict[str, dict[str, ConstraintOp]] = {}
    for model in models:
        mine = wanted.setdefault(model.table, {})
        constraints: tuple[Constraint, ...] = (*model.checks, *model.further_uniques)
        for constraint in constraints:
            name = database_name(model.table, constraint)
            mine[name] = ConstraintOp(model.table, name, constraint_source(constraint), adds=True)
    for table in sorted({*wanted, *found}):
        there, mine = set(found.get(table, ())), wanted.get(table, {})
        new = [mine[name] for name in sorted(mine.keys() - there)]
        old = [
            ConstraintOp(table, name, sources.get(name), adds=False)
            for name in sorted(there - mine.keys())
        ]
        for each in (*new, *old):
            whole = made.get(table) if each.adds else gone.get(table)
            if each.is_unique:
                changes.ops.append(each)
            elif whole is not None:
                _put_in(whole, each)
            else:
                table_changes(changes, table).ops.append(each)


def _put_in(whole: ops.CreateTableOp | ops.DropTableOp, check: ConstraintOp) -> None:
    """Let a table be made with *check*, when it is made or when its dropping is undone."""
    made = whole if isinstance(whole, ops.CreateTableOp) else whole._reverse  # noqa: SLF001
    if made is not None and check.source is not None:
        made.columns = [
            *made.columns,
            sa.CheckConstraint("", name=check.constraint_name, info={"source": check.source}),
        ]


def table_changes(changes: ops.UpgradeOps, table: str) -> ops.ModifyTableOps:
    """Return what *changes* has for *table*, to be added to."""
    for each in changes.ops:
        if isinstance(each, ops.ModifyTableOps) and each.table_name == table:
            return each
    made = ops.ModifyTableOps(table, [])
    changes.ops.append(made)
    return made


def constraints_found(
    connection: sa.Connection, dialect: str, tables: Collection[str]
) -> dict[str, set[str]]:
    """Return the names of such constraints that each of *tables* has."""
    found: dict[str, set[str]] = {}
    places: dict[str | None, set[str]] = {}
    for table in tables:
        name, schema = place_of(table, dialect)
        places.setdefault(schema, set()).add(name)
    wanted = ", ".join(f"'{schema}'" for schema in places if schema is not None) or "''"
    query = _INDEXES.get(dialect, _INDEXES["mysql"]).format(schemas=wanted)
    for schema, visible, name, index in connection.exec_driver_sql(query).all():
        for table in {in_schema(schema, name), *([name] if visible else [])} & {*tables}:
            if is_ours(index):
                found.setdefault(str(table), set()).add(without_schema(str(index)))
    inspector = sa.inspect(connection)
    schemas = {*inspector.get_schema_names()} if {*places} - {None} else set[str]()
    for schema, names in places.items():
        if schema is not None and schema not in schemas:
            continue  # it is still to be made
        there = sorted(names.intersection(inspector.get_table_names(schema)))
        if not there:
            continue
        every = inspector.get_multi_check_constraints(schema, filter_names=there)
        for (_, name), checks in every.items():
            ours = {str(check["name"]) for check in checks if is_ours(check["name"])}
            if ours:
                found.setdefault(in_schema(schema, name), set()).update(ours)
    return found


def constraint_sources(script: ScriptDirectory) -> dict[str, str]:
    """Return by name what the files say behind it where they make a constraint."""
    found: dict[str, str] = {}
    for revision in script.walk_revisions():
        for each in ast.walk(ast.parse(Path(revision.path).read_text("utf-8"))):
            if not isinstance(each, ast.Call) or not isinstance(each.func, ast.Attribute):
                continue
            place = _MAKERS.get(each.func.attr)
            if place is None or len(each.args) <= place:
                continue
            name = each.args[place]
            if isinstance(name, ast.Constant) and is_ours(name.value):
                rest = [ast.unparse(argument) for argument in each.args[place + 1 :]]
                rest += [f"{word.arg}={ast.unparse(word.value)}" for word in each.keywords]
                found[str(name.value)] = ", ".join(rest)
    return found
