"""The small contract under HTTP: a stream of bytes, and what waits and runs beside it.

There are two: over asyncio, and over blocking sockets, whose coroutines never suspend.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from holdfast.aws.origin import Origin

T = TypeVar("T")


class Pipe(Protocol):
    """One connection. Every wait lasts *seconds* at the most, else TimeoutError.

    What the connection dies of is an OSError.
    """

    @property
    def stirred(self) -> bool:
        """Whether something came, bytes or the end, that nobody received."""
        ...

    async def send(self, data: bytes, seconds: float) -> None:
        """Send all of *data*, as fast as the other side takes it."""
        ...

    async def receive(self, seconds: float) -> bytes:
        """Return what came, ``b""`` at the end."""
        ...

    async def wait(self, seconds: float) -> bool:
        """Return whether something comes within *seconds*."""
        ...

    def close(self) -> None:
        """Drop the connection at once. Idempotent."""
        ...


class Gate(Protocol):
    """Lets a limited number through at a time."""

    async def enter(self, seconds: float) -> None:
        """Wait for a place. Raises TimeoutError."""
        ...

    def leave(self) -> None: ...


class Network(Protocol):
    """How connections are made, and how callers wait."""

    async def connect(self, origin: Origin, seconds: float) -> Pipe:
        """Return a connection, over TLS with the certificate verified where *origin* is secure.

        Raises OSError and TimeoutError.
        """
        ...

    def gate(self, places: int) -> Gate: ...

    async def sleep(self, seconds: float) -> None: ...

    async def all_of(
        self, calls: Sequence[Callable[[], Coroutine[object, None, T]]], *, at_once: int
    ) -> list[T]:
        """Return the results of *calls* in order, at most *at_once* of them under way.

        When one raises, no other is started, those under way are cancelled or awaited, and its
        error is raised.
        """
        ...

    async def shielded(self, call: Coroutine[object, None, T]) -> T:
        """Return what *call* returns; it runs to its end also when the caller is cancelled."""
        ...
