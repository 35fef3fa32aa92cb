"""A standby of PostgreSQL that follows another server, and may take its place."""

import subprocess
import time
from pathlib import Path

from tools.services.postgresql import POSTGRESQL

from records.sql.own_server import PATIENCE, OwnServer
from servers import execute


def copy_primary(primary, standby):
    """Make the data of *standby* by PostgreSQL's own copy of *primary*."""
    copy = Path(primary.site.program("postgres")).with_name("pg_basebackup")
    subprocess.run(
        [str(copy), "-h", "127.0.0.1", "-p", str(primary.port), "-U", "postgres",
         "-D", str(standby.folder / "data"), "-R", "-X", "stream", "-c", "fast"],
        check=True, capture_output=True, **standby.owner.options(),
    )  # fmt: skip


class Standby(OwnServer):
    """A standby of *primary*; *port* is chosen unless it is said."""

    def __init__(self, primary, *, port=None):
        super().__init__(POSTGRESQL, ports=None if port is None else {POSTGRESQL.name: port})
        copy_primary(primary, self)


def wait_until_followed(primary):
    """Wait until a standby streams from *primary*."""
    deadline = time.monotonic() + PATIENCE
    streaming = "SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"
    while not execute(primary.url, streaming):
        assert time.monotonic() < deadline, "the standby does not follow"
        time.sleep(0.1)


def let_commits_wait(primary, standbys):
    """Let commits on *primary* wait for *standbys*: `*` is any one, nothing none."""
    setting = f"ALTER SYSTEM SET synchronous_standby_names = '{standbys}'"
    execute(primary.url, setting, "SELECT pg_reload_conf()")
