"""The contract of a network: connections that carry bytes, and how callers wait and run at once.

Two modules implement it: `asyncio_network` for the event loop, and `socket_network` for blocking
sockets, whose coroutines never suspend.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from holdfast.aws.endpoint import HTTPEndpoint, HTTPProxy

T = TypeVar("T")


class NetworkConnection(Protocol):
    """One connection. Every wait lasts *seconds* at most, else TimeoutError.

    A connection that breaks raises OSError.
    """

    @property
    def has_input(self) -> bool:
        """Whether something came that was not received yet: bytes, or the end."""
        ...

    async def send(self, data: bytes, seconds: float) -> None:
        """Send all of *data*, as fast as the other side takes it."""
        ...

    async def receive(self, seconds: float) -> bytes:
        """Return the bytes that came, ``b""`` at the end."""
        ...

    async def wait(self, seconds: float) -> bool:
        """Return whether something comes within *seconds*."""
        ...

    def close(self) -> None:
        """Drop the connection at once. Idempotent."""
        ...

    def abandon(self) -> None:
        """Let go of it in the child of a fork; the parent, whose it is, notices nothing."""
        ...


class Semaphore(Protocol):
    """Lets a limited number of callers through at a time."""

    def acquire_now(self) -> bool:
        """Take a place if one is free and nobody waits for it; tell whether it did."""
        ...

    async def acquire(self, seconds: float) -> None:
        """Wait for a place. Raises TimeoutError."""
        ...

    def release(self) -> None:
        """Give the place back."""
        ...


class Network(Protocol):
    """How connections are made, and how callers wait."""

    async def connect(
        self, endpoint: HTTPEndpoint, seconds: float, proxy: HTTPProxy | None = None
    ) -> NetworkConnection:
        """Return a connection, over TLS with the certificate verified where *endpoint* is secure.

        Through *proxy* where there is one: by CONNECT to a secure endpoint, else the requests name
        the endpoint. Raises OSError and TimeoutError.
        """
        ...

    def home(self) -> object:
        """Return whose the connections made now are: the running loop's, None for blocking ones."""
        ...

    def is_open(self, home: object) -> bool:
        """Return whether connections of *home* can be used still."""
        ...

    def semaphore(self, places: int) -> Semaphore:
        """Return a new semaphore that lets *places* callers through."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait *seconds*."""
        ...

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
