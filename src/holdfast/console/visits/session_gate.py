"""The console's gate: a browser is known by its session, or let in where the server is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.access.login_sessions import is_session_token
from holdfast.console.visits.visit import VISIT_COOKIE
from holdfast.errors import UnauthenticatedError

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from holdfast.access import Caller, LoginSessions
    from holdfast.access.gate import Gate


class SessionGate:
    """Who is let in to the console, beside the *gate* of the API, which counts."""

    def __init__(self, gate: Gate, sessions: LoginSessions) -> None:
        self._gate = gate
        self._sessions = sessions

    async def admit(self, request: HTTPConnection) -> Caller:
        """Return who asks. Raises UnauthenticatedError and RateLimitedError."""
        token = _token_of(request)
        if token is not None:
            async with self._gate.counting_refusals(request):
                caller = await self._sessions.caller(token)
            await self._gate.count_request(request, caller)
            return caller
        if self._gate.is_open:
            return await self._gate.admit(request)
        raise UnauthenticatedError("log in to see this")

    async def still_admits(self, request: HTTPConnection) -> bool:
        """Return whether the session is good still."""
        token = _token_of(request)
        return self._gate.is_open if token is None else bool(await self._sessions.caller(token))


def _token_of(request: HTTPConnection) -> str | None:
    given = request.cookies.get(VISIT_COOKIE, "")
    return given if is_session_token(given) else None
