"""Why PostgreSQL turns a client away: its SQLSTATE, which libpq keeps to itself."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast.records.drivers.sql.server_address import ServerAddress

_PROTOCOL_3 = 196_608
_LONGEST = 16_384  # bytes of a message to a client that is not let in


def refusal(place: ServerAddress, patience: float) -> str:
    """Return the SQLSTATE of a server that refuses *place* before it has asked for a password.

    '' when it refuses nothing so far, or does not answer within *patience* seconds. The start of a
    session is that of PostgreSQL's protocol 3.0.
    """
    words = ("user", place.user, "database", place.database, "")
    body = struct.pack("!i", _PROTOCOL_3) + b"".join(word.encode() + b"\0" for word in words)
    try:
        with socket.create_connection((place.host, place.port), timeout=patience) as link:
            link.sendall(struct.pack("!i", len(body) + 4) + body)
            with link.makefile("rb") as answers:
                while True:
                    kind, length = struct.unpack("!ci", answers.read(5))
                    if kind not in b"ERSKN" or not 4 <= length <= _LONGEST:
                        return ""
                    message: bytes = answers.read(length - 4)
                    if kind == b"R" and message[:4] != b"\0\0\0\0":
                        return ""
                    if kind == b"E":
                        fields = {part[:1]: part[1:] for part in message.split(b"\0")}
                        return fields.get(b"C", b"").decode("ascii", "replace")
    except (OSError, struct.error):
        return ""
