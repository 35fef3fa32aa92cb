"""Brings records and providers together: machines that nobody knows, records without machines."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from holdfast.errors import StaleVersionError, UnavailableError
from holdfast.hosts.host_entities import MachineStatus, Stage
from holdfast.hosts.machine_lifecycle import has_ended
from holdfast.hosts.provider import InstanceState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from holdfast.hosts.host_entities import Machine
    from holdfast.hosts.host_options import HostPoolOptions
    from holdfast.hosts.machine_lifecycle import MachineLifecycle
    from holdfast.hosts.provider import Instance, Provider

_M = MachineStatus


@dataclass(slots=True)
class Reconciled:
    """What a reconciliation did: by the machines' ids.

    *strangers* were with a provider and in no living record, and were ended. *gone* were in a
    record, and have ended by themselves. *orphans* stood for a request that has ended, and were
    shut down. *unreached* are the names of providers that gave no answer, whose machines were left
    as they are.
    """

    strangers: list[UUID] = field(default_factory=list)
    gone: list[UUID] = field(default_factory=list)
    orphans: list[UUID] = field(default_factory=list)
    unreached: list[str] = field(default_factory=list)


class Reconciler:
    """Compares the records of one pool with what its providers show.

    Nothing depends on where an earlier one stopped, and several at once take each step once.
    """

    def __init__(self, lifecycle: MachineLifecycle, options: HostPoolOptions) -> None:
        self._life = lifecycle
        self._options = options

    async def reconcile(self) -> Reconciled:
        """Compare once, and return what was done about it."""
        told = Reconciled()
        for name, provider in self._life.providers.items():
            # The records first: what they say is launched was launched before the provider is
            # asked, so that it is missing in the answer only if it has ended.
            known = {
                each.id: each
                for each in await self._life.machines.get_live()
                if each.provider == name
            }
            try:
                instances = await provider.instances()
                await self._end_strangers(provider, instances, known, told)
            except UnavailableError:
                told.unreached.append(name)
                continue
            shown = {each.token: each for each in instances}
            for machine in known.values():
                with suppress(StaleVersionError):  # somebody else has seen more
                    await self._compare(machine, shown.get(machine.id), told)
        return told

    async def _end_strangers(
        self,
        provider: Provider,
        instances: Sequence[Instance],
        known: Mapping[UUID, Machine],
        told: Reconciled,
    ) -> None:
        """End the instances that no living record stands for."""
        unknown = [
            each.token
            for each in instances
            if each.token not in known and each.state is not InstanceState.ENDED
        ]
        # Read again: what was recorded since is launched by right now. A record is older than its
        # instance, so one that is missing even now was never there.
        records = await self._life.machines.get_many(unknown)
        for token, record in zip(unknown, records, strict=True):
            if record is None or has_ended(record):
                await provider.end(token, at_once=True)
                told.strangers.append(token)

    async def _compare(self, machine: Machine, instance: Instance | None, told: Reconciled) -> None:
        if instance is not None and machine.status is not _M.PENDING:
            expected = machine.status is _M.SHUTTING_DOWN
            machine = await self._life.observe(machine, instance)
            if has_ended(machine) and not expected:
                told.gone.append(machine.id)
        unseen = instance is None and (
            self._life.store.now() - machine.changed_at >= self._options.unseen
        )
        if machine.status is _M.SHUTTING_DOWN:
            machine = await self._life.shut_down(machine, "")
            if unseen:
                await self._life.end(machine, _M.TERMINATED, "its provider does not show it")
        elif machine.status in (_M.PENDING, _M.LAUNCHING):
            request = await self._life.requests.get(machine.request_id)
            if request is None or request.stage is Stage.ENDED:
                await self._life.shut_down(machine, "its request has ended")
                told.orphans.append(machine.id)
        elif unseen and not has_ended(machine):
            await self._life.end(machine, _M.TERMINATED, "its provider does not show it")
            told.gone.append(machine.id)
