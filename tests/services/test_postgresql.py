"""A real PostgreSQL with PgBouncer before it, through a crash that leaves a misleading file."""

import os
import signal
import subprocess

import pytest
from tools.services import source
from tools.services.endpoints import endpoints
from tools.services.failure import NotReadyError
from tools.services.lifecycle import reset, start
from tools.services.paths import server_folders
from tools.services.postgresql import PGBOUNCER, POSTGRESQL, ping
from tools.services.process import Owner, find, running
from tools.services.registry import to_start
from tools.services.state import load

SERVERS = (POSTGRESQL, PGBOUNCER)
pytestmark = pytest.mark.skipif(
    any(source.find(server.source) is None for server in SERVERS),
    reason="; ".join(server.source.how() for server in SERVERS),
)


@pytest.fixture
def databases(folder):
    yield folder
    reset(SERVERS, folder)
    for place in server_folders(folder, "postgresql"):
        if place.parent.exists() and place.parent != folder:
            place.parent.rmdir()


def begin(folder):
    for outcome in start(to_start(["pgbouncer"]), folder, fast=True, say=lambda _: None):
        assert outcome.failure is None, outcome.failure


def test_killed_it_starts_again_even_where_its_process_id_is_anothers_now(databases):
    begin(databases)
    old = load(databases).servers["postgresql"].pids["postgresql"]
    [data] = [p / "data" for p in server_folders(databases, "postgresql") if (p / "data").exists()]
    os.kill(old, signal.SIGKILL)
    while find(("postgres",), data, running()):
        pass
    owner = Owner("postgres" if os.geteuid() == 0 else None)
    stranger = subprocess.Popen(
        ["cat"],
        stdin=subprocess.PIPE,
        cwd="/",
        **owner.options(),
    )
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        (data / "postmaster.pid").write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        begin(databases)
        assert stranger.poll() is None
    finally:
        stranger.communicate(b"\n", timeout=60)
    assert {"postgresql", "pgbouncer"} <= set(endpoints(databases))


def test_a_database_that_is_not_there_is_told_by_the_servers_own_words(databases):
    begin(databases)
    url = endpoints(databases)["postgresql"].url
    with pytest.raises(NotReadyError, match=r'database "nowhere" does not exist \(3D000\)'):
        ping(url.replace("/holdfast", "/nowhere"))
