"""The gate of the HTTP API: who asks, whether the role is enough, and whether it is not too often.

A route says what it needs by a dependency, `allow(Role.VIEWER)`, or that it is for `anybody`. One
that says neither must not exist; `policy_of` tells, and a test of each application asks it.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Protocol, cast

from fastapi import Depends, Security, params
from fastapi.security import HTTPBearer
from starlette.requests import HTTPConnection  # noqa: TC002 - FastAPI reads the annotations

from holdfast.access.api_key import Caller, Role
from holdfast.acting import become
from holdfast.errors import (
    ConfigurationError,
    ForbiddenError,
    RateLimitedError,
    UnauthenticatedError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from fastapi.dependencies.models import Dependant

    from holdfast.access.api_keys import ApiKeys
    from holdfast.cache import Cache

__all__ = [
    "Admission",
    "AskedBy",
    "Gate",
    "RequestRate",
    "allow",
    "anybody",
    "caller_of",
    "counted_as",
    "policy_of",
    "still_allowed",
]

_BEARER = "bearer "
_LOCAL = Caller(None, "local", Role.ADMIN)


@dataclass(frozen=True, slots=True)
class RequestRate:
    """How often one caller may ask: *rate* times a second, *burst* at once."""

    rate: float = 50.0
    burst: float = 200.0


class Admission(Protocol):
    """What stands at an application's door, as its `state.gate`."""

    async def admit(self, request: HTTPConnection) -> Caller:
        """Return who asks. Raises UnauthenticatedError and RateLimitedError."""
        ...

    async def still_admits(self, request: HTTPConnection) -> bool:
        """Return whether who asked once may have more of the answer."""
        ...


@dataclass(frozen=True, slots=True)
class Gate:
    """Who is let in. *is_open* lets in everybody who shows no key, as an administrator.

    Each key has a bucket of *requests*, and each address one of *refusals*, both in *cache*; while
    that is away nobody is held back for asking often.
    """

    keys: ApiKeys
    cache: Cache[object]
    is_open: bool = False
    requests: RequestRate = RequestRate()
    refusals: RequestRate = RequestRate(rate=1.0, burst=20.0)

    async def admit(self, request: HTTPConnection) -> Caller:
        """Return who asks. Raises UnauthenticatedError and RateLimitedError."""
        async with self.counting_refusals(request):
            secret = _secret_of(request)
            if secret is not None:
                caller = await self.keys.caller(secret)
            elif self.is_open:
                caller = _LOCAL
            else:
                raise UnauthenticatedError(
                    "this needs an API key: send it as `Authorization: Bearer hf_...`"
                )
        await self.count_request(request, caller)
        return caller

    @asynccontextmanager
    async def counting_refusals(self, request: HTTPConnection) -> AsyncIterator[None]:
        """Count an UnauthenticatedError of the block against the address that *request* is from.

        Where it had too many of them, that raises RateLimitedError.
        """
        try:
            yield
        except UnauthenticatedError:
            await self._take(f"refused {_address(request)}", self.refusals)
            raise

    async def count_request(self, request: HTTPConnection, caller: Caller) -> None:
        """Count *request* as one of *caller*. Raises RateLimitedError when they are too many."""
        await self._take(caller.login or f"address {_address(request)}", self.requests)

    async def still_admits(self, request: HTTPConnection) -> bool:
        """Return whether the key that came with *request* is good still."""
        secret = _secret_of(request)
        return self.is_open if secret is None else bool(await self.keys.caller(secret))

    async def _take(self, name: str, rate: RequestRate) -> None:
        try:
            wait = await self.cache.take_token(f"api {name}", rate=rate.rate, burst=rate.burst)
        except UnavailableError:
            return
        if wait:
            raise RateLimitedError(wait)


_SCHEME = HTTPBearer(auto_error=False, scheme_name="API key", description="An API key: hf_...")


async def caller_of(
    request: HTTPConnection,
    _shown: Annotated[object, Security(_SCHEME)] = None,  # for the description of the API alone
) -> Caller:
    """Return who asks; the gate is passed once for each request.

    Raises ConfigurationError where the application has none, and what `Admission.admit` raises.
    """
    state = request.state
    if not hasattr(state, "caller"):
        gate: Admission | None = getattr(request.app.state, "gate", None)
        if gate is None:
            raise ConfigurationError(
                "no gate: set app.state.gate = Gate(ApiKeys(store), cache) where the application "
                "starts"
            )
        state.caller = await gate.admit(request)
        become(state.caller.name)
    return cast("Caller", state.caller)


def anybody() -> None:
    """Stand, as a dependency, for the policy that a route needs no key."""


def allow(role: Role, *, by_project: bool = False) -> params.Depends:
    """Return the dependency by which a route says that it needs *role*, or one above it.

    A key that is limited to projects gets no further, unless the route is *by_project*: then it
    has to look at `Caller.projects` itself.
    """
    return cast("params.Depends", Depends(_Allowance(role, by_project)))


@dataclass(frozen=True, slots=True)
class _Allowance:
    role: Role
    by_project: bool

    async def __call__(self, caller: Annotated[Caller, Depends(caller_of)]) -> Caller:
        caller.require(self.role)
        if not self.by_project and caller.projects is not None:
            raise ForbiddenError(caller.name, "limited to some projects", "all of them")
        return caller


def still_allowed(request: HTTPConnection) -> Callable[[], Awaitable[bool]]:
    """Return what tells, as often as it is asked, whether the caller's key is good still."""

    async def ask() -> bool:
        gate: Admission = request.app.state.gate
        try:
            return await gate.still_admits(request)
        except UnauthenticatedError:
            return False
        except UnavailableError:
            return True  # nobody knows; the next time will tell

    return ask


def counted_as(request: HTTPConnection) -> str | None:
    """Return whose an event stream is, for the number that each may have: None for the address."""
    caller: Caller | None = getattr(request.state, "caller", None)
    return None if caller is None else caller.login or None


AskedBy = Annotated[Caller, Depends(caller_of)]
"""A parameter of a route: who asks."""


def policy_of(route: object) -> Role | None:
    """Return the role that *route* needs, None for one that is for anybody.

    Raises ConfigurationError for a route that says neither, or both.
    """
    dependant: Dependant | None = getattr(route, "dependant", None)
    calls = list(_calls_of(dependant)) if dependant else []
    roles = [call.role for call in calls if isinstance(call, _Allowance)]
    if (anybody in calls) == bool(roles):
        raise ConfigurationError(
            f"{getattr(route, 'path', route)}: a route says by `allow(role)` who may use it, or "
            "that it is for `anybody`"
        )
    return max(roles, key=list(Role).index) if roles else None


def _calls_of(dependant: Dependant) -> list[Callable[..., object] | None]:
    return [call for each in dependant.dependencies for call in (each.call, *_calls_of(each))]


def _address(request: HTTPConnection) -> str:
    return request.client.host if request.client else "nowhere"


def _secret_of(request: HTTPConnection) -> str | None:
    """Return the key that came with *request*, None where there is none.

    Raises UnauthenticatedError for what is no bearer's.
    """
    given = request.headers.getlist("authorization")
    if not given:
        return None
    if len(given) == 1 and given[0][: len(_BEARER)].lower() == _BEARER:
        return given[0][len(_BEARER) :].strip()
    raise UnauthenticatedError("one Authorization header is taken: `Bearer hf_...`")
