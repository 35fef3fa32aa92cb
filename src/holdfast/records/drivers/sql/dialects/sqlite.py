"""SQLite's SQL; JSON and case are left to functions in Python (see `sql/sqlite_functions.py`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, assert_never, cast

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect
from sqlalchemy.dialects.sqlite import insert

from holdfast.records.drivers.sql import sqlite_codecs
from holdfast.records.drivers.sql.dialects import sqlite_expressions
from holdfast.records.drivers.sql.statements.dialect import divided, nulls_placed, number
from holdfast.records.drivers.sql.statements.group_limit import keys_by_subquery
from holdfast.records.drivers.sql.statements.statement import literal, parameter
from holdfast.records.drivers.sql.statements.upsert import conflict_target, upserted_values
from holdfast.records.expressions.predicates import Operator, Part
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Dialect as Compiler
    from sqlalchemy.types import TypeEngine

    from holdfast.records.drivers.sql.statements.dialect import (
        Codec,
        Expression,
        GroupKeys,
        GroupLimit,
        Place,
        Shape,
        Steps,
    )
    from holdfast.records.drivers.sql.statements.statement import Parameters
    from holdfast.records.entities.model import Model
    from holdfast.records.expressions.operands import Aggregate, Computed
    from holdfast.records.expressions.predicates import Order
    from holdfast.records.search.search_words import SearchTerms
    from holdfast.records.values.field_spec import FieldSpec
    from holdfast.records.values.json_edit import JsonEdit
    from holdfast.records.values.truncated_times import Unit

E = TypeVar("E")

_ZERO: Expression = sa.literal_column("0")
_ONE: Expression = sa.literal_column("1")
_BITS: Expression = sa.literal_column("32")
_LOWER = number(2**32 - 1)
_STARTS: dict[str, tuple[int, str]] = {
    "hour": (13, ":00:00.000000"),
    "day": (10, ""),
    "month": (7, "-01"),
    "year": (4, "-01-01"),
}
_UP = number(sqlite_codecs.UP)


class SQLiteDialect:
    """See `Dialect`."""

    name = "sqlite"
    compiler: Compiler = sqlite_dialect(paramstyle="qmark")
    no_limit: int | None = -1
    time_now = "strftime('%Y-%m-%d %H:%M:%f000', 'now')"
    returns_changed = True
    compares_rows = True
    writes_see_one_state = False
    least_joined = 2
    reads_skipped = False
    flattens_exists = False
    assigns_in_turn = False
    repeats_lists = False
    partial_indexes = True

    def type_of(self, model: Model[E], spec: FieldSpec) -> TypeEngine[Any]:  # noqa: ARG002
        """See `Dialect`."""
        return sqlite_codecs.TYPES[spec.type.kind]

    def encoder(self, spec: FieldSpec) -> Codec:
        """See `Dialect`."""
        return sqlite_codecs.encoder(spec)

    def decoder(self, spec: FieldSpec) -> Codec:
        """See `Dialect`."""
        return sqlite_codecs.decoder(spec)

    def aggregate(self, aggregate: Aggregate, column: Expression) -> Expression:
        """See `Dialect`."""
        assert aggregate.operand is not None
        if aggregate.function == "percentile":
            return sa.func.holdfast_percentile(column, sa.literal_column(repr(aggregate.fraction)))
        if (
            aggregate.function not in ("sum", "avg")
            or aggregate.operand.spec.type.kind is Kind.FLOAT
        ):
            function = getattr(sa.func, aggregate.function)
            found: Expression = function(column)
            return found
        halves = _sums_of_halves(column)
        space = literal(" ")
        joined: Expression = halves[0].op("||")(space).op("||")(halves[1])
        return joined.op("||")(space).op("||")(halves[2])

    def aggregate_decoder(self, aggregate: Aggregate) -> Codec:
        """See `Dialect`."""
        return sqlite_codecs.aggregate_decoder(aggregate)

    def total(self, spec: FieldSpec, column: Expression) -> Expression:  # noqa: ARG002
        """See `Dialect`. The form is text: the sum's upper bits, moved up from 0, and the lower."""
        upper, lower, count = _halves(column)
        digits = sa.func.printf(literal(sqlite_codecs.TOTAL), upper + _UP, lower)
        return sa.case((count > _ZERO, digits), else_=sa.null())

    def total_encoder(self, spec: FieldSpec) -> Codec:
        """See `Dialect`."""
        return sqlite_codecs.total_encoder(self.encoder(spec))

    def total_decoder(self, spec: FieldSpec) -> Codec:
        """See `Dialect`."""
        return sqlite_codecs.total_decoder(self.decoder(spec))

    def mean_of_ints(self, column: Expression) -> Expression:
        """See `Dialect`."""
        upper, lower, count = _halves(column)
        whole: Expression = sa.literal_column("4294967296.0")
        total: Expression = sa.cast(upper, sa.REAL()) * whole + lower
        return divided(total, sa.cast(count, sa.REAL()))

    def truncated(self, spec: FieldSpec, column: Expression, unit: Unit, zone: str) -> Expression:  # noqa: ARG002
        """See `Dialect`. In UTC but for weeks it is the start of the text."""
        if zone != "UTC" or unit == "week":
            return sa.func.holdfast_truncated(column, literal(unit), literal(zone))
        length, rest = _STARTS[unit]
        start: Expression = sa.func.substr(column, _ONE, number(length))
        return start.op("||")(literal(rest))

    def list_value(self, spec: FieldSpec, encoded: list[object]) -> object:
        """See `Dialect`."""
        return sqlite_codecs.encode_json(_in_json(spec, encoded))

    def in_list(self, spec: FieldSpec, column: Expression, listed: Expression) -> Expression:
        """See `Dialect`."""
        value: Expression = sa.func.json_each(listed).table_valued("value").c.value
        return column.in_(sa.select(_of_json(spec, value)))

    def rows_values(
        self, specs: Sequence[FieldSpec], columns: Sequence[list[object]]
    ) -> list[object]:
        """See `Dialect`."""
        kept = [_in_json(spec, column) for spec, column in zip(specs, columns, strict=True)]
        return [sqlite_codecs.encode_json([list(row) for row in zip(*kept, strict=True)])]

    def in_rows(
        self, specs: Sequence[FieldSpec], columns: Sequence[Expression], given: Parameters
    ) -> Expression:
        """See `Dialect`."""
        row: Expression = sa.func.json_each(given.next()).table_valued("value").c.value
        values = [
            _of_json(spec, sa.func.json_extract(row, literal(f"$[{at}]")))
            for at, spec in enumerate(specs)
        ]
        return sa.tuple_(*columns).in_(sa.select(*values))

    def choice_values(
        self, keys: tuple[FieldSpec, list[object]], values: tuple[FieldSpec, list[object]]
    ) -> list[object]:
        """See `Dialect`."""
        spec, column = values
        known = iter(_in_json(spec, [each for each in column if each is not None]))
        given = [None if each is None else next(known) for each in column]
        return [sqlite_codecs.encode_json(list(zip(_in_json(*keys), given, strict=True)))]

    def choice(
        self, key: FieldSpec, column: Expression, spec: FieldSpec, given: Parameters
    ) -> Expression:
        """See `Dialect`."""
        pair: Expression = sa.func.json_each(given.next()).table_valued("value").c.value
        its_key = _of_json(key, sa.func.json_extract(pair, literal("$[0]")))
        value = sa.func.json_extract(pair, literal("$[1]"))
        found = sa.case((value.is_not(None), _of_json(spec, value)))
        return sa.select(found).where(its_key == column).scalar_subquery()

    def keys_of_groups(self, groups: GroupLimit, keys: Sequence[Expression]) -> GroupKeys:
        """See `Dialect`."""
        given = sa.func.json_each(groups.listed).table_valued("value")
        return keys_by_subquery(groups, given, keys)

    def path_values(self, steps: Steps) -> tuple[Shape, list[object]]:
        """See `Dialect`."""
        return (1,), [sqlite_codecs.encode_json(list(steps))]

    def json_values(self, steps: Steps, how: Operator, value: object) -> tuple[Shape, list[object]]:  # noqa: ARG002
        """See `Dialect`."""
        return (), [sqlite_codecs.encode_json(value)]

    def compare_json(
        self,
        place: Place,
        how: Operator,
        value: object,  # noqa: ARG002
        given: Parameters,
    ) -> Expression:
        """See `Dialect`."""
        found = _follow(place)
        return sa.func.holdfast_compare(found, literal(how.value), given.next()) == _ONE

    def json_list_values(
        self,
        steps: Steps,  # noqa: ARG002
        wanted: Sequence[object],
    ) -> tuple[Shape, list[object]]:
        """See `Dialect`."""
        return (), [sqlite_codecs.encode_json(wanted)]

    def in_json(self, place: Place, wanted: Sequence[object], given: Parameters) -> Expression:  # noqa: ARG002
        """See `Dialect`."""
        return sa.func.holdfast_among(_follow(place), given.next()) == _ONE

    def path_is_null(self, place: Place) -> Expression:
        """See `Dialect`."""
        return _follow(place).is_(None)

    def match(self, place: Place, part: Part, text: tuple[Expression, bool, bool]) -> Expression:
        """See `Dialect`."""
        wanted, folded, empty = text
        if place.is_json:
            found, case = _follow(place), _ONE if folded else _ZERO
            return sa.func.holdfast_match(found, literal(part.value), wanted, case) == _ONE
        found = sa.func.holdfast_fold(place.column) if folded else place.column
        match part:
            case Part.WHOLE:
                return found == wanted
            case Part.ANYWHERE:
                return sa.func.instr(found, wanted) >= _ONE
            case Part.START:
                return sa.func.substr(found, _ONE, sa.func.length(wanted)) == wanted
            case Part.END:
                if empty:
                    return sa.and_(found.is_not(None), wanted == literal(""))
                return sa.func.substr(found, -sa.func.length(wanted)) == wanted
            case _:
                assert_never(part)

    def folded(self, text: Expression, longest: int) -> Expression:  # noqa: ARG002
        """See `Dialect`."""
        return sa.func.holdfast_fold(text)

    def word_query(self, terms: SearchTerms) -> str | None:  # noqa: ARG002
        """See `Dialect`. Documents are read: there is no index of their words."""
        return None

    def has_words(self, documents: list[Expression], query: Expression) -> Expression:
        """See `Dialect`."""
        raise NotImplementedError

    def order(self, by: Order, column: Expression, *, nullable: bool) -> list[Expression]:
        """See `Dialect`."""
        return nulls_placed(by, column, nullable=nullable)

    def computed(self, operand: Computed, parts: Sequence[Expression]) -> Expression:
        """See `Dialect`."""
        return sqlite_expressions.computed(operand, parts)

    def item_values(self, steps: Steps, value: object) -> tuple[Shape, list[object]]:  # noqa: ARG002
        """See `Dialect`."""
        return (), [sqlite_codecs.encode_json(value)]

    def has_item(self, place: Place, value: object, given: Parameters) -> Expression:  # noqa: ARG002
        """See `Dialect`."""
        return sa.func.holdfast_has_item(_follow(place), given.next()) == _ONE

    def edit_values(self, spec: FieldSpec, edit: JsonEdit) -> tuple[Shape, list[object]]:  # noqa: ARG002
        """See `Dialect`."""
        said = [list(edit.steps), edit.action.value, edit.value]
        return (), [sqlite_codecs.encode_json(said)]

    def edited(self, document: Expression, edit: JsonEdit, given: Parameters) -> Expression:  # noqa: ARG002
        """See `Dialect`."""
        return sa.func.holdfast_edited(document, given.next())

    def increased(self, spec: FieldSpec, column: Expression, amount: Expression) -> Expression:  # noqa: ARG002
        """See `Dialect`."""
        return column + amount

    def upsert(self, model: Model[E], table: sa.Table, on: tuple[str, ...]) -> sa.ClauseElement:
        """See `Dialect`."""
        built = insert(table).values({spec.name: parameter(spec.position) for spec in model.given})
        return built.on_conflict_do_update(
            **conflict_target(self, model, table, on),
            set_=upserted_values(model, table, on, built.excluded),
        ).returning(*table.c)


def _in_json(spec: FieldSpec, encoded: list[object]) -> list[object]:
    """Return the encoded values of a field as JSON can carry them."""
    match spec.type.kind:
        case Kind.FLOAT:
            return [repr(value) for value in encoded]
        case Kind.BYTES:
            return [cast("bytes", each).hex() for each in encoded]
        case _:
            return encoded


def _of_json(spec: FieldSpec, value: Expression) -> Expression:
    """Return the field's *value* that `_in_json` gave to JSON."""
    match spec.type.kind:
        case Kind.FLOAT:
            return sa.func.holdfast_real(value)
        case Kind.BYTES:
            return sa.func.holdfast_bytes(value)
        case _:
            return value


def _sums_of_halves(column: Expression) -> tuple[Expression, Expression, Expression]:
    """Return the sums of the upper and the lower 32 bits of *column*, and how many values it has.

    SQLite's own sum of integers fails beyond 64 bits; the sums of the halves can't.
    """
    upper, lower = sa.func.sum(column.op(">>")(_BITS)), sa.func.sum(column.op("&")(_LOWER))
    return upper, lower, sa.func.count(column)


def _halves(column: Expression) -> tuple[Expression, Expression, Expression]:
    """Return the upper and the lower 32 bits of the sum over *column*, and how many values."""
    upper, lower, count = _sums_of_halves(column)
    return upper + lower.op(">>")(_BITS), lower.op("&")(_LOWER), count


def _follow(place: Place) -> Expression:
    """Return the place's value as JSON text, NULL for null and for nowhere."""
    if not place.path:
        return place.column
    return sa.func.holdfast_follow(place.column, *place.path)
