"""What an instance's relationships say when it is written: keys to take over, or a refusal.

A session would write related instances too. A repository writes one row, so it takes the key of
what a reference leads to, and refuses what it would have to leave out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import orm
from sqlalchemy.orm.attributes import get_history, instance_state
from sqlalchemy.orm.base import NO_VALUE, PASSIVE_NO_INITIALIZE

from holdfast.errors import InvalidValueError
from holdfast.integrations.sqlalchemy.relationships import reference_of

if TYPE_CHECKING:
    from collections.abc import Iterable


def referred(
    entity: type, mapper: orm.Mapper[Any], instance: object, touched: Iterable[str]
) -> dict[str, object]:
    """Return the keys that the relationships *touched* of *instance* lead to, by reference field.

    Raises InvalidValueError for one that can't be written by this row alone.
    """
    found: dict[str, object] = {}
    for name in touched:
        relationship = mapper.relationships[name]
        if relationship.viewonly:
            continue
        pair = reference_of(relationship)
        if pair is None:
            raise InvalidValueError(
                entity.__name__,
                name,
                "was set, and is more than a reference to a key: write it in orm_session()",
            )
        if relationship.direction is orm.interfaces.MANYTOONE:
            found[pair[0]] = _taken_over(entity, instance, name, pair)
        else:
            _check_members(entity, instance, name, pair)
    return found


def _taken_over(entity: type, instance: object, name: str, pair: tuple[str, str]) -> object:
    """Return the key of what the reference *name* leads to. *pair*: its field, and the key's."""
    via, key_name = pair
    held = vars(instance)
    target = held.get(name)
    said = held.get(via)
    if target is None:
        return said if instance_state(cast("Any", instance)).key is None else None
    key = vars(target).get(key_name)
    if key is None:
        raise InvalidValueError(
            entity.__name__,
            name,
            f"is a {type(target).__name__} that has no key yet: add it first, and set {name} to "
            "what the repository returns",
        )
    state: Any = instance_state(cast("Any", instance))
    if said is not None and said != key and (state.key is None or via in state.committed_state):
        raise InvalidValueError(
            entity.__name__, name, f"has the key {key!r:.100}, and {via} is {said!r:.100}: set one"
        )
    return key


def _check_members(entity: type, instance: object, name: str, pair: tuple[str, str]) -> None:
    """Raise InvalidValueError for members that came or went and whose own rows don't say so."""
    key_name, via = pair
    key = vars(instance).get(key_name)
    history = get_history(instance, name, PASSIVE_NO_INITIALIZE)
    for member in history.added or ():
        known = member is not None and instance_state(member).key is not None
        if member is not None and not (known and key is not None and vars(member).get(via) == key):
            raise InvalidValueError(
                entity.__name__,
                name,
                f"has a {type(member).__name__} that its own row does not say: a repository writes "
                f"one row, so set {via} of that one and write it by its own repository",
            )
    for member in history.deleted or ():
        if member is not None and member is not NO_VALUE and vars(member).get(via) == key:
            raise InvalidValueError(
                entity.__name__,
                name,
                f"has lost a {type(member).__name__} whose own row says it is there: change {via} "
                "of that one, or delete it, by its own repository",
            )
