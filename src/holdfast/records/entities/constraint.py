"""Constraints beyond a field's own: what an entity's `__constraints__` returns.

They are data, as queries are: a driver makes of each what keeps it in its database, and names it
in its error by the same name as every other one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, assert_never

from holdfast.errors import ConfigurationError
from holdfast.records.expressions.operands import Column
from holdfast.records.expressions.predicates import (
    After,
    And,
    Compare,
    CompareOperands,
    Everything,
    HasItem,
    HasWords,
    In,
    InRows,
    InSubquery,
    IsNull,
    Match,
    Not,
    Or,
    Predicate,
    Related,
    node,
)
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.records.expressions.operands import Operand
    from holdfast.records.values.field_spec import FieldSpec


@dataclass(frozen=True, slots=True)
class Unique:
    """No two of the rows that fit *where* (None: of all) have the same values in *columns*.

    Those with a null in one of them are like no other. With *ignore_case* texts are the same when
    `fold_case` makes the same of them.
    """

    columns: tuple[Column, ...]
    name: str
    where: Predicate | None = None
    ignore_case: bool = False

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields."""
        return tuple(column.name for column in self.columns)

    @property
    def plain(self) -> bool:
        """Whether it is of all rows, and of values as they are."""
        return self.where is None and not self.ignore_case

    @property
    def reads(self) -> frozenset[str]:
        """The names of all fields whose change may bring a row into its way."""
        others = () if self.where is None else specs_of(self.where)
        return frozenset((*self.fields, *(spec.name for spec in others)))


@dataclass(frozen=True, slots=True)
class Check:
    """Every row fits *predicate*.

    *of* is the field whose declared bounds it keeps, None for one that was declared itself.
    """

    name: str
    predicate: Predicate
    of: FieldSpec | None = None

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields that it reads, each once."""
        return tuple(dict.fromkeys(spec.name for spec in specs_of(self.predicate)))


Constraint: TypeAlias = Unique | Check
"""What `__constraints__` of an entity returns: a unique, or a check."""


def specs_of(predicate: Predicate) -> Iterator[FieldSpec]:
    """Yield the fields that *predicate*, of a constraint, reads."""
    for operand in _operands("", predicate):
        yield operand.spec


def columns_read(constraint: Constraint) -> Iterator[Column]:
    """Yield every column that *constraint* names or reads."""
    if isinstance(constraint, Check):
        yield from _operands("", constraint.predicate)
        return
    yield from constraint.columns
    if constraint.where is not None:
        yield from _operands("", constraint.where)


def check_predicate(of: str, predicate: object) -> None:
    """Raise ConfigurationError unless *predicate* is one that a constraint, *of*, may have."""
    if not isinstance(predicate, Predicate):
        raise ConfigurationError(f"{of}: expected a predicate, got {predicate!r}")
    for _ in _operands(of, predicate):
        pass


def _operands(of: str, predicate: Predicate) -> Iterator[Column]:
    """Yield the columns that *predicate* reads. Raises ConfigurationError for anything else.

    A database judges a row by itself when it writes it, and by an expression that must mean the
    same forever: other rows, JSON and folded case are not to be had there.
    """
    match leaf := node(predicate):
        case And(parts) | Or(parts):
            for part in parts:
                yield from _operands(of, part)
        case Not(part):
            yield from _operands(of, part)
        case Match(operand, _, _, ignore_case):
            if ignore_case:
                raise ConfigurationError(
                    f"{of}: a constraint's predicate can't ignore case; unique() can"
                )
            yield _own_column(of, operand)
        case Compare(operand) | In(operand) | IsNull(operand):
            yield _own_column(of, operand)
        case Everything():
            raise ConfigurationError(f"{of}: everything() asks nothing of a row")
        case CompareOperands(left, _, right):
            yield _own_column(of, left)
            yield _own_column(of, right)
        case HasItem():
            raise ConfigurationError(f"{of}: a constraint can't look into JSON")
        case InRows() | InSubquery() | HasWords() | Related() | After():
            raise ConfigurationError(f"{of}: a constraint reads the row's own fields, no others'")
        case _:
            assert_never(leaf)


def _own_column(of: str, operand: Operand) -> Column:
    if not isinstance(operand, Column):
        raise ConfigurationError(f"{of}: {operand!r} is no field of the row's own")
    if operand.type.kind is Kind.JSON:
        raise ConfigurationError(f"{of}: {operand!r} is JSON, which no constraint looks into")
    return operand
