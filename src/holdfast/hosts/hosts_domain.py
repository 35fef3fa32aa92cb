"""The domain of hosts: its entities, service, routes and upkeep, as the platform plugs them in."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from holdfast.domain import Domain
from holdfast.hosts.host_entities import HOST_ENTITIES, Template
from holdfast.hosts.host_pool import HostPool
from holdfast.hosts.status_guard import StatusGuard
from holdfast.hosts.worker_processes import PROCESS, WorkerProcesses

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractAsyncContextManager

    from fastapi import APIRouter

    from holdfast.domain import DomainParts
    from holdfast.records import WriteHook

_FORGOTTEN = timedelta(days=1)  # what is kept of a worker that ended: its log
# What a pool without templates is given: as many as there are hosts that have room for them.
_WORKER = Template(name="worker", provider_type=PROCESS, max_number=1_000)


def _hooks(audited: tuple[type, ...]) -> Sequence[WriteHook]:  # noqa: ARG001 - the audit's
    return (StatusGuard(),)


def _service(parts: DomainParts) -> AbstractAsyncContextManager[object]:
    section = parts.section("hosts")
    pool = str(section.get("pool", "default"))
    workers = _workers(parts, pool)
    return nullcontext(HostPool(parts.store, [workers], pool=pool, standard=_WORKER))


def _workers(parts: DomainParts, pool: str) -> WorkerProcesses:
    most = cast("int", parts.section("hosts").get("max_workers", 4))
    return WorkerProcesses.of_data(parts.folder.parent, pool, most=most)


def _routes(parts: DomainParts) -> APIRouter:
    from holdfast.hosts.host_routes import host_routes  # noqa: PLC0415 - FastAPI is an extra

    return host_routes(parts.service(HostPool))


async def _tend(parts: DomainParts) -> None:
    await parts.service(HostPool).tend()


async def _upkeep(parts: DomainParts) -> None:
    pool = parts.service(HostPool)
    days = cast("float", parts.section("hosts").get("keep_days", 30.0))
    await pool.purge(timedelta(days=days))
    await _workers(parts, pool.pool).forget(_FORGOTTEN)


HOSTS = Domain(
    name="hosts",
    requires=("jobs",),
    entities=HOST_ENTITIES,
    audited=HOST_ENTITIES,
    hooks=_hooks,
    service=_service,
    routes=_routes,
    upkeep=_upkeep,
    each_minute=_tend,
)
"""Hosts: workers and other machines, requested from templates and given back."""
