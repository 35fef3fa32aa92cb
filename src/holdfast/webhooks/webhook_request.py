"""One request of a webhook: bounded in time and bytes, to an address that was looked at.

The host is resolved once, every address that came is judged, and the connection is made to one of
these very addresses: a name that resolves to another one a moment later gains nothing. TLS still
verifies the name. Nothing of the answer is kept but its status, and a redirect is not followed.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from dataclasses import dataclass, field
from functools import cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, TypeAlias

from holdfast.webhooks.receiver import ReceiverNetworks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from holdfast.webhooks.receiver import Address, Receiver

    Resolver: TypeAlias = Callable[[str, int], Awaitable[list[str]]]

SECONDS = 10.0
"""How long a request may take, from the look-up of the name to the head of the answer."""
HEAD_BYTES = 64 * 1024
"""How long the head of an answer may be; of its body nothing is read."""
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: [^\r\n]*)?\r\n")


async def resolved(host: str, port: int) -> list[str]:
    """Return the addresses of *host*, as the system resolves it. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


@cache
def _system_tls() -> ssl.SSLContext:
    return ssl.create_default_context()


@dataclass(frozen=True, slots=True)
class WebhookSender:
    """Sends requests to receivers in public networks, and in those that *networks* allow.

    *tls* returns what verifies their certificates, *resolve* the addresses of a name. A request
    takes *seconds* at most.
    """

    networks: ReceiverNetworks = field(default_factory=ReceiverNetworks)
    tls: Callable[[], ssl.SSLContext] = _system_tls
    resolve: Resolver = resolved
    seconds: float = SECONDS

    async def post(self, receiver: Receiver, headers: Mapping[str, str], body: bytes) -> int:
        """Post *body* to *receiver*, and return the status of the answer.

        Raises PermanentError when one of its addresses may not be connected to, before any
        connection is made, TimeoutError, and OSError for all else that is not an answer.
        """
        async with asyncio.timeout(self.seconds):
            addresses = await self._permitted(receiver)
            reader, writer = await self._connected(receiver, addresses)
            try:
                writer.write(_encoded(receiver, headers, body))
                await writer.drain()
                return await _status(reader)
            finally:
                # Not closed in turn: a peer that never says goodbye is not waited for.
                writer.transport.abort()

    async def _permitted(self, receiver: Receiver) -> list[Address]:
        found = await self.resolve(receiver.host, receiver.port)
        addresses = [ip_address(each) for each in found]
        for address in addresses:
            self.networks.check(receiver, address)
        return addresses

    async def _connected(
        self, receiver: Receiver, addresses: list[Address]
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        failure: OSError = ConnectionError(f"{receiver.host} has no address")
        for address in addresses:
            try:
                return await asyncio.open_connection(
                    str(address),
                    receiver.port,
                    ssl=self.tls() if receiver.secure else None,
                    server_hostname=receiver.host if receiver.secure else None,
                    limit=HEAD_BYTES,
                )
            except OSError as error:
                failure = error
        raise failure


def _encoded(receiver: Receiver, headers: Mapping[str, str], body: bytes) -> bytes:
    """Return the request as it is sent; nothing in it comes from who subscribed but the target."""
    lines = [
        f"POST {receiver.target} HTTP/1.1",
        f"host: {receiver.authority}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        "connection: close",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


async def _status(reader: asyncio.StreamReader) -> int:
    """Return the status of the answer, behind those that say that one comes yet (1xx)."""
    left = HEAD_BYTES
    while left > 0:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            raise ConnectionError("the connection was closed before an answer came") from None
        except asyncio.LimitOverrunError:
            break
        found = _STATUS.match(head)
        if found is None:
            raise ConnectionError("what came is not an answer of HTTP/1.1")
        status = int(found[1])
        if status >= 200:
            return status
        left -= len(head)
    raise ConnectionError(f"the answer's head exceeds {HEAD_BYTES} bytes")
