"""PostgreSQL, and PgBouncer in transaction mode before it."""

from __future__ import annotations

import re
import shutil
import signal
import struct
import subprocess
from typing import TYPE_CHECKING

from tools.services.address import connect, parse, receive
from tools.services.failure import NotReadyError
from tools.services.process import find, running, setup
from tools.services.programs.debian import DebianPackages
from tools.services.server import Launch, Server, Site

if TYPE_CHECKING:
    from pathlib import Path

DATABASE = "holdfast"
PROTOCOL_3 = 196_608
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


def ping(url: str) -> None:
    """A session that is let in, or a question for the password when *url* has none to give."""
    address = parse(url)
    database = address.path or address.user
    words = ["user", address.user or "postgres", "database", database or "postgres"]
    body = struct.pack("!i", PROTOCOL_3) + b"".join(word.encode() + b"\0" for word in words) + b"\0"
    with connect(address.host, address.port) as connection:
        connection.sendall(struct.pack("!i", len(body) + 4) + body)
        while True:
            kind, length = struct.unpack("!ci", receive(connection, 5))
            message = receive(connection, length - 4)
            if kind == b"E":
                raise NotReadyError(_complaint(message))
            if kind == b"R" and struct.unpack("!i", message[:4])[0] != 0:
                return  # it is PostgreSQL and wants a password
            if kind == b"Z":
                connection.sendall(b"X\0\0\0\4")
                return
            if kind not in b"RSKN":
                raise NotReadyError(f"answered {kind!r}, which is not PostgreSQL's protocol")


def _complaint(message: bytes) -> str:
    fields = {part[:1]: part[1:].decode(errors="replace") for part in message.split(b"\0") if part}
    return f"{fields.get(b'M', 'no reason given')} ({fields.get(b'C', '?')})"


def _prepare(site: Site) -> None:
    """A cluster with linguistic collation, as in production: what needs code points must ask."""
    data = site.folder / "data"
    if data.exists():
        _forget_stale_pid(data)
        return
    partial = site.folder / "data.partial"
    shutil.rmtree(partial, ignore_errors=True)
    version = subprocess.run(
        [site.program("postgres"), "--version"], capture_output=True, text=True, check=True
    ).stdout
    major = int(re.findall(r"\d+", version)[0])
    collation = ("--locale-provider=icu", "--icu-locale=en-US") if major >= 15 else ()
    initdb = (site.program("initdb"), "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C")
    setup(
        (*initdb, *collation, "--no-sync", "-D", str(partial)), folder=site.folder, owner=site.owner
    )
    setup(
        (site.program("postgres"), "--single", "-D", str(partial), "postgres"),
        folder=site.folder,
        owner=site.owner,
        stdin=f"CREATE DATABASE {DATABASE}\n",
    )
    partial.rename(data)


def _forget_stale_pid(data: Path) -> None:
    """After a kill the id there may be another process's, and PostgreSQL would not start."""
    if not find(("postgres",), data, running()):
        (data / "postmaster.pid").unlink(missing_ok=True)


def _plan(site: Site) -> tuple[Launch, ...]:
    data = site.folder / "data"
    settings = (
        "listen_addresses=127.0.0.1",
        f"port={site.ports['postgresql']}",
        "unix_socket_directories=",
        "max_connections=200",
        "shared_buffers=64MB",
        "log_timezone=UTC",
        "timezone=UTC",
        *(FAST if site.fast else ()),
    )
    flags = tuple(part for setting in settings for part in ("-c", setting))
    return (Launch("postgresql", (site.program("postgres"), "-D", str(data), *flags), data),)


def _urls(site: Site) -> dict[str, str]:
    port = site.ports["postgresql"]
    return {"postgresql": f"postgresql://postgres@127.0.0.1:{port}/{DATABASE}"}


def _plan_pgbouncer(site: Site) -> tuple[Launch, ...]:
    upstream = f"host=127.0.0.1 port={site.ports['postgresql']} user=postgres"
    settings = f"""\
[databases]
* = {upstream}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {site.ports["pgbouncer"]}
unix_socket_dir =
auth_type = any
pool_mode = transaction
max_client_conn = 500
default_pool_size = 20
ignore_startup_parameters = extra_float_digits
"""
    path = site.folder / "pgbouncer.ini"
    command = (site.program("pgbouncer"), str(path))
    return (Launch("pgbouncer", command, site.folder, files={path.name: settings}),)


def _pgbouncer_urls(site: Site) -> dict[str, str]:
    port = site.ports["pgbouncer"]
    return {"pgbouncer": f"postgresql://postgres@127.0.0.1:{port}/{DATABASE}"}


POSTGRESQL = Server(
    name="postgresql",
    source=DebianPackages(
        debian=("postgresql",),
        binaries=("postgres", "initdb"),
        folders=(
            "/usr/lib/postgresql/*/bin",
            "/usr/pgsql-*/bin",
            "/opt/homebrew/opt/postgresql*/bin",
        ),
    ),
    ports=("postgresql",),
    plan=_plan,
    urls=_urls,
    ping=ping,
    prepare=_prepare,
    user="postgres",
    stop_with=signal.SIGINT,  # ends sessions; SIGTERM would wait for them
)

PGBOUNCER = Server(
    name="pgbouncer",
    source=DebianPackages(debian=("pgbouncer",), binaries=("pgbouncer",)),
    ports=("pgbouncer",),
    plan=_plan_pgbouncer,
    urls=_pgbouncer_urls,
    ping=ping,
    user="postgres",
    after=("postgresql",),
)
