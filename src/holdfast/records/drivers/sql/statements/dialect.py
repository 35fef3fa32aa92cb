"""What differs between SQL databases: types, codecs, and expressions that have no common form."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.sql.elements import False_, True_

from holdfast.records.rows.hydration import value_check
from holdfast.records.values.aggregate_values import mean
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy.engine import Dialect as Compiler
    from sqlalchemy.types import TypeEngine

    from holdfast.records.drivers.sql.statements.statement import Parameters
    from holdfast.records.entities.model import Model
    from holdfast.records.expressions.operands import Aggregate, Computed
    from holdfast.records.expressions.predicates import Operator, Order, Part
    from holdfast.records.search.search_words import SearchTerms
    from holdfast.records.values.field_spec import FieldSpec
    from holdfast.records.values.json_edit import JsonEdit
    from holdfast.records.values.truncated_times import Unit

E = TypeVar("E")

Expression: TypeAlias = "sa.ColumnElement[Any]"
Shape: TypeAlias = "tuple[object, ...]"
Codec: TypeAlias = "Callable[[object], object] | None"
Steps: TypeAlias = "tuple[str | int, ...]"
_GROUP = 400
_NAIVE_EPOCH = datetime(2000, 1, 1)  # noqa: DTZ001 - it is one
_EPOCH = _NAIVE_EPOCH.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Place:
    """A column, or the place in its JSON at *steps*, for which the parameters of *path* stand."""

    column: Expression
    is_json: bool = False
    steps: Steps = ()
    path: tuple[Expression, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupLimit:
    """The rows of *rows* that have one value of *value* are a group; *limit* of each are wanted.

    A group's rows fit *condition* and stand along *order*. *listed* is the parameter for the values
    of the field *spec*, as `Dialect.list_value` makes it.
    """

    spec: FieldSpec
    rows: sa.FromClause
    keys: Sequence[Expression]
    value: Expression
    condition: Expression
    order: Sequence[Expression]
    listed: Expression
    limit: Expression


@dataclass(frozen=True, slots=True)
class GroupKeys:
    """The keys that were found: what to join to the table, and by which condition."""

    rows: sa.FromClause
    condition: Expression


class Dialect(Protocol):
    """One database's SQL. Conditions may be NULL where their column is, and only there."""

    name: str
    no_limit: int | None
    """What LIMIT takes for none."""
    time_now: str
    """The time of the statement, as a column of datetimes has it."""
    returns_changed: bool
    """UPDATE has RETURNING."""
    compares_rows: bool
    """An index serves (a, b) > (x, y)."""
    writes_see_one_state: bool
    """UPDATE and DELETE look into tables as they were before they changed a row of their own."""
    least_joined: int
    """How many aggregates of the same rows are worth a table of them all, not a look for each."""
    reads_skipped: bool
    """What OFFSET leaves out is read all the same, whole rows; or the whole table is sorted."""
    flattens_exists: bool
    """EXISTS (...) is planned as a join, from whichever side is smaller."""
    assigns_in_turn: bool
    """In UPDATE, an assignment reads what those before it have written."""
    repeats_lists: bool
    """A list of values is as many parameters as it has values: see `ValueList`."""
    partial_indexes: bool
    """An index may leave rows out."""

    def __hash__(self) -> int: ...

    @property
    def compiler(self) -> Compiler:
        """SQLAlchemy's dialect, which turns expressions into text."""
        ...

    def type_of(self, model: Model[E], spec: FieldSpec) -> TypeEngine[Any]:
        """Return the column type of a field."""
        ...

    def encoder(self, spec: FieldSpec) -> Codec:
        """Return what turns a row value into the database's; None where they are the same."""
        ...

    def decoder(self, spec: FieldSpec) -> Codec:
        """Return what turns the database's value into a row value; None where they are the same."""
        ...

    def aggregate(self, aggregate: Aggregate, column: Expression) -> Expression:
        """Return the aggregate over *column*, in the form that `aggregate_decoder` reads."""
        ...

    def aggregate_decoder(self, aggregate: Aggregate) -> Codec:
        """Return what decodes the values of `aggregate`; None where they are row values already."""
        ...

    def total(self, spec: FieldSpec, column: Expression) -> Expression:
        """Return the exact sum over *column*, which is of *spec*, in a form that has its order."""
        ...

    def total_encoder(self, spec: FieldSpec) -> Codec:
        """Return what turns a sum of values of *spec* into the form of `total`."""
        ...

    def total_decoder(self, spec: FieldSpec) -> Codec:
        """Return what turns `total` into a sum; None where they are the same."""
        ...

    def mean_of_ints(self, column: Expression) -> Expression:
        """Return the sum over *column* as a float, divided by the number of values."""
        ...

    def truncated(self, spec: FieldSpec, column: Expression, unit: Unit, zone: str) -> Expression:
        """Return when the *unit* of the moments in *column*, of *spec*, began in *zone*.

        Raises UnsupportedError for a zone where the database can't be sure to know any.
        """
        ...

    def list_value(self, spec: FieldSpec, encoded: list[object]) -> object:
        """Return the one value that `in_list` takes for all of *encoded*, which is not empty."""
        ...

    def in_list(self, spec: FieldSpec, column: Expression, listed: Expression) -> Expression:
        """Return whether *column* has one of the values that *listed* stands for."""
        ...

    def rows_values(
        self, specs: Sequence[FieldSpec], columns: Sequence[list[object]]
    ) -> list[object]:
        """Return the values of the parameters that `in_rows` takes.

        *columns* have the encoded values of the rows, a list for each field; there is a row.
        """
        ...

    def in_rows(
        self, specs: Sequence[FieldSpec], columns: Sequence[Expression], given: Parameters
    ) -> Expression:
        """Return whether the values of *columns* together are one of the rows."""
        ...

    def choice_values(
        self, keys: tuple[FieldSpec, list[object]], values: tuple[FieldSpec, list[object]]
    ) -> list[object]:
        """Return the values of the parameters that `choice` takes.

        *keys* and, at their positions, *values* are encoded; there is one, and values may be None.
        """
        ...

    def choice(
        self, key: FieldSpec, column: Expression, spec: FieldSpec, given: Parameters
    ) -> Expression:
        """Return the value of *spec* that is given for the value of *key* in *column*."""
        ...

    def keys_of_groups(self, groups: GroupLimit, keys: Sequence[Expression]) -> GroupKeys:
        """Return the keys of the rows that *groups* wants, to be joined to the table's *keys*."""
        ...

    def path_values(self, steps: Steps) -> tuple[Shape, list[object]]:
        """Return what of *steps*, at least one, makes a difference to the SQL, and the values.

        A parameter of the place's path stands for each value.
        """
        ...

    def json_values(self, steps: Steps, how: Operator, value: object) -> tuple[Shape, list[object]]:
        """Return the shape of the SQL of `compare_json` at *steps*, and its parameters' values."""
        ...

    def compare_json(
        self, place: Place, how: Operator, value: object, given: Parameters
    ) -> Expression:
        """Return whether the JSON in *place* stands to *value* so; both of one type."""
        ...

    def json_list_values(
        self, steps: Steps, wanted: Sequence[object]
    ) -> tuple[Shape, list[object]]:
        """Return the shape of the SQL of `in_json` at *steps*, and its parameters' values."""
        ...

    def in_json(self, place: Place, wanted: Sequence[object], given: Parameters) -> Expression:
        """Return whether the JSON in *place* is one of *wanted*, which is not empty."""
        ...

    def path_is_null(self, place: Place) -> Expression:
        """Return whether the steps lead nowhere, or to a JSON null. Never NULL itself."""
        ...

    def match(self, place: Place, part: Part, text: tuple[Expression, bool, bool]) -> Expression:
        """Return whether the text in *place* has a part; *text* is it, if folded, if empty."""
        ...

    def folded(self, text: Expression, longest: int) -> Expression:
        """Return *text*, of *longest* characters at the most, with its case folded, for an index.

        Raises UnsupportedError where the server can't.
        """
        ...

    def word_query(self, terms: SearchTerms) -> str | None:
        """Return the value of the parameter of `has_words`; None where no index is of use."""
        ...

    def has_words(self, documents: list[Expression], query: Expression) -> Expression:
        """Tell, by an index, whether *documents* together have all words that *query* names.

        It may leave open whether a word stands in a phrase, and what must not be there.
        """
        ...

    def order(self, by: Order, column: Expression, *, nullable: bool) -> list[Expression]:
        """Return how rows are ordered by *column*, its nulls where *by* wants them."""
        ...

    def computed(self, operand: Computed, parts: Sequence[Expression]) -> Expression:
        """Return *operand*, of its *parts*; of a `Constant` its parameter. See `arithmetic`.

        A result that its type can't hold makes the statement fail.
        """
        ...

    def has_item(self, place: Place, value: object, given: Parameters) -> Expression:
        """Return whether the JSON in *place* is a list with *value*; never NULL.

        Its parameters are those of `item_values`.
        """
        ...

    def item_values(self, steps: Steps, value: object) -> tuple[Shape, list[object]]:
        """Return the shape of the SQL of `has_item` at *steps*, and its parameters' values."""
        ...

    def edit_values(self, spec: FieldSpec, edit: JsonEdit) -> tuple[Shape, list[object]]:
        """Return the shape of the SQL of `edited` for a field, and its parameters' values."""
        ...

    def edited(self, document: Expression, edit: JsonEdit, given: Parameters) -> Expression:
        """Return *document*, a JSON column or what this returned before, with *edit* made.

        Where that can't be, the statement fails as for a sum that is too large.
        """
        ...

    def increased(self, spec: FieldSpec, column: Expression, amount: Expression) -> Expression:
        """Return the sum of what *column* holds and *amount*; too large a sum fails."""
        ...

    def upsert(self, model: Model[E], table: sa.Table, on: tuple[str, ...]) -> sa.ClauseElement:
        """Return the insertion of one row that overwrites the one with the same *on* fields."""
        ...


def joined(how: Callable[..., Expression], parts: list[Expression]) -> Expression:
    """Return *parts* as one, in groups of groups: SQLite takes no list longer than 1000.

    `IS TRUE` keeps a group apart, whose parentheses SQLAlchemy would leave out. A constant is left
    out, or is all that is left: MySQL leaves out a subquery beside one, and then refuses the write
    that it is in as one that reads what it changes (1093).
    """
    decides, means_nothing = (is_false, is_true) if how is sa.and_ else (is_true, is_false)
    for part in parts:
        if decides(part):
            return part
    parts = [part for part in parts if not means_nothing(part)]
    if not parts:
        return sa.true() if how is sa.and_ else sa.false()
    while len(parts) > _GROUP:
        groups = [parts[at : at + _GROUP] for at in range(0, len(parts), _GROUP)]
        parts = [how(*group).is_(sa.true()) for group in groups]
    return how(*parts)


def is_false(condition: Expression) -> bool:
    """Return whether *condition* holds of no row whatever is in it.

    MySQL merges a derived table with such an EXISTS into the statement, and refuses that (1093).
    """
    return isinstance(condition, False_)


def is_true(condition: Expression) -> bool:
    """Return whether *condition* holds of each row whatever is in it."""
    return isinstance(condition, True_)


def inverse(condition: Expression) -> Expression:
    """Return what holds where *condition*, which is never NULL, does not."""
    if is_false(condition):
        return sa.true()
    return sa.false() if is_true(condition) else sa.not_(condition)


def divided(left: Expression, right: Expression) -> Expression:
    """Return the quotient as the database's own `/` makes it."""
    return left.op("/", precedence=8)(right)


def bracketed(left: Expression, operator: str, right: Expression) -> Expression:
    """Return `(left operator right)`, whose order nothing around it changes."""
    return sa.Grouping(left.op(operator)(right))


def number(value: int | str) -> Expression:
    """Return a number of ours as it stands in the SQL itself."""
    return sa.literal_column(str(value))


def nulls_placed(by: Order, column: Expression, *, nullable: bool) -> list[Expression]:
    """Return the order of *column* where SQL has NULLS FIRST and NULLS LAST."""
    ordered = column.desc() if by.descending else column.asc()
    if not nullable:
        return [ordered]
    return [ordered.nulls_first() if by.first else ordered.nulls_last()]


def aggregate_text_decoder(aggregate: Aggregate, decoder: Callable[[FieldSpec], Codec]) -> Codec:
    """Return what turns a server's aggregate into a row value or sum; None where they are the same.

    Sums and means of exact numbers come as text: the sum, a blank, and the count.
    """
    if aggregate.operand is None or not aggregate.nullable:
        return None
    spec = aggregate.operand.spec
    if aggregate.function == "percentile":
        return None
    if aggregate.function in ("min", "max") or spec.type.kind is Kind.FLOAT:
        return decoder(spec)
    is_mean = aggregate.function == "avg"

    def read(text: object) -> object:
        total_text, count = cast("str", text).split()
        total: object
        match spec.type.kind:
            case Kind.DECIMAL:
                total = Decimal(total_text)
            case Kind.TIMEDELTA:
                total = int(total_text) * timedelta(microseconds=1)
            case _:
                total = int(total_text)
        return mean(total, int(count)) if is_mean else total

    return read


def total_decoder(spec: FieldSpec) -> Codec:
    """Return what makes a sum of values of *spec* of a server's Decimal."""
    match spec.type.kind:
        case Kind.DECIMAL:
            return None
        case Kind.TIMEDELTA:
            return lambda value: int(cast("Decimal", value)) * timedelta(microseconds=1)
        case _:
            return lambda value: int(cast("Decimal", value))


def naive(moment: datetime) -> datetime:
    """Return *moment*, which is in UTC, without its zone.

    Reckoned, as `replace` costs ten times as much.
    """
    return _NAIVE_EPOCH + (moment - _EPOCH)


def aware(moment: datetime) -> datetime:
    """Return *moment* with UTC for its zone; see `naive`."""
    return _EPOCH + (moment - _NAIVE_EPOCH)


def column_decoder(dialect: Dialect, spec: FieldSpec) -> Codec:
    """Return what makes row values of a column's, and raises ValueError for a bad one."""
    decode, check = dialect.decoder(spec), value_check(spec)
    if decode is None or check is None:
        return decode or check
    return lambda value: check(decode(value))
