"""Changes as data: what an update does to the fields of a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeAlias

from holdfast.records.expressions.predicates import Of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.records.expressions.operands import Column, ValueColumn
    from holdfast.records.values.json_edit import JsonEdit

MOST_EDITS = 20  # changes inside one JSON field


@dataclass(frozen=True, slots=True)
class SetTo(Generic[Of]):
    """Give the field this row value, or null."""

    column: Column
    value: object


@dataclass(frozen=True, slots=True)
class SetFrom(Generic[Of]):
    """Give the field the value, or null, that *operand* has in the row as it is stored."""

    column: Column
    operand: ValueColumn


@dataclass(frozen=True, slots=True)
class SetBy(Generic[Of]):
    """Give the field the row value, or null, that *values* have under the row's value in *by*.

    Rows with another value there, or null, do not fit the write: its condition says so, for
    `update` and `take` alone. *values* are not empty, their keys row values too.
    """

    column: Column
    by: Column
    values: Mapping[object, object]


@dataclass(frozen=True, slots=True)
class Increment(Generic[Of]):
    """Add *amount* to the field's stored number; a null stays null."""

    column: Column
    amount: object


@dataclass(frozen=True, slots=True)
class EditJson(Generic[Of]):
    """Make *edits* inside the JSON field, one after the other."""

    column: Column
    edits: tuple[JsonEdit, ...]


Change: TypeAlias = SetTo[Of] | SetFrom[Of] | SetBy[Of] | Increment[Of] | EditJson[Of]
"""What is done to a field of a row of the entity Of. All changes see the row as it was."""
CHANGES = (SetTo, SetFrom, SetBy, Increment, EditJson)
"""The kinds of a `Change`, for `isinstance`."""
