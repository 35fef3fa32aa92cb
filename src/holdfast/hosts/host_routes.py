"""The routes of hosts: templates, requests for machines and for their return, and the machines."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from holdfast.access import Role
from holdfast.access.gate import allow
from holdfast.fastapi import ListQuery, OutModel, Writing, problem_responses
from holdfast.hosts.host_entities import NAME_LENGTH, HostRequest, Machine, MachineStatus, Template
from holdfast.hosts.host_pool import MOST_MACHINES, MOST_RETURNED, HostPool
from holdfast.records import Page

_READS = [allow(Role.VIEWER)]
_WRITES = [allow(Role.OPERATOR)]
_ADMINISTERS = [allow(Role.ADMIN)]
_Within = Annotated[float, Field(gt=0, le=86_400)]
_WITHIN = 600.0


class TemplateOut(OutModel[Template], hide=[Template.pool]):
    """A template as clients see it."""


class MachineOut(OutModel[Machine], hide=[Machine.pool, Machine.try_at]):
    """A machine as clients see it."""


class HostRequestOut(OutModel[HostRequest], hide=[HostRequest.pool]):
    """A request as clients see it."""


class TemplateQuery(
    ListQuery[Template],
    filters=[Template.name, Template.provider_type, Template.max_number.between],
    sorts=[Template.name],
):
    """What a list of templates is asked for."""


class HostRequestQuery(
    ListQuery[HostRequest],
    filters=[
        HostRequest.status,
        HostRequest.kind,
        HostRequest.stage,
        HostRequest.created_at.between,
    ],
    sorts=[HostRequest.created_at.desc(), HostRequest.deadline],
):
    """What a list of requests is asked for."""


class MachineQuery(
    ListQuery[Machine],
    filters=[
        Machine.status,
        Machine.stage,
        Machine.template,
        Machine.request_id,
        Machine.return_request_id,
        Machine.instance_id,
        Machine.created_at.between,
    ],
    sorts=[Machine.created_at.desc(), Machine.changed_at],
):
    """What a list of machines is asked for."""


class TemplateAsked(BaseModel):
    """A kind of machine that is to be had; see `Template`."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=NAME_LENGTH)
    provider_type: str = Field(min_length=1, max_length=NAME_LENGTH)
    max_number: int = Field(ge=0, le=MOST_MACHINES, strict=True)
    weight: int = Field(default=1, ge=1, le=1_000_000, strict=True)
    attributes: dict[str, object] = Field(default_factory=dict)


class MachinesAsked(BaseModel):
    """How many machines, of which templates (any where none is named), within how many seconds."""

    model_config = ConfigDict(extra="forbid")

    number: int = Field(ge=1, le=MOST_MACHINES, strict=True)
    templates: list[str] = Field(default_factory=list, max_length=100)
    within: _Within = _WITHIN


class ReturnAsked(BaseModel):
    """Which machines are to be taken back, within how many seconds."""

    model_config = ConfigDict(extra="forbid")

    machines: list[UUID] = Field(min_length=1, max_length=MOST_RETURNED)
    within: _Within = _WITHIN


def host_routes(pool: HostPool) -> APIRouter:
    """Return the routes of *pool*."""
    router = APIRouter(tags=["hosts"], prefix="/hosts")

    @router.get("/templates", dependencies=_READS)
    async def list_templates(asked: Annotated[TemplateQuery, Query()]) -> Page[TemplateOut]:
        """List templates, by name."""
        return await asked.page(pool.templates, TemplateOut, where=[Template.pool == pool.pool])

    @router.post(
        "/templates", status_code=201, dependencies=_ADMINISTERS, responses=problem_responses(409)
    )
    async def add_template(asked: TemplateAsked, _tx: Writing) -> TemplateOut:
        """Add a template."""
        return TemplateOut.of(await pool.add_template(Template(**asked.model_dump())))

    @router.delete(
        "/templates/{name}",
        status_code=204,
        dependencies=_ADMINISTERS,
        responses=problem_responses(404, 409),
    )
    async def remove_template(name: str, _tx: Writing) -> None:
        """Remove a template that has no machine."""
        await pool.remove_template(name)

    @router.get("/requests", dependencies=_READS)
    async def list_requests(asked: Annotated[HostRequestQuery, Query()]) -> Page[HostRequestOut]:
        """List requests, newest first."""
        return await asked.page(
            pool.requests, HostRequestOut, where=[HostRequest.pool == pool.pool]
        )

    @router.post(
        "/requests", status_code=202, dependencies=_WRITES, responses=problem_responses(404)
    )
    async def request(asked: MachinesAsked) -> HostRequestOut:
        """Ask for machines; the answer says how far that is. A server works on it each minute."""
        made = await pool.request(
            asked.number, templates=asked.templates, within=timedelta(seconds=asked.within)
        )
        return HostRequestOut.of(await pool.work(made.id))

    @router.post(
        "/returns", status_code=202, dependencies=_WRITES, responses=problem_responses(404)
    )
    async def give_back(asked: ReturnAsked) -> HostRequestOut:
        """Give machines back; each finishes what it is at."""
        made = await pool.give_back(asked.machines, within=timedelta(seconds=asked.within))
        return HostRequestOut.of(await pool.work(made.id))

    @router.get("/requests/{request_id}", dependencies=_READS, responses=problem_responses(404))
    async def show_request(request_id: UUID) -> HostRequestOut:
        """Show how a request stands."""
        return HostRequestOut.of(await pool.requests.get_one(request_id))

    @router.post(
        "/requests/{request_id}/cancellation",
        dependencies=_WRITES,
        responses=problem_responses(404, 409),
    )
    async def cancel(request_id: UUID) -> HostRequestOut:
        """Cancel a request; what it has acquired is shut down."""
        return HostRequestOut.of(await pool.cancel(request_id))

    @router.get("/machines", dependencies=_READS)
    async def list_machines(asked: Annotated[MachineQuery, Query()]) -> Page[MachineOut]:
        """List machines, newest first."""
        return await asked.page(pool.machines, MachineOut, where=[Machine.pool == pool.pool])

    @router.get("/machines/{machine_id}", dependencies=_READS, responses=problem_responses(404))
    async def show_machine(machine_id: UUID) -> MachineOut:
        """Show one machine."""
        return MachineOut.of(await pool.machines.get_one(machine_id))

    @router.get("/counts", dependencies=_READS)
    async def counts() -> dict[MachineStatus, int]:
        """Tell how many machines have which status."""
        return {each: await pool.machines.count_by_status(each) for each in MachineStatus}

    return router
