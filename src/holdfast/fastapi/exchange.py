"""One request and its answer, as everything that runs for it finds them."""

from __future__ import annotations

import re
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from holdfast.errors import ConfigurationError
from holdfast.uuid7 import uuid7

if TYPE_CHECKING:
    from asyncio import Timeout
    from collections.abc import Mapping

    from starlette.requests import HTTPConnection
    from starlette.types import Scope

    from holdfast.cache import Cache
    from holdfast.fastapi.http_options import HTTPOptions
    from holdfast.objects import Bucket
    from holdfast.records import Store

REQUEST_ID = "X-Request-ID"
_KEY = "holdfast"
_GIVEN_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")


@dataclass(slots=True)
class Resources:
    """What an application has open between the start and the end of its lifespan."""

    options: HTTPOptions
    opened_store: Store | None = None
    opened_bucket: Bucket | None = None
    opened_cache: Cache[object] | None = None

    @property
    def store(self) -> Store:
        """The store. Raises ConfigurationError before the start and after the end."""
        if self.opened_store is None:
            raise ConfigurationError(
                "the application was not started: its lifespan opens the store. In a test, enter "
                "it: `async with app.router.lifespan_context(app):`, or "
                "`with TestClient(app) as client:`"
            )
        return self.opened_store

    @property
    def bucket(self) -> Bucket:
        """The bucket. Raises ConfigurationError where the application has none."""
        if self.opened_bucket is None:
            raise ConfigurationError(
                "the application has no bucket open: Holdfast(app, bucket=url) gives it one"
            )
        return self.opened_bucket

    @property
    def cache(self) -> Cache[object]:
        """The cache. Raises ConfigurationError where the application has none."""
        if self.opened_cache is None:
            raise ConfigurationError(
                "the application has no cache open: Holdfast(app, cache=url) gives it one"
            )
        return self.opened_cache


@dataclass(slots=True)
class Exchange:
    """A request that runs, with the headers that its answer gets beside its own."""

    resources: Resources
    request_id: str
    scope: Mapping[str, Any]
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    deadline: Timeout | None = None
    """What cancels the request when its answer has not begun in time."""

    def lift_deadline(self) -> None:
        """Let the request take as long as it does from here on."""
        if self.deadline is not None and not self.deadline.expired():
            self.deadline.reschedule(None)


current_exchange: ContextVar[Exchange | None] = ContextVar("holdfast_exchange", default=None)
"""The exchange that the running code belongs to, None outside of requests."""


def cursor_secrets() -> tuple[str, ...]:
    """Return what seals the cursors of the application that answers, none outside of one.

    The first seals, and all of them open.
    """
    exchange = current_exchange.get()
    return () if exchange is None else exchange.resources.options.secrets


def keep_exchange(scope: Scope, exchange: Exchange) -> None:
    """Let everything that is given *scope* find *exchange*."""
    scope[_KEY] = exchange


def exchange_in(scope: Mapping[str, object]) -> Exchange | None:
    """Return the exchange of *scope*, None where its application is none of Holdfast's."""
    found = scope.get(_KEY)
    return found if isinstance(found, Exchange) else None


def exchange_of(connection: HTTPConnection) -> Exchange:
    """Return the exchange of *connection*.

    Raises ConfigurationError where its application has no `Holdfast`.
    """
    found = exchange_in(connection.scope)
    if found is None:
        raise ConfigurationError(
            "this application knows no Holdfast: write Holdfast(app, store=url, entities=[...]) "
            "where it is made"
        )
    return found


def lift_deadline(connection: HTTPConnection) -> None:
    """Let the request take longer than `HTTPOptions.request_time` from here on, until its end."""
    exchange_of(connection).lift_deadline()


def request_id_of(connection: HTTPConnection) -> str:
    """Return the id of the request: as the client gave it, or made; '' outside of Holdfast."""
    found = exchange_in(connection.scope)
    return "" if found is None else found.request_id


def chosen_request_id(headers: list[tuple[bytes, bytes]]) -> str:
    """Return the id that the client gave in *headers*, or a new one where it is none to repeat."""
    for name, value in headers:
        if name == b"x-request-id" and _GIVEN_ID.fullmatch(value):
            return value.decode("ascii")
    return uuid7().hex
