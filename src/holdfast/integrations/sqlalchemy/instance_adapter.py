"""How instances of a mapped class are read and made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.orm.attributes import set_committed_value

from holdfast.errors import InvalidValueError
from holdfast.integrations.sqlalchemy.related_instances import referred

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import orm

    from holdfast.integrations.sqlalchemy.column_defaults import Defaults
    from holdfast.records.entities.relation import Relation
    from holdfast.records.values.field_spec import FieldSpec

_STATE = "_sa_instance_state"


class MappedInstances:
    """The instances of a mapped class: see `InstanceAdapter`."""

    def __init__(
        self,
        entity: type,
        mapper: orm.Mapper[Any],
        specs: Sequence[FieldSpec],
        defaults: Defaults,
    ) -> None:
        self.mapper = mapper
        self._entity = entity
        self._relationships = frozenset(mapper.relationships.keys())
        self._names = [spec.name for spec in specs if spec.in_constructor]
        self._left = {spec.name for spec in specs if spec.server_default is not None}
        self._numbered = next((spec.name for spec in specs if spec.role == "generated"), None)
        self._defaults = defaults
        self._manager = mapper.class_manager
        self._keys = [mapper.get_property_by_column(each).key for each in mapper.primary_key]
        self._identity = mapper.identity_key_from_primary_key((None,) * len(self._keys))[0]
        self._load_event = self._manager.dispatch.load

    def values(self, entity: object, *, now: datetime, fresh: bool) -> Mapping[str, object]:
        """See `InstanceAdapter.values`."""
        held: Mapping[str, object] = vars(entity)
        state = vars(entity)[_STATE]
        touched = self._relationships & state.committed_state.keys()
        if touched:
            held = {**held, **referred(self._entity, self.mapper, entity, touched)}
        if self._numbered and held.get(self._numbered, self) is None:
            # SQLModel says None of a key that is still to be numbered.
            held = {name: value for name, value in held.items() if name != self._numbered}
        changed = self._defaults.changed
        if not changed and all(name in held for name in self._names):
            return held
        values = dict(held)
        if not fresh:
            for name, make in changed.items():
                if name not in state.committed_state:  # else the caller has set it
                    values[name] = make(now)
        for name in self._names:
            if name in values or (name in self._left and state.key is None):
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
        """See `InstanceAdapter.make`."""
        key = tuple([values[name] for name in self._keys])
        made = self._manager.new_instance()
        vars(made).update(values)
        state = vars(made)[_STATE]
        state.key = (self._identity, key, None)
        if self._load_event:
            self._load_event(state, None)
        return made

    def attach(self, entity: object, relation: Relation, found: object) -> None:
        """See `InstanceAdapter.attach`."""
        if isinstance(found, list) and not self.mapper.relationships[relation.name].uselist:
            found = found[0] if found else None
        set_committed_value(entity, relation.name, found)
