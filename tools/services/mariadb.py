"""MariaDB."""

from __future__ import annotations

import hashlib
import shutil
import struct
from typing import TYPE_CHECKING

from tools.services.address import Address, connect, parse, receive
from tools.services.failure import NotReadyError
from tools.services.process import setup
from tools.services.server import Launch, Server, Site
from tools.services.source import Packages

if TYPE_CHECKING:
    import socket

DATABASE = "holdfast"
# protocol 4.1, long password, connect with database, secure connection, plugin name
CAPABILITIES = 0x0200 | 0x0001 | 0x0008 | 0x8000 | 0x0008_0000
UTF8MB4 = 45
PLUGIN = b"mysql_native_password"


def ping(url: str) -> None:
    """A login that succeeds, or one that is asked for more than the native password."""
    address = parse(url)
    with connect(address.host, address.port) as connection:
        _sequence, greeting = _read(connection)
        if greeting[:1] != b"\x0a":
            raise NotReadyError(_complaint(greeting))
        _write(connection, 1, _login(address, _challenge(greeting)))
        _sequence, answer = _read(connection)
        if answer[:1] == b"\xff":
            raise NotReadyError(_complaint(answer))
        if answer[:1] == b"\x00":
            _write(connection, 0, b"\x01")  # COM_QUIT


def _login(address: Address, challenge: bytes) -> bytes:
    proof = _native_proof(address.password, challenge) if address.password else b""
    user = (address.user or "root").encode()
    flags = CAPABILITIES if address.path else CAPABILITIES & ~0x0008
    head = struct.pack("<IIB23x", flags, 1 << 24, UTF8MB4)
    database = address.path.encode() + b"\0" if address.path else b""
    return head + user + b"\0" + bytes([len(proof)]) + proof + database + PLUGIN + b"\0"


def _native_proof(password: str, challenge: bytes) -> bytes:
    """SHA1(password) xor SHA1(challenge + SHA1(SHA1(password))), as the protocol defines it."""
    once = hashlib.sha1(password.encode()).digest()  # noqa: S324 - the protocol's own
    twice = hashlib.sha1(once).digest()  # noqa: S324
    mask = hashlib.sha1(challenge + twice).digest()  # noqa: S324
    return bytes(a ^ b for a, b in zip(once, mask, strict=True))


def _challenge(greeting: bytes) -> bytes:
    after_version = greeting.index(b"\0", 1) + 1
    first = greeting[after_version + 4 : after_version + 12]
    rest = greeting[after_version + 31 : after_version + 43]
    return first + rest


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


def _prepare(site: Site) -> None:
    data = site.folder / "data"
    if data.exists():
        return
    partial = site.folder / "data.partial"
    shutil.rmtree(partial, ignore_errors=True)
    command = (
        site.program("mariadb-install-db"),
        "--no-defaults",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
        f"--datadir={partial}",
    )
    setup(command, folder=site.folder, owner=site.owner)
    partial.rename(data)


def _plan(site: Site) -> tuple[Launch, ...]:
    """The socket's path is relative to the data: an absolute one may be too long for the system."""
    data = site.folder / "data"
    create = site.folder / "create.sql"
    fast = ("--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0") if site.fast else ()
    command = (
        site.program("mariadbd"),
        "--no-defaults",
        f"--datadir={data}",
        f"--tmpdir={site.folder}",
        "--bind-address=127.0.0.1",
        f"--port={site.ports['mariadb']}",
        "--socket=mariadb.sock",
        "--pid-file=mariadb.pid",
        f"--init-file={create}",
        "--skip-name-resolve",
        "--max-connections=200",
        "--innodb-buffer-pool-size=64M",
        "--character-set-server=utf8mb4",
        *fast,
    )
    statement = f"CREATE DATABASE IF NOT EXISTS {DATABASE} CHARACTER SET utf8mb4;\n"
    return (Launch("mariadb", command, site.folder, files={create.name: statement}),)


def _urls(site: Site) -> dict[str, str]:
    return {"mariadb": f"mariadb://root@127.0.0.1:{site.ports['mariadb']}/{DATABASE}"}


MARIADB = Server(
    name="mariadb",
    source=Packages(
        debian=("mariadb-server",),
        programs=("mariadbd", "mariadb-install-db"),
        folders=("/opt/homebrew/opt/mariadb*/bin",),
    ),
    ports=("mariadb",),
    plan=_plan,
    urls=_urls,
    ping=ping,
    prepare=_prepare,
    user="mysql",
)
