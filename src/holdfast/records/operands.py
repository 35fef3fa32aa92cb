"""Operands: what a query reads of a row, each with the type of its value.

Operand = Column | Path | RelatedColumn | SearchRank
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, assert_never

from holdfast.records.field_spec import Declaration, FieldSpec
from holdfast.records.value import Bounds, ValueType, value_type

if TYPE_CHECKING:
    from collections.abc import Callable

_JSON = value_type(object, Bounds())
_RANK = FieldSpec("rank", 0, value_type(int, Bounds()), Declaration(), None)


@dataclass(frozen=True, slots=True)
class Column:
    """A field of an entity: the operand that a row's own value is read from."""

    entity: str
    spec: FieldSpec

    @property
    def name(self) -> str:
        """The field's name."""
        return self.spec.name

    @property
    def type(self) -> ValueType:
        """The type of its value."""
        return self.spec.type

    @property
    def nullable(self) -> bool:
        """Whether it has no value in some rows."""
        return self.spec.type.nullable

    def __repr__(self) -> str:
        return f"{self.entity}.{self.spec.name}"


@dataclass(frozen=True, slots=True)
class Path:
    """A place inside a JSON field: names of members and positions in lists, from the top."""

    column: Column
    steps: tuple[str | int, ...]

    @property
    def type(self) -> ValueType:
        """The type of its value: any JSON."""
        return _JSON

    @property
    def nullable(self) -> bool:
        """It leads nowhere in some rows."""
        return True

    def __repr__(self) -> str:
        return f"{self.column!r}{''.join(f'[{step!r}]' for step in self.steps)}"


@dataclass(frozen=True, slots=True)
class Join:
    """The relation *name* of the entity *source*, as it is followed to rows of *target*.

    *via* is a reference of the source to one, or of the *many* to the source; a null leads nowhere.
    `joins` knows the fields at both ends.
    """

    source: type
    name: str
    target: type
    via: str
    many: bool

    def __repr__(self) -> str:
        return f"{self.source.__name__}.{self.name}"


@dataclass(frozen=True, slots=True)
class RelatedColumn:
    """A field of the entity that *joins* lead to, each to one row at most; null if to none."""

    joins: tuple[Join, ...]
    column: Column

    @property
    def spec(self) -> FieldSpec:
        """The field that is read in the end."""
        return self.column.spec

    @property
    def type(self) -> ValueType:
        """The type of its value."""
        return self.column.spec.type

    @property
    def nullable(self) -> bool:
        """It leads nowhere in some rows."""
        return True

    def __repr__(self) -> str:
        path = "".join(f"{join!r}[" for join in self.joins)
        return f"{path}{self.column!r}{']' * len(self.joins)}"


@dataclass(frozen=True, slots=True)
class SearchRank:
    """How well a row's documents in *columns* fit the *pieces* that a search wants; see `of`.

    Each of *columns* has its one of *weights*.
    """

    columns: tuple[RelatedColumn, ...]
    weights: tuple[int, ...]
    pieces: tuple[str, ...]

    @property
    def spec(self) -> FieldSpec:
        """A field of whole numbers."""
        return _RANK

    @property
    def type(self) -> ValueType:
        """The type of its value: an int."""
        return _RANK.type

    @property
    def nullable(self) -> bool:
        """It always has a value."""
        return False

    def of(self, read: Callable[[RelatedColumn], str]) -> int:
        """Return the rank of the row whose documents *read* gives.

        The sum, over pieces and columns, of weight * 1000 * n // (n + 1 + words // 64), where the
        piece stands n times in the document, which has so many words: more often is better, less
        and less so, and a short document better than a long one.
        """
        total = 0
        for column, weight in zip(self.columns, self.weights, strict=True):
            document = read(column)
            words = document.count(" ") // 2
            for piece in self.pieces:
                times = document.count(piece)
                total += weight * 1000 * times // (times + 1 + words // 64)
        return total

    def __repr__(self) -> str:
        return f"rank of {self.pieces!r} in {self.columns!r} by {self.weights!r}"


Operand: TypeAlias = Column | Path | RelatedColumn | SearchRank
"""Each has the `type` of its value, and tells whether it is `nullable`: null in some rows."""
ValueColumn: TypeAlias = Column | RelatedColumn | SearchRank
"""What a value can be read of: a field of the row's own, or of one that it leads to, or a rank."""


def start_of(operand: Operand) -> ValueColumn:
    """Return what *operand* is read of: a JSON path's field, else itself."""
    match operand:
        case Path(column):
            return column
        case Column() | RelatedColumn() | SearchRank():
            return operand
        case _:
            assert_never(operand)


def may_be_null(operand: Operand) -> bool:
    """Tell whether *operand* has no value in some rows."""
    return operand.nullable
