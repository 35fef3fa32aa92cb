"""MariaDB's SQL. JSON is kept as the text that was given; UUIDs as 16 bytes, in their own order."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar, assert_never, cast

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.dialects.mysql.mariadb import MariaDBDialect as MariaDBCompiler

from holdfast.errors import UnsupportedError
from holdfast.records.drivers.sql.case_folding import Folding
from holdfast.records.drivers.sql.dialect import figure_text_decoder
from holdfast.records.drivers.sql.statement import literal, parameter
from holdfast.records.drivers.sql.upsert import upserted_values
from holdfast.records.query import Operator, Part
from holdfast.records.value import Kind
from holdfast.uuid7 import uuid_from_int

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import time
    from uuid import UUID

    from sqlalchemy.engine import Dialect as Compiler
    from sqlalchemy.types import TypeEngine

    from holdfast.records.drivers.sql.dialect import Codec, Expression, Shape, Steps
    from holdfast.records.drivers.sql.statement import Parameters
    from holdfast.records.field_spec import FieldSpec
    from holdfast.records.model import Model
    from holdfast.records.query import Aggregate, Order

E = TypeVar("E")

COLLATION = "utf8mb4_nopad_bin"
_MIDNIGHT = datetime(1, 1, 1)  # noqa: DTZ001 - a time of day has no zone
_MICROSECOND = timedelta(microseconds=1)
_JSON_DEPTH = 31  # levels that MariaDB's JSON functions look into
_NODES = 200  # parts of a JSON value that a comparison may name
_BEYOND = 10**20  # a number past all 64-bit ones
_TYPES: dict[Kind, TypeEngine[Any]] = {
    Kind.BOOL: mysql.TINYINT(1),
    Kind.INT: sa.BigInteger(),
    Kind.FLOAT: mysql.DOUBLE(),
    Kind.BYTES: mysql.LONGBLOB(),
    Kind.DATETIME: mysql.DATETIME(fsp=6),  # always UTC
    Kind.DATE: sa.Date(),
    Kind.TIME: mysql.TIME(fsp=6),
    Kind.TIMEDELTA: sa.BigInteger(),  # microseconds
    Kind.UUID: sa.BINARY(16),
}


def lower(text: Expression) -> Expression:
    """Return the text that the server's LOWER makes of *text*."""
    return sa.func.lower(text.collate("uca1400_nopad_as_cs")).collate(COLLATION)


class MariaDBDialect:
    """See `Dialect`."""

    name = "mariadb"
    no_limit: int | None = 2**63 - 1
    returns_changed = False
    compares_rows = False

    def __init__(self, wrongly_folded: tuple[tuple[str, str], ...] | None = ()) -> None:
        made: Any = MariaDBCompiler  # whose constructor has no types
        self.compiler: Compiler = made(paramstyle="format")
        self._folding = Folding(self.name, lower, wrongly_folded)

    def type_of(self, model: Model[E], spec: FieldSpec) -> TypeEngine[Any]:
        """See `Dialect`."""
        match spec.type.kind:
            case Kind.DECIMAL:
                return sa.Numeric(spec.type.bounds.precision, spec.type.bounds.scale)
            case Kind.STR if _is_indexed(model, spec):
                return mysql.VARCHAR(spec.type.bounds.max_length, collation=COLLATION)
            case Kind.BYTES if _is_indexed(model, spec):
                return mysql.VARBINARY(spec.type.bounds.max_length)
            case Kind.STR | Kind.JSON:
                return mysql.LONGTEXT(collation=COLLATION)
            case kind:
                return _TYPES[kind]

    def encoder(self, spec: FieldSpec) -> Codec:
        """See `Dialect`."""
        match spec.type.kind:
            case Kind.DATETIME:
                return lambda value: cast("datetime", value).replace(tzinfo=None)
            case Kind.TIME:
                return lambda value: cast("time", value).isoformat("microseconds")
            case Kind.TIMEDELTA:
                return lambda value: cast("timedelta", value) // _MICROSECOND
            case Kind.UUID:
                return lambda value: cast("UUID", value).bytes
            case Kind.JSON:
                return _encode_json
            case _:
                return None

    def decoder(self, spec: FieldSpec) -> Codec:
        """See `Dialect`."""
        match spec.type.kind:
            case Kind.BOOL:
                return bool
            case Kind.DATETIME:
                return lambda value: cast("datetime", value).replace(tzinfo=UTC)
            case Kind.TIME:
                return lambda value: (_MIDNIGHT + cast("timedelta", value)).time()
            case Kind.TIMEDELTA:
                return lambda value: cast("int", value) * _MICROSECOND
            case Kind.UUID:
                return lambda value: uuid_from_int(int.from_bytes(cast("bytes", value), "big"))
            case Kind.JSON:
                return cast("Callable[[object], object]", orjson.loads)
            case _:
                return None

    def figure(self, figure: Aggregate, column: Expression) -> Expression:
        """See `Dialect`."""
        assert figure.operand is not None
        function = getattr(sa.func, figure.function)
        if figure.function in ("min", "max") or figure.operand.spec.type.kind is Kind.FLOAT:
            found: Expression = function(column)
            return found
        return sa.func.concat(sa.func.sum(column), literal(" "), sa.func.count(column))

    def figure_decoder(self, figure: Aggregate) -> Codec:
        """See `Dialect`."""
        return figure_text_decoder(figure, self.decoder)

    def list_values(self, spec: FieldSpec, encoded: list[object]) -> list[object]:  # noqa: ARG002
        """As many as the next power of two, so that few lengths make few statements."""
        wanted = 1 << (len(encoded) - 1).bit_length()
        return encoded + encoded[-1:] * (wanted - len(encoded))

    def in_list(
        self,
        spec: FieldSpec,  # noqa: ARG002 - lists of all kinds are alike
        column: Expression,
        parameters: Sequence[Expression],
    ) -> Expression:
        """See `Dialect`."""
        return column.in_(parameters)

    def json_values(self, how: Operator, value: object) -> tuple[Shape, list[object]]:
        """See `Dialect`."""
        values: list[object] = []
        shape = _json_shape(how, value, values, [_NODES])
        return shape, values

    def compare_json(
        self, place: tuple[Expression, Steps], how: Operator, value: object, given: Parameters
    ) -> Expression:
        """See `Dialect`."""
        column, steps = place
        return _compare_json(column, steps, how, value, given)

    def path_is_null(self, place: tuple[Expression, Steps]) -> Expression:
        """See `Dialect`."""
        kind = _json_type(*place)
        return sa.or_(kind.is_(None), kind == literal("NULL"))

    def match(
        self,
        place: tuple[Expression, Steps | None],
        part: Part,
        text: tuple[Expression, bool, bool],
    ) -> Expression:
        """See `Dialect`."""
        column, steps = place
        wanted, folded, _ = text
        if steps is None:
            return self._match(column, part, wanted, folded=folded)
        found = _text(column, steps)
        matches = self._match(found, part, wanted, folded=folded)
        return sa.case((_json_type(column, steps) == literal("STRING"), matches), else_=_FALSE)

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

    def order(self, by: Order, column: Expression, *, nullable: bool) -> list[Expression]:
        """See `Dialect`."""
        ordered = column.desc() if by.descending else column.asc()
        if not nullable:
            return [ordered]
        missing = column.is_(None)
        return [missing.desc() if by.first else missing.asc(), ordered]

    def increased(self, spec: FieldSpec, column: Expression, amount: Expression) -> Expression:  # noqa: ARG002
        """See `Dialect`."""
        return column + amount

    def upsert(self, model: Model[E], table: sa.Table, on: tuple[str, ...]) -> sa.ClauseElement:
        """The last column tells whether the row was created.

        MariaDB overwrites whichever row is in the way. Is that not the one with the same *on*, the
        key becomes what it can't be, and the statement fails as a whole: NULL, or a number too
        large where MariaDB would take NULL for 0, since it gives the numbers.
        """
        key = model.key.name
        values: dict[str, Expression] = {
            spec.name: parameter(spec.position) for spec in model.fields
        }
        created: Expression = sa.literal_column("@holdfast_created")
        marked: Expression = sa.literal_column("(@holdfast_created := 1)")
        values[key] = getattr(sa.func, "if")(marked, values[key], sa.null())
        insert = mysql.insert(table).values(values)
        same = sa.and_(
            *(table.c[name] == insert.inserted[name] for name in on),  # a NULL is never the same
            sa.literal_column("(@holdfast_created := 0)") == sa.literal_column("0"),
        )
        changes = upserted_values(model, table, on, insert.inserted)
        changes.pop(key, None)
        impossible = _TOO_LARGE if model.key.role == "generated" else sa.null()
        kept = {key: getattr(sa.func, "if")(same, table.c[key], impossible)}
        return insert.on_duplicate_key_update({**kept, **changes}).returning(*table.c, created)


_TOO_LARGE: Expression = sa.literal_column("99999999999999999999")
_FALSE: Expression = sa.literal_column("0")
_COMPARED: dict[Operator, Callable[[Expression, Expression], Expression]] = {
    Operator.EQ: lambda found, wanted: found == wanted,
    Operator.LT: lambda found, wanted: found < wanted,
    Operator.LE: lambda found, wanted: found <= wanted,
    Operator.GT: lambda found, wanted: found > wanted,
    Operator.GE: lambda found, wanted: found >= wanted,
}


def _is_indexed(model: Model[E], spec: FieldSpec) -> bool:
    return (
        spec is model.key
        or spec.reference is not None
        or any(spec.name in names for names in (*model.uniques, *model.indexes))
    )


def _encode_json(value: object) -> str:
    text = orjson.dumps(value)
    if text.count(b"{") + text.count(b"[") > _JSON_DEPTH:  # it might be too deep
        _check_depth(value, 0)
    return text.decode()


def _check_depth(value: object, depth: int) -> None:
    if isinstance(value, (dict, list)):
        if depth >= _JSON_DEPTH:
            raise UnsupportedError(f"JSON nested deeper than {_JSON_DEPTH} levels", "mariadb")
        for item in value.values() if isinstance(value, dict) else value:
            _check_depth(item, depth + 1)


# --- JSON -----------------------------------------------------------------------------------
#
# MariaDB compares JSON as text, or as numbers of double precision, and neither is right. So a value
# is compared part by part: its type, and then texts as texts, and numbers exactly, an int and a
# float by the bound that the other lies at.


def _json_shape(how: Operator, value: object, values: list[object], left: list[int]) -> Shape:
    left[0] -= 1
    if left[0] < 0:
        raise UnsupportedError(f"comparing with JSON of more than {_NODES} parts", "mariadb")
    match value:
        case None | bool():
            return (value, type(value))
        case str():
            values.append(value)
            return ("text",)
        case int() | float():
            values += _bounds(how, value)
            return ("number",)
        case list():
            return ("list", *(_json_shape(how, item, values, left) for item in value))
        case dict():
            return ("object", *((n, _json_shape(how, i, values, left)) for n, i in value.items()))
        case _:
            raise TypeError(f"{type(value).__name__} is no JSON")


def _bounds(how: Operator, value: float) -> tuple[int, float | str]:
    """Return the int and the float that stand to others as *value* does in this comparison.

    Equal floats are equal texts, as one serializer wrote them all.
    """
    if how is Operator.EQ:
        whole = int(value) if value == int(value) and abs(value) < _BEYOND else _BEYOND
        exact = float(value)
        return whole, orjson.dumps(exact).decode() if exact == value else ""
    upwards = how in (Operator.LT, Operator.GE)
    whole = math.ceil(value) if upwards else math.floor(value)
    near = float(value)
    if upwards and near < value:
        near = math.nextafter(near, math.inf)
    elif not upwards and near > value:
        near = math.nextafter(near, -math.inf)
    return max(-_BEYOND, min(_BEYOND, whole)), near


def _compare_json(
    column: Expression, steps: Steps, how: Operator, value: object, given: Parameters
) -> Expression:
    """Return a condition that is never NULL; it takes parameters as `_json_shape` gives them."""
    kind = _json_type(column, steps)
    match value:
        case None:
            return _known(kind == literal("NULL"))
        case bool():
            told = _extracted(column, steps) == literal("true" if value else "false")
            return _known(sa.and_(kind == literal("BOOLEAN"), told))
        case str():
            compared = _COMPARED[how](_text(column, steps), given.next())
            return _known(sa.and_(kind == literal("STRING"), compared))
        case int() | float():
            found = _extracted(column, steps)
            whole, real = given.next(), given.next()
            as_whole = sa.cast(found, mysql.DECIMAL(21, 0))
            as_real = (
                found if how is Operator.EQ else found.op("+")(sa.literal_column("0e0"))
            )  # the cast to a double
            number = kind.in_([literal("INTEGER"), literal("DOUBLE")])
            # JSON_TYPE says INTEGER of 5e-324, as it has no point.
            is_real = found.op("REGEXP")(literal("[.e]"))
            return sa.case(
                (sa.and_(number, is_real), _COMPARED[how](as_real, real)),
                (number, _COMPARED[how](as_whole, whole)),
                else_=_FALSE,
            )
        case list() | dict():
            is_list = isinstance(value, list)
            named = cast("dict[str, Any]", value)
            items = enumerate(value) if isinstance(value, list) else named.items()
            length = sa.func.json_length(_extracted(column, steps))
            parts = [
                kind == literal("ARRAY" if is_list else "OBJECT"),
                length == sa.literal_column(str(len(value))),
            ]
            parts += [
                _compare_json(column, (*steps, step), how, item, given) for step, item in items
            ]
            return _known(sa.and_(*parts))
        case _:
            raise TypeError(f"{type(value).__name__} is no JSON")


def _known(condition: Expression) -> Expression:
    return sa.func.ifnull(condition, _FALSE) == sa.literal_column("1")


def _path(steps: Steps) -> Expression:
    return literal_path(
        "$"
        + "".join(
            f".{orjson.dumps(step).decode()}" if isinstance(step, str) else f"[{step}]"
            for step in steps
        )
    )


def literal_path(path: str) -> Expression:
    """Return a literal of the text, in which a backslash means itself."""
    return literal(path.replace("\\", "\\\\"))


def _extracted(column: Expression, steps: Steps) -> Expression:
    """Return the place's JSON text, NULL for nowhere.

    A position in what is not a list would be the thing itself, so each list is asked for by type.
    """
    if not steps:
        return column
    found = sa.func.json_extract(column, _path(steps))
    lists = [at for at, step in enumerate(steps) if not isinstance(step, str)]
    if not lists:
        return found
    kinds = [
        sa.func.json_type(sa.func.json_extract(column, _path(steps[:at]))) == literal("ARRAY")
        for at in lists
    ]
    return sa.case((sa.and_(*kinds), found), else_=sa.null())


def _json_type(column: Expression, steps: Steps) -> Expression:
    return sa.func.json_type(_extracted(column, steps))


def _text(column: Expression, steps: Steps) -> Expression:
    found: Expression = sa.func.json_unquote(_extracted(column, steps))
    return found.collate(COLLATION)
