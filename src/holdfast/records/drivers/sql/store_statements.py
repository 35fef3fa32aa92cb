"""StoreStatements: built by SQLAlchemy once per query shape, then only text and values.

A query's *shape* is all of it but the values: equal shapes have equal SQL. One walk over the query
yields both the shape, which finds the compiled statement, and the values, in the order in which
the walk met them; on a miss a second walk builds the SQL with parameters numbered in that order.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar, assert_never, cast

import sqlalchemy as sa

from holdfast.records.drivers.sql.dialect import Parameters
from holdfast.records.drivers.sql.model_statements import ModelStatements
from holdfast.records.drivers.sql.statement import Statement
from holdfast.records.drivers.sql.tables import build_tables
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
    Order,
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

    from holdfast.records.driver import AggregateQuery, Select, Update
    from holdfast.records.drivers.sql.dialect import Codec, Dialect, Expression, Shape, Steps
    from holdfast.records.field_spec import FieldSpec
    from holdfast.records.model import Model
    from holdfast.records.query import Aggregate, Change, Operand

E = TypeVar("E")

_SHAPES = 2_000  # compiled statements kept; past that all are forgotten at once


@lru_cache(maxsize=8)
def statements_of(models: tuple[Model[object], ...], dialect: Dialect) -> StoreStatements:
    """Return the statements for *models*: the same ones for each store of the same entities."""
    return StoreStatements(models, dialect)


_GROUP = 400


class StoreStatements:
    """The statements for some models in one dialect, compiled at their first use.

    Any number of stores and threads may share them.
    """

    def __init__(self, models: tuple[Model[object], ...], dialect: Dialect) -> None:
        self.models = models
        self.tables = build_tables(models, dialect)
        self.dialect = dialect
        self._writes: dict[int, ModelStatements[object]] = {}
        self._compiled: dict[Shape, Statement] = {}
        self._encoders: dict[FieldSpec, Codec] = {}

    def encode(self, spec: FieldSpec, value: object) -> object:
        """Return the database's value for the row value *value*."""
        if value is None:
            return None
        try:
            encode = self._encoders[spec]
        except KeyError:
            encode = self._encoders[spec] = self.dialect.encoder(spec)
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
            values += (
                self.dialect.no_limit if select.limit is None else select.limit,
                select.offset,
            )

        def build(table: sa.Table, parameters: Parameters) -> sa.ClauseElement:
            built = sa.select(*(table.c[spec.name] for spec in specs))
            built = built.where(self._condition(table, select.where, parameters))
            built = built.order_by(*self._order(table, select.order))
            if windowed:
                built = built.limit(parameters.next()).offset(parameters.next())
            return built

        return self._statement(shape, select.model, build, values)

    def aggregate(self, query: AggregateQuery[E]) -> tuple[str, Sequence[object]]:
        values: list[object] = []
        shape = (
            "figures",
            query.model.table,
            query.aggregates,
            query.by,
            self._walk(query.where, values),
        )

        def build(table: sa.Table, parameters: Parameters) -> sa.ClauseElement:
            by = [table.c[column.name] for column in query.by]
            made = [self._figure(table, figure) for figure in query.aggregates]
            condition = self._condition(table, query.where, parameters)
            built = sa.select(*by, *made).select_from(table).where(condition).group_by(*by)
            return built.order_by(*self._order(table, [Order(column) for column in query.by]))

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
                change.column.name: self._assignment(table, change, parameters)
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

    def writes(self, model: Model[E]) -> ModelStatements[E]:
        """Return what is prepared for *model*, which is one of the models."""
        prepared = self._writes.get(id(model))
        if prepared is None:
            prepared = cast("ModelStatements[object]", ModelStatements(model, self))
            self._writes[id(model)] = prepared
        return cast("ModelStatements[E]", prepared)

    def compile(self, built: sa.ClauseElement) -> Statement:
        compiled = built.compile(dialect=self.dialect.compiler)
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
                if _is_json(operand):
                    shape, given = self.dialect.json_values(how, value)
                    values.extend(given)
                    return (Compare, how, operand, shape)
                assert isinstance(operand, Column)
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
                if not self._is_row_comparison(leaf):
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
    ) -> object:
        """Append the values of an `In` and return what of them makes a difference to the SQL."""
        if not wanted:
            return 0
        if _is_json(operand):
            shapes: list[Shape] = []
            for value in wanted:
                shape, given = self.dialect.json_values(Operator.EQ, value)
                values.extend(given)
                shapes.append(shape)
            return tuple(shapes)
        assert isinstance(operand, Column)
        encoded = [self.encode(operand.spec, value) for value in wanted]
        listed = self.dialect.list_values(operand.spec, encoded)
        values.extend(listed)
        return len(listed)

    def _condition(
        self, table: sa.Table, predicate: Predicate, parameters: Parameters, *, negate: bool = False
    ) -> Expression:
        """Return SQL that is true or false, never NULL, for *predicate* or its negation."""
        match leaf := node(predicate):
            case Everything():
                return sa.false() if negate else sa.true()
            case And(parts) | Or(parts):
                built = [self._condition(table, part, parameters, negate=negate) for part in parts]
                return _joined(sa.and_ if isinstance(leaf, And) is not negate else sa.or_, built)
            case Not(part):
                return self._condition(table, part, parameters, negate=not negate)
            case After():
                if not self._is_row_comparison(leaf):
                    return self._condition(table, expanded(leaf), parameters, negate=negate)
                beyond = _row_comparison(table, leaf, parameters)
                return sa.not_(beyond) if negate else beyond
            case IsNull(operand):
                if isinstance(operand, Path):
                    nowhere = self.dialect.path_is_null(_place(table, operand))
                    return sa.not_(nowhere) if negate else nowhere
                column = table.c[operand.name]
                return column.is_not(None) if negate else column.is_(None)
            case Compare(operand) | In(operand) | Match(operand):
                holds = self._leaf(table, leaf, parameters)
                if not negate:
                    return holds
                if isinstance(operand, Path):
                    nowhere = self.dialect.path_is_null(_place(table, operand))
                    return sa.or_(nowhere, sa.not_(holds))
                if operand.spec.type.nullable:
                    return sa.or_(table.c[operand.name].is_(None), sa.not_(holds))
                return sa.not_(holds)
            case _:
                assert_never(leaf)

    def _leaf(
        self, table: sa.Table, leaf: Compare | In | Match, parameters: Parameters
    ) -> Expression:
        operand, dialect = leaf.operand, self.dialect
        is_json = _is_json(operand)
        place = _place(table, operand)
        match leaf:
            case Compare(_, how, value):
                if is_json:
                    return dialect.compare_json(place, how, value, parameters)
                return _COMPARISONS[how](place[0], parameters.next())
            case In(_, wanted):
                if is_json:
                    each = [
                        dialect.compare_json(place, Operator.EQ, value, parameters)
                        for value in wanted
                    ]
                    return sa.or_(sa.false(), *each)
                if not wanted:
                    return sa.false()
                assert isinstance(operand, Column)
                encoded = [self.encode(operand.spec, value) for value in wanted]
                given = [parameters.next() for _ in dialect.list_values(operand.spec, encoded)]
                return dialect.in_list(operand.spec, place[0], given)
            case Match(_, part, text, ignore_case):
                steps = place[1] if is_json else None
                wanted_text = (parameters.next(), ignore_case, not text)
                return dialect.match((place[0], steps), part, wanted_text)
            case _:
                assert_never(leaf)

    def _order(self, table: sa.Table, order: Sequence[Order]) -> list[Expression]:
        found: list[Expression] = []
        for by in order:
            assert isinstance(by.operand, Column)
            spec = by.operand.spec
            column = table.c[spec.name]
            found += self.dialect.order(by, column, nullable=spec.type.nullable)
        return found

    def _figure(self, table: sa.Table, figure: Aggregate) -> Expression:
        if figure.operand is None:
            return sa.func.count()
        column = table.c[figure.operand.name]
        if figure.function == "count":
            return sa.func.count(column)
        return self.dialect.figure(figure, column)

    def _assignment(self, table: sa.Table, change: Change, parameters: Parameters) -> Expression:
        match change:
            case SetTo():
                return parameters.next()
            case Increment(column, _):
                stored = table.c[column.name]
                return self.dialect.increased(column.spec, stored, parameters.next())
            case _:
                assert_never(change)

    def _is_row_comparison(self, after: After) -> bool:
        """Tell whether to say it as (a, b) > (x, y), which an index on a and b may serve."""
        columns = [by.operand for by in after.order]
        return (
            (self.dialect.compares_rows or len(columns) == 1)
            and len({by.descending for by in after.order}) == 1
            and all(
                isinstance(column, Column) and not column.spec.type.nullable for column in columns
            )
        )


_COMPARISONS: dict[Operator, Callable[[Expression, Expression], Expression]] = {
    Operator.EQ: lambda column, value: column == value,
    Operator.LT: lambda column, value: column < value,
    Operator.LE: lambda column, value: column <= value,
    Operator.GT: lambda column, value: column > value,
    Operator.GE: lambda column, value: column >= value,
}


def _is_json(operand: Operand) -> bool:
    return isinstance(operand, Path) or operand.spec.type.kind is Kind.JSON


def _place(table: sa.Table, operand: Operand) -> tuple[Expression, Steps]:
    match operand:
        case Column(_, spec):
            return table.c[spec.name], ()
        case Path(column, steps):
            return table.c[column.name], steps
        case _:
            assert_never(operand)


def _row_comparison(table: sa.Table, after: After, parameters: Parameters) -> Expression:
    columns = [_place(table, by.operand)[0] for by in after.order]
    values = [parameters.next() for _ in after.order]
    descending = after.order[0].descending
    if len(columns) == 1:
        return columns[0] < values[0] if descending else columns[0] > values[0]
    row, place = sa.tuple_(*columns), sa.tuple_(*values)
    return row < place if descending else row > place


def _joined(how: Callable[..., Expression], parts: list[Expression]) -> Expression:
    """Return *parts* as one, in groups of groups: SQLite takes no list longer than 1000.

    `IS TRUE` keeps a group apart, whose parentheses SQLAlchemy would leave out.
    """
    while len(parts) > _GROUP:
        groups = [parts[at : at + _GROUP] for at in range(0, len(parts), _GROUP)]
        parts = [how(*group).is_(sa.true()) for group in groups]
    return how(*parts)
