"""The names that a route knows in a request, for who asked it by another or gave one twice."""

from __future__ import annotations

import types
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Union, get_args, get_origin

from pydantic import BaseModel

from holdfast.fastapi.dependants import inside

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi.dependencies.models import Dependant
    from pydantic.fields import FieldInfo
    from starlette.requests import Request


def known_names(request: Request, where: str) -> Iterator[str]:
    """Yield the names of the models that the route of *request* takes from *where*.

    That is "query" or "body"; names inside a body's members are not among them.
    """
    dependant: Dependant | None = getattr(request.scope.get("route"), "dependant", None)
    if dependant is None:  # a route of Starlette's own
        return
    for each in (dependant, *inside(dependant)):
        yield from _names(each, where)


def names_taken_once(model: type[BaseModel]) -> Iterator[str]:
    """Yield the names in a query string of those fields of *model* that take one value."""
    for name, info in model.model_fields.items():
        if not _takes_several(info.annotation):
            yield _called(name, info)


def _names(dependant: Dependant, where: str) -> Iterator[str]:
    taken = {"query": dependant.query_params, "body": dependant.body_params}
    for each in taken.get(where, ()):
        model = each.field_info.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            for name, info in model.model_fields.items():
                yield _called(name, info)


def _called(name: str, info: FieldInfo) -> str:
    alias = info.validation_alias  # which `alias=` sets too
    return alias if isinstance(alias, str) else info.alias or name


def _takes_several(hint: object) -> bool:
    """Whether FastAPI reads every value of a parameter with this *hint*, not the last alone."""
    origin = get_origin(hint)
    if origin is Annotated:
        return _takes_several(get_args(hint)[0])
    if origin in (Union, types.UnionType):
        return any(_takes_several(each) for each in get_args(hint))
    kind = origin or hint
    return (
        isinstance(kind, type)
        and issubclass(kind, (Sequence, set, frozenset, deque))
        and not issubclass(kind, (str, bytes))
    )
