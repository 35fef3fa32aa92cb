"""What the repository of a mapped class is asked, translated: see `ArgumentTranslator`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from holdfast.integrations.sqlalchemy.relationships import relations_by_columns, wanted_relations
from holdfast.integrations.sqlalchemy.translator import ExpressionTranslator
from holdfast.records.entities.model import model_of
from holdfast.records.expressions.field_changes import Change, SetTo
from holdfast.records.expressions.operands import Column

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import orm

    from holdfast.integrations.sqlalchemy.column_defaults import Defaults
    from holdfast.records.entities.field import Field
    from holdfast.records.entities.relation import Relation
    from holdfast.records.expressions.operands import Aggregate
    from holdfast.records.expressions.predicates import Order, Predicate
    from holdfast.records.values.field_spec import FieldSpec


class MappedArguments:
    """The arguments about one mapped class: expressions, relationships, and changes."""

    def __init__(
        self, mapper: orm.Mapper[Any], specs: Sequence[FieldSpec], defaults: Defaults
    ) -> None:
        self._mapper = mapper
        self._name = mapper.class_.__name__
        self._specs = {spec.name: spec for spec in specs}
        self._defaults = defaults
        self._expressions = ExpressionTranslator(
            self._name, specs, lambda: relations_by_columns(mapper)
        )

    def predicate(self, argument: object) -> Predicate:
        """See `ArgumentTranslator.predicate`."""
        return self._expressions.predicate(argument)

    def order(self, argument: object) -> Order:
        """See `ArgumentTranslator.order`."""
        return self._expressions.order(argument)

    def column(self, argument: object) -> Column:
        """See `ArgumentTranslator.column`."""
        return self._expressions.column(argument)

    def field(self, attribute: object) -> Field[Any]:
        """Return the field that a mapped *attribute* is."""
        return self._expressions.field(attribute)

    def aggregate(self, argument: object) -> Aggregate:
        """See `ArgumentTranslator.aggregate`."""
        return self._expressions.aggregate(argument)

    def changes(self, arguments: object, *, now: datetime) -> tuple[Change, ...]:
        """See `ArgumentTranslator.changes`; `onupdate` goes with any change."""
        several: Sequence[object] = (
            (arguments,) if isinstance(arguments, Mapping) else cast("Sequence[object]", arguments)
        )
        found: list[Change] = []
        for each in several:
            found += self._expressions.changes(each)
        named = {change.column.name for change in found}
        for name, make in self._defaults.changed.items():
            if name not in named:
                spec = self._specs[name]
                found.append(SetTo(Column(self._name, spec), spec.to_row(self._name, make(now))))
        return tuple(found)

    def relations(self, arguments: Sequence[object]) -> tuple[Relation, ...]:
        """See `ArgumentTranslator.relations`."""
        return wanted_relations(model_of(self._mapper.class_), self._mapper, arguments)
