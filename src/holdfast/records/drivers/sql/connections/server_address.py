"""Where a server is: what a URL like `postgresql://user:password@host:5432/name` says."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from holdfast.errors import ConfigurationError

if TYPE_CHECKING:
    from holdfast.backend_url import BackendURL


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """The address of a database on a server, and the user to log in as.

    A *host* that begins with / is a socket in the file system: for PostgreSQL the folder that it
    lies in, for MariaDB and MySQL the socket itself.
    """

    host: str
    port: int
    user: str
    password: str | None = field(repr=False)
    database: str

    def __str__(self) -> str:
        return self.host if self.host.startswith("/") else f"{self.host}:{self.port}"


def server_addresses(
    location: BackendURL, *, port: int, user: str
) -> tuple[tuple[ServerAddress, ...], BackendURL]:
    """Return the places that a URL names, in its order, and the URL with the options alone.

    Several hosts stand with commas between them; `?host=` and `?port=` may stand for what is
    before the path. *port* and *user* are taken where the URL names none. Raises
    ConfigurationError when it names no database, or a port that is none.
    """
    shown = f"{location.scheme}://"
    login, _, hosts = location.host.rpartition("@")
    query = dict(location.query)
    if "host" in query:
        if hosts:
            raise ConfigurationError(f"{shown}: the host stands in the URL and in ?host=")
        hosts = query.pop("host")
    default = _port(query.pop("port"), shown) if "port" in query else port
    database = location.path.removeprefix("/")
    if not database or "/" in database:
        raise ConfigurationError(
            f"{shown}: name one database, as in {shown}user:password@host:{port}/name"
        )
    name, colon, password = login.partition(":")
    places = tuple(
        ServerAddress(
            host=host,
            port=number or default,
            user=unquote(name) or user,
            password=unquote(password) if colon and password else None,
            database=database,
        )
        for host, number in (_host(text, shown) for text in hosts.split(","))
    )
    return places, replace(location, query=query)


def replica_addresses(
    primary: ServerAddress, hosts: str, *, port: int
) -> tuple[ServerAddress, ...]:
    """Return the places that *hosts* names, with the login and the database of *primary*.

    Raises ConfigurationError for a port that is none.
    """
    named = [_host(text, "replica") for text in hosts.split(",")] if hosts else []
    return tuple(replace(primary, host=host, port=number or port) for host, number in named)


def _host(text: str, shown: str) -> tuple[str, int]:
    """Return the host and the port of *text*, 0 where it names none."""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, _port(rest[1:], shown) if rest.startswith(":") else 0
    if text.startswith("/"):
        return text, 0
    host, colon, number = text.partition(":")
    return unquote(host).lower() or "localhost", _port(number, shown) if colon and number else 0


def _port(text: str, shown: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) < 65_536:
        return int(text)
    raise ConfigurationError(f"{shown}: the port is not a number from 1 to 65535")
