"""Real Redis servers on free loopback ports, to be killed, stopped and restarted."""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import time

import pytest


def require(binary):
    if shutil.which(binary) is None:
        if os.environ.get("HOLDFAST_REQUIRE_SERVERS") == "1":
            pytest.fail(f"{binary} is not installed, and HOLDFAST_REQUIRE_SERVERS=1")
        pytest.skip(f"{binary} is not installed")


def free_port():
    """Return a port below those of outgoing connections: one of them to a server that is down
    could else be given the server's own port, and connect to itself."""
    while True:
        port = random.randrange(12_000, 32_000)
        with socket.socket() as taken, contextlib.suppress(OSError):
            taken.bind(("127.0.0.1", port))
            return port


class RedisServer:
    """One redis-server process with its data in *folder*; a context manager."""

    def __init__(self, folder, *options, program="redis-server"):
        self.folder = folder
        self.port = free_port()
        self.options = options
        self.program = program
        self.process = None

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()

    def start(self):
        command = [self.program, *self.options, "--port", str(self.port), "--bind", "127.0.0.1"]
        self.process = subprocess.Popen(
            [*command, "--dir", str(self.folder), "--save", ""],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 10
        while True:
            try:
                if self.ask("PING") in {"+PONG", "-NOAUTH Authentication required."}:
                    return
            except OSError:
                pass
            assert self.process.poll() is None, "redis-server ended at its start"
            assert time.monotonic() < deadline, "redis-server does not answer"

    def kill(self):
        """As a crash does."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
            self.process = None

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def ask(self, *words):
        """Return the first line that a plain socket gets for a command."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as plain:
            parts = b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in map(str.encode, words))
            plain.sendall(b"*%d\r\n%s" % (len(words), parts))
            with plain.makefile("rb") as answers:
                return answers.readline().decode().rstrip("\r\n")
