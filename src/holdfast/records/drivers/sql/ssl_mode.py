"""How a connection to a server is encrypted, in PostgreSQL's terms of `sslmode`."""

from __future__ import annotations

import ssl

from holdfast.errors import ConfigurationError


def ssl_context(mode: str, authorities: str) -> ssl.SSLContext | None:
    """Return what a connection of *mode* is encrypted with; None for "disable".

    "require" encrypts and checks nothing, "verify-ca" also wants a certificate that the
    *authorities* signed (a file; '' for those that the system trusts), "verify-full" one in the
    host's name. Raises ConfigurationError for a file that can't be used.
    """
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
