"""Which sequences a database lacks, has of no entity any more, and has otherwise."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

from alembic.operations import ops

from holdfast.errors import UnsupportedError
from holdfast.records.driver import StoreCapability
from holdfast.records.drivers.sql.migrations.column_types import from_source
from holdfast.records.drivers.sql.migrations.constraint_changes import table_changes
from holdfast.records.drivers.sql.migrations.default_source import counts, default_of
from holdfast.records.drivers.sql.statements.sequence_ddl import NUMBERS, quoted
from holdfast.records.entities.sequences import sequences_of
from holdfast.records.entities.server_default import SequenceDefault
from holdfast.records.entities.table_names import in_schema, schema_of, without_schema

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import sqlalchemy as sa
    from alembic.script import ScriptDirectory

    from holdfast.records.drivers.sql.migrations.column_history import ColumnHistory
    from holdfast.records.drivers.sql.migrations.target import Target
    from holdfast.records.drivers.sql.statements.dialect import Dialect
    from holdfast.records.entities.model import Model

_FOUND = {
    "postgresql": (
        "SELECT n.nspname::text, pg_catalog.pg_table_is_visible(c.oid), c.relname::text, "
        "s.seqstart, s.seqincrement FROM pg_catalog.pg_sequence s "
        "JOIN pg_catalog.pg_class c ON c.oid = s.seqrelid "
        "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "WHERE pg_catalog.pg_table_is_visible(c.oid) OR n.nspname IN ({schemas})"
    ),
    "mariadb": (
        "SELECT table_schema, table_schema = DATABASE(), table_name, NULL, NULL "
        "FROM information_schema.tables "
        "WHERE table_type = 'SEQUENCE' AND table_schema IN (DATABASE(), {schemas})"
    ),
}
_SAYS = ("start", "increment")


class SequenceOp(ops.MigrateOperation):
    """A sequence at *place* that is made (*was* is None), dropped (*becomes* is) or changed."""

    def __init__(
        self, place: str, was: SequenceDefault | None, becomes: SequenceDefault | None
    ) -> None:
        self.place = place
        self.was = was
        self.becomes = becomes

    def reverse(self) -> SequenceOp:
        """Return the opposite."""
        return SequenceOp(self.place, self.becomes, self.was)

    def to_diff_tuple(self) -> tuple[str, str]:
        """Return what Alembic calls a difference."""
        return ("change_sequence", self.place)

    @property
    def words(self) -> str:
        """What a file says to do it."""
        if self.becomes is None:
            return f"operations.drop_sequence({self.place!r})"
        verb = "create" if self.was is None else "alter"
        counts = ", ".join(f"{name}={getattr(self.becomes, name)}" for name in _SAYS)
        return f"operations.{verb}_sequence({self.place!r}, {counts})"


def add_sequence_changes(
    changes: ops.UpgradeOps,
    models: Sequence[Model[object]],
    connection: sa.Connection,
    dialect: Dialect,
    declared: Mapping[str, SequenceDefault],
) -> None:
    """Add to *changes* what the database lacks and has too much of sequences.

    *declared* are those that files made: they go where no entity names them. Raises
    UnsupportedError for entities with sequences on a database that has none.
    """
    wanted = sequences_of(models, "")
    if dialect.name not in NUMBERS:
        if wanted:
            raise UnsupportedError(StoreCapability.SEQUENCES, dialect.name)
        return
    found = _found(connection, dialect, {*wanted, *declared})
    for place, source in wanted.items():
        there = found.get(place)
        if there != source:
            changes.ops.insert(0, SequenceOp(place, there, source))
    for place, source in declared.items():
        if place in found and place not in wanted:
            changes.ops.append(SequenceOp(place, source, None))


def add_lost_defaults(changes: ops.UpgradeOps, target: Target, declared: ColumnHistory) -> None:
    """Add to *changes* that columns are numbered no more whose fields name no sequence any more.

    Alembic does not see it: it reads no default of a sequence on MariaDB.
    """
    for place, columns in declared.items():
        table = target.tables.get(place)
        for name, said in columns.items() if table is not None else ():
            column = None if table is None else table.c.get(name)
            if column is None or not counts(said.default) or column.server_default is not None:
                continue
            parts = table_changes(changes, place).ops
            same = (each for each in parts if isinstance(each, ops.AlterColumnOp))
            altered = next((each for each in same if each.column_name == name), None)
            if altered is None:
                altered = ops.AlterColumnOp(
                    place,
                    name,
                    existing_type=from_source(said.type),
                    existing_nullable=column.nullable,
                )
                parts.append(altered)
            altered.existing_server_default = default_of(said)
            altered.modify_server_default = None


def sequence_history(script: ScriptDirectory) -> dict[str, SequenceDefault]:
    """Return the sequences that the upgrades of all files leave, by their places."""
    found: dict[str, SequenceDefault] = {}
    for revision in reversed(list(script.walk_revisions())):
        tree = ast.parse(Path(revision.path).read_text("utf-8"))
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name == "upgrade":
                for each in ast.walk(node):
                    _follow(each, found)
    return found


def _follow(node: ast.AST, found: dict[str, SequenceDefault]) -> None:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return
    match node.func.attr, node.args:
        case "drop_sequence", [ast.Constant(value=str() as place)]:
            found.pop(place, None)
        case (("create_sequence" | "alter_sequence"), [ast.Constant(value=str() as place)]):
            counts = {word.arg: ast.literal_eval(word.value) for word in node.keywords}
            found[place] = SequenceDefault(without_schema(place), *(counts[n] for n in _SAYS))
        case _:
            pass


def _found(
    connection: sa.Connection, dialect: Dialect, places: Collection[str]
) -> dict[str, SequenceDefault]:
    """Return those of *places* at which the database has a sequence, as it counts there."""
    if not places:
        return {}
    schemas = ", ".join(f"'{schema_of(place)}'" for place in places)
    query = _FOUND[dialect.name].format(schemas=schemas)
    found: dict[str, SequenceDefault] = {}
    for schema, visible, name, start, increment in connection.exec_driver_sql(query).all():
        for place in {in_schema(schema, name), *([name] if visible else [])} & {*places}:
            if start is None:
                text = f"SELECT start_value, increment FROM {quoted(place, dialect)}"  # noqa: S608 - quoted
                start, increment = connection.exec_driver_sql(text).one()  # noqa: PLW2901 - MariaDB says it there
            found[place] = SequenceDefault(str(name), int(start), int(increment))
    return found
