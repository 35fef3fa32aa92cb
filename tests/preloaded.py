"""Processes of Python that begin with their imports done: forks of one that has the modules.

Imports are most of what a short program costs, and the tests start hundreds. Such a process is one
like any other, with its own streams, signals and end; `start` gives what `subprocess.Popen` does.
"""

import atexit
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

SERVER = Path(__file__).with_name("preloading_process.py").read_text("utf-8")
MODULES = (
    "asyncio",
    "holdfast.cli.app",
    "holdfast.fastapi",
    "holdfast.platform",
    "holdfast.records.drivers.sql.sqlite",
    "holdfast.sync",
)


@cache
def _server(flags):
    """Return the connection to a process that was started with *flags*; it ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        command = [sys.executable, *flags, "-c", SERVER, str(theirs.fileno()), *MODULES]
        server = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)

    def end():
        ours.close()
        server.wait()

    atexit.register(end)
    return ours


def start(code, *arguments, cwd=None, env=None, flags=(), stdout=None, stderr=None):
    """Run *code* as `python FLAGS -c CODE ARGUMENTS` in a process of its own.

    It has nothing to read; *stdout* and *stderr* are files, or else pipes.
    """
    return Process(
        {
            "code": code,
            "arguments": [*map(str, arguments)],
            "folder": str(cwd or Path.cwd()),
            "environment": {**(os.environ if env is None else env)},
        },
        _server(flags),
        stdout,
        stderr,
    )


def run(code, *arguments, timeout=None, **options):
    """Run *code* to its end; return what `subprocess.run` does, with text."""
    process = start(code, *arguments, **options)
    out, err = process.communicate(timeout)
    return subprocess.CompletedProcess(code, process.returncode, out.decode(), err.decode())


class Process:
    """A process that was started, as `subprocess.Popen` shows it."""

    def __init__(self, request, server, stdout, stderr):
        self.returncode = None
        self.stdout, out = (None, stdout) if stdout is not None else _pipe()
        self.stderr, err = (None, stderr) if stderr is not None else _pipe()
        reading, writing = os.pipe()
        self._end = os.fdopen(reading, "rb")
        with Path(os.devnull).open("rb") as nothing:
            streams = [each if isinstance(each, int) else each.fileno() for each in (out, err)]
            given = [nothing.fileno(), *streams, writing]
            socket.send_fds(server, [json.dumps(request).encode()], given)
        os.close(writing)
        for own, theirs in ((self.stdout, out), (self.stderr, err)):
            if own is not None:
                theirs.close()
        self.pid = int(self._end.readline())

    def poll(self):
        return self._ended(0)

    def wait(self, timeout=None):
        if self._ended(timeout) is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
        return self.returncode

    def _ended(self, timeout):
        if self.returncode is None:
            with selectors.DefaultSelector() as waiting:
                waiting.register(self._end, selectors.EVENT_READ)
                if waiting.select(timeout):
                    self.returncode = int(self._end.readline())
                    self._end.close()
        return self.returncode

    def communicate(self, timeout=None):
        deadline = None if timeout is None else time.monotonic() + timeout
        read = {each: b"" for each in (self.stdout, self.stderr) if each is not None}
        with selectors.DefaultSelector() as waiting:
            for each in read:
                waiting.register(each, selectors.EVENT_READ)
            while waiting.get_map():
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
                for key, _ in waiting.select(left):
                    piece = os.read(key.fd, 1 << 16)
                    read[key.fileobj] += piece
                    if not piece:
                        waiting.unregister(key.fileobj)
                        key.fileobj.close()
        self.wait(None if deadline is None else max(0, deadline - time.monotonic()))
        return read.get(self.stdout), read.get(self.stderr)

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def kill(self):
        self.send_signal(signal.SIGKILL)


def _pipe():
    reading, writing = os.pipe()
    return os.fdopen(reading, "rb", buffering=0), os.fdopen(writing, "wb", buffering=0)
