"""Statements: built by SQLAlchemy once per query shape, then only text and values.

A query's *shape* is all of it but the values: equal shapes have equal SQL. One walk over the query
yields both the shape, which finds the compiled statement, and the values, in the order in which
the walk met them; on a miss a second walk builds the SQL with parameters numbered in that order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, assert_never

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect

from holdfast.records.drivers.sql.codecs import encode_json, encoder
from holdfast.records.query import (
    After,
    And,
    Column,
    Compare,
    Everything,
    In,
    Increment,
    IsNull,
    Match,
    Not,
    Operator,
    Or,
    Part,
    Path,
    Predicate,
    SetTo,
    expanded,
    node,
)
from holdfast.records.text import fold_case
from holdfast.records.value import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdfast.records.driver import Figures, Select, Update
    from holdfast.records.model import FieldSpec, Model
    from holdfast.records.query import Aggregate, Change, Operand, Order

E = TypeVar("E")
Expression: TypeAlias = "sa.ColumnElement[Any]"
Shape: TypeAlias = "tuple[object, ...]"

_DIALECT = sqlite_dialect(paramstyle="qmark")
_SHAPES = 2_000  # compiled statements kept; past that all are forgotten at once
_NO_LIMIT = -1  # what SQLite takes for none
_LISTED = (Kind.FLOAT, Kind.BYTES)  # kinds that a JSON list would not carry to the last bit


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL text, and which of the walk's values stands at each of its question marks."""

    sql: str
    places: tuple[int, ...]
    _in_order: bool = field(init=False)

    def __post_init__(self) -> None:
        in_order = self.places == tuple(range(len(self.places)))
        object.__setattr__(self, "_in_order", in_order)

    def bind(self, values: Sequence[object]) -> Sequence[object]:
        if self._in_order and len(values) == len(self.places):
            return values
        return [values[place] for place in self.places]


class Statements:
    """The statements of one store, compiled at their first use."""

    def __init__(self, tables: dict[str, sa.Table]) -> None:
        self.tables = tables
        self._compiled: dict[Shape, Statement] = {}
        self._encoders: dict[FieldSpec, Callable[[object], object] | None] = {}

    def encode(self, spec: FieldSpec, value: object) -> object:
        """Return SQLite's value for the row value *value*."""
        if value is None:
            return None
        try:
            encode = self._encoders[spec]
        except KeyError:
            encode = self._encoders[spec] = encoder(spec)
        return value if encode is None else encode(value)

    def select(
        self, select: Select[E], columns: tuple[Column, ...] | None = None
    ) -> tuple[str, Sequence[object]]:
        """Return SQL and values for *select*: all fields, or *columns*."""
        values: list[object] = []
        specs = select.model.fields if columns is None else [column.spec for column in columns]
        shape = (
            "select",
            select.model.table,
            None if columns is None else tuple(specs),
            self._walk(select.where, values),
            tuple((by.operand, by.descending, by.first) for by in select.order),
            windowed := select.limit is not None or select.offset > 0,
        )
        if windowed:
            values += (_NO_LIMIT if select.limit is None else select.limit, select.offset)

        def build(table: sa.Table, parameters: Parameters) -> sa.ClauseElement:
            built = sa.select(*(table.c[spec.name] for spec in specs))
            built = built.where(self._condition(table, select.where, parameters))
            built = built.order_by(*(_direction(table, by) for by in select.order))
            if windowed:
                built = built.limit(parameters.next()).offset(parameters.next())
            return built

        return self._statement(shape, select.model, build, values)

    def figures(self, query: Figures[E]) -> tuple[str, Sequence[object]]:
        values: list[object] = []
        shape = (
            "figures",
            query.model.table,
            query.figures,
            query.by,
            self._walk(query.where, values),
        )

        def build(table: sa.Table, parameters: Parameters) -> sa.ClauseElement:
            by = [table.c[column.name] for column in query.by]
            made = [_figure(table, figure) for figure in query.figures]
            condition = self._condition(table, query.where, parameters)
            built = sa.select(*by, *made).select_from(table).where(condition).group_by(*by)
            return built.order_by(*(column.asc().nulls_last() for column in by))

        return self._statement(shape, query.model, build, values)

    def update(self, update: Update[E], *, returning: bool) -> tuple[str, Sequence[object]]:
        values: list[object] = []
        changes: list[object] = []
        for change in update.changes:
            spec = change.column.spec
            match change:
                case SetTo(_, value):
                    changes.append((spec, "set"))
                    values.append(self.encode(spec, value))
                case Increment(_, amount):
                    changes.append((spec, "add"))
                    values.append(self.encode(spec, amount))
                case _:
                    assert_never(change)
        shape = (
            "update",
            update.model.table,
            returning,
            tuple(changes),
            self._walk(update.where, values),
        )

        def build(table: sa.Table, parameters: Parameters) -> sa.ClauseElement:
            assignments = {
                change.column.name: _assignment(table, change, parameters)
                for change in update.changes
            }
            built = sa.update(table).values(assignments)
            built = built.where(self._condition(table, update.where, parameters))
            return built.returning(*table.c) if returning else built

        return self._statement(shape, update.model, build, values)

    def delete(self, model: Model[E], where: Predicate) -> tuple[str, Sequence[object]]:
        values: list[object] = []
        shape = ("delete", model.table, self._walk(where, values))

        def build(table: sa.Table, parameters: Parameters) -> sa.ClauseElement:
            return sa.delete(table).where(self._condition(table, where, parameters))

        return self._statement(shape, model, build, values)

    def compile(self, built: sa.ClauseElement) -> Statement:
        compiled = built.compile(dialect=_DIALECT)
        places = getattr(compiled, "positiontup", None) or []
        return Statement(str(compiled), tuple(int(name[1:]) for name in places))

    def _statement(
        self,
        shape: Shape,
        model: Model[E],
        build: Callable[[sa.Table, Parameters], sa.ClauseElement],
        values: list[object],
    ) -> tuple[str, Sequence[object]]:
        statement = self._compiled.get(shape)
        if statement is None:
            if len(self._compiled) >= _SHAPES:
                self._compiled.clear()
            statement = self.compile(build(self.tables[model.table], Parameters()))
            self._compiled[shape] = statement
        return statement.sql, statement.bind(values)

    def _walk(self, predicate: Predicate, values: list[object]) -> Shape:
        """Return the shape of *predicate*, and append its values in the order of the parts."""
        match leaf := node(predicate):
            case Compare(operand, how, value):
                if isinstance(operand, Path) or operand.spec.type.kind is Kind.JSON:
                    values.append(encode_json(value))
                else:
                    values.append(self.encode(operand.spec, value))
                return (Compare, how, operand)
            case In(operand, wanted):
                return (In, operand, self._walk_values(operand, wanted, values))
            case IsNull(operand):
                return (IsNull, operand)
            case Match(operand, part, text, ignore_case):
                values.append(fold_case(text) if ignore_case else text)
                return (Match, operand, part, ignore_case, not text)
            case After(order, place):
                if not _is_row_comparison(leaf):
                    return self._walk(expanded(leaf), values)
                for by, value in zip(order, place, strict=True):
                    assert isinstance(by.operand, Column)
                    values.append(self.encode(by.operand.spec, value))
                return (After, order)
            case And(parts):
                return (And, *(self._walk(part, values) for part in parts))
            case Or(parts):
                return (Or, *(self._walk(part, values) for part in parts))
            case Not(part):
                return (Not, self._walk(part, values))
            case Everything():
                return (Everything,)
            case _:
                assert_never(leaf)

    def _walk_values(
        self, operand: Operand, wanted: tuple[object, ...], values: list[object]
    ) -> int | None:
        """Append the values of an `In`: one by one, or as one JSON list of any length."""
        if isinstance(operand, Path) or operand.spec.type.kind is Kind.JSON:
            values.extend(encode_json(value) for value in wanted)
            return len(wanted)
        encoded = [self.encode(operand.spec, value) for value in wanted]
        if operand.spec.type.kind in _LISTED:
            values.extend(encoded)
            return len(wanted)
        values.append(encode_json(encoded))
        return None

    def _condition(
        self, table: sa.Table, predicate: Predicate, parameters: Parameters, *, negate: bool = False
    ) -> Expression:
        """Return SQL that is true or false, never NULL, for *predicate* or its negation."""
        match leaf := node(predicate):
            case Everything():
                return sa.false() if negate else sa.true()
            case And(parts) | Or(parts):
                built = [self._condition(table, part, parameters, negate=negate) for part in parts]
                return sa.and_(*built) if isinstance(leaf, And) is not negate else sa.or_(*built)
            case Not(part):
                return self._condition(table, part, parameters, negate=not negate)
            case After():
                if not _is_row_comparison(leaf):
                    return self._condition(table, expanded(leaf), parameters, negate=negate)
                beyond = _row_comparison(table, leaf, parameters)
                return sa.not_(beyond) if negate else beyond
            case IsNull(operand):
                found = _value(table, operand)
                return found.is_not(None) if negate else found.is_(None)
            case Compare(operand) | In(operand) | Match(operand):
                holds = self._leaf(table, leaf, parameters)
                if not negate:
                    return holds
                if isinstance(operand, Path):
                    return sa.or_(_value(table, operand).is_(None), sa.not_(holds))
                if operand.spec.type.nullable:
                    return sa.or_(table.c[operand.name].is_(None), sa.not_(holds))
                return sa.not_(holds)
            case _:
                assert_never(leaf)

    def _leaf(
        self, table: sa.Table, leaf: Compare | In | Match, parameters: Parameters
    ) -> Expression:
        operand = leaf.operand
        column = _value(table, operand)
        is_json = isinstance(operand, Path) or operand.spec.type.kind is Kind.JSON
        match leaf:
            case Compare(_, how, _):
                if is_json:
                    return _compare_json(column, how, parameters.next())
                return _COMPARISONS[how](column, parameters.next())
            case In(_, wanted):
                if is_json:
                    return sa.or_(
                        sa.false(),
                        *(_compare_json(column, Operator.EQ, parameters.next()) for _ in wanted),
                    )
                assert isinstance(operand, Column)
                if operand.spec.type.kind in _LISTED:
                    return sa.or_(sa.false(), *(column == parameters.next() for _ in wanted))
                listed = sa.func.json_each(parameters.next()).table_valued("value")
                return column.in_(sa.select(listed.c.value))
            case Match(_, part, text, ignore_case):
                return _match(column, part, parameters.next(), (is_json, ignore_case, not text))
            case _:
                assert_never(leaf)


class Parameters:
    """Hands out a statement's parameters, numbered in the order of the walk."""

    def __init__(self) -> None:
        self._count = 0

    def next(self) -> sa.BindParameter[Any]:
        self._count += 1
        # Typed as NULL, so that SQLAlchemy adds no conversion of its own to any value.
        return sa.bindparam(f"p{self._count - 1}", type_=sa.types.NullType())


_COMPARISONS: dict[Operator, Callable[[Expression, Expression], Expression]] = {
    Operator.EQ: lambda column, value: column == value,
    Operator.LT: lambda column, value: column < value,
    Operator.LE: lambda column, value: column <= value,
    Operator.GT: lambda column, value: column > value,
    Operator.GE: lambda column, value: column >= value,
}


def _value(table: sa.Table, operand: Operand) -> Expression:
    """Return the operand's value; a JSON path's as JSON text, NULL for null and for nowhere."""
    match operand:
        case Column(_, spec):
            return table.c[spec.name]
        case Path(column, steps):
            return sa.func.holdfast_follow(table.c[column.name], _literal(encode_json(list(steps))))
        case _:
            assert_never(operand)


def _literal(text: str) -> Expression:
    return sa.literal_column("'" + text.replace("'", "''") + "'")


_ONE: Expression = sa.literal_column("1")


def _compare_json(column: Expression, how: Operator, value: Expression) -> Expression:
    return sa.func.holdfast_compare(column, _literal(how.value), value) == _ONE


def _match(
    column: Expression, part: Part, wanted: Expression, how: tuple[bool, bool, bool]
) -> Expression:
    is_json, ignore_case, empty = how
    if is_json:
        case: Expression = sa.literal_column(str(int(ignore_case)))
        return sa.func.holdfast_match(column, _literal(part.value), wanted, case) == _ONE
    text = sa.func.holdfast_fold(column) if ignore_case else column
    match part:
        case Part.WHOLE:
            return text == wanted
        case Part.ANYWHERE:
            return sa.func.instr(text, wanted) >= _ONE
        case Part.START:
            return sa.func.substr(text, _ONE, sa.func.length(wanted)) == wanted
        case Part.END:
            if empty:
                return sa.and_(text.is_not(None), wanted == _literal(""))
            return sa.func.substr(text, -sa.func.length(wanted)) == wanted
        case _:
            assert_never(part)


def _direction(table: sa.Table, by: Order) -> Expression:
    assert isinstance(by.operand, Column)
    column = table.c[by.operand.name]
    ordered = column.desc() if by.descending else column.asc()
    if not by.operand.spec.type.nullable:
        return ordered
    return ordered.nulls_first() if by.first else ordered.nulls_last()


def _is_row_comparison(after: After) -> bool:
    """Tell whether SQL can say it as (a, b) > (x, y), which an index on a and b serves."""
    columns = [by.operand for by in after.order]
    return len({by.descending for by in after.order}) == 1 and all(
        isinstance(column, Column) and not column.spec.type.nullable for column in columns
    )


def _row_comparison(table: sa.Table, after: After, parameters: Parameters) -> Expression:
    columns = [_value(table, by.operand) for by in after.order]
    values = [parameters.next() for _ in after.order]
    descending = after.order[0].descending
    if len(columns) == 1:
        return columns[0] < values[0] if descending else columns[0] > values[0]
    row, place = sa.tuple_(*columns), sa.tuple_(*values)
    return row < place if descending else row > place


def _assignment(table: sa.Table, change: Change, parameters: Parameters) -> Expression:
    match change:
        case SetTo():
            return parameters.next()
        case Increment(column, _):
            return table.c[column.name] + parameters.next()
        case _:
            assert_never(change)


def _figure(table: sa.Table, figure: Aggregate) -> Expression:
    """Return the figure; see `codecs.figure_decoder` for the form of whole sums and means."""
    if figure.operand is None:
        return sa.func.count()
    column = table.c[figure.operand.name]
    if figure.function not in ("sum", "avg") or figure.operand.spec.type.kind is Kind.FLOAT:
        function = getattr(sa.func, figure.function)
        found: Expression = function(column)
        return found
    # SQLite's own sum of integers fails beyond 64 bits; the sums of the halves can't.
    upper: Expression = sa.literal_column("32")
    lower: Expression = sa.literal_column(str(2**32 - 1))
    halves = (
        sa.func.sum(column.op(">>")(upper)),
        sa.func.sum(column.op("&")(lower)),
        sa.func.count(column),
    )
    space = _literal(" ")
    joined: Expression = halves[0].op("||")(space).op("||")(halves[1])
    return joined.op("||")(space).op("||")(halves[2])
