"""The tables beside that of the jobs, which a store has when it was opened with `JOB_ENTITIES`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from holdfast.errors import ConfigurationError

if TYPE_CHECKING:
    from holdfast.records import Entity, Repository, Store

E = TypeVar("E", bound="Entity")


def has_table(store: Store, entity: type[Entity]) -> bool:
    """Return whether *store* was opened with *entity*."""
    return any(model.entity is entity for model in store.models)


def side_table(store: Store, entity: type[E], *, of: str) -> Repository[E]:
    """Return the repository of *entity*, which keeps the *of* of jobs.

    Raises ConfigurationError for a store that was opened without it.
    """
    if not has_table(store, entity):
        raise ConfigurationError(
            f"this store keeps no {of} of jobs: it was opened without {entity.__name__}. Open it "
            "with JOB_ENTITIES of holdfast.jobs in place of Job"
        )
    return store.repository(entity)
