"""Runs a request with an Idempotency-Key once, however often it is sent."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, TypeAlias

from fastapi import Header, HTTPException, Request, params
from fastapi.routing import APIRoute

from holdfast.errors import (
    ConfigurationError,
    DuplicateError,
    LockTimeoutError,
    SerializationError,
)
from holdfast.fastapi.exchange import exchange_of
from holdfast.fastapi.idempotency_record import (
    IdempotencyRecord,
    digest_of,
    kept_headers,
    replay_of,
)
from holdfast.fastapi.request_transaction import Writing

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send

    from holdfast.records import Repository

_HEADER = "Idempotency-Key"
_LONGEST_KEY = 255
_ATTEMPT = "holdfast.idempotency"
_IN_FLIGHT = "holdfast_idempotency_in_flight"
_RETRY = {"Retry-After": "1"}

Caller: TypeAlias = Callable[[Request], str]
"""Tells who sends a request, so that nobody gets the answer to another one's key."""


def credentials_of(request: Request) -> str:
    """Return what the request authenticates with by a header; '' for nothing."""
    found = (request.headers.get(name, "") for name in ("authorization", "x-api-key"))
    return "\n".join(found)


@dataclass(slots=True)
class _Attempt:
    """One request with a key, from its first byte to its end."""

    id: str
    asked: str
    records: Repository[IdempotencyRecord] | None = None


class _ReplayedError(Exception):
    """The request was answered before, with *response*; raised to undo what this one began."""

    def __init__(self, response: Response) -> None:
        super().__init__("replayed")
        self.response = response


@dataclass(frozen=True)
class _Claim:
    """The dependency by which a request takes its key, in the transaction of what it writes."""

    keep: timedelta
    required: bool
    caller: Caller

    async def __call__(
        self,
        request: Request,
        tx: Writing,
        idempotency_key: Annotated[
            str | None, Header(min_length=1, max_length=_LONGEST_KEY)
        ] = None,
    ) -> str | None:
        """Return the key. Raises HTTPException 400, 409 and 422, and _ReplayedError."""
        if idempotency_key is None:
            if self.required:
                raise HTTPException(400, f"the header {_HEADER} is missing; expected one")
            return None
        attempt = request.scope.get(_ATTEMPT)
        if attempt is None:
            raise ConfigurationError(
                f"the route {request.scope['route'].path} takes an {_HEADER} and is no "
                "IdempotentRoute: write APIRouter(route_class=IdempotentRoute)"
            )
        store = exchange_of(request).resources.store
        records = store.repository(IdempotencyRecord)
        found = await records.get(attempt.id)
        if found is not None and found.expires_at <= store.now():
            await records.delete(attempt.id)
            found = None
        if found is None:
            record = IdempotencyRecord(
                id=attempt.id, request=attempt.asked, expires_at=store.now() + self.keep
            )
            try:
                async with tx.savepoint():
                    await records.add(record)
            except (DuplicateError, LockTimeoutError, SerializationError):
                raise _in_flight() from None  # another process was quicker, this very moment
            attempt.records = records
            return idempotency_key
        if found.request != attempt.asked:
            raise HTTPException(422, f"the {_HEADER} was used before, for another request")
        raise _ReplayedError(replay_of(found))


def idempotency(
    *,
    keep: timedelta = timedelta(hours=24),
    required: bool = False,
    caller: Caller = credentials_of,
) -> params.Depends:
    """Return the dependency that runs a request with an `Idempotency-Key` once.

    *keep* is how long the answer is given again; *required* refuses requests without a key;
    *caller* tells one client from another, by its `Authorization` or `X-API-Key` by default.

    The key is written in the transaction of the request (`Writing`), and the answer is added to
    it before that commits: either the writes and the answer are there, or nothing is, and a later
    attempt runs the request. The same request gets the same status, headers and body again, marked
    by `Idempotency-Replayed: true`. Another request with the key is answered with 422, and one
    that comes while the first still runs with 409.

    For routes of the class `IdempotentRoute`, which those of an application of Holdfast are, as
    the last of their dependencies, so that those before it have let the client pass when an answer
    is given again; the store needs `IdempotencyRecord` among its entities.
    """
    if keep <= timedelta(0):
        raise ConfigurationError(f"keep={keep}: expected a positive time")
    return params.Depends(_Claim(keep, required, caller))


Idempotency: TypeAlias = Annotated[str | None, idempotency()]
"""The `Idempotency-Key` of a request, None without one: `once: Idempotency` as last parameter."""


class IdempotentRoute(APIRoute):
    """A route that may have the dependency `idempotency`: `APIRouter(route_class=IdempotentRoute)`.

    It changes nothing for routes that don't.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[object, object, Response]]:
        """Return the handler of requests. Raises ConfigurationError for a misplaced dependency."""
        handler = super().get_route_handler()
        calls = [each.call for each in self.dependant.dependencies]
        claims = [call for call in calls if isinstance(call, _Claim)]
        if not claims:
            return handler
        if len(claims) > 1 or not isinstance(calls[-1], _Claim):
            raise ConfigurationError(
                f"{self.path}: `idempotency` is the last of a route's dependencies, and once, "
                "so that all that guards the route comes before an answer that is given again"
            )
        (claim,) = claims

        async def once(request: Request) -> Response:
            keys = request.headers.getlist(_HEADER)
            if not keys:
                return await handler(request)
            if len(keys) > 1:
                raise HTTPException(400, f"the header {_HEADER} is there twice; expected one")
            (key,) = keys
            attempt = await _attempt(request, key, claim)
            flights = _flights_of(request)
            if attempt.id in flights:
                raise _in_flight()
            flights.add(attempt.id)
            request.scope[_ATTEMPT] = attempt
            response = await handler(request)
            if attempt.records is not None:
                await _keep(request, attempt.id, attempt.records, response)
            return response

        return once

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, by the answer that was given before if there is one."""
        try:
            await super().handle(scope, receive, send)
        except _ReplayedError as replayed:
            await replayed.response(scope, receive, send)
        finally:
            attempt = scope.pop(_ATTEMPT, None)
            if attempt is not None:
                _flights_of(Request(scope)).discard(attempt.id)


async def _attempt(request: Request, key: str, claim: _Claim) -> _Attempt:
    route = f"{request.method} {request.url.path}"
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await request.body()
    return _Attempt(
        digest_of(part.encode() for part in (claim.caller(request), route, key)),
        digest_of((route.encode(), request.url.query.encode(), kind.encode(), body)),
    )


async def _keep(
    request: Request, own: str, records: Repository[IdempotencyRecord], response: Response
) -> None:
    body = getattr(response, "body", None)
    if not isinstance(body, bytes | memoryview):
        raise ConfigurationError(
            f"a {type(response).__name__} can't be given again: a route that takes an {_HEADER} "
            "answers with a whole body"
        )
    await records.patch(
        own,
        IdempotencyRecord.status.to(response.status_code),
        IdempotencyRecord.headers.to(
            kept_headers([*response.raw_headers, *exchange_of(request).headers])
        ),
        IdempotencyRecord.body.to(bytes(body)),
    )


def _in_flight() -> HTTPException:
    return HTTPException(409, f"a request with this {_HEADER} is still running", _RETRY)


def _flights_of(request: Request) -> set[str]:
    """Return the ids of the attempts that run in this process."""
    state = request.app.state
    if not hasattr(state, _IN_FLIGHT):
        setattr(state, _IN_FLIGHT, set())
    found = getattr(state, _IN_FLIGHT)
    assert isinstance(found, set)
    return found
