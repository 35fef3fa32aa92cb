"""A server of a test's own, to be killed, restarted and stopped."""

import contextlib
import dataclasses
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import psutil
import pytest
from tools.services import source
from tools.services.failure import NotReadyError
from tools.services.process import Owner, environment
from tools.services.server import Site

from servers import absent, free_port

PATIENCE = 120.0


class OwnServer:
    """One process of *server*, with *extra* arguments; a context manager.

    *ports* are those of servers it needs, *files* is added to the files it reads at its start.
    """

    def __init__(self, server, *extra, ports=None, files=""):
        programs = source.find(server.source)
        if programs is None:
            absent(f"{server.name} is not installed")
        self.server = server
        self.extra = extra
        self.files = files
        # Not below pytest's own folder, which root keeps closed to the server's user.
        self.folder = Path(tempfile.mkdtemp(prefix="holdfast-test-", dir="/var/tmp"))
        self.folder.chmod(0o755)
        self.owner = Owner(server.user if os.geteuid() == 0 else None)
        self.owner.give(self.folder)
        chosen = {name: free_port() for name in server.ports} | (ports or {})
        self.site = Site(self.folder, chosen, programs, self.owner)
        self.process = None

    @property
    def url(self):
        return self.server.urls(self.site)[self.server.name]

    @property
    def port(self):
        return self.site.ports[self.server.name]

    def __enter__(self):
        try:
            self.server.prepare(self.site)
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.kill()
        shutil.rmtree(self.folder)

    def start(self):
        (launch,) = self.server.plan(self.site)
        launch = dataclasses.replace(launch, command=(*launch.command, *self.extra))
        for name, text in launch.files.items():
            (launch.folder / name).write_text(text + self.files)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                launch.command,
                cwd=launch.folder,
                env=environment(launch.folder, launch.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self.owner.options(),
            )
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.server.ping(self.url)
                return
            except (NotReadyError, OSError):
                ended = self.process.poll() is not None
                if ended or time.monotonic() > deadline:
                    pytest.fail((self.folder / "log").read_text()[-2000:])
                time.sleep(0.02)

    def kill(self):
        """As the loss of power does: the server and the processes it made, at once.

        Each session of PostgreSQL is a process with a group of its own: left to notice that its
        parent is gone, on a busy machine it would answer one more statement.
        """
        if self.process is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                parent = psutil.Process(self.process.pid)
                parent.suspend()  # so that it makes no other meanwhile
                family = [parent, *parent.children(recursive=True)]
                for each in family:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        each.kill()
                self.process.wait()
                for each in family:
                    _wait_for_the_end_of(each)
            self.process.wait()
            self.process = None

    def restart(self):
        """End it in good order, and start it again."""
        self.process.send_signal(self.server.stop_with)
        self.process.wait(PATIENCE)
        self.start()


def _wait_for_the_end_of(process):
    """Wait until nothing of *process* runs; whoever inherited it may not have asked for its end."""
    deadline = time.monotonic() + PATIENCE
    with contextlib.suppress(psutil.NoSuchProcess):
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline, f"{process} outlives its end"
            time.sleep(0.005)
