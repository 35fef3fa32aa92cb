"""Limits on what a request may send: bytes of its body, and how deep JSON is nested."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

from holdfast.errors import ConfigurationError
from holdfast.fastapi.exchange import exchange_in
from holdfast.fastapi.problems.problem import ProblemError

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from starlette.requests import HTTPConnection
    from starlette.types import Message, Receive

F = TypeVar("F", bound="Callable[..., object]")

_LIMIT = "__holdfast_body_limit__"
_LIFTED = "holdfast.body_limit_lifted"
_JSON = re.compile(rb"\s*application/([^;\s]*\+)?json\s*(;|$)", re.IGNORECASE)
_MARKS = re.compile(rb'[\\"\[\]{}]')


def body_limit(most: int | None) -> Callable[[F], F]:
    """Return a decorator that lets a route take bodies of *most* bytes; None is without end.

    It stands below the route's own decorator: `@app.post("/videos")`, then `@body_limit(10**9)`.
    """
    if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 0):
        raise ConfigurationError(f"body_limit({most!r}): expected a whole number of bytes, or None")

    def limited(endpoint: F) -> F:
        setattr(endpoint, _LIMIT, most)
        return endpoint

    return limited


def lift_body_limit(connection: HTTPConnection) -> None:
    """Let the body of the request be of any length and take its time: its reader has limits."""
    connection.scope[_LIFTED] = True
    if (exchange := exchange_in(connection.scope)) is not None:
        exchange.lift_deadline()


class LimitedBody:
    """Receives a request's body up to its limits, and raises ProblemError beyond them."""

    def __init__(
        self, scope: MutableMapping[str, Any], receive: Receive, *, most: int, deepest: int
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._most = most
        self._deepest = deepest
        self._taken = 0
        self._begun = False
        self._announced = 0
        self._nesting: Nesting | None = None

    async def __call__(self) -> Message:
        """Return the next message. Raises ProblemError: 413 for bytes, 400 for depth."""
        if not self._begun:
            self._begin()
        # Only now is the route known, which may have a limit of its own.
        most = getattr(self._scope.get("endpoint"), _LIMIT, self._most)
        if _LIFTED in self._scope:
            most = None
        if most is not None and self._announced > most:
            raise _too_large(most)
        message = await self._receive()
        if message["type"] == "http.request":
            body = message.get("body", b"")
            self._taken += len(body)
            if most is not None and self._taken > most:
                raise _too_large(most)
            if self._nesting is not None:
                self._nesting.feed(body)
        return message

    def _begin(self) -> None:
        """Look at the headers: not before somebody wants the body, which most requests lack."""
        self._begun = True
        headers = dict(self._scope["headers"])
        self._announced = _number(headers.get(b"content-length", b""))
        if _JSON.match(headers.get(b"content-type", b"")):
            self._nesting = Nesting(self._deepest)


class Nesting:
    """How deep a JSON text is nested, told of it piece by piece."""

    def __init__(self, deepest: int) -> None:
        self._deepest = deepest
        self._depth = 0
        self._opened = 0
        self._begun = bytearray()
        self._in_text = False
        self._escaped = -1

    def feed(self, piece: bytes) -> None:
        """Take the next *piece*. Raises ProblemError when it is nested too deep or not UTF-8."""
        if b"\0" in piece:  # UTF-16 and UTF-32, in which a byte is not a sign
            raise ProblemError(
                400,
                "JSON is sent in UTF-8 (RFC 8259)",
                kind="malformed-json",
                title="Malformed JSON",
            )
        self._opened += piece.count(b"[") + piece.count(b"{")
        if self._opened <= self._deepest:
            self._begun += piece  # too few brackets for a look
            return
        piece, self._begun = bytes(self._begun) + piece, bytearray()
        escaped = self._escaped
        for mark in _MARKS.finditer(piece):
            at, sign = mark.start(), mark[0]
            if at == escaped:
                continue
            if self._in_text:
                if sign == b"\\":
                    escaped = at + 1
                elif sign == b'"':
                    self._in_text = False
            elif sign == b'"':
                self._in_text = True
            elif sign in b"[{":
                self._depth += 1
                if self._depth > self._deepest:
                    raise ProblemError(
                        400,
                        f"the JSON is nested deeper than {self._deepest} levels",
                        kind="too-deep",
                        title="The JSON is nested too deep",
                    )
            elif sign in b"]}":
                self._depth -= 1
        self._escaped = escaped - len(piece) if escaped >= len(piece) else -1


def _too_large(most: int) -> ProblemError:
    return ProblemError(
        413,
        f"the body is larger than {most} bytes",
        kind="too-large",
        title="The body is too large",
        members={"limit": most},
    )


def _number(text: bytes) -> int:
    return int(text) if text.isdigit() and len(text) < 20 else 0
