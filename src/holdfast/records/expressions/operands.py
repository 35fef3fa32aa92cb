"""Operands: what a query reads of a row, and what it computes of that, each with a type.

Operand = Column | Path | RelatedColumn | Computed | RelatedAggregate | SearchRank
          | Aggregate | GroupValue
Computed = Constant | Calculation | Converted | Coalesced | Folded | Length | Truncated

A null makes what is computed of it null, `Coalesced` apart. `arithmetic` says which types go
together, and what comes out. The last two are of groups of rows, and only what is asked of groups
has them.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, assert_never

from holdfast.records.values.aggregate_values import aggregate_spec
from holdfast.records.values.field_spec import Declaration, FieldSpec
from holdfast.records.values.truncated_times import truncated_spec
from holdfast.records.values.value import Bounds, value_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from holdfast.records.values.aggregate_values import AggregateFunction
    from holdfast.records.values.truncated_times import Unit
    from holdfast.records.values.value import ValueType

_JSON = FieldSpec("JSON", -1, value_type(object, Bounds()), Declaration(), None)
_RANK = FieldSpec("rank", -1, value_type(int, Bounds()), Declaration(), None)


class Typed:
    """What an operand tells of its values: *spec* is the field that they could be those of."""

    __slots__ = ()
    spec: FieldSpec

    @property
    def type(self) -> ValueType:
        """The type of its value."""
        return self.spec.type

    @property
    def nullable(self) -> bool:
        """Whether it has no value in some rows."""
        return self.spec.type.nullable


@dataclass(frozen=True, slots=True)
class Column(Typed):
    """A field of an entity: the operand that a row's own value is read from."""

    entity: str
    spec: FieldSpec

    @property
    def name(self) -> str:
        """The field's name."""
        return self.spec.name

    def __repr__(self) -> str:
        return f"{self.entity}.{self.spec.name}"


@dataclass(frozen=True, slots=True)
class Path:
    """A place inside a JSON field: names of members and positions in lists, from the top."""

    column: Column
    steps: tuple[str | int, ...]

    @property
    def spec(self) -> FieldSpec:
        """A field that could hold its value."""
        return _JSON

    @property
    def type(self) -> ValueType:
        """The type of its value: any JSON."""
        return _JSON.type

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


class Operation(enum.Enum):
    """What is done with two numbers, or with a moment and a span of time."""

    ADD = "+"
    SUBTRACT = "-"
    MULTIPLY = "*"
    DIVIDE = "/"


@dataclass(frozen=True, slots=True)
class Constant(Typed):
    """The same row value in each row."""

    value: object
    spec: FieldSpec

    def __repr__(self) -> str:
        return repr(self.value)


@dataclass(frozen=True, slots=True)
class Calculation(Typed):
    """Two operands of one kind, or those that `arithmetic` lets go together."""

    left: Operand
    operation: Operation
    right: Operand
    spec: FieldSpec

    def __repr__(self) -> str:
        return f"({self.left!r} {self.operation.value} {self.right!r})"


@dataclass(frozen=True, slots=True)
class Converted(Typed):
    """The same number in a wider type: an int as a float or Decimal, a Decimal of more digits."""

    operand: Operand
    spec: FieldSpec

    def __repr__(self) -> str:
        scale = self.spec.type.bounds.scale
        return (
            f"{self.spec.type.kind.value}({self.operand!r}{'' if scale is None else f', {scale}'})"
        )


@dataclass(frozen=True, slots=True)
class Coalesced(Typed):
    """The first of *operands* that is not null."""

    operands: tuple[Operand, ...]
    spec: FieldSpec

    def __repr__(self) -> str:
        return f"coalesce({', '.join(map(repr, self.operands))})"


@dataclass(frozen=True, slots=True)
class Folded(Typed):
    """The text in lower case, as `fold_case` makes it."""

    operand: Operand
    spec: FieldSpec

    def __repr__(self) -> str:
        return f"lower({self.operand!r})"


@dataclass(frozen=True, slots=True)
class Length(Typed):
    """The number of the text's code points."""

    operand: Operand
    spec: FieldSpec

    def __repr__(self) -> str:
        return f"length({self.operand!r})"


@dataclass(frozen=True, slots=True)
class Truncated:
    """When the *unit* began that the moment in *operand* lies in, by the clocks of *zone*."""

    operand: Column
    unit: Unit
    zone: str

    @property
    def spec(self) -> FieldSpec:
        """A field that could hold its value."""
        return truncated_spec(self.unit)

    @property
    def type(self) -> ValueType:
        """The type of its value."""
        return self.spec.type

    @property
    def nullable(self) -> bool:
        """Whether it has no value in some rows."""
        return self.operand.nullable

    def __repr__(self) -> str:
        return f"{self.operand!r}.truncated({self.unit!r}, zone={self.zone!r})"


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One value over a group of rows. `count` of no operand counts rows; the others skip nulls.

    *fraction* is that of a percentile.
    """

    function: AggregateFunction
    operand: ValueColumn | None = None
    fraction: float = 0.0

    @property
    def spec(self) -> FieldSpec:
        """A field that could hold its value."""
        return aggregate_spec(self.function, None if self.operand is None else self.operand.spec)

    @property
    def type(self) -> ValueType:
        """The type of its value."""
        return self.spec.type

    @property
    def nullable(self) -> bool:
        """All but counts are null where there is no value."""
        return self.function not in ("count", "count_distinct")

    def __repr__(self) -> str:
        given = f"{self.fraction!r}" if self.function == "percentile" else ""
        return f"{'' if self.operand is None else f'{self.operand!r}.'}{self.function}({given})"


class RowFilter:
    """What tells of a row whether it fits: a `Predicate`, which is made of operands itself."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class RelatedAggregate:
    """An aggregate over the rows that *join*, which leads to many, leads to and that fit *where*.

    Its operand is a field of theirs.
    """

    join: Join
    where: RowFilter
    aggregate: Aggregate

    @property
    def spec(self) -> FieldSpec:
        """A field that could hold its value."""
        return self.aggregate.spec

    @property
    def type(self) -> ValueType:
        """The type of its value."""
        return self.aggregate.type

    @property
    def nullable(self) -> bool:
        """Whether it is null where no row fits, or none has a value."""
        return self.aggregate.nullable

    def __repr__(self) -> str:
        return f"{self.join!r}.where({self.where!r}).{self.aggregate!r}"


@dataclass(frozen=True, slots=True)
class GroupValue:
    """The value at *position* of a result row of an aggregate query, which is *operand* there."""

    position: int
    operand: ValueColumn | Aggregate

    @property
    def spec(self) -> FieldSpec:
        """A field that could hold its value."""
        return self.operand.spec

    @property
    def type(self) -> ValueType:
        """The type of its value."""
        return self.operand.type

    @property
    def nullable(self) -> bool:
        """Whether it is null in some result rows."""
        return self.operand.nullable


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

        The sum, over pieces and columns, of weight * (1000 - 1000 * k // (n + k)), where the piece
        stands n times in the document and k is 1 + its length // 512: more often is better, less
        and less so, and a short document better than a long one.
        """
        total = 0
        for column, weight in zip(self.columns, self.weights, strict=True):
            document = read(column)
            length = 1 + len(document) // 512
            for piece in self.pieces:
                total += weight * (1000 - 1000 * length // (document.count(piece) + length))
        return total

    def __repr__(self) -> str:
        return f"rank of {self.pieces!r} in {self.columns!r} by {self.weights!r}"


Computed: TypeAlias = Constant | Calculation | Converted | Coalesced | Folded | Length | Truncated
Operand: TypeAlias = (
    Column
    | Path
    | RelatedColumn
    | Computed
    | RelatedAggregate
    | SearchRank
    | Aggregate
    | GroupValue
)
"""Each has the `type` of its value, and tells whether it is `nullable`: null in some rows."""
ValueColumn: TypeAlias = Column | RelatedColumn | Computed | RelatedAggregate | SearchRank
"""What a value of a known type can be read of in each row: all but a place in JSON."""

Start: TypeAlias = Column | RelatedColumn | RelatedAggregate | SearchRank | Aggregate
"""What an operand is read of in the end."""


def may_be_null(operand: Operand) -> bool:
    """Return whether *operand* has no value in some rows."""
    return operand.nullable


def parts_of_computed(operand: Computed) -> tuple[Operand, ...]:
    """Return what *operand* is computed of."""
    match operand:
        case Constant():
            return ()
        case Calculation(left, _, right):
            return (left, right)
        case Coalesced(operands):
            return operands
        case Converted(part) | Folded(part) | Length(part) | Truncated(part):
            return (part,)
        case _:
            assert_never(operand)


def starts_in(operand: Operand) -> Iterator[Start]:
    """Yield what *operand* is read of: fields, aggregates, ranks."""
    match operand:
        case Path(column):
            yield column
        case GroupValue(_, of):
            yield from starts_in(of)
        case Column() | RelatedColumn() | RelatedAggregate() | SearchRank() | Aggregate():
            yield operand
        case _:
            for part in parts_of_computed(operand):
                yield from starts_in(part)


def columns_in(operand: Operand) -> Iterator[Column | RelatedColumn]:
    """Yield the fields that *operand* is read of, in the row and in those that it refers to."""
    for start in starts_in(operand):
        match start:
            case Column() | RelatedColumn():
                yield start
            case SearchRank(columns):
                yield from columns
            case RelatedAggregate() | Aggregate():
                pass
            case _:
                assert_never(start)
