"""Keeps a password from a server that asks for it over a plain connection.

Whoever answers at the address, or stands in between, could ask for it: the methods that prove that
one knows the password without sending it are the only ones that a plain connection is good for.
MySQL's `caching_sha2_password` is one of them while the server remembers the user, and asks for
the password itself when it does not: encrypted for a key that the server names. That is as good as
in clear where anybody may have answered, so the key has to be known, or the server on this machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import ConfigurationError

if TYPE_CHECKING:
    from holdfast.records.drivers.sql.connections.server_address import ServerAddress

CLEARTEXT_METHOD = b"\0\0\0\3"
"""What names AuthenticationCleartextPassword in PostgreSQL's protocol 3.0."""

_REASON = (
    "asks for the password in clear over a connection that is not encrypted: it was not sent. Use "
    "?sslmode=verify-full, or let the server ask for a proof that does not show the password"
)
_KEY_REASON = (
    "asks for the password encrypted for a key that anybody may have named, over a connection that "
    "is not encrypted: it was not sent. Use ?sslmode=verify-full, or ?server_public_key=FILE with "
    "the server's own key"
)


class CleartextRefusedError(Exception):
    """A server asked for the password over a plain connection, and *reason* says how."""

    def __init__(self, reason: str = _REASON) -> None:
        super().__init__(f"the server {reason}")
        self.reason = reason


def cleartext_error(
    server: str, address: ServerAddress, refused: object = None
) -> ConfigurationError:
    """Return the error for a *server* at *address* that asked for the password; see *refused*."""
    reason = refused.reason if isinstance(refused, CleartextRefusedError) else _REASON
    return ConfigurationError(f"{server} at {address} {reason}")


class PasswordKey:
    """The RSA key that a password is encrypted for: one *known*, or that of a server *here*."""

    def __init__(self, known: bytes | None, *, here: bool) -> None:
        self.value = known
        self._known = known is not None
        self._here = here

    def learn(self, key: bytes | None) -> None:
        """Take the key that a server names. Raises CleartextRefusedError where anybody might."""
        if key is None or self._known:
            return
        if not self._here:
            raise CleartextRefusedError(_KEY_REASON)
        self.value = key


class RefusedPlugin:
    """Takes the part of a plugin of MySQL's protocol that would send the password as it is."""

    def __init__(self, connection: object) -> None:
        pass

    def authenticate(self, packet: object) -> object:  # noqa: ARG002 - the drivers' signature
        """Raise CleartextRefusedError."""
        raise CleartextRefusedError


REFUSED_PLUGINS = {b"mysql_clear_password": RefusedPlugin, b"dialog": RefusedPlugin}
