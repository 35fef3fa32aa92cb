"""Redis's protocol, as much of it as it takes to ask a server how it is."""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tools.services.address import ANSWER_WITHIN, Address, connect
from tools.services.failure import NotReadyError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

Reply = str | int | list["Reply"] | None


class RedisError(NotReadyError):
    """The server answers, and says no."""


@contextmanager
def session(
    host: str, port: int, *, tls: ssl.SSLContext | None = None
) -> Iterator[Callable[..., Reply]]:
    """Open a connection; what is yielded sends one command and returns its reply.

    It raises RedisError for the server's refusal, NotReadyError for what is not Redis's protocol.
    """
    with connect(host, port) as plain:
        connection: socket.socket = plain
        if tls is not None:
            connection = tls.wrap_socket(plain, server_hostname=host)
            connection.settimeout(ANSWER_WITHIN)
        with connection, connection.makefile("rb") as replies:

            def ask(*words: str) -> Reply:
                counted = [b"$%d\r\n%s\r\n" % (len(word), word) for word in map(str.encode, words)]
                connection.sendall(b"*%d\r\n%s" % (len(words), b"".join(counted)))
                return _read(replies)

            yield ask


def authority(address: Address) -> ssl.SSLContext | None:
    """What a `rediss` address is checked against: its own `ca`, a file, or the system's."""
    if address.scheme != "rediss":
        return None
    return ssl.create_default_context(cafile=address.options.get("ca"))


def _read(replies: BinaryIO) -> Reply:
    line = replies.readline()
    if not line.endswith(b"\r\n"):
        raise NotReadyError("closed in the middle of a reply")
    kind, rest = line[:1], line[1:-2].decode(errors="replace")
    match kind:
        case b"+":
            return rest
        case b"-":
            raise RedisError(rest)
        case b":":
            return int(rest)
        case b"$":
            length = int(rest)
            return None if length < 0 else replies.read(length + 2)[:-2].decode(errors="replace")
        case b"*":
            return [_read(replies) for _ in range(int(rest))]
        case _:
            raise NotReadyError(f"answered {line[:40]!r}, which is not Redis's protocol")
