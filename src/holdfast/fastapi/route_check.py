"""A look at the routes of an application before it starts: what could not work is an error then."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.routing import Mount

from holdfast.errors import ConfigurationError
from holdfast.fastapi.crud.list_query import ListQuery
from holdfast.fastapi.dependants import inside
from holdfast.fastapi.dependencies import EntityAt, RepositoryOf, opened_bucket, opened_cache
from holdfast.fastapi.request_transaction import reading, writing
from holdfast.fastapi.thread_repository import ThreadRepositoryOf
from holdfast.fastapi.transfers.upload_dependency import UploadTo

if TYPE_CHECKING:
    from collections.abc import Collection

    from fastapi.dependencies.models import Dependant

_SCOPED = {writing: "Writing", reading: "Reading"}


def check_routes(
    app: FastAPI, *, entities: Collection[type] | None, bucket: bool, cache: bool
) -> None:
    """Look at the routes of *app*, and let a request's transaction begin before all else in it.

    *entities* are those of the store, None where they are not known yet; *bucket* and *cache* tell
    whether there is one. Raises ConfigurationError for a transaction that would end after its
    answer, or before the body of a streaming route runs; for a repository of an entity that is not
    in the store; for one that awaits in a plain `def` route, and one that blocks in an `async def`
    route; for an entity whose key is not in the path; for a ListQuery that is made a dependency;
    for a bucket or a cache that is not there.
    """
    for context in iter_route_contexts(app.routes):
        dependant: Dependant | None = getattr(context, "dependant", None)
        if dependant is not None and context.endpoint is not None:
            route = f"{context.path} ({_name(context.endpoint)})"
            found = list(inside(dependant))
            _check_scopes(route, dependant, found)
            for each in found:
                _check_dependency(route, each.call, context.path or "", entities)
            calls = [each.call for each in found]
            if opened_bucket in calls and not bucket:
                raise ConfigurationError(f"{route} asks for a bucket: Holdfast(app, bucket=url)")
            if opened_cache in calls and not cache:
                raise ConfigurationError(f"{route} asks for a cache: Holdfast(app, cache=url)")
            _check_kind(route, dependant)
            _begin_first(dependant, found)
    for mount in app.routes:
        if isinstance(mount, Mount) and isinstance(mount.app, FastAPI):
            check_routes(mount.app, entities=entities, bucket=bucket, cache=cache)


def _check_scopes(route: str, dependant: Dependant, found: list[Dependant]) -> None:
    streams = inspect.isgeneratorfunction(dependant.call) or inspect.isasyncgenfunction(
        dependant.call
    )
    for each in found:
        name = _SCOPED.get(cast("Any", each.call))
        if name is None:
            continue
        if each.scope != "function":
            raise ConfigurationError(
                f"{route}: the transaction would be committed after the answer was sent. Declare "
                f"it as `tx: {name}`, which has the scope that ends it before"
            )
        if streams:
            raise ConfigurationError(
                f"{route}: {name} ends before the body of a route that yields begins to run. "
                "Open a transaction in it: `async with store.transaction():`"
            )


def _check_dependency(
    route: str, call: object, path: str, entities: Collection[type] | None
) -> None:
    if isinstance(call, type) and issubclass(call, ListQuery):
        name = call.__name__
        raise ConfigurationError(
            f"{route}: {name} is a model of query parameters, Annotated[{name}, Query()], "
            "and no dependency"
        )
    if not isinstance(call, (RepositoryOf, ThreadRepositoryOf, EntityAt)):
        return
    if entities is not None and call.entity not in entities:
        names = ", ".join(sorted(each.__name__ for each in entities)) or "none"
        raise ConfigurationError(
            f"{route}: {call.entity.__name__} is not one of the store's entities: {names}"
        )
    for name in call.parameters if isinstance(call, EntityAt) else ():
        if f"{{{name}" not in path:
            raise ConfigurationError(
                f"{route}: FromPath[{call.entity.__name__}] looks for the key in the path as "
                f"{{{name}}}; for another name there is entity_at(name, entity)"
            )


def _check_kind(route: str, dependant: Dependant) -> None:
    awaits = inspect.iscoroutinefunction(dependant.call) or inspect.isasyncgenfunction(
        dependant.call
    )
    for each in dependant.dependencies:
        if each.name is None or not isinstance(each.call, (RepositoryOf, ThreadRepositoryOf)):
            continue
        name = each.call.entity.__name__
        if awaits and isinstance(each.call, ThreadRepositoryOf):
            raise ConfigurationError(
                f"{route}: SyncRepo[{name}] would block the event loop in an `async def` route; "
                f"it takes Repo[{name}]"
            )
        if not awaits and isinstance(each.call, RepositoryOf):
            raise ConfigurationError(
                f"{route}: nothing can be awaited in a plain `def` route; "
                f"it takes SyncRepo[{name}], or is made an `async def`"
            )


def _begin_first(dependant: Dependant, found: list[Dependant]) -> None:
    """Let the transaction begin before any other dependency of the route, which may write.

    An upload comes before even that: a transaction would be open for as long as a client sends. And
    before an upload comes what stands in `dependencies=`, such as who asks: nobody is to send
    gigabytes to be told at their end that he may not.
    """
    uploads = [each for each in dependant.dependencies if isinstance(each.call, UploadTo)]
    _put_first(dependant, found)
    if uploads:
        others = [each for each in dependant.dependencies if each not in uploads]
        asked = [each for each in others if each.name is None and not _begins(each)]
        others = [each for each in others if each not in asked]
        dependant.dependencies[:] = [*asked, *uploads, *others]


def _begins(dependant: Dependant) -> bool:
    """Return whether *dependant* is a transaction of the request, or asks for one."""
    return any(each.call in _SCOPED for each in (dependant, *inside(dependant)))


def _put_first(dependant: Dependant, found: list[Dependant]) -> None:
    for call in (writing, reading):
        first = next((each for each in found if each.call is call), None)
        if first is None:
            continue
        if dependant.dependencies[0].call is not call:
            dependant.dependencies.insert(0, replace(first, name=None))
        return


def _name(endpoint: object) -> str:
    return getattr(endpoint, "__name__", repr(endpoint))
