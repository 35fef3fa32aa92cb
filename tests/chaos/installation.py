"""The two installations that are hurt: on servers of their own, and the embedded default."""

import time
from contextlib import ExitStack

from tools.services.postgresql import POSTGRESQL
from tools.services.s3 import MINIO, PASSWORD, USER
from tools.services.toxiproxy import TOXIPROXY

from cache.servers import RedisServer, Toxic
from chaos.programs import faketime, platform_programs, plugged_in
from chaos.small_disk import MIB, SmallDisk, why_not
from records.sql.own_server import OwnServer
from records.sql.standby import copy_primary, let_commits_wait, wait_until_followed
from servers import execute

DISK = 768 * MIB
LEASE = 5
_KEPT = ("left-upload", "all")
"""Plants that upkeep would remove, were it asked to."""
_SESSIONS = "SELECT pid, state, left(query, 80) FROM pg_stat_activity WHERE datname = 'holdfast'"
_SMALL = ("-c", "max_wal_size=128MB", "-c", "min_wal_size=32MB")


class SmallServer(OwnServer):
    """A server of the run's own, whose folder is a small disk where one can be had."""

    def __init__(self, server, *extra, small):
        super().__init__(server, *extra)
        self.disk = None
        if small:
            self.disk = SmallDisk(self.folder, DISK)
            self.owner.give(self.folder)
            self.folder.chmod(0o755)

    def __exit__(self, *_):
        self.kill()
        if self.disk is not None:
            self.disk.unmount()
        super().__exit__()


class Standby(SmallServer):
    """A standby of *primary*, which waits for it with each commit."""

    def __init__(self, primary, *, small):
        super().__init__(POSTGRESQL, *_SMALL, small=small)
        copy_primary(primary, self)


class Installation:
    """The platform's programs in *folder*; *small* says whether disks can be filled."""

    no_clock = "the programs of one machine have one clock"
    """Why no program's clock is turned; None where they are."""

    def __init__(self, folder, planted):
        self.folder = folder
        self.planted = planted
        self.no_disk = why_not(folder)
        self.small = self.no_disk is None
        self.stack = ExitStack()
        self.programs = {}

    def settings(self):
        """Return the environment of the platform's programs."""
        return {
            "HOLDFAST_DATA": str(self.data),
            "HOLDFAST_DOMAINS": "access,audit,figures,hosts,jobs,media,models,ledger",
            "HOLDFAST_LEASE": str(LEASE),
            "HOLDFAST_LIMITS_REQUEST_TIME": "15",
            "HOLDFAST_LIMITS_REQUEST_RATE": "100000",
            "HOLDFAST_LIMITS_REQUEST_BURST": "100000",
            "HOLDFAST_LIMITS_UPLOAD_AGE": "86400" if self.planted in _KEPT else "1",
            "HOLDFAST_CHAOS_PLANT": self.planted or "",
            "PYTHONPATH": plugged_in(self.folder / "path"),
        }

    @property
    def data(self):
        return self.folder / "data"

    @property
    def server(self):
        return self.programs["api"]

    def __enter__(self):
        with self.stack:
            self.open()
            self._settings = self.settings()
            library = faketime() if self.no_clock is None else None
            self.programs = platform_programs(self.folder, self._settings, library)
            for program in self.programs.values():
                self.stack.callback(program.kill)
                program.start()
            self.server.wait_until_ready()
            self.stack = self.stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def open(self):
        """Start what the platform stands on."""
        raise NotImplementedError

    def settings_now(self):
        """Return the environment that the programs were started with."""
        return self._settings

    def heal(self):
        """End every fault, and start what is down."""
        for program in self.programs.values():
            program.thaw()
            if not program.runs:
                program.start()
            program.turn_clock(0)
        self.server.wait_until_ready()

    def left_open(self):
        """Return what servers still hold of the platform, whose programs have ended, by kind."""
        return {}

    def held(self):
        """Return what the platform holds while it is idle and should hold nothing, by kind."""
        return {}


class Embedded(Installation):
    """SQLite, a folder and memory, on one disk."""

    def open(self):
        self.data.mkdir()
        self.disk = None
        if self.small:
            self.disk = SmallDisk(self.data, DISK)
            self.stack.callback(self.disk.unmount)

    def disks(self):
        return {} if self.disk is None else {"the data folder": self.disk}

    def heal(self):
        if self.disk is not None:
            self.disk.relieve()
        super().heal()


class Served(Installation):
    """PostgreSQL with a standby, MinIO and Redis, each reached by a line of its own."""

    no_clock = "libfaketime is not installed" if faketime() is None else None

    def open(self):
        enter = self.stack.enter_context
        proxies = enter(OwnServer(TOXIPROXY))
        self.primary = SmallServer(POSTGRESQL, *_SMALL, small=self.small)
        self.standby = None
        self.stack.callback(self._close_databases)
        self.primary.__enter__()
        self.minio = enter(SmallServer(MINIO, small=self.small))
        (self.folder / "redis").mkdir()
        self.redis = enter(RedisServer(self.folder / "redis"))
        self.lines = {
            "PostgreSQL": enter(Toxic(proxies.url, self.primary)),
            "MinIO": enter(Toxic(proxies.url, self.minio)),
            "Redis": enter(Toxic(proxies.url, self.redis)),
        }
        self._follow()

    def settings(self):
        database, objects, cache = (line.port for line in self.lines.values())
        return {
            **super().settings(),
            "HOLDFAST_STORE": f"postgresql://postgres@127.0.0.1:{database}/holdfast",
            "HOLDFAST_BUCKET": f"s3://chaos?endpoint_url=http://127.0.0.1:{objects}&create=true",
            "HOLDFAST_CACHE": f"redis://127.0.0.1:{cache}/0",
            "HOLDFAST_S3_MULTIPART_THRESHOLD": "5MiB",
            "AWS_ACCESS_KEY_ID": USER,
            "AWS_SECRET_ACCESS_KEY": PASSWORD,
            "AWS_REGION": "us-east-1",
        }

    def disks(self):
        disks = {"PostgreSQL": self.primary.disk, "MinIO": self.minio.disk}
        return {name: disk for name, disk in disks.items() if disk is not None}

    def servers(self):
        return {"PostgreSQL": self.primary, "MinIO": self.minio, "Redis": self.redis}

    def fail_over(self):
        """Kill the primary, lead the line to the standby, and make a new standby."""
        old, self.primary, self.standby = self.primary, self.standby, None
        old.kill()
        execute(self.primary.url, "SELECT pg_promote()")
        let_commits_wait(self.primary, "")
        line = self.lines["PostgreSQL"]
        line._call("POST", f"/proxies/{line.name}", upstream=f"127.0.0.1:{self.primary.port}")
        old.__exit__()
        self._follow()

    def _follow(self):
        """Give the primary a standby, and let commits wait for it from when it follows."""
        standby = Standby(self.primary, small=self.small)
        standby.__enter__()
        self.standby = standby
        wait_until_followed(self.primary)
        let_commits_wait(self.primary, "*")

    def _close_databases(self):
        for each in (self.standby, self.primary):
            if each is not None:
                each.__exit__()

    def heal(self):
        for disk in self.disks().values():
            disk.relieve()
        for server in self.servers().values():
            if server.process is None or server.process.poll() is not None:
                server.kill()
                server.start()
        for line in self.lines.values():
            line.heal()
        super().heal()

    def held(self):
        rows = execute(
            self.primary.url,
            f"{_SESSIONS} AND state LIKE 'idle in transaction%' "
            "AND xact_start < now() - interval '20 seconds'",
        )
        return {"transaction": [str(row) for row in rows]}

    def left_open(self):
        """Wait a while for what was broken off to be noticed."""
        deadline = time.monotonic() + 60
        while True:
            database = execute(
                self.primary.url,
                f"{_SESSIONS} AND pid <> pg_backend_pid() AND backend_type = 'client backend'",
            )
            cache = [
                line
                for line in self.redis.say("CLIENT", "LIST").splitlines()
                if "cmd=client|list" not in line and line
            ]
            if not (database or cache) or time.monotonic() > deadline:
                return {
                    "connection to PostgreSQL": [str(row) for row in database],
                    "connection to Redis": cache,
                }
            time.sleep(0.5)
