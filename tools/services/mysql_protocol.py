"""MySQL's protocol, which MariaDB speaks too, as much of it as it takes to log in."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tools.services.address import Address, connect, parse, receive
from tools.services.failure import NotReadyError

if TYPE_CHECKING:
    import socket

# protocol 4.1, long password, connect with database, secure connection, plugin name
CAPABILITIES = 0x0200 | 0x0001 | 0x0008 | 0x8000 | 0x0008_0000
WITH_DATABASE = 0x0008
UTF8MB4 = 45
NATIVE = b"mysql_native_password"
CACHING_SHA2 = b"caching_sha2_password"


@dataclass(frozen=True)
class Greeting:
    """What a server says first: its version, and what a login has to answer."""

    version: str
    challenge: bytes
    plugin: bytes


def login(url: str) -> Greeting:
    """Log in to the server of *url* and out again; return how it greeted.

    A login that is asked for more than a hash of the password counts too: it is the server.
    Raises NotReadyError when the server refuses, or speaks another protocol.
    """
    address = parse(url)
    with connect(address.host, address.port) as connection:
        sequence, packet = _read(connection)
        if packet[:1] != b"\x0a":
            raise NotReadyError(_complaint(packet))
        greeting = _greeting(packet)
        _write(connection, sequence + 1, _login(address, greeting))
        sequence, answer = _read(connection)
        if answer[:1] == b"\xfe":  # it wants the proof in another way, as for users it has not
            name, _, challenge = answer[1:].partition(b"\0")
            _write(connection, sequence + 1, _proof(name, address.password, challenge[:20]))
            sequence, answer = _read(connection)
        if answer[:1] == b"\xff":
            raise NotReadyError(_complaint(answer))
        if answer[:1] == b"\x00":
            _write(connection, 0, b"\x01")  # COM_QUIT
    return greeting


def _greeting(packet: bytes) -> Greeting:
    end = packet.index(b"\0", 1)
    first = packet[end + 5 : end + 13]
    rest = packet[end + 32 : end + 44]
    plugin = packet[end + 45 :].partition(b"\0")[0]
    return Greeting(packet[1:end].decode(errors="replace"), first + rest, plugin)


def _login(address: Address, greeting: Greeting) -> bytes:
    plugin = CACHING_SHA2 if greeting.plugin == CACHING_SHA2 else NATIVE
    proof = _proof(plugin, address.password, greeting.challenge)
    user = (address.user or "root").encode()
    flags = CAPABILITIES if address.path else CAPABILITIES & ~WITH_DATABASE
    head = struct.pack("<IIB23x", flags, 1 << 24, UTF8MB4)
    database = address.path.encode() + b"\0" if address.path else b""
    return head + user + b"\0" + bytes([len(proof)]) + proof + database + plugin + b"\0"


def _proof(plugin: bytes, password: str, challenge: bytes) -> bytes:
    """Return what proves *password*; nothing for no password, and for ways that are not known."""
    if not password or plugin not in {NATIVE, CACHING_SHA2}:
        return b""
    return (_sha2_proof if plugin == CACHING_SHA2 else _native_proof)(password, challenge)


def _native_proof(password: str, challenge: bytes) -> bytes:
    """SHA1(password) xor SHA1(challenge + SHA1(SHA1(password))), as the protocol defines it."""
    once = hashlib.sha1(password.encode()).digest()  # noqa: S324 - the protocol's own
    twice = hashlib.sha1(once).digest()  # noqa: S324
    mask = hashlib.sha1(challenge + twice).digest()  # noqa: S324
    return _xor(once, mask)


def _sha2_proof(password: str, challenge: bytes) -> bytes:
    """SHA256(password) xor SHA256(SHA256(SHA256(password)) + challenge), by the protocol."""
    once = hashlib.sha256(password.encode()).digest()
    twice = hashlib.sha256(once).digest()
    return _xor(once, hashlib.sha256(twice + challenge).digest())


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def _read(connection: socket.socket) -> tuple[int, bytes]:
    head = receive(connection, 4)
    return head[3], receive(connection, int.from_bytes(head[:3], "little"))


def _write(connection: socket.socket, sequence: int, body: bytes) -> None:
    connection.sendall(len(body).to_bytes(3, "little") + bytes([sequence]) + body)


def _complaint(packet: bytes) -> str:
    if packet[:1] != b"\xff":
        return f"answered {packet[:20]!r}, which is not MySQL's protocol"
    [code] = struct.unpack("<H", packet[1:3])
    return f"{packet[3:].decode(errors='replace')} ({code})"
