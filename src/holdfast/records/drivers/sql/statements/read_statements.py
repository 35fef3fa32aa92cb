"""The statements that read a store: built by SQLAlchemy once per query shape, then text and values.

One walk over a query yields its shape, which finds the compiled statement, and its values (see
`conditions.py`); on a miss a second walk builds the SQL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar, cast

import sqlalchemy as sa

from holdfast.records.drivers.sql.statements.comparable_aggregates import (
    aggregate_in,
    comparable,
    comparable_decoder,
)
from holdfast.records.drivers.sql.statements.condition_facts import by_key, valued_operands
from holdfast.records.drivers.sql.statements.conditions import ConditionBuilder, join_shape
from holdfast.records.drivers.sql.statements.dialect import GroupLimit, column_decoder, number
from holdfast.records.drivers.sql.statements.joined_aggregates import (
    JoinedAggregates,
    joined_aggregates,
    joined_in_groups,
)
from holdfast.records.drivers.sql.statements.joined_table import JoinedTable
from holdfast.records.drivers.sql.statements.model_statements import ModelStatements
from holdfast.records.drivers.sql.statements.statement import Parameters, compiled
from holdfast.records.drivers.sql.statements.tables import build_tables
from holdfast.records.expressions.operands import Column, SearchRank, may_be_null
from holdfast.records.expressions.predicates import Everything, Order
from holdfast.records.rows.hydration import converted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from holdfast.records.driver_requests import AggregateQuery, Groups, Select
    from holdfast.records.drivers.sql.statements.dialect import Codec, Dialect, Expression, Shape
    from holdfast.records.drivers.sql.statements.statement import Statement
    from holdfast.records.entities.model import Model
    from holdfast.records.expressions.operands import Aggregate, ValueColumn
    from holdfast.records.expressions.predicates import Predicate
    from holdfast.records.values.field_spec import FieldSpec

E = TypeVar("E")

_ALL = Everything()
FAR = 1_000  # rows from which on it is worth a join to look for keys first
_SHAPES = 2_000  # compiled statements kept; past that all are forgotten at once


class ModelLookup(Protocol):
    """Finds what is prepared for a model."""

    def __call__(self, model: Model[E], /) -> ModelStatements[E]:
        """Return the statements of *model*, which is one of the store's."""
        ...


class _Prepared(dict["Model[object]", "ModelStatements[object]"]):
    """The statements of each model, made at their first use."""

    def __init__(self, tables: dict[str, sa.Table], dialect: Dialect) -> None:
        super().__init__()
        self._tables = tables
        self._dialect = dialect

    def __missing__(self, model: Model[object]) -> ModelStatements[object]:
        made = self[model] = ModelStatements(model, self._tables[model.table], self._dialect)
        return made


class ReadStatements:
    """The statements that read some models in one dialect, compiled at their first use.

    Tables whose models name no schema are in *schema*. Any number of stores and threads may share
    them.
    """

    def __init__(
        self, models: tuple[Model[object], ...], dialect: Dialect, schema: str = ""
    ) -> None:
        self.models = models
        self.tables = build_tables(models, dialect, schema)
        self.dialect = dialect
        self._prepared = _Prepared(self.tables, dialect)
        self.of_model = cast("ModelLookup", self._prepared.__getitem__)
        self._conditions = ConditionBuilder(dialect)
        self._compiled: dict[Shape, Statement] = {}

    def forget(self, table: str) -> None:
        """Forget what is prepared for *table*: more was found out about it."""
        for model in list(self._prepared):
            if model.table == table:
                self._prepared.pop(model, None)

    def encode(self, spec: FieldSpec, value: object) -> object:
        """Return the database's value for the row value *value*."""
        return self._conditions.encode(spec, value)

    def select(
        self, select: Select[E], columns: tuple[ValueColumn, ...] | None = None
    ) -> tuple[str, Sequence[object]]:
        """Return SQL and values for *select*: all fields, or *columns*."""
        if select.groups is not None:
            return self._of_groups(select, select.groups, columns)
        values: list[object] = []
        related = joined_aggregates(select, columns or (), least=self.dialect.least_joined)
        far = self.dialect.reads_skipped and select.offset >= FAR
        far = far and not select.model.view  # of which nothing keeps the keys apart
        if far and select.lock is None and not related.groups and not columns:
            return self._from_far(select)
        shape = (
            "select",
            select.model.table,
            self._walk_joined(related, values),
            None if columns is None else self._walk_values(columns, values, related),
            self._conditions.walk(select.where, values, related.names),
            self._walk_order(select.order, values, related, columns or ()),
            windowed := select.limit is not None or select.offset > 0,
            select.lock,
            select.skip_locked,
        )
        if windowed:
            values += self._window(select)

        def build(table: sa.Table, parameters: Parameters) -> sa.ClauseElement:
            source = JoinedTable(self.tables, table, by_key=by_key(select.model, select.where))
            wanted = columns or [Column(select.model.name, spec) for spec in select.model.fields]
            if select.lock is None:  # or what is joined would be locked too
                source.join((*wanted, *(by.operand for by in select.order)))
            self._join_aggregates(source, related, parameters)
            built = sa.select(
                *(self._conditions.value(source, each, parameters) for each in wanted)
            )
            condition = self._conditions.condition(source, select.where, parameters)
            order = self._order(source, select.order, parameters, columns or (), where=select.where)
            built = built.select_from(source.rows).where(condition).order_by(*order)
            if windowed:
                built = built.limit(parameters.next()).offset(parameters.next())
            if select.lock is not None:
                shared = select.lock == "share"
                built = built.with_for_update(read=shared, skip_locked=select.skip_locked)
            return built

        return self._statement(shape, select.model, build, values)

    def _from_far(self, select: Select[E]) -> tuple[str, Sequence[object]]:
        """Return SQL and values for rows behind many, which are skipped by their keys alone.

        So an index is enough for those, where the database else reads the whole rows or sorts them.
        """
        values: list[object] = []
        none, model = JoinedAggregates(), select.model
        where = self._conditions.walk(select.where, values)
        order = self._walk_order(select.order, values, none)
        values += self._window(select)
        shape = ("far", model.table, where, order, self._walk_order(select.order, values, none))

        def build(table: sa.Table, parameters: Parameters) -> sa.ClauseElement:
            source = JoinedTable(self.tables, table)
            inside, condition, order = self._again(source, select, parameters)
            keys = sa.select(*(inside.table.c[name] for name in model.key_names))
            keys = keys.select_from(inside.rows).where(condition).order_by(*order)
            limited = keys.limit(parameters.next()).offset(parameters.next())
            found = limited.subquery("holdfast found")
            source.join(by.operand for by in select.order)
            same = sa.and_(*(source.table.c[name] == found.c[name] for name in model.key_names))
            along = self._order(source, select.order, parameters, where=select.where)
            fields = [Column(model.name, spec) for spec in model.fields]
            wanted = [self._conditions.value(source, each, parameters) for each in fields]
            return sa.select(*wanted).select_from(found.join(source.rows, same)).order_by(*along)

        return self._statement(shape, model, build, values)

    def _of_groups(
        self, select: Select[E], groups: Groups, columns: tuple[ValueColumn, ...] | None
    ) -> tuple[str, Sequence[object]]:
        """Return SQL and values for the rows whose keys the dialect finds, group by group."""
        values: list[object] = []
        spec, none = groups.column.spec, JoinedAggregates()
        encoded = [self.encode(spec, value) for value in groups.values]
        shape = (
            "groups",
            select.model.table,
            groups.column,
            self._conditions.walk(select.where, values),
            self._walk_order(select.order, values, none),
            None if columns is None else self._walk_values(columns, values, none),
            self._walk_order(select.order, values, none),
        )
        values += (self.dialect.list_value(spec, encoded), select.limit)

        def build(table: sa.Table, parameters: Parameters) -> sa.ClauseElement:
            source = JoinedTable(self.tables, table)
            inside, condition, order = self._again(source, select, parameters)
            wanted = columns or [Column(select.model.name, each) for each in select.model.fields]
            source.join((*wanted, *(by.operand for by in select.order)))
            built = sa.select(
                *(self._conditions.value(source, each, parameters) for each in wanted)
            )
            along = self._order(source, select.order, parameters, where=select.where)
            built = built.order_by(*along)
            names = select.model.key_names
            limit = GroupLimit(
                spec=spec,
                rows=inside.rows,
                keys=[inside.table.c[name] for name in names],
                value=inside.table.c[groups.column.name],
                condition=condition,
                order=order,
                listed=parameters.next(),
                limit=parameters.next(),
            )
            keys = self.dialect.keys_of_groups(limit, [source.table.c[name] for name in names])
            return built.select_from(keys.rows.join(source.rows, keys.condition))

        return self._statement(shape, select.model, build, values)

    def aggregate(self, query: AggregateQuery[E]) -> tuple[str, Sequence[object]]:
        """Return SQL and values for *query*, a row for each group, in their order."""
        values: list[object] = []
        related = joined_in_groups(query, least=self.dialect.least_joined)
        conditions = self._conditions
        shape = (
            "aggregate",
            query.model.table,
            self._walk_joined(related, values),
            self._walk_values(query.by, values, related),
            tuple(
                (
                    aggregate.function,
                    aggregate.fraction,
                    aggregate.operand and conditions.walk_value(aggregate.operand, values),
                )
                for aggregate in query.aggregates
            ),
            conditions.walk(query.where, values, related.names),
            conditions.walk(query.having, values),
            self._walk_order(query.order, values, related),
            windowed := query.limit is not None or query.offset > 0,
        )
        if windowed:
            values += self._window(query)

        def build(table: sa.Table, parameters: Parameters) -> sa.ClauseElement:
            source = JoinedTable(self.tables, table)
            source.join(query.by)
            source.join(aggregate.operand for aggregate in query.aggregates if aggregate.operand)
            self._join_aggregates(source, related, parameters)
            by = [conditions.value(source, each, parameters) for each in query.by]
            read = [
                None
                if aggregate.operand is None
                else conditions.value(source, aggregate.operand, parameters)
                for aggregate in query.aggregates
            ]
            pairs = list(zip(query.aggregates, read, strict=True))
            made = [self._aggregate(aggregate, column) for aggregate, column in pairs]
            compared = [comparable(self.dialect, aggregate, column) for aggregate, column in pairs]
            source.results = [*by, *compared]
            condition = conditions.condition(source, query.where, parameters)
            built = sa.select(*by, *made).select_from(source.rows).where(condition).group_by(*by)
            if not isinstance(query.having, Everything):
                built = built.having(conditions.condition(source, query.having, parameters))
            built = built.order_by(*self._order(source, query.order, parameters))
            if windowed:
                built = built.limit(parameters.next()).offset(parameters.next())
            return built

        return self._statement(shape, query.model, build, values)

    def _window(self, query: Select[E] | AggregateQuery[E]) -> tuple[object, int]:
        """Return the values of LIMIT and OFFSET."""
        return self.dialect.no_limit if query.limit is None else query.limit, query.offset

    def _again(
        self, source: JoinedTable, select: Select[E], parameters: Parameters
    ) -> tuple[JoinedTable, Expression, list[Expression]]:
        """Return the rows of *source* once more, to look for keys among: which, in what order."""
        inside = source.again()
        inside.join(by.operand for by in select.order)
        condition = self._conditions.condition(inside, select.where, parameters)
        order = self._order(inside, select.order, parameters, where=select.where)
        return inside, condition, order

    def _walk_joined(self, related: JoinedAggregates, values: list[object]) -> Shape:
        return tuple(
            (join_shape(join), tuple(named), self._conditions.walk(where, values))
            for join, where, named in related.groups
        )

    def _walk_values(
        self, operands: Sequence[ValueColumn], values: list[object], related: JoinedAggregates
    ) -> Shape:
        return tuple(self._conditions.walk_value(each, values, related.names) for each in operands)

    def _walk_order(
        self,
        order: Sequence[Order],
        values: list[object],
        related: JoinedAggregates,
        chosen: Sequence[ValueColumn] = (),
    ) -> Shape:
        return tuple(
            (
                None
                if _is_chosen(by, chosen)
                else self._conditions.walk_value(by.operand, values, related.names),
                by.descending,
                by.first,
            )
            for by in order
        )

    def _join_aggregates(
        self, source: JoinedTable, related: JoinedAggregates, parameters: Parameters
    ) -> None:
        """Join a table of the aggregates of each relation's rows that fit one condition."""
        for at_join, (join, where, named) in enumerate(related.groups, 1):
            target = source.target(join)
            by = source.grouped(join, target)
            fitting = self._conditions.condition(target, where, parameters)
            made = [
                self._conditions.aggregate(target, each).label(f"value {at}")
                for at, each in enumerate(named.values())
            ]
            found = sa.select(by.label("key"), *made).select_from(target.table)
            found = found.where(fitting, *target.living(join))
            counts = {name: not each.nullable for name, each in named.items()}
            source.join_aggregates(
                join, found.group_by(by).subquery(f"holdfast aggregates {at_join}"), counts
            )

    def column_decoders(self, columns: Sequence[ValueColumn]) -> list[Codec]:
        """Return what decodes the values of `select` for *columns*."""
        return [
            column_decoder(self.dialect, column.spec)
            if (aggregate := aggregate_in(column)) is None
            else comparable_decoder(self.dialect, aggregate)
            for column in columns
        ]

    def aggregate_decoders(self, query: AggregateQuery[E]) -> list[Codec]:
        """Return what decodes the values of `aggregate` for *query*."""
        return [
            *self.column_decoders(query.by),
            *(self.dialect.aggregate_decoder(aggregate) for aggregate in query.aggregates),
        ]

    def decoded(
        self, select: Select[E], columns: Sequence[ValueColumn], rows: Iterable[Sequence[object]]
    ) -> list[tuple[object, ...]]:
        """Return the row values of `select`'s *rows*. Raises StoredValueError."""
        specs = [column.spec for column in columns]
        return converted(select.model, rows, specs, self.column_decoders(columns))

    def decoded_aggregates(
        self, query: AggregateQuery[E], rows: Iterable[Sequence[object]]
    ) -> list[tuple[object, ...]]:
        """Return the row values of `aggregate`'s *rows*. Raises StoredValueError."""
        operands = [aggregate.operand for aggregate in query.aggregates]
        specs = [None if each is None else each.spec for each in (*query.by, *operands)]
        return converted(query.model, rows, specs, self.aggregate_decoders(query))

    def _order(
        self,
        source: JoinedTable,
        order: Sequence[Order],
        parameters: Parameters,
        chosen: Sequence[ValueColumn] = (),
        *,
        where: Predicate = _ALL,
    ) -> list[Expression]:
        """Return the order; a rank that is among the *chosen* columns is named by its place.

        It is of rows that fit *where*: of what is null in none of them no nulls are placed.
        """
        valued = valued_operands(where)
        found: list[Expression] = []
        for by in order:
            if _is_chosen(by, chosen):
                at = [each == by.operand for each in chosen].index(True)
                place = number(at + 1)
                found.append(place.desc() if by.descending else place.asc())
                continue
            column = self._conditions.value(source, by.operand, parameters)
            nullable = may_be_null(by.operand) and by.operand not in valued
            found += self.dialect.order(by, column, nullable=nullable)
        return found

    def _aggregate(self, aggregate: Aggregate, column: Expression | None) -> Expression:
        if column is None or aggregate.function in ("count", "count_distinct"):
            return comparable(self.dialect, aggregate, column)
        return self.dialect.aggregate(aggregate, column)

    def compile(self, built: sa.ClauseElement) -> Statement:
        """Return *built* as this dialect's text."""
        return compiled(built, self.dialect.compiler)

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
        if self.dialect.repeats_lists:
            return statement.repeated(values)
        return statement.sql, statement.bind(values)


def _is_chosen(by: Order, chosen: Sequence[ValueColumn]) -> bool:
    """Return whether *by* goes by a rank among *chosen*, which would else be reckoned twice."""
    return isinstance(by.operand, SearchRank) and by.operand in chosen
