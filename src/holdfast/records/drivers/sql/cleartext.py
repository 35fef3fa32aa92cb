"""Keeps a password from a server that asks for it in clear over a plain connection.

Whoever answers at the address, or stands in between, could ask for it: the methods that prove that
one knows the password without sending it are the only ones that a plain connection is good for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import ConfigurationError

if TYPE_CHECKING:
    from holdfast.records.drivers.sql.server_address import ServerAddress

CLEARTEXT_METHOD = b"\0\0\0\3"
"""What names AuthenticationCleartextPassword in PostgreSQL's protocol 3.0."""

_REASON = (
    "asks for the password in clear over a connection that is not encrypted: it was not sent. Use "
    "?sslmode=verify-full, or let the server ask for a proof that does not show the password"
)


class CleartextRefusedError(Exception):
    """A server asked for the password in clear over a plain connection."""

    def __init__(self) -> None:
        super().__init__(f"the server {_REASON}")


def cleartext_error(server: str, address: ServerAddress) -> ConfigurationError:
    """Return the error for a *server* at *address* that asked for the password in clear."""
    return ConfigurationError(f"{server} at {address} {_REASON}")


class RefusedPlugin:
    """Takes the part of a plugin of MySQL's protocol that would send the password as it is."""

    def __init__(self, connection: object) -> None:
        pass

    def authenticate(self, packet: object) -> object:  # noqa: ARG002 - the drivers' signature
        """Raise CleartextRefusedError."""
        raise CleartextRefusedError


REFUSED_PLUGINS = {b"mysql_clear_password": RefusedPlugin, b"dialog": RefusedPlugin}
