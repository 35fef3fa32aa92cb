"""The pool of hosts: asked for machines and given them back, it keeps its providers to that."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from holdfast.errors import (
    ConfigurationError,
    DuplicateError,
    InUseError,
    InvalidValueError,
    NotFoundError,
    PreconditionFailedError,
    StaleVersionError,
)
from holdfast.hosts.host_entities import (
    DEFAULT_POOL,
    HostRequest,
    Machine,
    MachineStatus,
    RequestKind,
    RequestStatus,
    Stage,
    Template,
)
from holdfast.hosts.host_options import HostPoolOptions
from holdfast.hosts.machine_lifecycle import MachineLifecycle, has_ended
from holdfast.hosts.reconciler import Reconciled, Reconciler
from holdfast.hosts.request_fulfilment import RequestFulfilment
from holdfast.option_checks import check_kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    from holdfast.hosts.provider import Provider
    from holdfast.records import Store

MOST_MACHINES = 10_000  # of one request
MOST_RETURNED = 1_000  # machines named by one request
WITHIN = timedelta(minutes=10)
_DEFAULTS = HostPoolOptions()
_ROUNDS = 20  # races lost one after another, each to somebody who got further
_PAUSE = 0.1


@dataclass(slots=True)
class Tended:
    """What one round of `HostPool.tend` did: the reconciliation, and the requests it worked on."""

    reconciled: Reconciled
    requests: list[HostRequest] = field(default_factory=list)


class HostPool:
    """The machines of one pool in *store*, from *providers*, of which each type is there once.

    A pool without templates gets the *standard* one with its first request.

    Every step is a record first and then a call of a provider that may be repeated, so a pool may
    be killed anywhere: `tend`, by any other, goes on from the records. Any number may work on one
    pool at once.
    """

    def __init__(
        self,
        store: Store,
        providers: Iterable[Provider],
        *,
        pool: str = DEFAULT_POOL,
        options: HostPoolOptions = _DEFAULTS,
        standard: Template | None = None,
    ) -> None:
        check_kind(options, HostPoolOptions)
        self._standard = standard
        self.store = store
        self.pool = pool
        by_name = {each.name: each for each in providers}
        types = [each.type for each in by_name.values()]
        if len(set(types)) < len(types):
            raise ConfigurationError(f"two providers of one type: {', '.join(sorted(types))}")
        self._life = MachineLifecycle(store, by_name, pool, options)
        self._fulfilment = RequestFulfilment(self._life, options)
        self._reconciler = Reconciler(self._life, options)
        self.templates = self._life.templates
        self.requests = self._life.requests
        self.machines = self._life.machines

    # --- for those who want machines ----------------------------------------------------------

    async def add_template(self, template: Template) -> Template:
        """Store a new template in this pool.

        Raises DuplicateError for a name that is taken, InvalidValueError for a weight below 1 and
        for fewer machines than none.
        """
        _check_number("Template", "weight", template.weight, least=1)
        _check_number("Template", "max_number", template.max_number, least=0)
        template.pool, template.live = self.pool, 0
        return await self.templates.add(template)

    async def remove_template(self, name: str) -> None:
        """Delete the template called *name*. Raises NotFoundError, InUseError while it has any."""
        template = await self.template(name)
        if template.live:
            raise InUseError(f"the template {name}", (f"{template.live} machines",))
        await self.templates.delete(template.id, version=template.version)

    async def template(self, name: str) -> Template:
        """Return the template called *name*. Raises NotFoundError."""
        found = await self.templates.get_by_name(name)
        if found is None:
            raise NotFoundError("Template", name)
        return found

    async def request(
        self, number: int, *, templates: Sequence[str] = (), within: timedelta = WITHIN
    ) -> HostRequest:
        """Ask for *number* machines and return the request, on which nobody has worked yet.

        Of *templates*, by name; of any where none is named. What has not come *within* that time
        will not come. In a transaction the request is there if and when that commits. Raises
        NotFoundError for a template that is not there, InvalidValueError.
        """
        _check_number("HostRequest", "requested", number, least=1, most=MOST_MACHINES)
        for name in templates:
            await self.template(name)
        if not templates and self._standard is not None:
            await self._add_standard(self._standard)
        return await self.requests.add(
            HostRequest(
                pool=self.pool,
                kind=RequestKind.ACQUIRE,
                requested=number,
                templates=list(dict.fromkeys(templates)),
                deadline=self._deadline(within),
            )
        )

    async def give_back(
        self, machines: Sequence[UUID], *, within: timedelta = WITHIN
    ) -> HostRequest:
        """Ask for *machines* to be taken back and return the request; see `request`.

        Those that are gone already count as taken back. Raises NotFoundError for one that is not
        there, and InvalidValueError for none or more than a thousand.
        """
        wanted = list(dict.fromkeys(machines))
        _check_number("HostRequest", "requested", len(wanted), least=1, most=MOST_RETURNED)
        for key, found in zip(wanted, await self.machines.get_many(wanted), strict=True):
            if found is None or found.pool != self.pool:
                raise NotFoundError("Machine", key)
        return await self.requests.add(
            HostRequest(
                pool=self.pool,
                kind=RequestKind.RETURN,
                requested=len(wanted),
                machines=[str(each) for each in wanted],
                deadline=self._deadline(within),
            )
        )

    async def cancel(self, request_id: UUID) -> HostRequest:
        """End a request that is active; what it has acquired is shut down.

        Machines that a return has shut down stay so. Raises NotFoundError, and
        IllegalTransitionError for a request that has ended.
        """
        await self._request(request_id)
        request = await self.requests.update_status(request_id, RequestStatus.CANCELLED)
        for machine in await self.machines.get_by_request_id(request_id):
            if not has_ended(machine):
                try:
                    await self._life.shut_down(machine, "its request was cancelled")
                except StaleVersionError:  # it has gone on meanwhile, and is looked at again
                    await self._life.shut_down(
                        await self.machines.get_one(machine.id), "its request was cancelled"
                    )
        return request

    async def wait(self, request_id: UUID) -> HostRequest:
        """Work on a request until it has ended, by its deadline at the latest, and return it."""
        while True:
            request = await self.work(request_id)
            if request.stage is Stage.ENDED:
                return request
            await asyncio.sleep(_PAUSE)

    async def machines_of(self, request: HostRequest) -> list[Machine]:
        """Return the machines that *request* acquired, or those that it takes back."""
        if request.kind is RequestKind.RETURN:
            return await self.machines.get_by_return_request_id(request.id)
        return await self.machines.get_by_request_id(request.id)

    # --- for those who keep the pool -----------------------------------------------------------

    async def work(self, request_id: UUID) -> HostRequest:
        """Do for a request what can be done now, and return it as it stands then.

        Raises NotFoundError, and StaleVersionError where others change it all the time.
        """
        left = _ROUNDS
        while True:
            request = await self._request(request_id)
            try:
                return await self._fulfilment.work(request)
            except (StaleVersionError, PreconditionFailedError):
                left -= 1  # somebody else works on it too; or a template has filled up
                if not left:
                    raise

    async def tend(self) -> Tended:
        """Reconcile records and providers, and work on each active request, once.

        To be done again and again, by anybody: `holdfast serve` does it each minute, `holdfast
        hosts tend` at once.
        """
        told = Tended(await self._reconciler.reconcile())
        for request in await self.requests.get_active_requests():
            with suppress(StaleVersionError):  # somebody else is at it
                told.requests.append(await self._work_on(request))
        return told

    async def write_off(self, provider: str) -> int:
        """Record that all machines of the provider called *provider* are gone; return how many.

        For a host or an account that will not come back: nobody else can ask what became of them,
        and nobody is asked here. One that does come back ends them as strangers.
        """
        gone = 0
        for machine in await self.machines.get_live():
            if machine.provider == provider:
                with suppress(StaleVersionError):  # so somebody does serve it
                    if machine.status is MachineStatus.PENDING:
                        await self._life.shut_down(machine, "its provider was written off")
                    else:
                        reason = "its provider was written off"
                        await self._life.end(machine, MachineStatus.TERMINATED, reason)
                    gone += 1
        return gone

    async def purge(self, older_than: timedelta) -> int:
        """Delete the requests and machines that ended longer ago; return how many.

        A request stays for as long as a machine that it acquired lives.
        """
        if older_than < timedelta(0):
            raise ConfigurationError(f"older_than={older_than}: expected none or a positive time")
        before = self.store.now() - older_than
        machines = await self.machines.delete_where(
            Machine.pool == self.pool, Machine.stage == Stage.ENDED, Machine.changed_at < before
        )
        return machines + await self.requests.delete_where(
            HostRequest.pool == self.pool,
            HostRequest.stage == Stage.ENDED,
            HostRequest.deadline < before,
            HostRequest.live == 0,
        )

    async def _work_on(self, request: HostRequest) -> HostRequest:
        """Work on a request for as long as that brings it machines."""
        while True:
            before, request = request.live, await self.work(request.id)
            if request.live <= before or request.stage is Stage.ENDED:
                return request

    async def _add_standard(self, template: Template) -> None:
        """Give a pool that has no template this one."""
        if not await self.templates.exists(Template.pool == self.pool):
            with suppress(DuplicateError):  # somebody else has just done so
                await self.add_template(deepcopy(template))

    async def _request(self, request_id: UUID) -> HostRequest:
        request = await self.requests.get_one(request_id)
        if request.pool != self.pool:
            raise NotFoundError("HostRequest", request_id)
        return request

    def _deadline(self, within: timedelta) -> datetime:
        if within <= timedelta(0):
            raise InvalidValueError(
                "HostRequest", "deadline", f"within {within}: expected some time"
            )
        return self.store.now() + within


def _check_number(
    entity: str, name: str, number: int, *, least: int, most: int | None = None
) -> None:
    if number < least or (most is not None and number > most):
        bounds = f"{least} or more" if most is None else f"{least} to {most}"
        raise InvalidValueError(entity, name, f"expected {bounds}, got {number}")
