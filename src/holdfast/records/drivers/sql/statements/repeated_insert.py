"""The insertion of one row made that of many, where a list of rows is no value."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.records.drivers.sql.statements.statement import Statement


def repeated(statement: Statement, rows: Sequence[Sequence[object]]) -> tuple[str, list[object]]:
    """Return *statement*, an insertion of one row, as one of all of *rows*, which are encoded."""
    bound = [statement.bind(row) for row in rows]
    if len(rows) == 1:
        return statement.sql, [*bound[0]]
    head, _, rest = statement.sql.partition(" VALUES (")
    end = _closing(rest)
    group = f"({rest[:end]})"
    sql = f"{head} VALUES {', '.join([group] * len(rows))}{rest[end + 1 :]}"
    return sql, [value for row in bound for value in row]


def _closing(text: str) -> int:
    """Return where the parenthesis that stands open before *text* closes."""
    depth = 1
    for at, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return at
    raise AssertionError("a statement's parentheses match")
