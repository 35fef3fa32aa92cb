"""A server's URL taken apart; unlike urlsplit it knows several hosts: `scheme://a:1,b:2/path`."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from tools.services.failure import StateError

if TYPE_CHECKING:
    from collections.abc import Mapping

ANSWER_WITHIN = 3.0  # seconds; what listens on loopback and is well answers in milliseconds
PORTS = {"postgresql": 5432, "mariadb": 3306, "mysql": 3306, "http": 80, "https": 443}
REDIS_PORT = 6379


@dataclass(frozen=True)
class Address:
    scheme: str
    hosts: tuple[tuple[str, int], ...]
    user: str
    password: str
    path: str
    options: Mapping[str, str]

    @property
    def host(self) -> str:
        return self.hosts[0][0]

    @property
    def port(self) -> int:
        return self.hosts[0][1]


def parse(url: str) -> Address:
    """Return the parts of *url*. Raises StateError when there is no host or no valid port."""
    split = urlsplit(url)
    credentials, _, places = split.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    default = PORTS.get(split.scheme, REDIS_PORT)
    hosts = tuple(_host(url, place, default) for place in places.split(","))
    options = {name: values[-1] for name, values in parse_qs(split.query).items()}
    path = unquote(split.path.strip("/"))
    return Address(split.scheme, hosts, unquote(user), unquote(password), path, options)


def connect(host: str, port: int) -> socket.socket:
    """Open a TCP connection whose every read and write is given up after ANSWER_WITHIN seconds."""
    return socket.create_connection((host, port), timeout=ANSWER_WITHIN)


def receive(connection: socket.socket, count: int) -> bytes:
    """Return exactly *count* bytes. Raises ConnectionError when the peer closes before."""
    parts = bytearray()
    while len(parts) < count:
        part = connection.recv(count - len(parts))
        if not part:
            raise ConnectionError(f"closed after {len(parts)} of {count} bytes")
        parts += part
    return bytes(parts)


def _host(url: str, place: str, default: int) -> tuple[str, int]:
    part = urlsplit(f"//{place}")
    try:
        port = part.port
    except ValueError as error:
        raise StateError(f"the port in {url!r} is no port: {error}") from None
    if part.hostname is None:
        raise StateError(f"no host in {url!r}; expected scheme://host:port/...")
    return part.hostname, default if port is None else port
