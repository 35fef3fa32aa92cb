"""Whom a password is shown to, and who can read what goes over the network."""

import asyncio
import gc
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from tools.services.mariadb import MARIADB
from tools.services.postgresql import POSTGRESQL

from holdfast import open_store
from holdfast.errors import ConfigurationError, UnavailableError
from holdfast.records.drivers.sql.connections.encryption import is_this_machine
from holdfast.records.migrations.sync import Migrations
from records.sql import hostile_server
from records.sql.hostile_server import (
    CLEARTEXT,
    NOTICE,
    SCRAM,
    TLS_REQUEST,
    HostileServer,
    SilentEnd,
)
from records.sql.notes import ENTITIES, reach
from records.sql.own_server import OwnServer
from servers import connected

PASSWORD = "hunter2secret"
ELSEWHERE = "0.0.0.0"


@pytest.fixture(params=["awaited", "blocking"])
def how(request):
    return request.param


def at(server, scheme, host="127.0.0.1", options=""):
    return f"{scheme}://somebody:{PASSWORD}@{host}:{server.port}/data{options}"


@pytest.mark.parametrize("slowly", [False, True], ids=["at once", "byte by byte"])
@pytest.mark.parametrize(
    "answers",
    [(CLEARTEXT,), (NOTICE + CLEARTEXT,), (SCRAM, CLEARTEXT)],
    ids=["first", "after a notice", "after another method"],
)
async def test_postgresql_gets_no_password_in_clear_over_a_plain_connection(how, answers, slowly):
    with HostileServer(hostile_server.postgresql(*answers, slowly=slowly)) as server:
        with pytest.raises((ConfigurationError, UnavailableError)) as caught:
            await reach(at(server, "postgresql"), how)
        assert server.connections, "nobody came"
        assert PASSWORD.encode() not in server.heard
    if answers == (CLEARTEXT,):
        assert isinstance(caught.value, ConfigurationError)
        assert "in clear" in str(caught.value)
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("plugin", [b"mysql_clear_password", b"dialog"])
async def test_mariadb_gets_no_password_in_clear_over_a_plain_connection(how, plugin):
    with HostileServer(hostile_server.mariadb(plugin)) as server:
        with pytest.raises(ConfigurationError, match="in clear"):
            await reach(at(server, "mariadb"), how)
        assert b"somebody" in server.heard
        assert PASSWORD.encode() not in server.heard


@pytest.mark.parametrize("options", ["", "?sslmode=require", "?sslmode=verify-full"])
async def test_a_server_elsewhere_that_declines_tls_learns_nothing(how, options):
    with HostileServer(hostile_server.postgresql(CLEARTEXT)) as server:
        with pytest.raises(UnavailableError) as caught:
            await reach(at(server, "postgresql", ELSEWHERE, options), how)
        assert {bytes(heard) for heard in server.connections} == {TLS_REQUEST}
    assert ("sslmode=disable" in str(caught.value)) is (options == "")


@pytest.mark.parametrize("options", ["", "?sslmode=require", "?sslmode=verify-full"])
async def test_a_mariadb_elsewhere_without_tls_learns_nothing(how, options):
    with HostileServer(hostile_server.mariadb(b"mysql_clear_password")) as server:
        with pytest.raises(UnavailableError) as caught:
            await reach(at(server, "mariadb", ELSEWHERE, options), how)
        assert server.connections
        assert b"somebody" not in server.heard
        assert PASSWORD.encode() not in server.heard
    assert ("sslmode=disable" in str(caught.value)) is (options == "")


@pytest.mark.parametrize(
    ("scheme", "speak"),
    [
        ("postgresql", hostile_server.postgresql(CLEARTEXT)),
        ("mariadb", hostile_server.mariadb(b"mysql_clear_password")),
    ],
)
def test_a_migration_gives_no_password_away_either(scheme, speak, tmp_path):
    for host, options in ((ELSEWHERE, ""), ("127.0.0.1", ""), (ELSEWHERE, "?sslmode=require")):
        with HostileServer(speak) as server:
            with pytest.raises((ConfigurationError, UnavailableError)):
                Migrations(
                    at(server, scheme, host, options), ENTITIES, folder=tmp_path / "migrations"
                ).check()
            assert server.connections, "nobody came"
            assert PASSWORD.encode() not in server.heard


@pytest.mark.parametrize("mode", ["prefer", "allow", "off"])
@pytest.mark.parametrize("scheme", ["postgresql", "mariadb"])
def test_a_mode_that_falls_back_is_refused(scheme, mode):
    with pytest.raises(ConfigurationError, match=r"sslmode.*verify-full"):
        open_store(f"{scheme}://127.0.0.1/data?sslmode={mode}", ENTITIES)


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost", True), ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True),
        ("::ffff:127.0.0.1", True), ("/run/postgresql", True), ("db", False), ("10.0.0.1", False),
        ("localhost.example", False), ("127.0.0.1.example", False), ("0.0.0.0", False),
    ],
)  # fmt: skip
def test_which_hosts_are_this_machine(host, here):
    assert is_this_machine(host) is here


@pytest.fixture(scope="module", params=["postgresql", "mariadb"])
def encrypted(request):
    """A server that takes no plain connections, and the certificate it shows."""
    # Not in pytest's folder, which each other run of pytest takes back from the server's user.
    with tempfile.TemporaryDirectory(prefix="holdfast-tls-") as place:
        folder = Path(place)
        folder.chmod(0o755)
        key, certificate = folder / "server.key", folder / "server.crt"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
             "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
             "-keyout", str(key), "-out", str(certificate)],
            check=True, capture_output=True,
        )  # fmt: skip
        started = _mariadb if request.param == "mariadb" else _postgresql
        with started(key, certificate) as server:
            yield server.url, certificate


@contextmanager
def _mariadb(key, certificate):
    key.chmod(0o644)
    with OwnServer(MARIADB, f"--ssl-cert={certificate}", f"--ssl-key={key}") as server:
        with connected(server.url) as connection, connection.cursor() as cursor:
            cursor.execute("SET GLOBAL require_secure_transport = ON")
        yield server


@contextmanager
def _postgresql(key, certificate):
    with OwnServer(POSTGRESQL) as server:
        own = server.folder / "server.key"
        shutil.copy(key, own)
        if os.geteuid() == 0:
            shutil.chown(own, server.server.user)
        own.chmod(0o600)
        with connected(server.url) as connection:
            connection.execute(f"ALTER SYSTEM SET ssl_cert_file = '{certificate}'")
            connection.execute(f"ALTER SYSTEM SET ssl_key_file = '{own}'")
            connection.execute("ALTER SYSTEM SET ssl = on")
        (server.folder / "data" / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 trust")
        server.process.send_signal(signal.SIGHUP)
        _wait_until_encrypted(server)
        yield server


def _wait_until_encrypted(server):
    """A server that was told to read its settings again does so in steps, TLS being the last."""
    for _ in range(600):
        with socket.create_connection(("127.0.0.1", server.port)) as link:
            link.sendall(TLS_REQUEST)
            if link.recv(1) == b"S":
                return
        time.sleep(0.05)
    pytest.fail("it offers no TLS")


async def test_tls_is_used_and_the_certificate_checked_as_asked(encrypted, how):
    url, certificate = encrypted
    with pytest.raises(ConfigurationError, match="refuses"):
        await reach(url, how)
    elsewhere = url.replace("127.0.0.1", ELSEWHERE)
    assert await reach(f"{url}?sslmode=require", how) == 0
    assert await reach(f"{url}?sslmode=verify-full&sslrootcert={certificate}", how) == 0
    assert await reach(f"{elsewhere}?sslmode=verify-ca&sslrootcert={certificate}", how) == 0
    for refused in (
        f"{elsewhere}?sslrootcert={certificate}",  # in another name
        f"{url}?sslmode=verify-ca",  # signed by nobody that the system knows
    ):
        with pytest.raises(UnavailableError):
            await reach(refused, how)


def test_a_migration_is_encrypted_and_checks_the_certificate(encrypted, tmp_path):
    url, certificate = encrypted
    checked = f"{url}?sslmode=verify-full&sslrootcert={certificate}"
    with pytest.raises((ConfigurationError, UnavailableError)):
        Migrations(f"{url}?sslmode=verify-full", ENTITIES, folder=tmp_path / "migrations").check()
    assert Migrations(checked, ENTITIES, folder=tmp_path / "migrations").history() == ()


async def test_a_wrong_database_is_named_over_tls_too(encrypted, how):
    url, _ = encrypted
    with pytest.raises(ConfigurationError, match="'nowhere'"):
        await reach(f"{url.rpartition('/')[0]}/nowhere?sslmode=require", how)


@pytest.mark.parametrize("database", ["", "/nowhere"])
def test_a_server_that_never_says_goodbye_keeps_no_connection_open(encrypted, database):
    url, _ = encrypted
    port = url.rpartition(":")[2].partition("/")[0]
    with SilentEnd(int(port)) as server:
        there = url.replace(f":{port}", f":{server.port}")
        if database:
            there = there.rpartition("/")[0] + database
        try:
            asyncio.run(reach(f"{there}?sslmode=require", "awaited"))
        except ConfigurationError:
            assert database
        gc.collect()  # a transport that the loop left open says so here
