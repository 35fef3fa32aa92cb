"""Where a server is: what a URL like `postgresql://user:password@host:5432/name` says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from holdfast.errors import ConfigurationError

if TYPE_CHECKING:
    from holdfast.backend_url import BackendURL


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """The address of a database on a server, and the user to log in as."""

    host: str
    port: int
    user: str
    password: str | None = field(repr=False)
    database: str


def server_address(location: BackendURL, *, port: int, user: str) -> ServerAddress:
    """Return the place that the URL names; *port* and *user* where it names none.

    Raises ConfigurationError when it names no database, or a port that is none.
    """
    parts = urlsplit(location.url)
    shown = f"{location.scheme}://"
    try:
        given = parts.port
    except ValueError:
        raise ConfigurationError(f"{shown}: the port is not a number from 0 to 65535") from None
    database = location.path.removeprefix("/")
    if not database or "/" in database:
        raise ConfigurationError(
            f"{shown}: name one database, as in {shown}user:password@host:{port}/name"
        )
    return ServerAddress(
        host=parts.hostname or "localhost",
        port=given or port,
        user=unquote(parts.username) if parts.username else user,
        password=unquote(parts.password) if parts.password else None,
        database=database,
    )
