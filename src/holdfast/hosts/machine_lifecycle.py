"""A machine's life: recorded, launched, observed, shut down, ended, each in steps that may be cut.

A machine is recorded, and counted on its request and template, in one transaction before its
provider is asked. Its id is the token of each launch, so whoever finds the record can ask again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastError, UnavailableError
from holdfast.hosts.host_entities import (
    DIAGNOSIS_LENGTH,
    HostRequest,
    Machine,
    MachineStatus,
    Template,
)
from holdfast.hosts.host_repositories import (
    MachineRepository,
    RequestRepository,
    TemplateRepository,
)
from holdfast.hosts.provider import InstanceState
from holdfast.hosts.transitions import ENDED_MACHINES, MACHINE_STEPS, step_machine

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from holdfast.hosts.host_options import HostPoolOptions
    from holdfast.hosts.provider import Instance, Provider
    from holdfast.records import Change, Store

_M = MachineStatus

_STATUS_OF = {
    InstanceState.STARTING: _M.LAUNCHING,
    InstanceState.RUNNING: _M.RUNNING,
    InstanceState.STOPPING: _M.STOPPING,
    InstanceState.STOPPED: _M.STOPPED,
    InstanceState.ENDING: _M.SHUTTING_DOWN,
    InstanceState.ENDED: _M.TERMINATED,
    InstanceState.UNKNOWN: _M.UNKNOWN,
}


class MachineLifecycle:
    """The steps of the machines of one pool, on its *providers* by their name."""

    def __init__(
        self, store: Store, providers: Mapping[str, Provider], pool: str, options: HostPoolOptions
    ) -> None:
        self.store = store
        self.providers = providers
        self.templates = TemplateRepository(store, pool=pool)
        self.requests = RequestRepository(store, pool=pool)
        self.machines = MachineRepository(store, pool=pool)
        self._options = options

    async def allot(self, request: HostRequest, template: Template, number: int) -> list[Machine]:
        """Record *number* machines of *template* for *request*, in one transaction; launch none.

        Raises StaleVersionError when the request has changed, PreconditionFailedError when the
        template has no room for them any more: nothing was recorded then.
        """
        provider = self.provider_for(template)
        now = self.store.now()
        fresh = [
            Machine(
                pool=request.pool,
                template_id=template.id,
                template=template.name,
                provider=provider.name,
                request_id=request.id,
                changed_at=now,
            )
            for _ in range(number)
        ]
        room = (Template.max_number == template.max_number) & (
            Template.live <= template.max_number - number
        )

        async def record() -> list[Machine]:
            await self.requests.patch(
                request.id, HostRequest.live.increment(number), version=request.version
            )
            await self.templates.patch(template.id, Template.live.increment(number), when=room)
            return (await self.machines.add_many(fresh)).entities

        return await self.store.retrying(record)

    async def launch(self, machine: Machine, template: Template) -> None:
        """Ask the provider for *machine*, which is PENDING or LAUNCHING, and note what it says.

        Several may do this at once: the provider starts one. Another's step is left as it is.
        """
        if machine.status is _M.PENDING:
            machine = await step_machine(self.machines, machine, _M.LAUNCHING)
        limit = self._options.launch_time.total_seconds()
        try:
            async with asyncio.timeout(limit):
                instance = await self.providers[machine.provider].launch(machine.id, template)
        except (UnavailableError, TimeoutError) as error:
            await self._try_again(machine, _text(error) or f"no answer within {limit:g} s")
        except HoldfastError as error:
            await self.end(machine, _M.FAILED, _text(error))
        else:
            await self.observe(machine, instance)

    async def observe(self, machine: Machine, instance: Instance) -> Machine:
        """Give *machine* the status that its provider tells of, and return it as it is then."""
        seen = _STATUS_OF[instance.state]
        if seen is _M.TERMINATED:
            return await self.end(machine, seen, "it ended by itself")
        changes: list[Change] = []
        if machine.instance_id != instance.instance_id:
            changes.append(Machine.instance_id.to(instance.instance_id))
        if instance.address is not None and machine.address != instance.address:
            changes.append(Machine.address.to(instance.address))
        if seen is _M.RUNNING and machine.launched_at is None:
            changes.append(Machine.launched_at.to(self.store.now()))
        # What is to end is not taken back, and what the provider saw earlier comes too late.
        if machine.status is _M.SHUTTING_DOWN or seen not in MACHINE_STEPS[machine.status]:
            return await self.machines.patch(machine.id, *changes) if changes else machine
        return await step_machine(self.machines, machine, seen, *changes)

    async def shut_down(
        self, machine: Machine, diagnosis: str, *, return_request_id: UUID | None = None
    ) -> Machine:
        """Have *machine* end: the wish is recorded first, then its provider is asked.

        One that no provider was asked for ends at once. The others are shut down again and again
        until their provider says that they have ended, by whoever serves that one; so an
        UnavailableError of the provider's is not raised here.
        """
        unasked = machine.status is _M.PENDING
        if machine.status is not _M.SHUTTING_DOWN:
            changes: list[Change] = [Machine.diagnosis.to(diagnosis[:DIAGNOSIS_LENGTH])]
            if return_request_id is not None:
                changes.append(Machine.return_request_id.to(return_request_id))
            machine = await step_machine(self.machines, machine, _M.SHUTTING_DOWN, *changes)
        if unasked:
            return await self.end(machine, _M.TERMINATED, diagnosis)
        provider = self.providers.get(machine.provider)
        if provider is None:
            return machine
        overdue = self.store.now() - machine.changed_at >= self._options.grace
        try:
            await provider.end(machine.id, at_once=overdue)
        except UnavailableError as error:
            text = Machine.diagnosis.to(_text(error))
            machine = await self.machines.patch(machine.id, text)
        return machine

    async def end(self, machine: Machine, to: MachineStatus, diagnosis: str) -> Machine:
        """Record that *machine* is gone, and free its place, in one transaction.

        One that was given back goes on to RETURNED. Raises StaleVersionError when its status has
        changed, and frees nothing then.
        """
        counts: list[Change] = [HostRequest.live.increment(-1)]
        if machine.launched_at is None:
            counts.append(HostRequest.failed.increment(1))
        known = machine.diagnosis is not None and machine.status is _M.SHUTTING_DOWN
        why = () if known else (Machine.diagnosis.to(diagnosis[:DIAGNOSIS_LENGTH]),)

        async def record() -> Machine:
            # In the order of `allot`, so that neither waits for what the other has locked.
            await self.requests.patch(machine.request_id, *counts)
            await self.templates.patch(machine.template_id, Template.live.increment(-1))
            ended = await step_machine(self.machines, machine, to, *why)
            if ended.return_request_id is not None and to is _M.TERMINATED:
                ended = await step_machine(self.machines, ended, _M.RETURNED)
            return ended

        return await self.store.retrying(record)

    def provider_for(self, template: Template) -> Provider:
        """Return the provider of the template's type. Raises UnavailableError."""
        for provider in self.providers.values():
            if provider.type == template.provider_type:
                return provider
        raise UnavailableError(
            f"the template {template.name} is of the provider type {template.provider_type}, "
            f"which is not served here; served are: {', '.join(self.types) or 'none'}"
        )

    @property
    def types(self) -> list[str]:
        """The types of providers that are served here."""
        return sorted({provider.type for provider in self.providers.values()})

    async def _try_again(self, machine: Machine, reason: str) -> None:
        """Note a launch that was not answered: it is tried later, or the machine given up."""
        attempts = machine.attempts + 1
        if attempts >= self._options.attempts:
            await self.shut_down(machine, f"not launched in {attempts} attempts: {reason}")
            return
        pause = self._options.backoff.delay(attempts, 0.0)
        await self.machines.patch(
            machine.id,
            Machine.attempts.to(attempts),
            Machine.try_at.to(self.store.now() + pause),
            Machine.diagnosis.to(reason[:DIAGNOSIS_LENGTH]),
        )


def has_ended(machine: Machine) -> bool:
    """Return whether *machine* is gone."""
    return machine.status in ENDED_MACHINES


def _text(error: BaseException) -> str:
    return str(error)[:DIAGNOSIS_LENGTH]
