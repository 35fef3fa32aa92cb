"""How instances of a mapped class are read and made, and where its words are understood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy.orm.attributes import set_committed_value

from holdfast.errors import InvalidValueError
from holdfast.records.alchemy.relations import wanted_relations
from holdfast.records.alchemy.words import Words
from holdfast.records.query import Column, SetTo

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import orm

    from holdfast.records.alchemy.defaults import Defaults
    from holdfast.records.field import Field
    from holdfast.records.model import FieldSpec, Model
    from holdfast.records.query import Aggregate, Change, Order, Predicate
    from holdfast.records.relation import Relation

_STATE = "_sa_instance_state"


class MappedOrigin:
    """See `Origin`."""

    model: Model[object]

    def __init__(
        self,
        entity: type,
        mapper: orm.Mapper[Any],
        specs: Sequence[FieldSpec],
        defaults: Defaults,
    ) -> None:
        self.mapper = mapper
        self._entity = entity
        self._names = [spec.name for spec in specs if spec.in_constructor]
        self._key = next(spec.name for spec in specs if spec.role in ("key", "generated"))
        self._numbered = any(spec.role == "generated" for spec in specs)
        self._specs = {spec.name: spec for spec in specs}
        self._defaults = defaults
        self._words = Words(entity.__name__, specs)
        self._manager = mapper.class_manager
        self._identity = mapper.identity_key_from_primary_key((None,))[0]
        self._told = self._manager.dispatch.load

    # --- instances --------------------------------------------------------------------------

    def values(self, entity: object, *, now: datetime, fresh: bool) -> Mapping[str, object]:
        held: Mapping[str, object] = vars(entity)
        if self._numbered and self._key in held and held[self._key] is None:
            # SQLModel says None of a key that is still to be numbered.
            held = {name: value for name, value in held.items() if name != self._key}
        changed = self._defaults.changed
        if not changed and all(name in held for name in self._names):
            return held
        values = dict(held)
        state = vars(entity)[_STATE]
        if not fresh:
            for name, make in changed.items():
                if name not in state.committed_state:  # else the caller has set it
                    values[name] = make(now)
        for name in self._names:
            if name in values:
                continue
            default = self._defaults.added.get(name)
            if state.key is not None or default is None:
                raise InvalidValueError(self._entity.__name__, name, self._missing(state))
            values[name] = default(now)
        return values

    def _missing(self, state: orm.InstanceState[object]) -> str:
        if state.key is None:
            return "the value is missing"
        return (
            "is expired: refresh the instance in its session, or make the session with "
            "expire_on_commit=False"
        )

    def make(self, values: dict[str, object]) -> object:
        key = values[self._key]
        made = self._manager.new_instance()
        vars(made).update(values)
        state = vars(made)[_STATE]
        state.key = (self._identity, (key,), None)
        if self._told:
            self._told(state, None)
        return made

    def attach(self, entity: object, relation: Relation, found: object) -> None:
        if isinstance(found, list) and not self.mapper.relationships[relation.name].uselist:
            found = found[0] if found else None
        set_committed_value(entity, relation.name, found)

    # --- words ------------------------------------------------------------------------------

    def predicate(self, word: object) -> Predicate:
        return self._words.predicate(word)

    def order(self, word: object) -> Order:
        return self._words.order(word)

    def column(self, word: object) -> Column:
        return self._words.column(word)

    def field(self, word: object) -> Field[Any]:
        """Return the field that *word*, a mapped attribute, is."""
        return self._words.field(word)

    def figure(self, word: object) -> Aggregate:
        return self._words.figure(word)

    def changes(self, wanted: object, *, now: datetime) -> tuple[Change, ...]:
        several: Sequence[object] = (
            (wanted,) if isinstance(wanted, Mapping) else cast("Sequence[object]", wanted)
        )
        found: list[Change] = []
        for each in several:
            found += self._words.changes(each)
        named = {change.column.name for change in found}
        for name, make in self._defaults.changed.items():
            if name not in named:
                spec = self._specs[name]
                value = spec.to_row(self._entity.__name__, make(now))
                found.append(SetTo(Column(self._entity.__name__, spec), value))
        return tuple(found)

    def relations(self, wanted: Sequence[object]) -> tuple[Relation, ...]:
        return wanted_relations(self.model, self.mapper, wanted)
