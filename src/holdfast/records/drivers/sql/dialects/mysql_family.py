"""The SQL that MariaDB and MySQL have in common. UUIDs are 16 bytes, in their own order."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar, assert_never, cast
from uuid import UUID, SafeUUID

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from holdfast.errors import UnsupportedError
from holdfast.records.driver import StoreCapability
from holdfast.records.drivers.sql.dialects import json_edits, mysql_family_expressions
from holdfast.records.drivers.sql.statements.dialect import (
    aggregate_text_decoder,
    aware,
    divided,
    naive,
    total_decoder,
)
from holdfast.records.drivers.sql.statements.group_limit import keys_by_number
from holdfast.records.drivers.sql.statements.statement import (
    CaseExpression,
    RowList,
    ValueList,
    WhenList,
    literal,
)
from holdfast.records.drivers.sql.statements.upsert import alike, upserted_values
from holdfast.records.expressions.predicates import Operator, Part
from holdfast.records.values.value import Kind
from holdfast.uuid7 import set_int, set_safety

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import time

    from sqlalchemy.engine import Dialect as Compiler
    from sqlalchemy.types import TypeEngine

    from holdfast.records.drivers.sql.dialects.json_search import JSONSearch
    from holdfast.records.drivers.sql.statements.case_folding import Folding
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

_new, _UNKNOWN = UUID.__new__, SafeUUID.unknown
_MIDNIGHT = datetime(1, 1, 1)  # noqa: DTZ001 - a time of day has no zone
_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1)
_TYPES: dict[Kind, TypeEngine[Any]] = {
    Kind.INT: sa.BigInteger(),
    Kind.FLOAT: mysql.DOUBLE(),
    Kind.BYTES: mysql.LONGBLOB(),
    Kind.DATETIME: mysql.DATETIME(fsp=6),  # always UTC
    Kind.DATE: sa.Date(),
    Kind.TIME: mysql.TIME(fsp=6),
    Kind.TIMEDELTA: sa.BigInteger(),  # microseconds
    Kind.UUID: sa.BINARY(16),
}


class MySQLFamilyDialect:
    """See `Dialect`. Which collation, which JSON and how a row is upserted differs by database."""

    name: str
    collation: str
    """Compares text by code point, and pads nothing."""
    json: JSONSearch
    json_type: TypeEngine[Any]
    bool_type: TypeEngine[Any] = mysql.TINYINT(1)
    no_limit: int | None = 2**63 - 1
    time_now = "utc_timestamp(6)"
    returns_changed = False
    compares_rows = False
    writes_see_one_state = False
    least_joined = 1
    reads_skipped = True
    flattens_exists = True
    assigns_in_turn = True
    repeats_lists = True
    partial_indexes = False

    def __init__(self, compiler: Compiler, folding: Folding) -> None:
        self.compiler = compiler
        self._folding = folding

    def type_of(self, model: Model[E], spec: FieldSpec) -> TypeEngine[Any]:
        """See `Dialect`."""
        match spec.type.kind:
            case Kind.DECIMAL:
                return sa.Numeric(spec.type.bounds.precision, spec.type.bounds.scale)
            case Kind.STR if _is_indexed(model, spec):
                return mysql.VARCHAR(spec.type.bounds.max_length, collation=self.collation)
            case Kind.BYTES if _is_indexed(model, spec):
                return mysql.VARBINARY(spec.type.bounds.max_length)
            case Kind.STR:
                return mysql.LONGTEXT(collation=self.collation)
            case Kind.JSON:
                return self.json_type
            case Kind.BOOL:
                return self.bool_type
            case kind:
                return _TYPES[kind]

    def encoder(self, spec: FieldSpec) -> Codec:
        """See `Dialect`."""
        match spec.type.kind:
            case Kind.DATETIME:
                return cast("Callable[[object], object]", naive)
            case Kind.TIME:
                return lambda value: cast("time", value).isoformat("microseconds")
            case Kind.TIMEDELTA:
                return lambda value: cast("timedelta", value) // _MICROSECOND
            case Kind.UUID:
                return lambda value: cast("UUID", value).bytes
            case Kind.JSON:
                return self._encode_json
            case _:
                return None

    def decoder(self, spec: FieldSpec) -> Codec:
        """See `Dialect`."""
        match spec.type.kind:
            case Kind.BOOL:
                return bool
            case Kind.DATETIME:
                return cast("Callable[[object], object]", aware)
            case Kind.TIME:
                return _time_of_day
            case Kind.TIMEDELTA:
                return lambda value: cast("int", value) * _MICROSECOND
            case Kind.UUID:
                return cast("Callable[[object], object]", _uuid)
            case Kind.JSON:
                return cast("Callable[[object], object]", orjson.loads)
            case _:
                return None

    def _encode_json(self, value: object) -> str:
        text, most = orjson.dumps(value), self.json.depth
        if text.count(b"{") + text.count(b"[") > most:  # it might be too deep
            _check_depth(self.name, most, value, 0)
        return text.decode()

    def aggregate(self, aggregate: Aggregate, column: Expression) -> Expression:
        """See `Dialect`."""
        assert aggregate.operand is not None
        if aggregate.function == "percentile":
            raise UnsupportedError(StoreCapability.PERCENTILES.value, self.name)
        function = getattr(sa.func, aggregate.function)
        if aggregate.function in ("min", "max") or aggregate.operand.spec.type.kind is Kind.FLOAT:
            found: Expression = function(column)
            return found
        return sa.func.concat(sa.func.sum(column), literal(" "), sa.func.count(column))

    def aggregate_decoder(self, aggregate: Aggregate) -> Codec:
        """See `Dialect`."""
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
        return divided(sa.func.sum(column) + sa.literal_column("0e0"), sa.func.count(column))

    def truncated(self, spec: FieldSpec, column: Expression, unit: Unit, zone: str) -> Expression:  # noqa: ARG002
        """See `Dialect`.

        CONVERT_TZ is null where the server's zones were not loaded, and passes moments that its
        timestamps can't hold on as they are.
        """
        if zone != "UTC":
            raise UnsupportedError(StoreCapability.TIME_ZONES.value, self.name)
        day = sa.func.date(column)
        one: Expression = sa.literal_column("1")
        zero: Expression = sa.literal_column("0")
        match unit:
            case "hour":
                since = sa.func.maketime(sa.func.hour(column), zero, zero)
                return sa.func.timestamp(day, since)
            case "day":
                return day
            case "week":
                return sa.func.subdate(day, sa.func.weekday(column))
            case "month":
                return sa.func.subdate(day, sa.func.dayofmonth(column) - one)
            case "year":
                return sa.func.subdate(day, sa.func.dayofyear(column) - one)
            case _:
                assert_never(unit)

    def list_value(self, spec: FieldSpec, encoded: list[object]) -> object:  # noqa: ARG002
        """See `Dialect`."""
        return ValueList(encoded)

    def in_list(
        self,
        spec: FieldSpec,  # noqa: ARG002 - lists of all kinds are alike
        column: Expression,
        listed: Expression,
    ) -> Expression:
        """See `Dialect`."""
        return column.in_([listed])

    def rows_values(
        self,
        specs: Sequence[FieldSpec],  # noqa: ARG002 - rows of all kinds are alike
        columns: Sequence[list[object]],
    ) -> list[object]:
        """See `Dialect`."""
        return [RowList(zip(*columns, strict=True))]

    def in_rows(
        self,
        specs: Sequence[FieldSpec],  # noqa: ARG002
        columns: Sequence[Expression],
        given: Parameters,
    ) -> Expression:
        """See `Dialect`."""
        return sa.tuple_(*columns).bool_op("IN")(sa.tuple_(given.next()))

    def choice_values(
        self, keys: tuple[FieldSpec, list[object]], values: tuple[FieldSpec, list[object]]
    ) -> list[object]:
        """See `Dialect`."""
        return [WhenList(zip(keys[1], values[1], strict=True))]

    def choice(
        self,
        key: FieldSpec,  # noqa: ARG002 - values of all kinds are alike
        column: Expression,
        spec: FieldSpec,  # noqa: ARG002
        given: Parameters,
    ) -> Expression:
        """See `Dialect`."""
        return CaseExpression(column, given.next())

    def keys_of_groups(self, groups: GroupLimit, keys: Sequence[Expression]) -> GroupKeys:
        """See `Dialect`."""
        among = self.in_list(groups.spec, groups.value, groups.listed)
        return keys_by_number(groups, among, keys)

    def path_values(self, steps: Steps) -> tuple[Shape, list[object]]:
        """See `Dialect`."""
        return self.json.path_values(steps)

    def json_values(self, steps: Steps, how: Operator, value: object) -> tuple[Shape, list[object]]:
        """See `Dialect`."""
        return self.json.compared_values(steps, how, value)

    def compare_json(
        self, place: Place, how: Operator, value: object, given: Parameters
    ) -> Expression:
        """See `Dialect`."""
        return self.json.compare(place, how, value, given)

    def json_list_values(
        self, steps: Steps, wanted: Sequence[object]
    ) -> tuple[Shape, list[object]]:
        """See `Dialect`."""
        return self.json.list_values(steps, wanted)

    def in_json(self, place: Place, wanted: Sequence[object], given: Parameters) -> Expression:
        """See `Dialect`."""
        return self.json.in_list(place, wanted, given)

    def path_is_null(self, place: Place) -> Expression:
        """See `Dialect`."""
        kind = self.json.type_of(place)
        return sa.or_(kind.is_(None), kind == literal("NULL"))

    def match(self, place: Place, part: Part, text: tuple[Expression, bool, bool]) -> Expression:
        """See `Dialect`."""
        wanted, folded, _ = text
        if not place.is_json:
            return self._match(place.column, part, wanted, folded=folded)
        found = self.json.text_of(place)
        matches = self._match(found, part, wanted, folded=folded)
        return sa.case((self.json.type_of(place) == literal("STRING"), matches), else_=_FALSE)

    def _match(
        self, column: Expression, part: Part, wanted: Expression, *, folded: bool
    ) -> Expression:
        found = self._folding.fold(column) if folded else column
        match part:
            case Part.WHOLE:
                return found == wanted
            case Part.ANYWHERE:
                return sa.func.locate(wanted, found) > sa.literal_column("0")
            case Part.START:
                return sa.func.left(found, sa.func.char_length(wanted)) == wanted
            case Part.END:
                return sa.func.right(found, sa.func.char_length(wanted)) == wanted
            case _:
                assert_never(part)

    def folded(self, text: Expression, longest: int) -> Expression:  # noqa: ARG002
        """See `Dialect`."""
        return self._folding.fold(text)

    def word_query(self, terms: SearchTerms) -> str | None:  # noqa: ARG002
        """See `Dialect`. Documents are read: there is no index of their words."""
        return None

    def has_words(self, documents: list[Expression], query: Expression) -> Expression:
        """See `Dialect`."""
        raise NotImplementedError

    def order(self, by: Order, column: Expression, *, nullable: bool) -> list[Expression]:
        """See `Dialect`."""
        ordered = column.desc() if by.descending else column.asc()
        if not nullable:
            return [ordered]
        missing = column.is_(None)
        return [missing.desc() if by.first else missing.asc(), ordered]

    def upsert(self, model: Model[E], table: sa.Table, on: tuple[str, ...]) -> sa.ClauseElement:
        """See `Dialect`."""
        raise NotImplementedError

    def computed(self, operand: Computed, parts: Sequence[Expression]) -> Expression:
        """See `Dialect`."""
        return mysql_family_expressions.computed(operand, parts, self._folding.fold)

    def item_values(self, steps: Steps, value: object) -> tuple[Shape, list[object]]:
        """See `Dialect`."""
        return self.json.item_values(steps, value)

    def has_item(self, place: Place, value: object, given: Parameters) -> Expression:
        """See `Dialect`."""
        return self.json.has_item(place, value, given)

    def edit_values(self, spec: FieldSpec, edit: JsonEdit) -> tuple[Shape, list[object]]:
        """See `Dialect`."""
        encode = self.encoder(spec)
        assert encode is not None
        encode(edit.made())  # as deep as it lies in the document
        return json_edits.edit_values(self.json, edit, encode)

    def edited(self, document: Expression, edit: JsonEdit, given: Parameters) -> Expression:
        """See `Dialect`."""
        return json_edits.edited(self.json, document, edit, given)

    def increased(self, spec: FieldSpec, column: Expression, amount: Expression) -> Expression:  # noqa: ARG002
        """See `Dialect`."""
        return column + amount


_TOO_LARGE: Expression = sa.literal_column("99999999999999999999")


def overwriting(
    dialect: MySQLFamilyDialect,
    model: Model[E],
    table: sa.Table,
    on: tuple[str, ...],
    values: Mapping[str, Expression],
    noted: Expression,
) -> mysql.Insert:
    """Return the insertion of *values* that overwrites the row with the same *on* fields.

    *noted* is true, and evaluated when such a row is found. The database overwrites whichever row
    is in the way. Is that not the one with the same *on*, the key becomes what it can't be, and the
    statement fails as a whole: NULL, or a number too large where the database would take NULL for
    0, since it gives the numbers.
    """
    key = model.key_names[0]
    insert = mysql.insert(table).values(values)
    # A NULL is never the same.
    same = sa.and_(*alike(dialect, model.unique_on(on), (table, insert.inserted)), noted)
    changes = upserted_values(model, table, on, insert.inserted)
    changes.pop(key, None)
    impossible = _TOO_LARGE if model.keys[0].role == "generated" else sa.null()
    kept = {key: getattr(sa.func, "if")(same, table.c[key], impossible)}
    return insert.on_duplicate_key_update({**kept, **changes})


def _uuid(data: bytes) -> UUID:
    # As `uuid7.uuid_from_int` does, whose call for each value would cost as much as the making.
    made = _new(UUID)
    set_int(made, int.from_bytes(data, "big"))
    set_safety(made, _UNKNOWN)
    return made


def _time_of_day(value: object) -> object:
    since = cast("timedelta", value)
    if not timedelta(0) <= since < _DAY:
        raise ValueError("it is a span of time, and no time of a day")
    return (_MIDNIGHT + since).time()


_FALSE: Expression = sa.literal_column("0")


def _is_indexed(model: Model[E], spec: FieldSpec) -> bool:
    return (
        spec in model.keys
        or spec.reference is not None
        or any(spec.name in names for names in (*model.uniques, *model.indexes))
        or any(spec.name in each.fields for each in model.further_uniques)
    )


def _check_depth(backend: str, most: int, value: object, depth: int) -> None:
    if isinstance(value, (dict, list)):
        if depth >= most:
            raise UnsupportedError(f"JSON nested deeper than {most} levels", backend)
        for item in value.values() if isinstance(value, dict) else value:
            _check_depth(backend, most, item, depth + 1)
