"""What an application adds to the routes of `crud_router`: who may, which rows, what else holds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeAlias, TypeVar

from starlette.requests import Request

from holdfast.fastapi.crud.list_query import ListQuery
from holdfast.fastapi.wire.wire_model import CreateModel, OutModel, PatchModel
from holdfast.records import Change, Entity, Predicate

E = TypeVar("E", bound=Entity)

Verb: TypeAlias = Literal["create", "get", "list", "replace", "patch", "delete"]
VERBS: tuple[Verb, ...] = ("create", "get", "list", "replace", "patch", "delete")


@dataclass(frozen=True, kw_only=True)  # with slots, Python 3.11 refuses CrudRules[Video](...)
class CrudRules(Generic[E]):
    """The hooks of `crud_router`. Each may raise, which undoes the request, and is answered so.

    *permit* is asked first, before the body is looked at; what it writes is not undone when the
    request fails later, unless another hook makes that a transaction. *visible* gives the
    conditions that the rows of this client fit: all others are not there, and a row that is
    created or changed has to fit. *creating* returns the entity to add, *changing* the changes to
    make to the stored one (a replacement is changes too), *deleting* sees the one that is to go;
    all three run in the request's transaction.
    """

    permit: Callable[[Request, Verb], Awaitable[None]] | None = None
    visible: Callable[[Request], Awaitable[Sequence[Predicate]]] | None = None
    creating: Callable[[Request, E], Awaitable[E]] | None = None
    changing: Callable[[Request, E, Sequence[Change]], Awaitable[Sequence[Change]]] | None = None
    deleting: Callable[[Request, E], Awaitable[None]] | None = None


@dataclass(frozen=True, kw_only=True)  # with slots, Python 3.11 refuses CrudRules[Video](...)
class CrudModels(Generic[E]):
    """The models of `crud_router`; what is None is derived from the entity as it is."""

    create: type[CreateModel[E]] | None = None
    patch: type[PatchModel[E]] | None = None
    out: type[OutModel[E]] | None = None
    query: type[ListQuery[E]] | None = None
