"""Runs the commands that install programs, and ends all of them when the start is interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Protocol

from tools.services.failure import ServicesError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

NICENESS = 10  # what is built gives way to what runs
GRACE = 10.0  # seconds that a command has to end in when asked to


class Run(Protocol):
    """Runs one command to its end, as `Commands.run` does."""

    def __call__(
        self, command: Sequence[str], *, env: Mapping[str, str] | None = None, log: Path
    ) -> int:
        """Return the exit code; what the command printed is in *log*."""
        ...


class Commands:
    """The commands that run now, each in a session of its own. Threads may share one."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()

    def run(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        log: Path,
        lock: int | None = None,
    ) -> int:
        """Run *command* with *env* added to the environment; return its exit code.

        What it prints replaces *log*, where it can be followed. The command and its children keep
        the descriptor *lock* open, so that what it locks stays locked even when we are killed.
        Raises ServicesError when it is cancelled.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            process = self._start(command, {**os.environ, **(env or {})}, output, lock)
        try:
            process.wait()
        finally:
            with self._lock:
                self._running.discard(process)
        if self.cancelled.is_set():
            raise ServicesError("interrupted")
        return process.returncode

    def cancel(self) -> None:
        """End every command with its children, and let no other begin."""
        self.cancelled.set()
        with self._lock:
            running = list(self._running)
        for process in running:
            _signal(process, signal.SIGTERM)
        for process in running:
            try:
                process.wait(GRACE)
            except subprocess.TimeoutExpired:
                _signal(process, signal.SIGKILL)

    def _start(
        self, command: Sequence[str], env: Mapping[str, str], output: IO[bytes], lock: int | None
    ) -> subprocess.Popen[bytes]:
        with self._lock:
            if self.cancelled.is_set():
                raise ServicesError("interrupted")
            process = subprocess.Popen(
                command,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=() if lock is None else (lock,),
            )
            self._running.add(process)
            with suppress(ProcessLookupError):  # it may have ended by now
                os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
        return process


def answer(command: Sequence[str]) -> str:
    """Return what *command*, which takes but a moment, prints: a version, mostly."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    return done.stdout.strip()


def complaint(log: Path) -> str:
    """Return the last line of *log*, where most programs say what is wrong, and its path."""
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
    return f"{last} (all of it: {log})"


def _signal(process: subprocess.Popen[bytes], what: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, what)
