"""The platform's programs as processes: started, killed, paused, stopped, their clocks turned."""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

import httpx

from cli.program import PROGRAM, environment
from servers import free_port

PATIENCE = 300.0
HERE = Path(__file__).parents[1]
_FAKETIME = "/usr/lib/*/faketime/libfaketimeMT.so.1"


def faketime():
    """Return the library that turns a program's clock, None where it is not installed."""
    return next(iter(sorted(Path("/").glob(_FAKETIME[1:]))), None)


class Program:
    """One process of `holdfast`, with *words* as its arguments; its output goes to a file.

    Its clock is turned by *library*. That slows each look at a clock: None where none is turned.
    """

    def __init__(self, name, words, folder, settings, library):
        self.name = name
        self.library = library
        self.words = words
        self.before = ()
        """What starts it in its place: a command, and its arguments before the program's."""
        self.log = folder / f"{name}.log"
        self.clock = folder / f"{name}.clock"
        self.settings = settings
        self.process = None
        self.url = None

    @property
    def runs(self):
        return self.process is not None and self.process.poll() is None

    def start(self):
        turned = {}
        if self.library is not None:
            self.turn_clock(0)
            turned = {
                "LD_PRELOAD": str(self.library),
                "FAKETIME_TIMESTAMP_FILE": str(self.clock),
                "FAKETIME_CACHE_DURATION": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.before, *PROGRAM, *self.words],
                env=environment(**self.settings, **turned),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def is_ready(self):
        """Tell whether it takes work, as far as can be seen from outside."""
        return self.runs

    def turn_clock(self, seconds):
        """Let the program's clock be *seconds* before its time; negative ones, behind."""
        coming = self.clock.with_suffix(".coming")
        coming.write_text(f"{seconds:+d}\n")
        coming.replace(self.clock)

    def kill(self):
        """End it and all that it started, as the loss of power does."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def freeze(self):
        self._signal(signal.SIGSTOP)

    def thaw(self):
        self._signal(signal.SIGCONT)

    def stop(self):
        """Let it end in good order; return whether it did within PATIENCE."""
        self._signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        return True

    def _signal(self, number):
        if self.runs:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)


class Server(Program):
    """`holdfast serve` without a worker."""

    def __init__(self, folder, settings, library):
        port = free_port()
        words = ("serve", "--no-worker", "--port", str(port))
        super().__init__("api", words, folder, settings, library)
        self.url = f"http://127.0.0.1:{port}"

    def wait_until_ready(self):
        deadline = time.monotonic() + PATIENCE
        while not self.is_ready():
            if not self.runs or time.monotonic() > deadline:
                raise RuntimeError(self.log.read_text(errors="replace")[-3000:])
            time.sleep(0.1)

    def is_ready(self):
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False


def platform_programs(folder, settings, library):
    """Return the programs of one installation by name, none of them started."""
    words = ("worker", "--concurrency", "3", "--drain", "5")
    workers = [Program(f"worker-{number}", words, folder, settings, library) for number in (1, 2)]
    return {each.name: each for each in (Server(folder, settings, library), *workers)}


def plugged_in(folder):
    """Return a path for Python on which *folder* brings the ledger, as a package does."""
    package = folder / "holdfast_chaos-1.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: holdfast-chaos\nVersion: 1\n")
    (package / "entry_points.txt").write_text("[holdfast.domains]\nledger = chaos.ledger:LEDGER\n")
    return os.pathsep.join(map(str, (folder, HERE, HERE.parent)))
