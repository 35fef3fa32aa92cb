"""Conditions as SQL: their shape and values in one walk, and on a miss the expression.

A query's *shape* is all of it but the values: equal shapes have equal SQL. `walk` yields both the
shape, which finds the compiled statement, and the values, in the order in which it met them;
`condition` builds the SQL, with parameters numbered in that same order.

A shape is made and looked for at each call, so it is of what is hashed and compared without a step
of Python: plain tuples, types, and the specs of fields, each of which is equal to itself alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

import sqlalchemy as sa

from holdfast.records.drivers.sql.statements.comparable_aggregates import (
    aggregate_in,
    comparable,
    comparable_encoder,
)
from holdfast.records.drivers.sql.statements.dialect import Place, inverse, is_false, joined
from holdfast.records.drivers.sql.statements.search_rank import (
    rank_expression,
    rank_shape,
    rank_values,
)
from holdfast.records.entities.joins import remote_field
from holdfast.records.expressions.operands import (
    Aggregate,
    Calculation,
    Column,
    Constant,
    GroupValue,
    Path,
    RelatedAggregate,
    RelatedColumn,
    SearchRank,
    Truncated,
    may_be_null,
    parts_of_computed,
)
from holdfast.records.expressions.predicates import (
    After,
    And,
    Compare,
    CompareOperands,
    Everything,
    HasItem,
    HasWords,
    In,
    InRows,
    InSubquery,
    IsNull,
    Match,
    Not,
    Operator,
    Or,
    Related,
    expanded,
    node,
    spelled_out,
)
from holdfast.records.values.text import fold_case
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.records.drivers.sql.statements.dialect import (
        Codec,
        Dialect,
        Expression,
        Shape,
        Steps,
    )
    from holdfast.records.drivers.sql.statements.joined_table import JoinedTable
    from holdfast.records.drivers.sql.statements.statement import Parameters
    from holdfast.records.expressions.operands import Join, Operand, RowFilter
    from holdfast.records.expressions.predicates import Predicate
    from holdfast.records.values.field_spec import FieldSpec


_MANY = 20
_NONE: frozenset[str] = frozenset()


class ConditionBuilder:
    """Turns conditions into shapes, values and expressions of one *dialect*."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
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

    def encode_for(self, operand: Operand, value: object) -> object:
        """Return the database's value for *value*, with which *operand* is compared."""
        aggregate = aggregate_in(operand)
        if aggregate is None or value is None:
            return self.encode(operand.spec, value)
        encode = comparable_encoder(self.dialect, aggregate)
        return value if encode is None else encode(value)

    def walk(
        self, predicate: RowFilter, values: list[object], joined: frozenset[str] = _NONE
    ) -> Shape:
        """Return the shape of *predicate*, and append its values in the order of the parts.

        *joined* are the texts of the aggregates that the statement joins.
        """
        match leaf := node(predicate):  # in the order of how often they are asked for
            case Compare(Column(_, spec), how, value) if spec.type.kind is not Kind.JSON:
                values.append(self.encode(spec, value))  # what is asked most, by the shortest way
                return (Compare, how, spec)
            case Compare(operand, how, value):
                where, steps = self._walk_place(operand, values, joined)
                if _is_json(operand):
                    shape, given = self.dialect.json_values(steps, how, value)
                    values.extend(given)
                    return (Compare, how, where, shape)
                values.append(self.encode_for(operand, value))
                return (Compare, how, where)
            case And(parts):
                return (And, *(self.walk(part, values, joined) for part in parts))
            case After(order, place):
                if not self._is_row_comparison(leaf):
                    return self.walk(expanded(leaf), values, joined)
                for by, value in zip(order, place, strict=True):
                    assert isinstance(by.operand, Column)
                    values.append(self.encode(by.operand.spec, value))
                return (After, *((by.operand.spec, by.descending) for by in order))
            case Everything():
                return (Everything,)
            case CompareOperands(left, how, right):
                return (
                    CompareOperands,
                    how,
                    self.walk_value(left, values, joined),
                    self.walk_value(right, values, joined),
                )
            case In(operand, wanted):
                where, steps = self._walk_place(operand, values, joined)
                return (In, where, self._walk_values(operand, steps, wanted, values))
            case InRows(columns, rows):
                if rows:
                    specs = [column.spec for column in columns]
                    by_field = [
                        [self.encode(spec, value) for value in each]
                        for spec, each in zip(specs, zip(*rows, strict=True), strict=True)
                    ]
                    values.extend(self.dialect.rows_values(specs, by_field))
                return (InRows, columns, bool(rows))
            case InSubquery(operand, query):
                where, _ = self._walk_place(operand, values, joined)
                return (InSubquery, where, query.column, self.walk(query.where, values))
            case IsNull(operand):
                return (IsNull, self._walk_place(operand, values, joined)[0])
            case HasItem(operand, value):
                where, steps = self._walk_place(operand, values, joined)
                shape, given = self.dialect.item_values(steps, value)
                values.extend(given)
                return (HasItem, where, shape)
            case Match(operand, part, text, ignore_case):
                where, _ = self._walk_place(operand, values, joined)
                values.append(fold_case(text) if ignore_case else text)
                return (Match, where, part, ignore_case, not text)
            case HasWords(columns):
                words = self.dialect.word_query(leaf.terms)
                if words is not None:
                    values.append(words)
                return (HasWords, columns, words is None, self.walk(spelled_out(leaf), values))
            case Related(join, condition):
                return (Related, join_shape(join), self.walk(condition, values))
            case Or(parts):
                return (Or, *(self.walk(part, values, joined) for part in _merged(parts)))
            case Not(part):
                return (Not, self.walk(part, values, joined))
            case _:
                assert_never(leaf)

    def _walk_place(
        self, operand: Operand, values: list[object], joined: frozenset[str]
    ) -> tuple[Shape, Steps]:
        """Append what stands for the steps of a path; return the operand's shape, and its steps.

        The steps are text of others, so they are never part of the SQL.
        """
        if not isinstance(operand, Path):
            return (self.walk_value(operand, values, joined),), ()
        shape, given = self.dialect.path_values(operand.steps)
        values.extend(given)
        return (operand.column, *shape), operand.steps

    def walk_value(
        self, operand: Operand, values: list[object], joined: frozenset[str] = _NONE
    ) -> object:
        """Return the shape of what `value` builds of *operand*, no path, and append its values."""
        match operand:
            case Column(_, spec):  # whose entity is known by where it stands
                return spec
            case RelatedColumn(joins, Column(_, spec)):
                return (RelatedColumn, *map(join_shape, joins), spec)
            case Path() | Truncated() | Aggregate():
                return operand
            case Constant(value, spec):
                values.append(self.encode(spec, value))
                return (Constant, spec)
            case RelatedAggregate(join, where, aggregate):
                if joined and repr(operand) in joined:
                    return (RelatedAggregate, repr(operand))
                return (RelatedAggregate, join_shape(join), aggregate, self.walk(where, values))
            case GroupValue(position):
                return (GroupValue, position)
            case SearchRank():
                values += rank_values(operand)
                return rank_shape(operand)
            case _:
                word = operand.operation if isinstance(operand, Calculation) else type(operand)
                parts = parts_of_computed(operand)
                shapes = (self.walk_value(part, values, joined) for part in parts)
                return (word, operand.spec, *shapes)

    def _walk_values(
        self, operand: Operand, steps: Steps, wanted: tuple[object, ...], values: list[object]
    ) -> object:
        """Append the values of an `In` and return what of them makes a difference to the SQL."""
        if not wanted:
            return 0
        if _is_json(operand):
            shape, given = self.dialect.json_list_values(steps, wanted)
            values.extend(given)
            return shape
        encoded = [self.encode(operand.spec, value) for value in wanted]
        values.append(self.dialect.list_value(operand.spec, encoded))
        return 1

    def condition(
        self,
        source: JoinedTable,
        predicate: RowFilter,
        parameters: Parameters,
        *,
        negate: bool = False,
    ) -> Expression:
        """Return SQL that is true or false, never NULL, for *predicate* or its negation."""
        match leaf := node(predicate):
            case Everything():
                return sa.false() if negate else sa.true()
            case And(parts) | Or(parts):
                several = _merged(parts) if isinstance(leaf, Or) else parts
                built = [
                    self.condition(source, part, parameters, negate=negate) for part in several
                ]
                return joined(sa.and_ if isinstance(leaf, And) is not negate else sa.or_, built)
            case Not(part):
                return self.condition(source, part, parameters, negate=not negate)
            case HasWords(columns):
                given = None
                if self.dialect.word_query(leaf.terms) is not None:
                    documents = [source.column(column) for column in columns]
                    given = self.dialect.has_words(documents, parameters.next())
                holds = self.condition(source, spelled_out(leaf), parameters)
                holds = holds if given is None else joined(sa.and_, [given, holds])
                return inverse(holds) if negate else holds
            case Related():
                found = self._related(source, leaf, parameters)
                return inverse(found) if negate else found
            case InSubquery(operand, query):
                place = self._place(source, operand, parameters)
                target = source.rows_of(query.target)
                fitting = self.condition(target, query.where, parameters)
                if is_false(fitting):
                    return sa.true() if negate else fitting
                fitting = joined(sa.and_, [fitting, *target.living(query)])
                holds = place.column.in_(target.values_of(query.column, fitting))
                return self._negated(holds, operand, place) if negate else holds
            case CompareOperands(left, how, right):
                sides = [self.value(source, side, parameters) for side in (left, right)]
                holds = _COMPARISONS[how](*sides)
                if not negate:
                    return holds
                pairs = zip((left, right), sides, strict=True)
                missing = [side.is_(None) for each, side in pairs if may_be_null(each)]
                return joined(sa.or_, [*missing, inverse(holds)])
            case HasItem(operand, value):
                place = self._place(source, operand, parameters)
                holds = self.dialect.has_item(place, value, parameters)
                return inverse(holds) if negate else holds
            case After():
                if not self._is_row_comparison(leaf):
                    return self.condition(source, expanded(leaf), parameters, negate=negate)
                beyond = _row_comparison(source.table, leaf, parameters)
                return inverse(beyond) if negate else beyond
            case InRows():
                return self._in_rows(source, leaf, parameters, negate=negate)
            case IsNull(operand):
                place = self._place(source, operand, parameters)
                if isinstance(operand, Path):
                    nowhere = self.dialect.path_is_null(place)
                    return inverse(nowhere) if negate else nowhere
                return place.column.is_not(None) if negate else place.column.is_(None)
            case Compare(operand) | In(operand) | Match(operand):
                place = self._place(source, operand, parameters)
                holds = self._leaf(place, leaf, parameters)
                return self._negated(holds, operand, place) if negate else holds
            case _:
                assert_never(leaf)

    def _negated(self, holds: Expression, operand: Operand, place: Place) -> Expression:
        """Return the negation of *holds*, which is NULL where *operand* is."""
        if isinstance(operand, Path):
            return joined(sa.or_, [self.dialect.path_is_null(place), inverse(holds)])
        if may_be_null(operand):
            return joined(sa.or_, [place.column.is_(None), inverse(holds)])
        return inverse(holds)

    def _place(self, source: JoinedTable, operand: Operand, parameters: Parameters) -> Place:
        """Return the column, and the parameters that `_walk_place` gave the values of."""
        if not isinstance(operand, Path):
            return Place(self.value(source, operand, parameters), _is_json(operand))
        _, given = self.dialect.path_values(operand.steps)
        path = tuple(parameters.next() for _ in given)
        return Place(source.column(operand.column), True, operand.steps, path)

    def _related(self, source: JoinedTable, related: Related, parameters: Parameters) -> Expression:
        """Return whether the relation leads to a row that fits: true or false, never NULL.

        A database that looks for the row of an EXISTS once for each row is given a list of keys
        where it can't be long to make, which is made once.
        """
        join, where = related.join, related.where
        if not self.dialect.flattens_exists:
            target = source.target(join)
            fitting = self.condition(target, where, parameters)
            if is_false(fitting):
                return fitting
            alike = not join.many or isinstance(where, HasWords)
            how = source.among if alike and not source.by_key else source.exists
            return how(join, target, fitting)
        beside = source.joined(join)
        if beside is not None:
            there = beside.column(Column(join.target.__name__, remote_field(join)))
            fitting = self.condition(beside, where, parameters)
            return joined(sa.and_, [there.is_not(None), fitting])
        target = source.target(join)
        fitting = self.condition(target, where, parameters)
        return fitting if is_false(fitting) else source.exists(join, target, fitting)

    def value(self, source: JoinedTable, operand: Operand, parameters: Parameters) -> Expression:
        """Return the value of *operand*, which is no path, in a row of *source*."""
        match operand:
            case Column() | RelatedColumn():
                return source.column(operand)
            case RelatedAggregate(join, where, aggregate):
                found = source.aggregate(operand)
                if found is not None:
                    return found
                target = source.target(join)
                fitting = self.condition(target, where, parameters)
                one = sa.select(self.aggregate(target, aggregate)).select_from(target.table)
                one = one.where(source.meets(join, target), fitting)
                return one.correlate_except(target.table).scalar_subquery()
            case GroupValue(position):
                return source.results[position]
            case SearchRank():
                return rank_expression(self.dialect.name, operand, source, parameters)
            case Path() | Aggregate():
                raise AssertionError(f"{operand!r} is no value of a row")
            case Constant():
                return self.dialect.computed(operand, (parameters.next(),))
            case Truncated(column, unit, zone):
                return self.dialect.truncated(column.spec, source.column(column), unit, zone)
            case _:
                parts = [
                    self.value(source, part, parameters) for part in parts_of_computed(operand)
                ]
                return self.dialect.computed(operand, parts)

    def aggregate(self, source: JoinedTable, aggregate: Aggregate) -> Expression:
        """Return *aggregate*, of a field, over rows of *source*, in a form that compares."""
        of = aggregate.operand
        assert of is None or isinstance(of, (Column, RelatedColumn))
        column = None if of is None else source.column(of)
        return comparable(self.dialect, aggregate, column)

    def _leaf(self, place: Place, leaf: Compare | In | Match, parameters: Parameters) -> Expression:
        operand, dialect = leaf.operand, self.dialect
        match leaf:
            case Compare(_, how, value):
                if place.is_json:
                    return dialect.compare_json(place, how, value, parameters)
                return _COMPARISONS[how](place.column, parameters.next())
            case In(_, wanted):
                if not wanted:
                    return sa.false()
                if place.is_json:
                    return dialect.in_json(place, wanted, parameters)
                return dialect.in_list(operand.spec, place.column, parameters.next())
            case Match(_, part, text, ignore_case):
                wanted_text = (parameters.next(), ignore_case, not text)
                return dialect.match(place, part, wanted_text)
            case _:
                assert_never(leaf)

    def _in_rows(
        self, source: JoinedTable, leaf: InRows, parameters: Parameters, *, negate: bool
    ) -> Expression:
        if not leaf.rows:
            return sa.true() if negate else sa.false()
        columns = [source.column(column) for column in leaf.columns]
        found = self.dialect.in_rows([each.spec for each in leaf.columns], columns, parameters)
        if not negate:
            return found
        nulls = [
            column.is_(None)
            for each, column in zip(leaf.columns, columns, strict=True)
            if may_be_null(each)
        ]
        return joined(sa.or_, [*nulls, inverse(found)])

    def _is_row_comparison(self, after: After) -> bool:
        """Return whether to say it as (a, b) > (x, y), which an index on a and b may serve."""
        order = after.order
        if len(order) > 1 and not self.dialect.compares_rows:
            return False
        if len({by.descending for by in order}) > 1:
            return False
        for by in order:
            column = by.operand
            if not isinstance(column, Column) or column.spec.type.nullable:
                return False
        return True


_COMPARISONS: dict[Operator, Callable[[Expression, Expression], Expression]] = {
    Operator.EQ: lambda column, value: column == value,
    Operator.LT: lambda column, value: column < value,
    Operator.LE: lambda column, value: column <= value,
    Operator.GT: lambda column, value: column > value,
    Operator.GE: lambda column, value: column >= value,
}


def join_shape(join: Join) -> Shape:
    """Return *join* as a part of a shape: the hash of a plain tuple is not reckoned in Python."""
    return (join.source, join.name, join.target, join.via, join.many)


def _merged(parts: tuple[Predicate, ...]) -> tuple[Predicate, ...]:
    """Return *parts* of an Or with all that are equal to a value as lists, if they are many.

    Each part would cost 0.3 ms of building the statement, and a list costs nothing for a value.
    """
    if len(parts) < _MANY:
        return parts
    lists: dict[Operand, list[object]] = {}
    others: list[Predicate] = []
    for part in parts:
        match node(part):
            case Compare(operand, Operator.EQ, value) if aggregate_in(operand) is None:
                lists.setdefault(operand, []).append(value)
            case In(operand, wanted):
                lists.setdefault(operand, []).extend(wanted)
            case _:
                others.append(part)
    return (*others, *(In(operand, tuple(values)) for operand, values in lists.items()))


def _is_json(operand: Operand) -> bool:
    return operand.type.kind is Kind.JSON


def _row_comparison(table: sa.FromClause, after: After, parameters: Parameters) -> Expression:
    columns = [table.c[by.operand.name] for by in after.order if isinstance(by.operand, Column)]
    values = [parameters.next() for _ in after.order]
    descending = after.order[0].descending
    if len(columns) == 1:
        return columns[0] < values[0] if descending else columns[0] > values[0]
    row, place = sa.tuple_(*columns), sa.tuple_(*values)
    return row < place if descending else row > place
