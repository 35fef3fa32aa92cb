"""Refuses a change of a status that is no step of the state machine, by whatever verb it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import IllegalTransitionError
from holdfast.hosts.host_entities import HostRequest, Machine, MachineStatus, RequestStatus
from holdfast.hosts.transitions import MACHINE_STEPS, REQUEST_STEPS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.records import RowChange, Store, StoreEvent
    from holdfast.records.entities.model import Model


class StatusGuard:
    """A write hook: on the platform's store, `holdfast records` and other code keep to the tables.

    The write that is refused is undone. Raises IllegalTransitionError.
    """

    @property
    def entities(self) -> Sequence[type]:
        """Nothing is kept."""
        return ()

    def watches(self, model: Model[object]) -> bool:
        """Return whether *model* is that of requests or of machines."""
        return model.entity in (HostRequest, Machine)

    async def changed(self, store: Store, changes: Sequence[RowChange]) -> None:  # noqa: ARG002
        """Refuse the first of *changes* that leads where no step does."""
        for change in changes:
            if change.before is None or change.after is None or "status" not in change.changed:
                continue
            place = next(each.position for each in change.model.fields if each.name == "status")
            before, after = str(change.before[place]), str(change.after[place])
            if change.entity is Machine:
                legal = MachineStatus(after) in MACHINE_STEPS[MachineStatus(before)]
            else:
                legal = RequestStatus(after) in REQUEST_STEPS[RequestStatus(before)]
            if not legal:
                raise IllegalTransitionError(
                    change.model.name, change.key, current=before, wanted=after
                )

    async def happened(self, store: Store, event: StoreEvent) -> None:
        """Events are nothing to it."""
