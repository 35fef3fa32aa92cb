"""How MySQL looks into JSON: its own type, which compares by type and value, and numbers exactly.

A value goes there as the text of a document of its own, so what is compared with is one parameter,
however large; plain values of a list are one array.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from holdfast.records.drivers.sql.dialects.json_paths import extracted, path_texts
from holdfast.records.drivers.sql.statements.dialect import joined
from holdfast.records.drivers.sql.statements.statement import literal
from holdfast.records.expressions.predicates import Operator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.sql.compiler import SQLCompiler

    from holdfast.records.drivers.sql.statements.dialect import Expression, Place, Shape, Steps
    from holdfast.records.drivers.sql.statements.statement import Parameters

COLLATION = "utf8mb4_0900_bin"
depth = 100  # levels of a document
_NUMBERS = tuple(literal(each) for each in ("INTEGER", "UNSIGNED INTEGER", "DOUBLE", "DECIMAL"))
_ORDERS = {Operator.LT: "<", Operator.LE: "<=", Operator.GT: ">", Operator.GE: ">="}


def path_values(steps: Steps) -> tuple[Shape, list[object]]:
    """See `path_texts`."""
    paths = path_texts(steps)
    return (len(paths),), list[object](paths)


def compared_values(
    steps: Steps,  # noqa: ARG001 - the path is no part of the value
    how: Operator,  # noqa: ARG001 - all operators take the value alike
    value: object,
) -> tuple[Shape, list[object]]:
    """Return the shape of what `compare` makes of *value*, and its parameter's value."""
    return (isinstance(value, str),), [orjson.dumps(value).decode()]


def list_values(steps: Steps, wanted: Sequence[object]) -> tuple[Shape, list[object]]:
    """Return the shape of what `in_list` makes of *wanted*, and its parameters' values."""
    plain, others = _by_depth(wanted)
    values: list[object] = [orjson.dumps(plain).decode()]
    for value in others:
        values += compared_values(steps, Operator.EQ, value)[1]
    return (len(others),), values


def _by_depth(wanted: Sequence[object]) -> tuple[list[object], list[object]]:
    """Return what of *wanted* is a plain value, and what an array of all would make too deep."""
    others: list[object] = [value for value in wanted if isinstance(value, (dict, list))]
    return [value for value in wanted if not isinstance(value, (dict, list))], others


def compare(place: Place, how: Operator, value: object, given: Parameters) -> Expression:
    """Return a condition that is never NULL: how the JSON in *place* stands to *value*."""
    found, wanted = _found(place), json_of(given.next())
    if how is Operator.EQ:
        return _known(found == wanted)
    # MySQL orders values of different types too, where we don't.
    kind = type_of(place)
    same = kind == literal("STRING") if isinstance(value, str) else kind.in_(_NUMBERS)
    return _known(sa.and_(same, found.op(_ORDERS[how], is_comparison=True)(wanted)))


def in_list(place: Place, wanted: Sequence[object], given: Parameters) -> Expression:
    """Return a condition, never NULL: whether the JSON in *place* is one of *wanted*."""
    _, others = _by_depth(wanted)
    listed = sa.tuple_(json_of(given.next()))
    found = [_known(_found(place).op("MEMBER OF", is_comparison=True)(listed))]
    found += [compare(place, Operator.EQ, value, given) for value in others]
    return joined(sa.or_, found)


def item_values(
    steps: Steps,  # noqa: ARG001 - the path is no part of the value
    value: object,
) -> tuple[Shape, list[object]]:
    """Return the shape of the SQL of `has_item`, and its parameter's value."""
    return (), [orjson.dumps(value).decode()]


def has_item(place: Place, value: object, given: Parameters) -> Expression:  # noqa: ARG001
    """Return a condition, never NULL: whether the JSON in *place* is a list with the document."""
    found = _found(place)
    member = json_of(given.next()).op("MEMBER OF", is_comparison=True)(sa.tuple_(found))
    return _known(sa.and_(kind_of(found) == literal("ARRAY"), member))


def kind_of(found: Expression) -> Expression:
    """See `JSONSearch`."""
    # In a collation of its own it could not be compared with what stands in the statement.
    return sa.func.json_type(found).collate(COLLATION)


def json_of(text: Expression) -> Expression:
    """See `JSONSearch`."""
    return sa.cast(text, mysql.JSON())


def one_row(document: Expression) -> tuple[sa.TableValuedAlias, Expression]:
    """See `JSONSearch`."""
    rows = _OneRow(document).table_valued("value", name="holdfast edited")
    return rows, rows.c.value


def without_item(listed: Expression, value: object, given: Parameters) -> Expression:  # noqa: ARG001
    """See `JSONSearch`. Over a window the order is that of the list, in a group it is none."""
    rows = _Rows(listed, literal("$[*]")).table_valued("place", "value", name="holdfast items")
    left = sa.func.coalesce(rows.c.value, json_of(literal("null"))) != json_of(given.next())
    kept = sa.func.json_arrayagg(rows.c.value).over(order_by=rows.c.place, rows=(None, None))
    chosen = sa.select(kept).where(left).limit(sa.literal_column("1"))
    found = chosen.correlate_except(rows).scalar_subquery()
    return sa.func.coalesce(found, sa.func.json_array())


class _OneRow(FunctionElement[Any]):
    """A value as a table of one row: no JSON_TABLE, which takes no subquery."""

    inherit_cache = False
    type = sa.types.NullType()


@compiles(_OneRow)
def _as_row(element: _OneRow, compiler: SQLCompiler, **options: Any) -> str:
    (value,) = element.clauses
    # LIMIT keeps the server from putting the value itself wherever it is looked at.
    return f"(SELECT {compiler.process(value, **options)} AS `value` LIMIT 1)"


class _Rows(FunctionElement[Any]):
    """What a path finds in JSON as rows: their places, and what is there, NULL for null."""

    inherit_cache = False
    type = sa.types.NullType()


@compiles(_Rows)
def _as_table(element: _Rows, compiler: SQLCompiler, **options: Any) -> str:
    document, path = (compiler.process(each, **options) for each in element.clauses)
    columns = "`place` FOR ORDINALITY, `value` JSON PATH '$'"
    return f"JSON_TABLE({document}, {path} COLUMNS ({columns}))"


def is_escaped(steps: Steps) -> bool:  # noqa: ARG001 - MySQL follows all paths
    """See `JSONSearch`."""
    return False


def escaped(steps: Steps, text: str) -> str:  # noqa: ARG001
    """See `JSONSearch`."""
    return text


def escaped_json(steps: Steps, document: Expression) -> Expression:  # noqa: ARG001
    """See `JSONSearch`."""
    return document


unescaped_json = escaped_json


def type_of(place: Place) -> Expression:
    """Return the type that MySQL calls the JSON in *place* by, NULL for nowhere."""
    return kind_of(_found(place))


def text_of(place: Place) -> Expression:
    """Return the text in *place*, which is of the type STRING."""
    found: Expression = sa.func.json_unquote(_found(place))
    return found.collate(COLLATION)


def _found(place: Place) -> Expression:
    """Return the JSON in *place*, NULL for nowhere."""
    return extracted(place.column, place.path, kind_of) if place.path else place.column


def _known(condition: Expression) -> Expression:
    return sa.func.ifnull(condition, sa.literal_column("0")) == sa.literal_column("1")
