"""Constraints of some rows, without case and by predicates, as a database is told of them.

Their names in the database end in a digest of what they say. So a changed constraint is another
one: migrations compare names, and need not understand how a database writes an expression back.
"""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.sql.elements import Grouping

from holdfast.records.drivers.sql.statements.conditions import ConditionBuilder
from holdfast.records.drivers.sql.statements.joined_table import JoinedTable
from holdfast.records.drivers.sql.statements.statement import Parameters, literal
from holdfast.records.entities.constraint import Check, Unique, specs_of
from holdfast.records.entities.table_names import in_schema, without_schema
from holdfast.records.expressions.predicates import And, Compare, In, Not, Operator, Or, node
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.engine import Dialect as Compiler

    from holdfast.records.drivers.sql.statements.dialect import Dialect, Expression
    from holdfast.records.entities.constraint import Constraint
    from holdfast.records.entities.model import Model
    from holdfast.records.expressions.predicates import Predicate

E = TypeVar("E")

UNIQUE, CHECK = "unique", "check"
"""How names of these constraints begin in a database; those of a field's own have others."""
_LONGEST_NAME = 63  # characters, in PostgreSQL
_DIGEST = 8
_PARTS = 10  # of an Or: more that are equal to a value would be made a list of
SLOT = "holdfast unique"
"""What the `info` of an index has its `Unique` under."""


def database_name(table: str, constraint: Constraint) -> str:
    """Return the name that the database has *constraint* of *table* under."""
    kind = UNIQUE if isinstance(constraint, Unique) else CHECK
    digest = sha256(_said(constraint).encode()).hexdigest()[:_DIGEST]
    name = f"{kind}_{without_schema(table)}_{constraint.name}"
    return f"{name[: _LONGEST_NAME - _DIGEST - 1]}_{digest}"


def _said(constraint: Constraint) -> str:
    """Return all that *constraint* says but its name, the same in every process and edition."""
    if isinstance(constraint, Check):
        return _words(constraint.predicate)
    where = "" if constraint.where is None else _words(constraint.where)
    return f"{','.join(constraint.fields)};{constraint.ignore_case};{where}"


def _words(predicate: Predicate) -> str:
    match leaf := node(predicate):
        case And(parts) | Or(parts):
            return f"{type(leaf).__name__}({','.join(map(_words, parts))})"
        case Not(part):
            return f"Not({_words(part)})"
        case _:
            # Columns show as entity and field; the entity may be renamed, and is the table's own.
            words = [_word(getattr(leaf, name)) for name in leaf.__dataclass_fields__]
            return f"{type(leaf).__name__}({','.join(words)})"


def _word(value: object) -> str:
    name = getattr(value, "name", None)
    if name is not None:
        return str(name)
    if isinstance(value, tuple):
        return f"[{','.join(map(_word, value))}]"
    return f"{value!r}"


def checks(model: Model[E], table: sa.Table, dialect: Dialect) -> Iterator[sa.CheckConstraint]:
    """Yield the checks of *model*, for its *table*."""
    for check in model.checks:
        name = database_name(model.table, check)
        condition = holds(dialect, table, check)
        yield sa.CheckConstraint(condition, name=name, info={SLOT: check})


def holds(dialect: Dialect, table: sa.FromClause, check: Check) -> Expression:
    """Return what a row of *table* must be for *check*; never NULL where that must not pass."""
    built = condition(dialect, table, check.predicate)
    nullable = any(spec.type.nullable for spec in specs_of(check.predicate))
    return built.is_(sa.true()) if nullable and check.of is None else built


def condition(dialect: Dialect, table: sa.FromClause, predicate: Predicate) -> Expression:
    """Return *predicate*, of a constraint, with its values in the text of the SQL."""
    builder = ConditionBuilder(dialect)
    plain = _without_lists(predicate)
    values: list[object] = []
    builder.walk(plain, values)
    return builder.condition(JoinedTable({}, table), plain, Literals(dialect, values))


def _without_lists(predicate: Predicate) -> Predicate:
    """Return *predicate* with an Or of few for each list: no subquery may stand in a constraint."""
    match leaf := node(predicate):
        case In(operand, values):
            return _any_of([Compare(operand, Operator.EQ, value) for value in values])
        case And(parts):
            return And(tuple(map(_without_lists, parts)))
        case Or(parts):
            return _any_of(list(map(_without_lists, parts)))
        case Not(part):
            return Not(_without_lists(part))
        case _:
            return leaf


def _any_of(parts: list[Predicate]) -> Predicate:
    while len(parts) > _PARTS:
        parts = [_any_of(parts[at : at + _PARTS]) for at in range(0, len(parts), _PARTS)]
    return parts[0] if len(parts) == 1 else Or(tuple(parts))


class Literals(Parameters):
    """Hands out *values*, encoded for *dialect*, as they stand in SQL."""

    def __init__(self, dialect: Dialect, values: Sequence[object]) -> None:
        super().__init__()
        self._literals: Iterator[Any] = iter([literal_of(dialect, value) for value in values])

    def next(self) -> Any:
        """Return the next value."""
        return next(self._literals)


def literal_of(dialect: Dialect, value: object) -> sa.ColumnClause[Any]:
    """Return *value*, as the database takes it of its driver, as it stands in SQL."""
    backslashes = dialect.name in ("mariadb", "mysql")
    match value:
        case bool():
            return sa.literal_column(str(int(value)) if backslashes else str(value).lower())
        case int() | Decimal():
            return sa.literal_column(str(value))
        case float():
            return sa.literal_column(repr(value))
        case str():
            return literal(value.replace("\\", "\\\\") if backslashes else value)
        case bytes():
            bare = value.hex()
            return sa.literal_column(
                f"'\\x{bare}'" if dialect.name == "postgresql" else f"X'{bare}'"
            )
        case datetime() | date() | time() | UUID():
            return literal(str(value))
        case _:
            raise AssertionError(f"no constraint compares with {value!r}")


def uniques(
    model: Model[E], table: sa.Table, dialect: Dialect, *, schema: str = ""
) -> Iterator[sa.Index]:
    """Yield an index for each unique of some rows or without case, for the *table* of *model*.

    Their names begin with *schema*, where there is one.
    """
    for unique in model.further_uniques:
        name = in_schema(schema, database_name(model.table, unique))
        yield unique_index(table, unique, dialect, name=name)


def unique_index(table: sa.Table, unique: Unique, dialect: Dialect, *, name: str) -> sa.Index:
    """Return the index *name* of *table* that keeps *unique*."""
    words: dict[str, Any] = {}
    if unique.where is not None and dialect.partial_indexes:
        words[f"{dialect.name}_where"] = condition(dialect, table, unique.where)
    return sa.Index(
        name,
        *unique_parts(dialect, table, unique),
        unique=True,
        info={SLOT: unique},
        **words,
    )


def unique_parts(dialect: Dialect, table: sa.FromClause, unique: Unique) -> list[Expression]:
    """Return what an index has to hold of each row.

    Where it can't leave rows out, the first part is NULL for them, which is like no other.
    """
    parts = [_part(dialect, table, unique, name) for name in unique.fields]
    if unique.where is not None and not dialect.partial_indexes:
        fitting = condition(dialect, table, unique.where)
        parts[0] = _apart(sa.case((fitting, parts[0])))
    return parts


def compared(dialect: Dialect, unique: Unique, name: str, value: Expression) -> Expression:
    """Return what *unique* compares of *value*, of its field *name*."""
    column = next(each for each in unique.columns if each.name == name)
    longest = column.type.bounds.max_length
    if not unique.ignore_case or column.type.kind is not Kind.STR or longest is None:
        return value
    return dialect.folded(value, longest)


def _part(dialect: Dialect, table: sa.FromClause, unique: Unique, name: str) -> Expression:
    column: Expression = table.c[name]
    made = compared(dialect, unique, name, column)
    return column if made is column else _apart(made)


def _apart(expression: Expression) -> Expression:
    """Return *expression* in the parentheses that an index wants around it."""
    grouped: Expression = Grouping(expression)
    return grouped


def constraint_of(part: sa.Index | sa.Constraint) -> Constraint | None:
    """Return the constraint that *part* of a table was made for, None for any other part."""
    found = part.info.get(SLOT)
    return found if isinstance(found, Unique | Check) else None


def unique_of(index: sa.Index) -> Unique:
    """Return the unique that *index* was made for by `unique_index`."""
    found = constraint_of(index)
    assert isinstance(found, Unique)
    return found


def text_of(expression: Expression | str, compiler: Compiler) -> str:
    """Return *expression*, which has no parameters, as it stands in a table's definition."""
    made: Any = compiler.statement_compiler(compiler, None)
    text: str = made.process(expression, include_table=False, literal_binds=True)
    return text
