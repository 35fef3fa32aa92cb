"""PostgreSQL's SQL. JSON is kept as the text that was given, and compared as jsonb."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, assert_never, cast

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.sql import elements

from holdfast.records.drivers.sql.dialects import postgresql_expressions, postgresql_json_edits
from holdfast.records.drivers.sql.dialects.postgresql_insertions import upsert_of
from holdfast.records.drivers.sql.statements.case_folding import NOTHING_WRONG, Folding
from holdfast.records.drivers.sql.statements.dialect import (
    aggregate_text_decoder,
    divided,
    nulls_placed,
    number,
    total_decoder,
)
from holdfast.records.drivers.sql.statements.group_limit import keys_by_lateral
from holdfast.records.drivers.sql.statements.statement import literal, parameter, typed
from holdfast.records.expressions.predicates import Operator, Part
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy.engine import Dialect as Compiler
    from sqlalchemy.types import TypeEngine

    from holdfast.records.drivers.sql.statements.case_folding import Misfolded
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

_MICROSECOND = timedelta(microseconds=1)
_NAMES: dict[Kind, str] = {
    Kind.BOOL: "boolean",
    Kind.INT: "bigint",
    Kind.FLOAT: "double precision",
    Kind.STR: "text",
    Kind.BYTES: "bytea",
    Kind.DECIMAL: "numeric",
    Kind.DATETIME: "timestamptz",
    Kind.DATE: "date",
    Kind.TIME: "time",
    Kind.TIMEDELTA: "bigint",
    Kind.UUID: "uuid",
    Kind.JSON: "json",  # jsonb turns 1e18 into an int
}
# The bounds of Python's calendar.
_FIRST: Expression = sa.literal_column("timestamp '0001-01-01'")
_LAST: Expression = sa.literal_column("timestamp '9999-12-31 23:59:59.999999'")
_EARLIEST: Expression = sa.literal_column("timestamptz '0001-01-01 00:00:00+00'")
_UNAGGREGATED = (Kind.UUID, Kind.BYTES, Kind.BOOL)  # no min() and max() before PostgreSQL 18
_TYPES: dict[Kind, TypeEngine[Any]] = {
    Kind.BOOL: sa.Boolean(),
    Kind.INT: sa.BigInteger(),
    Kind.FLOAT: sa.Double(),
    Kind.STR: sa.Text(collation="C"),
    Kind.BYTES: sa.LargeBinary(),
    Kind.DATETIME: sa.DateTime(timezone=True),
    Kind.DATE: sa.Date(),
    Kind.TIME: sa.Time(),
    Kind.TIMEDELTA: sa.BigInteger(),  # microseconds
    Kind.UUID: sa.Uuid(),
    Kind.JSON: postgresql.JSON(),
}


LOWERED = 'SELECT lower({}::text COLLATE "C.utf8")'
"""Asks what the server's LOWER makes of a text, for which its parameter is put in."""
FOLDS = "SELECT EXISTS (SELECT FROM pg_collation WHERE collname = 'C.utf8')"
"""Asks whether it can."""


def lower(text: Expression) -> Expression:
    """Return the text that the server's LOWER makes of *text*."""
    return sa.func.lower(text.collate("C.utf8")).collate("C")


class PostgreSQLDialect:
    """See `Dialect`."""

    name = "postgresql"
    no_limit: int | None = None
    time_now = "statement_timestamp()"
    returns_changed = True
    compares_rows = True
    writes_see_one_state = True
    least_joined = 1
    reads_skipped = False
    flattens_exists = True
    assigns_in_turn = False
    repeats_lists = False
    partial_indexes = True

    def __init__(self, wrong: Misfolded | None = NOTHING_WRONG) -> None:
        made: Any = PGDialect  # whose constructor has no types
        self.compiler: Compiler = made(paramstyle="numeric_dollar")
        self._folding = Folding(self.name, lower, wrong)

    def type_of(self, model: Model[E], spec: FieldSpec) -> TypeEngine[Any]:  # noqa: ARG002
        """See `Dialect`."""
        if spec.type.kind is Kind.DECIMAL:
            return sa.Numeric(spec.type.bounds.precision, spec.type.bounds.scale)
        return _TYPES[spec.type.kind]

    def type_name(self, spec: FieldSpec) -> str:
        """Return what the server calls the type of the field's parameters."""
        return _NAMES[spec.type.kind]

    def encoder(self, spec: FieldSpec) -> Codec:
        """See `Dialect`."""
        match spec.type.kind:
            case Kind.TIMEDELTA:
                return lambda value: cast("timedelta", value) // _MICROSECOND
            case Kind.JSON:
                return _encode_json
            case _:
                return None

    def decoder(self, spec: FieldSpec) -> Codec:
        """The connections decode all but this themselves."""
        if spec.type.kind is Kind.TIMEDELTA:
            return lambda value: cast("int", value) * _MICROSECOND
        return None

    def aggregate(self, aggregate: Aggregate, column: Expression) -> Expression:
        """See `Dialect`."""
        assert aggregate.operand is not None
        kind = aggregate.operand.spec.type.kind
        if aggregate.function == "percentile":
            place: Expression = sa.literal_column(repr(aggregate.fraction))
            return sa.func.percentile_cont(place).within_group(sa.cast(column, sa.Double()))
        if aggregate.function in ("min", "max"):
            if kind in _UNAGGREGATED:
                ordered = column.asc() if aggregate.function == "min" else column.desc()
                values = sa.func.array_agg(postgresql.aggregate_order_by(column, ordered))
                present = values.filter(column.is_not(None))
                return sa.type_coerce(present, sa.ARRAY(sa.Text()))[sa.literal_column("1")]
            function = getattr(sa.func, aggregate.function)
            found: Expression = function(column)
            return found
        if kind is Kind.FLOAT:
            return sa.func.sum(column) if aggregate.function == "sum" else sa.func.avg(column)
        joined: Expression = sa.cast(sa.func.sum(column), sa.Text()).op("||")(literal(" "))
        return joined.op("||")(sa.cast(sa.func.count(column), sa.Text()))

    def aggregate_decoder(self, aggregate: Aggregate) -> Codec:
        """Sums and means of exact numbers come as text: the sum, a blank, and the count."""
        return aggregate_text_decoder(aggregate, self.decoder)

    def total(self, spec: FieldSpec, column: Expression) -> Expression:  # noqa: ARG002
        """See `Dialect`."""
        return sa.func.sum(column)

    def total_encoder(self, spec: FieldSpec) -> Codec:
        """See `Dialect`."""
        return self.encoder(spec)

    def total_decoder(self, spec: FieldSpec) -> Codec:
        """See `Dialect`."""
        return total_decoder(spec)

    def mean_of_ints(self, column: Expression) -> Expression:
        """See `Dialect`."""
        return divided(sa.cast(sa.func.sum(column), sa.Double()), sa.func.count(column))

    def truncated(self, spec: FieldSpec, column: Expression, unit: Unit, zone: str) -> Expression:  # noqa: ARG002
        """See `Dialect`."""
        local: Expression = sa.func.timezone(literal(zone), column)
        if unit == "hour":
            start: Expression = sa.func.date_trunc(literal(unit), local)
            found: Expression = column.op("-")(local.op("-")(start))
            bounded: Expression = sa.func.greatest(found, _EARLIEST)
        else:
            found = sa.cast(sa.func.date_trunc(literal(unit), local), sa.Date())
            within = sa.func.least(sa.func.greatest(local, _FIRST), _LAST)
            bounded = sa.cast(sa.func.date_trunc(literal(unit), within), sa.Date())
        # greatest and least pass over nulls.
        return found if zone == "UTC" else sa.case((column.is_not(None), bounded))

    def list_value(self, spec: FieldSpec, encoded: list[object]) -> object:  # noqa: ARG002
        """See `Dialect`."""
        return encoded

    def in_list(self, spec: FieldSpec, column: Expression, listed: Expression) -> Expression:
        """See `Dialect`."""
        among = sa.func.any(typed(listed, f"{self.type_name(spec)}[]"))
        # With ==, Python would ask `among` first where the column is a function too.
        return column.op("=", is_comparison=True)(among)

    def rows_values(
        self,
        specs: Sequence[FieldSpec],  # noqa: ARG002 - a list for each
        columns: Sequence[list[object]],
    ) -> list[object]:
        """See `Dialect`."""
        return list(columns)

    def in_rows(
        self, specs: Sequence[FieldSpec], columns: Sequence[Expression], given: Parameters
    ) -> Expression:
        """See `Dialect`."""
        names = [f"value{at}" for at, _ in enumerate(specs)]
        lists = [typed(given.next(), f"{self.type_name(spec)}[]") for spec in specs]
        rows = sa.func.unnest(*lists).table_valued(*names).render_derived(name="holdfast_rows")
        return sa.tuple_(*columns).in_(sa.select(*(rows.c[name] for name in names)))

    def choice_values(
        self, keys: tuple[FieldSpec, list[object]], values: tuple[FieldSpec, list[object]]
    ) -> list[object]:
        """See `Dialect`."""
        return [keys[1], values[1]]

    def choice(
        self, key: FieldSpec, column: Expression, spec: FieldSpec, given: Parameters
    ) -> Expression:
        """See `Dialect`."""
        keys = typed(given.next(), f"{self.type_name(key)}[]")
        values = typed(given.next(), f"{self.type_name(spec)}[]")
        place = sa.func.array_position(keys, column)
        listed = elements.Grouping(sa.type_coerce(values, postgresql.ARRAY(sa.types.NullType)))
        return listed[place]

    def keys_of_groups(self, groups: GroupLimit, keys: Sequence[Expression]) -> GroupKeys:
        """See `Dialect`."""
        values = sa.func.unnest(typed(groups.listed, f"{self.type_name(groups.spec)}[]"))
        given = values.table_valued("value").render_derived(name="given")
        return keys_by_lateral(groups, given, keys)

    def path_values(self, steps: Steps) -> tuple[Shape, list[object]]:
        """See `Dialect`."""
        path = (
            f".{orjson.dumps(step).decode()}" if isinstance(step, str) else f"[{step}]"
            for step in steps
        )
        return (1,), [f"strict ${''.join(path)}"]

    def json_values(self, steps: Steps, how: Operator, value: object) -> tuple[Shape, list[object]]:  # noqa: ARG002
        """See `Dialect`."""
        return (), [_encode_json(value)]

    def compare_json(
        self,
        place: Place,
        how: Operator,
        value: object,  # noqa: ARG002
        given: Parameters,
    ) -> Expression:
        """See `Dialect`."""
        found, wanted = _follow(place), typed(given.next(), "jsonb")
        if how is Operator.EQ:
            return found == wanted
        compare = _ORDERED[how]
        numbers = _typed(found, "number"), _typed(wanted, "number")
        texts = _typed(found, "string"), _typed(wanted, "string")
        return sa.case(
            (sa.and_(*numbers), compare(found, wanted)),
            (sa.and_(*texts), compare(_text(found).collate("C"), _text(wanted))),
            else_=sa.false(),
        )

    def json_list_values(
        self,
        steps: Steps,  # noqa: ARG002
        wanted: Sequence[object],
    ) -> tuple[Shape, list[object]]:
        """See `Dialect`."""
        return (), [[_encode_json(value) for value in wanted]]

    def in_json(self, place: Place, wanted: Sequence[object], given: Parameters) -> Expression:  # noqa: ARG002
        """See `Dialect`."""
        return _follow(place).op("=")(sa.func.any(typed(given.next(), "jsonb[]")))

    def path_is_null(self, place: Place) -> Expression:
        """See `Dialect`."""
        return _follow(place).is_(None)

    def match(self, place: Place, part: Part, text: tuple[Expression, bool, bool]) -> Expression:
        """See `Dialect`."""
        wanted, folded, _ = text
        if not place.is_json:
            return self._match(place.column, part, wanted, folded=folded)
        found = _follow(place)
        matches = self._match(_text(found).collate("C"), part, wanted, folded=folded)
        return sa.case((_typed(found, "string"), matches), else_=sa.false())

    def _match(
        self, column: Expression, part: Part, parameter: Expression, *, folded: bool
    ) -> Expression:
        found = self._folding.fold(column) if folded else column
        wanted = typed(parameter, "text")
        match part:
            case Part.WHOLE:
                return found == wanted
            case Part.ANYWHERE:
                return sa.func.strpos(found, wanted) > sa.literal_column("0")
            case Part.START:
                return sa.func.starts_with(found, wanted)
            case Part.END:
                return sa.func.right(found, sa.func.char_length(wanted)) == wanted
            case _:
                assert_never(part)

    def folded(self, text: Expression, longest: int) -> Expression:  # noqa: ARG002
        """See `Dialect`."""
        return self._folding.fold(text)

    def word_query(self, terms: SearchTerms) -> str | None:
        """See `Dialect`: a tsquery of all words that must be there, those of phrases too."""
        found: dict[str, None] = {}
        for piece in terms.wanted:
            *whole, last = piece.split()
            found |= {f"'{word}'": None for word in whole}
            found[f"'{last}'" if piece.endswith(" ") else f"'{last}':*"] = None
        return " & ".join(found) or None

    def has_words(self, documents: list[Expression], query: Expression) -> Expression:
        """See `Dialect`. By the index that `word_index` makes."""
        wanted = typed(typed(query, "text"), "tsquery")
        return self.word_vector(documents).op("@@")(wanted)

    def word_vector(self, documents: Sequence[Expression]) -> Expression:
        """Return the words of *documents* as a tsvector, without a look at them by the server."""
        whole = documents[0]
        for document in documents[1:]:
            whole = whole.op("||")(document)
        words = sa.func.string_to_array(sa.func.btrim(whole), literal("  "))
        return sa.func.array_to_tsvector(words)

    def order(self, by: Order, column: Expression, *, nullable: bool) -> list[Expression]:
        """See `Dialect`."""
        return nulls_placed(by, column, nullable=nullable)

    def computed(self, operand: Computed, parts: Sequence[Expression]) -> Expression:
        """See `Dialect`."""
        return postgresql_expressions.computed(operand, parts, self.type_name, self._folding.fold)

    def item_values(self, steps: Steps, value: object) -> tuple[Shape, list[object]]:  # noqa: ARG002
        """See `Dialect`."""
        return (), [_encode_json(value)]

    def has_item(self, place: Place, value: object, given: Parameters) -> Expression:  # noqa: ARG002
        """See `Dialect`."""
        found = _follow(place)
        listed = sa.case((_typed(found, "array"), found), else_=sa.null())
        items = sa.func.jsonb_array_elements(listed).table_valued("value", name="holdfast items")
        wanted = items.c.value == typed(given.next(), "jsonb")
        return sa.select(number(1)).where(wanted).correlate_except(items).exists()

    def edit_values(self, spec: FieldSpec, edit: JsonEdit) -> tuple[Shape, list[object]]:
        """See `Dialect`."""
        return postgresql_json_edits.edit_values(edit, self.encoder(spec))

    def edited(self, document: Expression, edit: JsonEdit, given: Parameters) -> Expression:
        """See `Dialect`."""
        return postgresql_json_edits.edited(document, edit, given)

    def increased(self, spec: FieldSpec, column: Expression, amount: Expression) -> Expression:  # noqa: ARG002
        """See `Dialect`."""
        return column + amount

    def upsert(self, model: Model[E], table: sa.Table, on: tuple[str, ...]) -> sa.ClauseElement:
        """See `Dialect`. The last column tells whether the row was created."""
        values = {spec.name: parameter(spec.position) for spec in model.given}
        return upsert_of(self, model, on, postgresql.insert(table).values(values))


_ORDERED: dict[Operator, Callable[[Expression, Expression], Expression]] = {
    Operator.LT: lambda found, wanted: found < wanted,
    Operator.LE: lambda found, wanted: found <= wanted,
    Operator.GT: lambda found, wanted: found > wanted,
    Operator.GE: lambda found, wanted: found >= wanted,
}


def _encode_json(value: object) -> str:
    return orjson.dumps(value).decode()


def _follow(place: Place) -> Expression:
    """Return the place's value as jsonb, NULL for null and for nowhere."""
    whole = typed(place.column, "jsonb")
    if not place.path:
        return whole
    path = typed(typed(place.path[0], "text"), "jsonpath")
    found = sa.func.jsonb_path_query_first(whole, path, literal("{}"), sa.true())
    return sa.func.nullif(found, typed(literal("null"), "jsonb"))


def _typed(found: Expression, name: str) -> Expression:
    return sa.func.jsonb_typeof(found) == literal(name)


def _text(found: Expression) -> Expression:
    return found.op("#>>")(literal("{}"))
