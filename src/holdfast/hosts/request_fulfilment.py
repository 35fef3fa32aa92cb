"""How a request is worked on: machines are allotted, launched or shut down, and it is settled."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import UUID

from holdfast.errors import StaleVersionError, UnavailableError
from holdfast.hosts.host_entities import (
    DIAGNOSIS_LENGTH,
    HostRequest,
    Machine,
    MachineStatus,
    RequestKind,
    RequestStatus,
    Stage,
    Template,
)
from holdfast.hosts.machine_lifecycle import has_ended
from holdfast.hosts.placement import Room, spread
from holdfast.hosts.transitions import REQUEST_STEPS, step_request

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Sequence

    from holdfast.hosts.host_options import HostPoolOptions
    from holdfast.hosts.machine_lifecycle import MachineLifecycle
    from holdfast.hosts.provider import Instance

_R = RequestStatus
_M = MachineStatus
_AT_ONCE = 20  # machines recorded in one transaction: some stores take few writes in one


class RequestFulfilment:
    """Takes requests as far as they go now; any number may work on one request at once."""

    def __init__(self, lifecycle: MachineLifecycle, options: HostPoolOptions) -> None:
        self._life = lifecycle
        self._options = options

    async def work(self, request: HostRequest) -> HostRequest:
        """Do for *request* what can be done now, and return it as it stands then.

        Raises StaleVersionError when others changed it meanwhile: read it again and repeat.
        """
        if request.stage is Stage.ENDED:
            return request
        if request.status is _R.PENDING:
            request = await step_request(self._life.requests, request, _R.IN_PROGRESS)
        if request.kind is RequestKind.RETURN:
            return await self._take_back(request)
        return await self._acquire(request)

    async def _observe(self, machines: Iterable[Machine]) -> bool:
        """Give the *machines* that have not ended the status that their providers tell of.

        Return whether that changed any, or somebody else did meanwhile.
        """
        changed = False
        waiting = {each.id: each for each in machines if not has_ended(each)}
        for name in sorted({each.provider for each in waiting.values()}):
            for instance in await self._instances(name):
                machine = waiting.get(instance.token)
                if machine is not None:
                    try:
                        changed |= await self._life.observe(machine, instance) is not machine
                    except StaleVersionError:  # somebody else has seen more
                        changed = True
        return changed

    async def _instances(self, name: str) -> Sequence[Instance]:
        provider = self._life.providers.get(name)
        try:
            return () if provider is None else await provider.instances()
        except UnavailableError:
            return ()  # nothing is known, so nothing changes

    # --- acquire ----------------------------------------------------------------------------

    async def _acquire(self, request: HostRequest) -> HostRequest:
        machines = await self._life.machines.get_by_request_id(request.id)
        if await self._observe(each for each in machines if each.status is not _M.PENDING):
            request, machines = await self._read(request.id)
        diagnosis: str | None = None
        if self._overdue(request):
            diagnosis = "its deadline has passed"
            changed = await self._give_up_unlaunched(machines, diagnosis)
        else:
            fitting = await self._fitting(request)
            if not fitting and not machines:
                names = ", ".join(request.templates) or "any"
                why = HostRequest.diagnosis.to(f"there is no template ({names})"[:DIAGNOSIS_LENGTH])
                return await step_request(self._life.requests, request, _R.FAILED, why)
            allotted, diagnosis = await self._allot(request, machines, fitting)
            if allotted:
                machines = await self._life.machines.get_by_request_id(request.id)
            changed = await self._launch(machines, fitting) or allotted
        if changed:
            request, machines = await self._read(request.id)
        return await self._settle_acquired(request, machines, diagnosis)

    async def _read(self, request_id: UUID) -> tuple[HostRequest, list[Machine]]:
        request = await self._life.requests.get_one(request_id)
        return request, await self._life.machines.get_by_request_id(request_id)

    async def _fitting(self, request: HostRequest) -> list[Template]:
        """Return the templates that will do, by name, whoever serves them."""
        names = set(request.templates)
        return [
            each
            for each in await self._life.templates.get_every()
            if not names or each.name in names
        ]

    async def _allot(
        self, request: HostRequest, machines: Sequence[Machine], fitting: Sequence[Template]
    ) -> tuple[bool, str | None]:
        """Record the machines that are missing; tell whether any were, and why any still are."""
        had = sum(has_ended(each) and _served(each) for each in machines)  # and were given back
        coming = sum(each.status in (_M.PENDING, _M.LAUNCHING) for each in machines)
        missing = min(request.requested - request.live - had, self._options.window - coming)
        if missing <= 0 or self._given_up(request):
            return False, None
        types = self._life.types
        served = {each.name: each for each in fitting if each.provider_type in types}
        if not served:
            return False, f"its templates are of no type that is served here ({', '.join(types)})"
        standing = Counter(each.template_id for each in machines if not has_ended(each))
        failed = Counter(
            each.template_id for each in machines if has_ended(each) and each.launched_at is None
        )
        rooms = [
            Room(
                each.name,
                each.weight,
                each.max_number - each.live,
                standing[each.id],
                failed[each.id],
            )
            for each in served.values()
        ]
        given = spread(missing, rooms)
        for name, number in given.items():
            for start in range(0, number, _AT_ONCE):
                await self._life.allot(request, served[name], min(_AT_ONCE, number - start))
                request = await self._life.requests.get_one(request.id)
        full = sum(given.values()) < missing
        why = "its templates have as many machines as they may" if full else None
        return bool(given), why

    async def _launch(self, machines: Sequence[Machine], templates: Sequence[Template]) -> bool:
        """Launch what is recorded and not launched, where a launch is due; tell whether any was."""
        now = self._life.store.now()
        by_id = {each.id: each for each in templates}
        due = [
            machine
            for machine in machines
            if machine.status in (_M.PENDING, _M.LAUNCHING)
            and machine.instance_id is None
            and (machine.try_at is None or machine.try_at <= now)
            and machine.provider in self._life.providers
        ]

        async def launch(machine: Machine) -> None:
            template = by_id.get(machine.template_id)
            if template is None:
                template = await self._life.templates.get_one(machine.template_id)
            await self._life.launch(machine, template)

        await self._side_by_side(launch, due)
        return bool(due)

    async def _give_up_unlaunched(self, machines: Sequence[Machine], diagnosis: str) -> bool:
        """Shut down what does not run yet; tell whether anything was."""
        unlaunched = [each for each in machines if each.status in (_M.PENDING, _M.LAUNCHING)]

        async def give_up(machine: Machine) -> None:
            await self._life.shut_down(machine, diagnosis)

        await self._side_by_side(give_up, unlaunched)
        return bool(unlaunched)

    async def _settle_acquired(
        self, request: HostRequest, machines: Sequence[Machine], diagnosis: str | None
    ) -> HostRequest:
        running = sum(map(_served, machines))
        coming = sum(each.status in (_M.PENDING, _M.LAUNCHING) for each in machines)
        why = diagnosis or next(
            (each.diagnosis for each in reversed(machines) if each.diagnosis is not None), None
        )
        if running >= request.requested:
            return await self._settled(request, _R.COMPLETE, running, None)
        if self._overdue(request):
            return await self._settled(request, _R.PARTIAL if running else _R.TIMEOUT, running, why)
        if self._given_up(request) and not coming:
            return await self._settled(request, _R.PARTIAL if running else _R.FAILED, running, why)
        if running:
            return await self._settled(request, _R.PARTIAL_PENDING, running, why)
        to = _R.ACQUIRING if coming else request.status
        return await self._settled(request, to, running, why)

    # --- return -----------------------------------------------------------------------------

    async def _take_back(self, request: HostRequest) -> HostRequest:
        life = self._life

        async def shut_down(machine: Machine) -> None:
            await life.shut_down(machine, "given back", return_request_id=request.id)

        machines = await self._named(request)
        living = [each for each in machines if not has_ended(each)]
        if living:
            await self._side_by_side(shut_down, living)
            machines = await self._named(request)
        if await self._observe(machines):
            machines = await self._named(request)
        gone = request.requested - sum(not has_ended(each) for each in machines)
        if gone == request.requested:
            return await self._settled(request, _R.COMPLETE, gone, None)
        why = f"{request.requested - gone} of its machines have not ended"
        if self._overdue(request):
            return await self._settled(request, _R.PARTIAL if gone else _R.TIMEOUT, gone, why)
        return await self._settled(request, _R.PARTIAL_PENDING, gone, None)

    async def _named(self, request: HostRequest) -> list[Machine]:
        found = await self._life.machines.get_many([UUID(each) for each in request.machines])
        return [each for each in found if each is not None]

    # --- parts ------------------------------------------------------------------------------

    async def _settled(
        self, request: HostRequest, to: RequestStatus, fulfilled: int, diagnosis: str | None
    ) -> HostRequest:
        """Write down how *request* stands, if that is news."""
        requests = self._life.requests
        text = None if diagnosis is None else diagnosis[:DIAGNOSIS_LENGTH]
        changes = (HostRequest.fulfilled.to(fulfilled), HostRequest.diagnosis.to(text))
        if request.status is not to and to in REQUEST_STEPS[request.status]:
            return await step_request(requests, request, to, *changes)
        if (request.fulfilled, request.diagnosis) == (fulfilled, text):
            return request
        return await requests.patch(request.id, *changes, version=request.version)

    def _overdue(self, request: HostRequest) -> bool:
        return request.deadline <= self._life.store.now()

    def _given_up(self, request: HostRequest) -> bool:
        return request.failed > self._options.failures * request.requested

    async def _side_by_side(
        self,
        work: Callable[[Machine], Coroutine[object, object, None]],
        machines: Sequence[Machine],
    ) -> None:
        """Do *work* for each of *machines*, some at a time; a step that others took is left."""
        places = asyncio.Semaphore(self._options.concurrency)

        async def in_turn(machine: Machine) -> None:
            async with places:
                with suppress(StaleVersionError):
                    await work(machine)

        outcomes = await asyncio.gather(*map(in_turn, machines), return_exceptions=True)
        for outcome in outcomes:  # all are through by then, and none is left behind
            if outcome is not None:
                raise outcome


def _served(machine: Machine) -> bool:
    """Return whether *machine* has been had: it runs, or ran and was given back."""
    if machine.status is _M.RUNNING:
        return True
    return machine.return_request_id is not None and machine.launched_at is not None
