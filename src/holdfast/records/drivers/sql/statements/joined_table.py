"""A table that a statement reads, and what its references lead to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from holdfast.errors import ConfigurationError
from holdfast.records.entities.joins import deleted_field, local_field, remote_field
from holdfast.records.entities.model import Model, model_of
from holdfast.records.expressions.operands import Column, RelatedColumn, columns_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from holdfast.records.drivers.sql.statements.dialect import Expression
    from holdfast.records.expressions.operands import Join, Operand, RelatedAggregate
    from holdfast.records.expressions.predicates import Subquery

_ALIAS = "holdfast related"  # a name that no table of an application is likely to have


class JoinedTable:
    """The rows of *table*, which is *distance* relations away from the statement's own."""

    def __init__(
        self,
        tables: Mapping[str, sa.Table],
        table: sa.FromClause,
        distance: int = 0,
        *,
        by_key: bool = False,
    ) -> None:
        self.table = table
        self.by_key = by_key
        """The statement names keys: it looks at few rows, each of which can be looked up for."""
        self.rows: sa.FromClause = table
        """The table and what is joined to it: what the statement selects from."""
        self._tables = tables
        self._distance = distance
        self._joined: dict[tuple[Join, ...], sa.FromClause] = {}
        self._aggregates: dict[str, Expression] = {}
        self.results: Sequence[Expression] = ()
        """The values of a result row, of an aggregate query."""

    def join(self, operands: Iterable[Operand]) -> None:
        """Join what the related columns among *operands* are read of, each once.

        A row stays one row, since a reference leads to one at the most.
        """
        for operand in operands:
            for column in columns_in(operand):
                if isinstance(column, RelatedColumn):
                    for end in range(1, len(column.joins) + 1):
                        self._join(column.joins[:end])

    def joined(self, join: Join) -> JoinedTable | None:
        """Return the rows that *join* leads to, if they were joined: all null where there is none.

        So they may be for references alone, and for the documents of a search.
        """
        table = self._joined.get((join,))
        if table is None:
            return None
        return JoinedTable(self._tables, table, self._distance, by_key=self.by_key)

    def _join(self, joins: tuple[Join, ...]) -> None:
        if joins in self._joined:
            return
        last = joins[-1]
        before = self._joined[joins[:-1]] if joins[:-1] else self.table
        name = f"{_ALIAS} {len(self._joined) + 1}"
        joined = self._joined[joins] = self._tables[model_of(last.target).table].alias(name)
        self.rows = self.rows.outerjoin(joined, _meets(last, before, joined))

    def join_aggregates(self, join: Join, found: sa.Subquery, named: Mapping[str, bool]) -> None:
        """Join *found*, whose column `key` has what *join* meets, and the others aggregates.

        *named* are these, by their texts, and whether each is a count: 0 where nothing is found.
        """
        self.rows = self.rows.outerjoin(found, found.c.key == self.table.c[local_field(join).name])
        for column, (name, is_count) in zip(list(found.c)[1:], named.items(), strict=True):
            zero: Expression = sa.literal_column("0")
            self._aggregates[name] = sa.func.coalesce(column, zero) if is_count else column

    def aggregate(self, operand: RelatedAggregate) -> Expression | None:
        """Return the column of *operand* if it was joined."""
        return self._aggregates.get(repr(operand)) if self._aggregates else None

    def grouped(self, join: Join, target: JoinedTable) -> Expression:
        """Return the column of *target* by which the rows that *join* leads to are grouped."""
        column: Expression = target.table.c[remote_field(join).name]
        return column

    def living(self, join: Join | Subquery[object]) -> list[Expression]:
        """Return what holds of the rows of this table, the target of *join*, that it leads to."""
        marked = deleted_field(join)
        return [] if marked is None else [self.table.c[marked.name].is_(None)]

    def meets(self, join: Join, target: JoinedTable) -> Expression:
        """Return whether *join* leads to the row of *target*."""
        return _meets(join, self.table, target.table)

    def column(self, operand: Column | RelatedColumn) -> Expression:
        """Return the column of *operand*; one that was not joined is looked up for each row."""
        if isinstance(operand, Column):
            return self.table.c[operand.spec.name]
        joined = self._joined.get(operand.joins)
        if joined is not None:
            return joined.c[operand.column.spec.name]
        first, *further = operand.joins
        target = self.target(first)
        beyond = RelatedColumn(tuple(further), operand.column) if further else operand.column
        found: sa.Select[Any] = sa.select(target.column(beyond)).where(
            _meets(first, self.table, target.table)
        )
        return found.correlate_except(target.table).scalar_subquery()

    def again(self) -> JoinedTable:
        """Return the same table once more, for a subquery about its rows."""
        distance = self._distance + 1
        table = self.table.alias(f"{_ALIAS} of {distance}")
        return JoinedTable(self._tables, table, distance)

    def target(self, join: Join) -> JoinedTable:
        """Return the rows that *join* leads to, for a subquery."""
        return self.rows_of(join.target)

    def rows_of(self, entity: type) -> JoinedTable:
        """Return the rows of *entity*, for a subquery.

        Raises ConfigurationError when it is not one of the store's.
        """
        model: Model[object] = model_of(entity)
        distance = self._distance + 1
        table = self._tables.get(model.table)
        if table is None:
            raise ConfigurationError(f"{model.name} is not one of the store's entities")
        aliased = table.alias(f"{_ALIAS} of {distance}")
        return JoinedTable(self._tables, aliased, distance, by_key=self.by_key)

    def among(self, join: Join, target: JoinedTable, condition: Expression) -> Expression:
        """Tell the same as `exists` of a reference, by a list of keys that is made once."""
        local, remote = local_field(join), target.table.c[remote_field(join).name]
        column = self.table.c[local.name]
        condition = sa.and_(condition, *target.living(join))
        found: Expression = column.in_(
            sa.select(remote).select_from(target.table).where(condition).correlate(None)
        )
        return sa.and_(column.is_not(None), found) if local.type.nullable else found

    def values_of(self, column: Column, condition: Expression) -> sa.Select[Any]:
        """Return the values of *column*, nulls apart, in the rows for which *condition* holds."""
        value = self.column(column)
        found = sa.select(value).select_from(self.table).where(condition)
        if column.nullable:
            found = found.where(value.is_not(None))
        return found.correlate_except(self.table)

    def exists(self, join: Join, target: JoinedTable, condition: Expression) -> Expression:
        """Return whether *join* leads to a row of *target* for which *condition* holds."""
        one: Expression = sa.literal_column("1")
        found = sa.select(one).select_from(target.table)
        found = found.where(_meets(join, self.table, target.table), condition)
        return found.correlate_except(target.table).exists()


def _meets(join: Join, here: sa.FromClause, there: sa.FromClause) -> Expression:
    met = there.c[remote_field(join).name] == here.c[local_field(join).name]
    marked = deleted_field(join)
    return met if marked is None else sa.and_(met, there.c[marked.name].is_(None))
