"""How a connection to a server is encrypted, and whether the server has to prove who it is."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

from holdfast.errors import ConfigurationError, UnavailableError

if TYPE_CHECKING:
    from holdfast.records.options import PoolOptions, SSLMode

_ADVICE = (
    "What leaves this machine is encrypted, and the server's certificate checked: name the "
    "authority that signed it, ?sslrootcert=FILE, or say ?sslmode=disable on a network that you "
    "trust with the data and the password"
)
_NO_SERVER = (ConnectionRefusedError, TimeoutError, socket.gaierror)


@dataclass(frozen=True, slots=True)
class Encryption:
    """What `PoolOptions.sslmode` means for one server; *context* is None for "disable"."""

    mode: SSLMode
    authorities: str | None
    """The file of authorities that sign certificates, None where the system has no such file."""
    context: ssl.SSLContext | None
    chosen: bool
    """Whether the options left the mode to us."""


def encryption(options: PoolOptions, host: str) -> Encryption:
    """Return how to encrypt what is sent to *host*.

    Raises ConfigurationError for a file of authorities that can't be used.
    """
    mode = options.sslmode
    if mode == "auto":
        mode = "disable" if is_this_machine(host) else "verify-full"
    authorities = options.sslrootcert or ssl.get_default_verify_paths().cafile
    return Encryption(
        mode, authorities, _context(mode, options.sslrootcert), options.sslmode == "auto"
    )


def advised(error: Exception, cause: Exception, encryption: Encryption) -> Exception:
    """Return *error*, with what to do should it be the encryption that *cause* speaks of."""
    ours = encryption.chosen and encryption.context is not None
    if not ours or not isinstance(error, UnavailableError) or isinstance(cause, _NO_SERVER):
        return error
    return UnavailableError(f"{error}. {_ADVICE}")


def is_this_machine(host: str) -> bool:
    """Return whether what is sent to *host* stays on this machine: a loopback or a socket."""
    if host == "localhost" or host.startswith("/"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def _context(mode: SSLMode, authorities: str) -> ssl.SSLContext | None:
    if mode == "disable":
        return None
    try:
        context = ssl.create_default_context(cafile=authorities or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"sslrootcert={authorities!r} can't be used: {error}") from error
    context.check_hostname = mode == "verify-full"
    if mode == "require":
        context.verify_mode = ssl.CERT_NONE
    return context
