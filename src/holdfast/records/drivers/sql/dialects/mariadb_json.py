"""How MariaDB looks into JSON: paths, and comparisons part by part.

MariaDB compares JSON as text, or as numbers of double precision, and neither is right. So a value
is compared part by part: its type, and then texts as texts, and numbers exactly, an int and a
float by the bound that the other lies at.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from holdfast.errors import UnsupportedError
from holdfast.records.drivers.sql.dialects.json_paths import extracted, path_texts
from holdfast.records.drivers.sql.statements.dialect import Place, joined
from holdfast.records.drivers.sql.statements.statement import ValueList, literal
from holdfast.records.expressions.predicates import Operator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy.sql.compiler import SQLCompiler

    from holdfast.records.drivers.sql.statements.dialect import Expression, Shape, Steps
    from holdfast.records.drivers.sql.statements.statement import Parameters

COLLATION = "utf8mb4_nopad_bin"
depth = 31  # levels that MariaDB's JSON functions look into
_NODES = 200  # parts of a JSON value that a comparison may name
_BEYOND = 10**20  # a number past all 64-bit ones
_FALSE: Expression = sa.literal_column("0")
_ZERO: Expression = sa.literal_column("0e0")
_COMPARED: dict[Operator, Callable[[Expression, Expression], Expression]] = {
    Operator.EQ: lambda found, wanted: found == wanted,
    Operator.LT: lambda found, wanted: found < wanted,
    Operator.LE: lambda found, wanted: found <= wanted,
    Operator.GT: lambda found, wanted: found > wanted,
    Operator.GE: lambda found, wanted: found >= wanted,
}


def path_values(steps: Steps) -> tuple[Shape, list[object]]:
    """See `path_texts`."""
    paths = [escaped(steps, path) for path in path_texts(steps)]
    return (len(paths), is_escaped(steps)), list[object](paths)


# MariaDB finds no name that begins with "-", however it is quoted. Where a path has one, the text
# of document and path is changed alike: a character that is none comes between the quote and "-".

_MARK = "\ufdd1"
_CHANGES = ((_MARK, f"{_MARK}0"), ('"-', f'"{_MARK}1-'))


def compared_values(steps: Steps, how: Operator, value: object) -> tuple[Shape, list[object]]:
    """Return the shape of what `compare` makes of *value* at *steps*, and its parameters' values.

    Raises UnsupportedError for more parts than a statement may have.
    """
    values: list[object] = []
    return _shape(steps, how, value, values, [_NODES]), values


def _shape(
    steps: Steps, how: Operator, value: object, values: list[object], left: list[int]
) -> Shape:
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
        case list() | dict():
            shapes: list[Shape] = []
            for step, item in _items(value):
                inner = (*steps, step)
                shape, given = path_values(inner)
                values += given
                shapes.append((shape, _shape(inner, how, item, values, left)))
            return (type(value), *shapes)
        case _:
            raise TypeError(f"{type(value).__name__} is no JSON")


def list_values(steps: Steps, wanted: Sequence[object]) -> tuple[Shape, list[object]]:
    """Return the shape of what `in_list` makes of *wanted*, and its parameters' values."""
    texts, numbers, others = _by_type(wanted)
    values: list[object] = []
    if texts:
        values.append(ValueList(texts))
    if numbers:
        pairs = [_bounds(Operator.EQ, number) for number in numbers]
        values += [ValueList(column) for column in zip(*pairs, strict=True)]
    shapes: list[Shape] = []
    for value in others:
        shape, given = compared_values(steps, Operator.EQ, value)
        shapes.append(shape)
        values += given
    return (bool(texts), bool(numbers), *shapes), values


def in_list(place: Place, wanted: Sequence[object], given: Parameters) -> Expression:
    """Return a condition, never NULL: whether the JSON in *place* is one of *wanted*."""
    texts, numbers, others = _by_type(wanted)
    found: list[Expression] = [sa.false()]
    if texts:
        listed = text_of(place).in_([given.next()])
        found.append(_known(sa.and_(type_of(place) == literal("STRING"), listed)))
    if numbers:
        wholes, reals = given.next(), given.next()
        found.append(
            _number(place, lambda whole: whole.in_([wholes]), lambda real: real.in_([reals]))
        )
    found += [compare(place, Operator.EQ, value, given) for value in others]
    return joined(sa.or_, found)


def item_values(steps: Steps, value: object) -> tuple[Shape, list[object]]:  # noqa: ARG001
    """Return the shape of the SQL of `has_item`, and its parameters' values."""
    return compared_values((), Operator.EQ, value)


def has_item(place: Place, value: object, given: Parameters) -> Expression:
    """Return a condition, never NULL: whether the JSON in *place* is a list with *value*."""
    found = _extracted(place)
    listed = sa.case((type_of(place) == literal("ARRAY"), found), else_=literal("[]"))
    numbers, item = _items_of(listed)
    wanted = compare(Place(item, is_json=True), Operator.EQ, value, given)
    return sa.select(sa.literal_column("1")).where(wanted).correlate_except(numbers).exists()


class _Places(FunctionElement[Any]):
    """The places of a JSON list's items as rows, counted from 1."""

    inherit_cache = False
    type = sa.types.NullType()


@compiles(_Places)
def _as_table(element: _Places, compiler: SQLCompiler, **options: Any) -> str:
    (listed,) = element.clauses
    text = compiler.process(listed, **options)
    return f"JSON_TABLE({text}, '$[*]' COLUMNS (`at` FOR ORDINALITY))"


def kind_of(found: Expression) -> Expression:
    """See `JSONSearch`."""
    return sa.func.json_type(found)


def json_of(text: Expression) -> Expression:
    """See `JSONSearch`."""
    return sa.func.json_compact(text)


def one_row(document: Expression) -> tuple[sa.TableValuedAlias, Expression]:
    """See `JSONSearch`. There is no row for a NULL, and no document is the JSON null."""
    null = literal("null")
    rows = _OneText(sa.func.coalesce(document, null)).table_valued("value", name="holdfast edited")
    return rows, sa.func.nullif(rows.c.value, null)


def without_item(listed: Expression, value: object, given: Parameters) -> Expression:
    """See `JSONSearch`. It is as long as the session's `group_concat_max_len`."""
    numbers, item = _items_of(listed)
    wanted = compare(Place(item, is_json=True), Operator.EQ, value, given)
    parts = sa.func.coalesce(_Listed(item, numbers.c.at), literal(""))
    whole = sa.func.concat(literal("["), parts, literal("]"))
    chosen = sa.select(whole).where(sa.not_(wanted))
    return chosen.correlate_except(numbers).scalar_subquery()


def _items_of(listed: Expression) -> tuple[sa.TableValuedAlias, Expression]:
    """Return the places in the list *listed* as rows, and the text of the item at each."""
    numbers = _Places(listed).table_valued("at", name="holdfast items")
    path = sa.func.concat(literal("$["), numbers.c.at.op("-")(sa.literal_column("1")), literal("]"))
    return numbers, sa.func.json_extract(listed, path)


class _OneText(FunctionElement[Any]):
    """A text as a table of one row."""

    inherit_cache = False
    type = sa.types.NullType()


@compiles(_OneText)
def _as_row(element: _OneText, compiler: SQLCompiler, **options: Any) -> str:
    (text,) = element.clauses
    quoted = compiler.process(sa.func.json_quote(text), **options)
    return f"JSON_TABLE({quoted}, '$' COLUMNS (`value` LONGTEXT PATH '$'))"


class _Listed(FunctionElement[Any]):
    """Texts of a group with commas between them, along a number."""

    inherit_cache = False
    type = sa.types.NullType()


@compiles(_Listed)
def _as_list(element: _Listed, compiler: SQLCompiler, **options: Any) -> str:
    text, by = (compiler.process(each, **options) for each in element.clauses)
    return f"GROUP_CONCAT({text} ORDER BY {by} SEPARATOR ',')"


def is_escaped(steps: Steps) -> bool:
    """See `JSONSearch`."""
    return any(isinstance(step, str) and step.startswith("-") for step in steps)


def escaped(steps: Steps, text: str) -> str:
    """See `JSONSearch`."""
    for old, new in _CHANGES if is_escaped(steps) else ():
        text = text.replace(old, new)
    return text


def escaped_json(steps: Steps, document: Expression) -> Expression:
    """See `JSONSearch`."""
    for old, new in _CHANGES if is_escaped(steps) else ():
        document = sa.func.replace(document, literal(old), literal(new))
    return document


def unescaped_json(steps: Steps, document: Expression) -> Expression:
    """See `JSONSearch`."""
    for old, new in reversed(_CHANGES) if is_escaped(steps) else ():
        document = sa.func.replace(document, literal(new), literal(old))
    return document


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


def _items(value: object) -> list[tuple[str | int, object]]:
    """Return the parts of a list or an object by their steps."""
    if isinstance(value, list):
        return list(enumerate(cast("list[object]", value)))
    return list(cast("dict[str | int, object]", value).items())


def _by_type(wanted: Sequence[object]) -> tuple[list[str], list[float], list[object]]:
    """Return the texts, the numbers and all others of *wanted*."""
    texts: list[str] = []
    numbers: list[float] = []
    others: list[object] = []
    for value in wanted:
        if isinstance(value, str):
            texts.append(value)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            numbers.append(value)
        else:
            others.append(value)
    return texts, numbers, others


def compare(place: Place, how: Operator, value: object, given: Parameters) -> Expression:
    """Return a condition that is never NULL; it takes parameters as `compared_values` has them."""
    kind = type_of(place)
    match value:
        case None:
            return _known(kind == literal("NULL"))
        case bool():
            told = _extracted(place) == literal("true" if value else "false")
            return _known(sa.and_(kind == literal("BOOLEAN"), told))
        case str():
            compared = _COMPARED[how](text_of(place), given.next())
            return _known(sa.and_(kind == literal("STRING"), compared))
        case int() | float():
            whole, real = given.next(), given.next()

            def stands(found: Expression) -> Expression:
                # Equal floats are equal texts; for an order it is cast to a double.
                exact = how is Operator.EQ
                return _COMPARED[how](found if exact else found.op("+")(_ZERO), real)

            return _number(place, lambda found: _COMPARED[how](found, whole), stands)
        case list() | dict():
            length = sa.func.json_length(_extracted(place))
            parts = [
                kind == literal("ARRAY" if isinstance(value, list) else "OBJECT"),
                length == sa.literal_column(str(len(value))),
            ]
            for step, item in _items(value):
                parts.append(compare(_inside(place, step, given), how, item, given))
            return _known(sa.and_(*parts))
        case _:
            raise TypeError(f"{type(value).__name__} is no JSON")


def _inside(place: Place, step: str | int, given: Parameters) -> Place:
    """Return the place of a part."""
    steps = (*place.steps, step)
    _, values = path_values(steps)
    return Place(place.column, True, steps, tuple(given.next() for _ in values))


def _number(
    place: Place,
    whole: Callable[[Expression], Expression],
    real: Callable[[Expression], Expression],
) -> Expression:
    """Tell what *whole* tells of an integer in *place*, or *real* of the text of a float."""
    found = _extracted(place)
    number = type_of(place).in_([literal("INTEGER"), literal("DOUBLE")])
    # JSON_TYPE says INTEGER of 5e-324, as it has no point.
    is_real = found.op("REGEXP")(literal("[.e]"))
    return sa.case(
        (sa.and_(number, is_real), real(found)),
        (number, whole(sa.cast(found, mysql.DECIMAL(21, 0)))),
        else_=_FALSE,
    )


def _known(condition: Expression) -> Expression:
    return sa.func.ifnull(condition, _FALSE) == sa.literal_column("1")


def _extracted(place: Place) -> Expression:
    """Return the place's JSON text, NULL for nowhere."""
    if not place.path:
        return place.column
    document = escaped_json(place.steps, place.column)
    return unescaped_json(place.steps, extracted(document, place.path, kind_of))


def type_of(place: Place) -> Expression:
    """Return the type that MariaDB calls the JSON in *place* by, NULL for nowhere."""
    return sa.func.json_type(_extracted(place))


def text_of(place: Place) -> Expression:
    """Return the text in *place*, which is of the type STRING."""
    found: Expression = sa.func.json_unquote(_extracted(place))
    return found.collate(COLLATION)
