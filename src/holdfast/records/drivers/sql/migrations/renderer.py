"""The text of a migration: Alembic's operations, in words that run on every database."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING, Any, Literal, cast

import sqlalchemy as sa
from alembic.autogenerate import render_python_code
from alembic.operations import ops

from holdfast.records.drivers.sql.migrations.column_types import (
    ColumnType,
    VerbatimType,
    from_source,
)
from holdfast.records.drivers.sql.migrations.constraint_changes import ConstraintOp, is_ours
from holdfast.records.drivers.sql.migrations.constraint_source import field_source
from holdfast.records.drivers.sql.migrations.default_source import (
    Initial,
    counts,
    default_of,
    initial_of,
)
from holdfast.records.drivers.sql.migrations.key_changes import KeyOp
from holdfast.records.drivers.sql.migrations.sequence_changes import SequenceOp
from holdfast.records.drivers.sql.migrations.target import limit_name
from holdfast.records.drivers.sql.statements.tables import TABLE_OPTIONS, limit_of, named
from holdfast.records.entities.table_names import schema_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from alembic.autogenerate.api import AutogenContext
    from alembic.runtime.migration import MigrationContext

    from holdfast.records.drivers.sql.migrations.column_history import ColumnHistory, WrittenColumn
    from holdfast.records.drivers.sql.migrations.target import Target


class ScriptRenderer:
    """ModelStatements operations that bring a database to *target*, and those that undo them."""

    def __init__(self, target: Target, declared: ColumnHistory, context: MigrationContext) -> None:
        self._target = target
        self._declared = declared
        self._context = context

    def describe(self, changes: ops.UpgradeOps) -> None:
        """Give what *changes* takes away the words that made it, where earlier files say them."""
        for operation in _flat(changes.ops):
            match operation:
                case ops.AlterColumnOp():
                    said = self._said(operation.table_name, operation.column_name)
                    if said is not None:
                        operation.existing_type = from_source(said.type)
                        was = default_of(said)
                        if was is not None or operation.modify_server_default is not False:
                            operation.existing_server_default = was
                        else:
                            operation.existing_server_default = False
                case ops.DropColumnOp():
                    column = operation.to_column(self._context)
                    self._describe_column(operation.table_name, column)
                    operation._reverse = ops.AddColumnOp(operation.table_name, column)  # noqa: SLF001
                case ops.DropTableOp():
                    self._describe_table(operation)
                case _:
                    pass

    def _describe_table(self, operation: ops.DropTableOp) -> None:
        made = operation._reverse  # noqa: SLF001 - Alembic has no public way to it
        if made is None:
            return
        table = operation.table_name
        made.columns = [part for part in made.columns if not is_ours(getattr(part, "name", ""))]
        columns = [part for part in made.columns if isinstance(part, sa.Column)]
        for column in columns:
            self._describe_column(table, column)
        if not all(isinstance(column.type, ColumnType) for column in columns):
            return
        operation.table_kw.update(TABLE_OPTIONS)
        for part in made.columns:
            if isinstance(part, sa.PrimaryKeyConstraint):
                part.name = named("pk", table, [column.name for column in part.columns])
        limits = [
            (column.name, column.type.spec(column.name))
            for column in columns
            if isinstance(column.type, ColumnType)
        ]
        made.columns = [
            *(part for part in made.columns if not isinstance(part, sa.CheckConstraint)),
            *(
                sa.CheckConstraint(condition, name=limit_name(table, name), info={"limit": True})
                for name, spec in limits
                if (condition := limit_of(spec)) is not None
            ),
        ]

    def _describe_column(self, table: str, column: sa.Column[Any]) -> None:
        said = self._said(table, column.name)
        if said is not None:
            column.type = from_source(said.type)
            column.server_default = default_of(said)
            if counts(said.default):
                column.autoincrement = False
            elif column.autoincrement is False:
                column.autoincrement = "auto"  # as it was written

    def _said(self, table: str, column: str) -> WrittenColumn | None:
        return self._declared.get(table, {}).get(column)

    def body(self, operations: Sequence[ops.MigrateOperation]) -> str:
        """Return the statements of a migration's function, indented for their place in it."""
        lines: list[str] = []
        late: list[str] = []
        dropped = {each.table_name for each in operations if isinstance(each, ops.DropTableOp)}
        uniques = [each for each in operations if isinstance(each, ConstraintOp)]
        for each in uniques:
            if not each.adds and each.table_name not in dropped:
                words = f"{each.table_name!r}, {each.constraint_name!r}"
                lines.append(f"operations.drop_unique({words})")
        for operation in operations:
            if isinstance(operation, ops.DropTableOp):
                lines += self._circles(operation)
        for operation in operations:
            if isinstance(operation, ops.ModifyTableOps):
                if operation.table_name not in dropped:  # its indexes go with it
                    lines += self._table(operation)
            elif isinstance(operation, ops.CreateTableOp):
                lines += self._new_table(operation, late)
            elif not isinstance(operation, (ConstraintOp, SequenceOp)):
                lines += self._render(operation)
        new = _new_columns(operations)
        for each in uniques:
            if each.adds:
                if each.source is not None and (each.table_name, None) not in new:
                    # What it is about may be there only by then.
                    refusing = late if _reads_any(each, new) else lines
                    refusing.append(f"operations.refuse_alike({each.table_name!r}, {each.source})")
                late.append(_unique(each))
        # Before anything is changed, as MariaDB can't undo it.
        refusals = [line for line in lines if line.startswith("operations.refuse_")]
        rest = [line for line in lines if line not in refusals]
        sequences = [each for each in operations if isinstance(each, SequenceOp)]
        made = [each.words for each in sequences if each.becomes is not None]
        gone = [each.words for each in sequences if each.becomes is None]
        return "\n    ".join([*refusals, *_schemas(operations), *made, *rest, *late, *gone])

    def _new_table(self, operation: ops.CreateTableOp, late: list[str]) -> list[str]:
        for part in list(operation.columns):
            if isinstance(part, sa.ForeignKeyConstraint) and part.use_alter:
                operation.columns = [each for each in operation.columns if each is not part]
                reference = ops.CreateForeignKeyOp.from_constraint(part)
                reference.kw.pop("use_alter", None)
                late += self._table(ops.ModifyTableOps(operation.table_name, [reference]))
        call, *arguments, end = self._render(operation)
        opening, _, name = call.partition("(")
        return [f"{opening}(", *(f"    {line}" for line in (name, *arguments)), end]

    def _circles(self, operation: ops.DropTableOp) -> list[str]:
        """Drop first what keeps tables that point at each other from being dropped."""
        parts = () if operation._reverse is None else operation._reverse.columns  # noqa: SLF001
        table, lines = operation.table_name, list[str]()
        for part in parts:
            if isinstance(part, sa.ForeignKeyConstraint) and part.use_alter:
                gone = ops.DropConstraintOp.from_constraint(part)
                lines += self._table(ops.ModifyTableOps(table, [gone]))
        return lines

    def _table(self, operation: ops.ModifyTableOps) -> list[str]:
        table = operation.table_name
        parts = [each for each in operation.ops if isinstance(each, ops.MigrateOperation)]
        new = {each.column.name for each in parts if isinstance(each, ops.AddColumnOp)}
        gone_indexes = {str(each.index_name) for each in parts if isinstance(each, ops.DropIndexOp)}
        parts.sort(key=lambda each: _turn(each, new, gone_indexes))
        if all(isinstance(each, (ops.CreateIndexOp, ops.DropIndexOp)) for each in parts):
            return [line for each in parts for line in self._render(each)]
        before: list[str] = []
        body: list[str] = []
        gone = [each.column_name for each in parts if isinstance(each, ops.DropColumnOp)]
        come = [each.column for each in parts if isinstance(each, ops.AddColumnOp)]
        if gone and come:
            before += _renaming(table, gone, [column.name for column in come])
        for part in parts:
            ours = isinstance(part, (ConstraintOp, KeyOp))
            rendered = [] if ours else self._in_batch(table, part)
            match part:
                case ops.AddColumnOp():
                    before += self._fill(table, part.column)
                    rendered = self._in_batch(table, part)
                    body += [*rendered, *_limit(table, part.column.name, part.column.type)]
                case ops.DropColumnOp():
                    gone_type = part.to_column(self._context).type
                    body += [*_no_limit(table, part.column_name, gone_type), *rendered]
                case ops.AlterColumnOp():
                    before += [*self._require(table, part), *_change(table, part)]
                    if part.modify_type is not None:
                        body += _no_limit(table, part.column_name, part.existing_type)
                    body += [*rendered, *_limit(table, part.column_name, part.modify_type)]
                case ConstraintOp():
                    before += _refused_by_check(part, _new_columns([operation]))
                    body += _check(part)
                case KeyOp():
                    before += self._refused_by_key(part, new)
                    body.append(_key(part))
                case _:
                    body += rendered
        options = self._target.tables[table].kwargs if table in self._target.tables else {}
        kept = {name: value for name, value in options.items() if name.startswith("sqlite_")}
        words = f", table_kwargs={kept!r}" if kept else ""
        if any(isinstance(part, KeyOp) for part in parts):
            words += ", naming_convention=operations.KEY_NAMES"
        return [*before, f"with op.batch_alter_table({table!r}{words}) as batch_op:", *body]

    def _refused_by_key(self, part: KeyOp, new: set[str]) -> list[str]:
        """Refuse rows that are alike in what becomes their key, before the old one goes."""
        specs = [self._target.specs.get((part.table_name, name)) for name in part.columns]
        if not part.adds or new.intersection(part.columns):
            return []
        fields = ", ".join(field_source(spec) for spec in specs if spec is not None)
        return [f"operations.refuse_alike({part.table_name!r}, [{fields}])"]

    def _fill(self, table: str, column: sa.Column[Any]) -> list[str]:
        """Give a new column what the rows that are there will hold, or refuse them."""
        if column.nullable or column.server_default is not None:
            return []
        spec = self._target.specs.get((table, column.name))
        source = None if spec is None else initial_of(spec, table)
        if source is None:
            return [f"operations.refuse_rows({table!r}, {column.name!r})"]
        column.server_default = Initial(source)
        return []

    def _require(self, table: str, part: ops.AlterColumnOp) -> list[str]:
        """Give the nulls of a column that takes none any more a value, or refuse them."""
        if part.modify_nullable is not False:
            return []
        name = part.column_name
        spec = self._target.specs.get((table, name))
        source = None
        if spec is not None and not spec.type.nullable and part.modify_type is None:
            source = initial_of(spec, table)
        if source is None:
            return [f"operations.refuse_nulls({table!r}, {name!r})"]
        return [
            f"# Rows where {_place(table, name)} is null get its default.",
            f"operations.fill_nulls({table!r}, {name!r}, {source})",
        ]

    def _in_batch(self, table: str, part: ops.MigrateOperation) -> list[str]:
        """Return the lines of *part* as they stand inside `with op.batch_alter_table(...)`."""
        return self._render(ops.ModifyTableOps(table, [cast("Any", part)]))[1:]

    def _render(self, operation: ops.MigrateOperation) -> list[str]:
        text = render_python_code(
            ops.UpgradeOps([cast("Any", operation)]),
            render_as_batch=True,
            render_item=_render_item,
            migration_context=self._context,
        )
        lines = [line.rstrip() for line in dedent(f"    {text}").splitlines()]
        return [line for line in lines if line and not line.startswith("# ###")]


def _schemas(operations: Sequence[ops.MigrateOperation]) -> list[str]:
    """Return the lines that make the schemas of new tables."""
    made = (each.table_name for each in operations if isinstance(each, ops.CreateTableOp))
    schemas = dict.fromkeys(schema_of(table) for table in made)
    return [f"operations.create_schema({schema!r})" for schema in schemas if schema]


def _change(table: str, part: ops.AlterColumnOp) -> list[str]:
    name, was, becomes = part.column_name, part.existing_type, part.modify_type
    if becomes is None:
        return []
    lines = [
        f"# See that the values of {_place(table, name)} survive:",
        "# each database converts them in its own way, or refuses.",
    ]
    if not (isinstance(was, ColumnType) and isinstance(becomes, ColumnType)):
        return lines
    if (was.kind, was.digits) != (becomes.kind, becomes.digits):
        words = f"{table!r}, {name!r}, {was.source}, {becomes.source}"
        lines.append(f"operations.refuse_changed({words})")
    return lines


def _limit(table: str, column: str, kind: object) -> list[str]:
    condition = limit_of(kind.spec(column)) if isinstance(kind, ColumnType) else None
    if condition is None:
        return []
    return [
        f"    operations.add_limit(batch_op, {condition!r}, name={limit_name(table, column)!r})"
    ]


def _no_limit(table: str, column: str, kind: object) -> list[str]:
    if not isinstance(kind, ColumnType) or limit_of(kind.spec(column)) is None:
        return []
    return [f"    operations.drop_limit(batch_op, {limit_name(table, column)!r})"]


def _turn(part: ops.MigrateOperation, new: set[str], gone: set[str]) -> int:
    """Return when *part* is done; *new* are columns, *gone* indexes of its table.

    MariaDB and MySQL keep an index for as long as a reference needs it, a unique's too: one that
    takes its place comes before it goes. A check comes last, and goes first, as it may be about a
    column that comes or goes.
    """
    match part:
        case ConstraintOp():
            return 8 if part.adds else 0
        case KeyOp():
            return 5 if part.adds else 1
        case ops.DropConstraintOp():
            return 3 if part.constraint_type == "unique" else 1
        case ops.CreateIndexOp():
            if part.index_name in gone:
                return 6
            return 4 if new.intersection(map(_column_name, part.columns)) else 2
        case ops.CreateUniqueConstraintOp():
            return 5
        case ops.DropIndexOp():
            return 6
        case ops.DropColumnOp():
            return 7
        case _:
            return 4


def _column_name(part: object) -> str:
    """Return the name of the column that *part* of an index is, or its own text."""
    return str(getattr(part, "name", part))


def _new_columns(operations: Sequence[ops.MigrateOperation]) -> set[tuple[str, str | None]]:
    """Return what columns are new, or of another kind; None for all of a new table."""
    found: set[tuple[str, str | None]] = set()
    for operation in operations:
        match operation:
            case ops.CreateTableOp():
                found.add((operation.table_name, None))
            case ops.ModifyTableOps():
                for part in operation.ops:
                    match part:
                        case ops.AddColumnOp():
                            found.add((operation.table_name, part.column.name))
                        case ops.AlterColumnOp() if _changes_kind(part):
                            found.add((operation.table_name, part.column_name))
                        case _:
                            pass
            case _:
                pass
    return found


def _changes_kind(part: ops.AlterColumnOp) -> bool:
    was, becomes = part.existing_type, part.modify_type
    if becomes is None:
        return False
    kept = isinstance(was, ColumnType) and isinstance(becomes, ColumnType)
    return not kept or was.kind != becomes.kind  # type: ignore[union-attr]


def _reads_any(part: ConstraintOp, new: set[tuple[str, str | None]]) -> bool:
    return bool(new & {(part.table_name, name) for name in (None, *part.reads)})


def _unmade(part: ConstraintOp) -> str:
    return f"# {_name(part.constraint_name)} was made by no file, so none can make it again."


def _unique(part: ConstraintOp) -> str:
    if part.source is None:
        return _unmade(part)
    return f"operations.add_unique({part.table_name!r}, {part.constraint_name!r}, {part.source})"


def _refused_by_check(part: ConstraintOp, new: set[tuple[str, str | None]]) -> list[str]:
    if not part.adds or part.source is None or _reads_any(part, new):
        return []
    return [f"operations.refuse_broken({part.table_name!r}, {part.source})"]


def _key(part: KeyOp) -> str:
    name = named("pk", part.table_name, part.columns)
    if not part.adds:
        return f"    operations.drop_key(batch_op, {name!r})"
    columns = ", ".join(map(repr, part.columns))
    return f"    operations.add_key(batch_op, {columns}, name={name!r})"


def _check(part: ConstraintOp) -> list[str]:
    if not part.adds:
        return [f"    operations.drop_check(batch_op, {part.constraint_name!r})"]
    if part.source is None:
        return [f"    {_unmade(part)}"]
    return [f"    operations.add_check(batch_op, {part.constraint_name!r}, {part.source})"]


def _renaming(table: str, gone: list[str], come: list[str]) -> list[str]:
    lost, new = (", ".join(map(_name, names)) for names in (gone, come))
    return [
        f"# {_name(table)} loses {lost} and gets {new}. Was one of them renamed?",
        "# Nobody can tell from here. If so, the values are lost unless that pair makes room for",
        "#     batch_op.alter_column('old', new_column_name='new')",
        "# and the refusal of rows for the new one, if there is one, goes.",
    ]


def _place(table: str, column: str) -> str:
    return f"{_name(table)}.{_name(column)}"


def _name(name: str) -> str:
    """Return *name*, which others may have chosen, as it may stand in a comment."""
    return name if name.isidentifier() and name.isascii() else repr(name)


def _render_item(kind: str, item: Any, _context: AutogenContext) -> str | Literal[False]:
    match item:
        case ColumnType() | VerbatimType():
            return item.source
        case Initial():
            return item.source
        case sa.PrimaryKeyConstraint() if kind == "primary_key":
            columns = [repr(str(column.name)) for column in item.columns]
            name = [f"name={str(item.name)!r}"] if item.name else []
            return f"operations.primary_key({', '.join([*columns, *name])})"
        case sa.CheckConstraint() if kind == "check" and item.info.get("source"):
            return f"operations.check({str(item.name)!r}, {item.info['source']})"
        case sa.CheckConstraint() if kind == "check" and item.info.get("limit"):
            return f"operations.limit({str(item.sqltext)!r}, name={str(item.name)!r})"
        case _:
            return False


def _flat(operations: Iterable[ops.MigrateOperation]) -> Iterator[ops.MigrateOperation]:
    for operation in operations:
        if isinstance(operation, ops.OpContainer):
            yield from _flat(operation.ops)
        else:
            yield operation
