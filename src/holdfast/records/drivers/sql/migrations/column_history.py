"""What earlier migrations made: the text of each column's type, read from their files.

A database says TEXT where the entity had a UUID, so a column that goes, or changes, is described
by the words that made it; else a downgrade would bring back something else on other databases.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.records.drivers.sql.migrations.column_types import ColumnType, from_source

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory


@dataclass(frozen=True, slots=True)
class WrittenColumn:
    """The texts of a column's type and of its default, if it has one."""

    type: str
    default: str | None


ColumnHistory = dict[str, dict[str, WrittenColumn]]
"""What was said of a column, by column, by table."""


def column_history(script: ScriptDirectory) -> ColumnHistory:
    """Return what the upgrades of all files leave, as far as their texts say so plainly."""
    found: ColumnHistory = {}
    for revision in reversed(list(script.walk_revisions())):
        tree = ast.parse(Path(revision.path).read_text("utf-8"))
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name == "upgrade":
                for statement in node.body:
                    _follow(statement, found, {})
    return found


def of_entities(declared: ColumnHistory) -> set[str]:
    """Return the tables that were written from entities, not by hand: they have kinds alone."""
    return {
        table
        for table, columns in declared.items()
        if columns
        and all(isinstance(from_source(said.type), ColumnType) for said in columns.values())
    }


def _follow(node: ast.AST, found: ColumnHistory, batches: dict[str, str]) -> None:
    """Apply what *node* does to *found*; *batches* are the tables that variables stand for."""
    if isinstance(node, ast.With):
        inside = dict(batches)
        for item in node.items:
            call = item.context_expr
            if _name(call) == "batch_alter_table" and isinstance(item.optional_vars, ast.Name):
                table = _text(_arguments(call), 0)
                if table is not None:
                    inside[item.optional_vars.id] = table
        for statement in node.body:
            _follow(statement, found, inside)
        return
    if isinstance(node, ast.Call):
        _apply(node, found, batches)
        return
    for child in ast.iter_child_nodes(node):
        _follow(child, found, batches)


def _apply(call: ast.Call, found: ColumnHistory, batches: dict[str, str]) -> None:
    name, arguments = _name(call), _arguments(call)
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    batch = batches.get(owner.id) if isinstance(owner, ast.Name) else None
    table = batch if batch is not None else _text(arguments, 0)
    rest = arguments if batch is not None else arguments[1:]
    if table is None:
        return
    columns = found.setdefault(table, {})
    match name:
        case "create_table":
            columns.update(part for each in rest for part in _column(each))
        case "add_column":
            columns.update(part for each in rest[:1] for part in _column(each))
        case "alter_column":
            column = _text(rest, 0)
            words = {word.arg: word.value for word in call.keywords}
            renamed = _text([words["new_column_name"]], 0) if "new_column_name" in words else None
            if column is not None and renamed is not None and column in columns:
                columns[renamed] = columns.pop(column)
                column = renamed
            old = None if column is None else columns.get(column)
            if column is not None and "type_" in words:
                old = columns[column] = WrittenColumn(
                    ast.unparse(words["type_"]), None if old is None else old.default
                )
            if column is not None and old is not None and "server_default" in words:
                given = ast.unparse(words["server_default"])
                columns[column] = WrittenColumn(old.type, None if given == "None" else given)
        case "drop_table":
            del found[table]
        case "rename_table":
            renamed = _text(rest, 0)
            if renamed is not None:
                found[renamed] = found.pop(table)
        case _:
            pass


def _column(node: ast.expr) -> list[tuple[str, WrittenColumn]]:
    arguments = _arguments(node)
    column = _text(arguments, 0)
    if _name(node) != "Column" or column is None or len(arguments) < 2:
        return []
    return [(column, WrittenColumn(ast.unparse(arguments[1]), _word(node, "server_default")))]


def _word(node: ast.expr, name: str) -> str | None:
    """Return the text of a call's argument of that name."""
    words = node.keywords if isinstance(node, ast.Call) else []
    return next((ast.unparse(word.value) for word in words if word.arg == name), None)


def _name(node: ast.expr) -> str | None:
    if not isinstance(node, ast.Call):
        return None
    called = node.func
    if isinstance(called, ast.Attribute):
        return called.attr
    return called.id if isinstance(called, ast.Name) else None


def _arguments(node: ast.expr) -> list[ast.expr]:
    return list(node.args) if isinstance(node, ast.Call) else []


def _text(arguments: list[ast.expr], place: int) -> str | None:
    if place < len(arguments):
        node = arguments[place]
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value
    return None
