"""Alembic's operations as differences that people and programs can read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alembic.operations import ops

from holdfast.records.drivers.sql.migrations.column_types import ColumnType
from holdfast.records.drivers.sql.migrations.constraint_changes import ConstraintOp
from holdfast.records.drivers.sql.migrations.key_changes import KeyOp
from holdfast.records.drivers.sql.migrations.sequence_changes import SequenceOp
from holdfast.records.schema_diff import Difference, DifferenceKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from holdfast.records.drivers.sql.statements.dialect import Dialect
    from holdfast.records.entities.server_default import SequenceDefault

_WHOLE = (ops.CreateTableOp, ops.DropTableOp)
_NULLS = ("required", "nullable")
_PARTS: tuple[tuple[type[ops.MigrateOperation], DifferenceKind, str], ...] = (
    (ops.CreateIndexOp, "index", "missing"),
    (ops.DropIndexOp, "index", "of no entity"),
    (ops.AddConstraintOp, "constraint", "missing"),
    (ops.DropConstraintOp, "constraint", "of no entity"),
)


def differences_of(
    changes: Iterable[ops.MigrateOperation], dialect: Dialect
) -> Iterator[Difference]:
    """Yield what *changes* would put right; of a table that is missing or extra, nothing else."""
    flat = list(_flat(changes))
    keys: dict[str, dict[bool, str]] = {}
    whole = {each.table_name for each in flat if isinstance(each, _WHOLE)}
    for change in flat:
        if not isinstance(change, _WHOLE) and _table_of(change) in whole:
            continue
        match change:
            case ops.CreateTableOp():
                yield Difference("missing table", change.table_name)
            case ops.DropTableOp():
                yield Difference("extra table", change.table_name)
            case ops.AddColumnOp():
                kind = change.column.type.compile(dialect.compiler)
                name = change.column.name
                yield Difference("missing column", change.table_name, name, kind)
            case ops.DropColumnOp():
                yield Difference(
                    "extra column", change.table_name, change.column_name, found="extra"
                )
            case ops.AlterColumnOp():
                yield from _altered(change, dialect)
            case ConstraintOp():
                found = "missing" if change.adds else "of no entity"
                name = change.constraint_name
                yield Difference("constraint", change.table_name, name, found=found)
            case SequenceOp():
                wanted, found = _counts(change.becomes), _counts(change.was)
                yield Difference("sequence", change.place, "", wanted, found)
            case KeyOp():
                keys.setdefault(change.table_name, {})[change.adds] = ", ".join(change.columns)
            case _:
                yield _part(change)
    for table, key in keys.items():
        yield Difference("key", table, "", key[True], key.get(False, "missing"))


def _counts(source: SequenceDefault | None) -> str:
    return "" if source is None else f"from {source.start} by {source.increment}"


def _flat(changes: Iterable[ops.MigrateOperation]) -> Iterator[ops.MigrateOperation]:
    for change in changes:
        if isinstance(change, ops.OpContainer):
            yield from _flat(change.ops)
        else:
            yield change


def _altered(change: ops.AlterColumnOp, dialect: Dialect) -> Iterator[Difference]:
    table, column = change.table_name, change.column_name
    if change.modify_type is not None:
        there: Any = change.existing_type
        found = there.compile(dialect.compiler)
        wanted = change.modify_type.compile(dialect.compiler)
        if isinstance(there, ColumnType) and isinstance(change.modify_type, ColumnType):
            found, wanted = f"{found} by {there.source}", f"{wanted} by {change.modify_type.source}"
        yield Difference("type", table, column, wanted, found)
    if change.modify_server_default is not False:
        wanted, found = (
            getattr(each, "source", "none")
            for each in (change.modify_server_default, change.existing_server_default)
        )
        yield Difference("default", table, column, wanted, found)
    if change.modify_nullable is not None:
        wanted, found = _NULLS[change.modify_nullable], _NULLS[not change.modify_nullable]
        yield Difference("nullability", table, column, wanted, found)


def _part(change: ops.MigrateOperation) -> Difference:
    for kind, name, found in _PARTS:
        if isinstance(change, kind):
            made: Any = change
            part = getattr(made, "index_name", None) or made.constraint_name or "without a name"
            return Difference(name, _table_of(made), str(part), found=found)
    raise AssertionError(f"nothing else is compared: {change!r}")


def _table_of(change: Any) -> str:
    table = getattr(change, "table_name", None) or getattr(change, "source_table", None)
    return str(table)
