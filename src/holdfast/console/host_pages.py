"""Hosts: requests and machines by state, the templates they are made of, and what went wrong."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from holdfast.access import Role
from holdfast.access.gate import AskedBy, allow
from holdfast.console.console_site import ConsoleSite
from holdfast.console.page import Crumb, PageHead, moved, page
from holdfast.console.visits.visit import Notice
from holdfast.errors import NotFoundError
from holdfast.hosts import HostPool, HostRequest, Machine, MachineStatus, RequestStatus
from holdfast.hosts.host_entities import Stage

_PAGE = 100


def host_page_routes(site: ConsoleSite) -> APIRouter:
    """Return the routes of the pages of hosts."""
    router = APIRouter()
    pool = site.platform.service(HostPool)

    @router.get("/hosts", dependencies=[allow(Role.VIEWER)])
    async def overview(
        request: Request, status: Annotated[str, Query(max_length=20)] = ""
    ) -> Response:
        """Show how many machines and requests stand where, and those in a state."""
        store = site.platform.store
        wanted = next((each for each in MachineStatus if each.value == status), None)
        machines = store.repository(Machine)
        requests = store.repository(HostRequest)
        where = (Machine.status == wanted,) if wanted is not None else ()
        context = {
            "machine_counts": {
                each.value: await pool.machines.count_by_status(each) for each in MachineStatus
            },
            "request_counts": {
                each.value: await pool.requests.count_by_status(each) for each in RequestStatus
            },
            "machines": await machines.find(*where, order_by=Machine.id.desc(), limit=_PAGE),
            "requests": await requests.find(order_by=HostRequest.id.desc(), limit=_PAGE),
            "templates": await pool.templates.get_every(),
            "status": wanted.value if wanted else "",
        }
        return page(request, "hosts.html", PageHead("Hosts", "hosts"), context)

    @router.get("/hosts/requests/{request_id}", dependencies=[allow(Role.VIEWER)])
    async def one(request_id: UUID, request: Request, caller: AskedBy) -> Response:
        """Show a request and its machines."""
        found = await site.platform.store.repository(HostRequest).get(request_id)
        if found is None:
            raise NotFoundError("HostRequest", request_id)
        context = {
            "asked": found,
            "machines": await pool.machines_of(found),
            "may_cancel": caller.role.includes(Role.OPERATOR) and found.stage is Stage.LIVE,
        }
        head = PageHead("Request", "hosts", [Crumb("Hosts", site.url("hosts"))])
        return page(request, "host_request.html", head, context)

    @router.post("/hosts/requests/{request_id}/cancel", dependencies=[allow(Role.OPERATOR)])
    async def cancel(request_id: UUID, request: Request) -> Response:
        """Cancel a request; machines that it got are given back."""
        await pool.cancel(request_id)
        url = site.url(f"hosts/requests/{request_id}")
        return moved(request, url, Notice("The request is cancelled."))

    return router
