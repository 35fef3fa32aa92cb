"""The names that a route knows in a request, for who asked it by another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi.dependencies.models import Dependant
    from starlette.requests import Request


def known_names(request: Request, where: str) -> Iterator[str]:
    """Yield the names of the models that the route of *request* takes from *where*.

    That is "query" or "body"; names inside a body's members are not among them.
    """
    dependant: Dependant | None = getattr(request.scope.get("route"), "dependant", None)
    if dependant is not None:  # else a route of Starlette's own
        yield from _names(dependant, where)


def _names(dependant: Dependant, where: str) -> Iterator[str]:
    taken = {"query": dependant.query_params, "body": dependant.body_params}
    for each in taken.get(where, ()):
        model = each.field_info.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            for name, info in model.model_fields.items():
                yield info.alias or name
    for inner in dependant.dependencies:
        yield from _names(inner, where)
