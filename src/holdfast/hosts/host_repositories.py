"""Repositories of templates, requests and machines: each finder is one statement on an index.

What a finder asks is equal on the first fields of one declared index, and ordered by the next, so
that a store which knows only keys and indexes answers it as well; what else it asks is a filter
on what the index leads to.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, TypeVar, cast

from holdfast.errors import InvalidQueryError, StaleVersionError
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
from holdfast.hosts.transitions import step_machine, step_request
from holdfast.records import Repository
from holdfast.records.filter_operator import FILTER_METHODS, filter_condition

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime
    from uuid import UUID

    from holdfast.records import Change, Field, JsonPath, Order, Page, Predicate, Store

_BATCH = 500  # instance ids asked for at once

E = TypeVar("E", Template, HostRequest, Machine)


class PoolRepository(Repository[E]):
    """The templates, requests or machines of one pool."""

    _entity: ClassVar[type]
    _listed: ClassVar[Order]
    """In which order `get_all` lists them."""

    def __init__(self, store: Store, *, pool: str = DEFAULT_POOL) -> None:
        super().__init__(self._entity, store)
        self.pool = pool

    async def get_all(
        self,
        filters: Mapping[str, object] | None = None,
        *,
        size: int = 100,
        cursor: str | None = None,
    ) -> Page[E]:
        """Return a page of those that fit *filters*: templates by name, others newest first.

        A filter is a field's name, or one with an operator behind it: `{"max_number__gte": 3}`.
        Raises InvalidQueryError for another, InvalidValueError, InvalidCursorError.
        """
        return await self.page(
            self.model.entity.pool == self.pool,
            *_conditions(self.model.entity, filters),
            order_by=self._listed,
            size=size,
            cursor=cursor,
        )


class TemplateRepository(PoolRepository[Template]):
    """The templates of one pool."""

    _entity = Template
    _listed = Template.name.asc()

    async def get_every(self) -> list[Template]:
        """Return all templates of the pool, by name."""
        return await self.find(Template.pool == self.pool, order_by=Template.name.asc())

    async def get_by_name(self, name: str) -> Template | None:
        """Return the template called *name*."""
        return await self.first(Template.pool == self.pool, Template.name == name)

    async def get_by_provider_type(self, provider_type: str) -> list[Template]:
        """Return the templates of one type of provider, by name."""
        return await self.find(
            Template.pool == self.pool,
            Template.provider_type == provider_type,
            order_by=Template.name.asc(),
        )

    async def find_by_attributes(self, attributes: Mapping[str, object]) -> list[Template]:
        """Return the templates whose attributes have all of *attributes*, by name.

        A mapping within is looked into: `{"zone": "a", "cpu": {"cores": 8}}` asks for two values,
        and other attributes are none of its business. Values are compared with their type. Raises
        InvalidQueryError when there is nothing to compare.
        """
        where = [path == value for path, value in _paths(Template.attributes, attributes)]
        if not where:
            raise InvalidQueryError("no attributes: expected such as {'zone': 'a'}")
        return await self.find(Template.pool == self.pool, *where, order_by=Template.name.asc())


class RequestRepository(PoolRepository[HostRequest]):
    """The requests of one pool. Their status is written by `update_status` alone."""

    _entity = HostRequest
    _listed = HostRequest.created_at.desc()

    async def get_by_status(
        self, status: RequestStatus, *, limit: int | None = None
    ) -> list[HostRequest]:
        """Return the requests with *status*, oldest first."""
        return await self.find(
            HostRequest.pool == self.pool,
            HostRequest.status == status,
            order_by=HostRequest.created_at.asc(),
            limit=limit,
        )

    async def get_active_requests(self, kind: RequestKind | None = None) -> list[HostRequest]:
        """Return the requests that have not ended, the one with the nearest deadline first."""
        return await self.find(*self._active(kind), order_by=HostRequest.deadline.asc())

    async def get_overdue(self, now: datetime | None = None) -> list[HostRequest]:
        """Return the active requests whose deadline has passed, the longest overdue first."""
        moment = self.store.now() if now is None else now
        return await self.find(
            *self._active(None), HostRequest.deadline <= moment, order_by=HostRequest.deadline.asc()
        )

    async def count_by_status(self, status: RequestStatus) -> int:
        """Return how many requests have *status*."""
        return await self.count(HostRequest.pool == self.pool, HostRequest.status == status)

    async def update_status(self, key: UUID, to: RequestStatus, *changes: Change) -> HostRequest:
        """Take the request to the status *to* from whatever status it has; see `step_request`.

        Raises NotFoundError, and IllegalTransitionError when no step leads there, also because
        somebody else's step came first.
        """
        while True:
            request = await self.get_one(key)
            with suppress(StaleVersionError):  # it has another status by now
                return await step_request(self, request, to, *changes)

    def _active(self, kind: RequestKind | None) -> tuple[Predicate, ...]:
        active = (HostRequest.pool == self.pool, HostRequest.stage == Stage.LIVE)
        return active if kind is None else (*active, HostRequest.kind == kind)


class MachineRepository(PoolRepository[Machine]):
    """The machines of one pool. Their status is written by `update_status` alone."""

    _entity = Machine
    _listed = Machine.created_at.desc()

    async def get_live(self) -> list[Machine]:
        """Return the machines that have not ended, the longest unchanged first."""
        return await self.find(
            Machine.pool == self.pool,
            Machine.stage == Stage.LIVE,
            order_by=Machine.changed_at.asc(),
        )

    async def get_by_status(
        self,
        status: MachineStatus,
        *,
        unchanged_since: datetime | None = None,
        limit: int | None = None,
    ) -> list[Machine]:
        """Return the machines with *status*, the longest unchanged first.

        With *unchanged_since* only those whose status is that old.
        """
        where = [Machine.pool == self.pool, Machine.status == status]
        if unchanged_since is not None:
            where.append(Machine.changed_at <= unchanged_since)
        return await self.find(*where, order_by=Machine.changed_at.asc(), limit=limit)

    async def get_by_request_id(self, request_id: UUID) -> list[Machine]:
        """Return the machines that a request acquired, oldest first."""
        return await self.find(Machine.request_id == request_id, order_by=Machine.created_at.asc())

    async def get_by_return_request_id(self, request_id: UUID) -> list[Machine]:
        """Return the machines that a request took back, oldest first."""
        return await self.find(
            Machine.return_request_id == request_id, order_by=Machine.created_at.asc()
        )

    async def get_by_template(
        self, template_id: UUID, *, created_before: datetime | None = None
    ) -> list[Machine]:
        """Return the machines of a template, oldest first; with *created_before* the older ones."""
        where = [Machine.template_id == template_id]
        if created_before is not None:
            where.append(Machine.created_at < created_before)
        return await self.find(*where, order_by=Machine.created_at.asc())

    async def get_by_instance_ids(self, instance_ids: Iterable[str]) -> list[Machine]:
        """Return the machines that providers call so, in the order of *instance_ids*, any number.

        One statement for each 500 of them. An instance that nobody knows is left out; one that
        several providers have gives several machines.
        """
        wanted = list(dict.fromkeys(instance_ids))
        found: dict[str, list[Machine]] = {}
        for start in range(0, len(wanted), _BATCH):
            for machine in await self.find(Machine.instance_id.in_(wanted[start : start + _BATCH])):
                if machine.pool == self.pool:
                    found.setdefault(cast("str", machine.instance_id), []).append(machine)
        return [machine for name in wanted for machine in found.get(name, ())]

    async def count_by_status(self, status: MachineStatus) -> int:
        """Return how many machines have *status*."""
        return await self.count(Machine.pool == self.pool, Machine.status == status)

    async def update_status(self, key: UUID, to: MachineStatus, *changes: Change) -> Machine:
        """Take the machine to the status *to*; see `RequestRepository.update_status`."""
        while True:
            machine = await self.get_one(key)
            with suppress(StaleVersionError):  # it has another status by now
                return await step_machine(self, machine, to, *changes)


def _conditions(entity: type[E], filters: Mapping[str, object] | None) -> Iterator[Predicate]:
    for text, value in (filters or {}).items():
        name, _, operator = text.partition("__")
        if name not in entity.__annotations__ or operator not in FILTER_METHODS:
            known = ", ".join(entity.__annotations__)
            raise InvalidQueryError(
                f"the filter {text!r}: expected a field of {entity.__name__} ({known}), and behind "
                f"__ one of {', '.join(filter(None, FILTER_METHODS))}"
            )
        yield filter_condition(cast("Field[object]", getattr(entity, name)), operator, value)


def _paths(
    start: Field[dict[str, object]] | JsonPath, attributes: Mapping[str, object]
) -> Iterator[tuple[JsonPath, object]]:
    """Yield the path of each value in *attributes* that is no mapping of values, and the value."""
    for name, value in attributes.items():
        if isinstance(value, dict) and value:
            yield from _paths(start[name], value)
        else:
            yield start[name], value
