"""The provider of worker processes on this host: each runs `holdfast worker`.

A folder for each token holds a file `lock`, which the process has locked (flock) from before its
start to its end and which names its pid, so whether it lives is never guessed, whoever is killed
and whatever pids are used again. A file `ended` there is the wish that it ends: nothing is started
for that token any more.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from holdfast.errors import ServiceError, StorageError, UnavailableError
from holdfast.hosts.provider import Instance, InstanceState

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import timedelta

    from holdfast.hosts.host_entities import Template

PROCESS = "process"

# Runs in a process of its own, which leaves the worker as its child to the system and ends when
# that has begun. The lock is handed on, and with it the fact that there is a worker.
_STARTER = """
import os, sys
lock, folder, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
begun, begins = os.pipe()
if os.fork():
    os.close(begins)
    os.read(begun, 1)
    os._exit(0)
os.setsid()
os.pwrite(lock, b"%d" % os.getpid(), 0)
if os.path.exists(folder + "/ended"):
    os._exit(0)
log = os.open(folder + "/log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
os.dup2(log, 1)
os.dup2(log, 2)
os.execv(command[0], command)
"""
_WAIT = 2.0  # seconds for somebody else's launch of the same token


class WorkerProcesses:
    """Starts and ends worker processes, whose state is below *folder*, by *command*.

    They go on when the process that started them ends; at most *most* live at a time, whatever
    templates say. The name is of the host and the folder, so that each host has its own. *command*
    is an absolute path and its arguments, of a program that hands none of its open files on to
    others that outlive it: as long as one has the lock, the worker lives.
    """

    type = PROCESS

    def __init__(self, folder: Path, command: Sequence[str], *, most: int) -> None:
        self._folder = folder.absolute()
        self._command = list(command)
        self._most = most
        digest = hashlib.sha256(str(self._folder).encode()).hexdigest()[:12]
        self.name = f"{PROCESS} {socket.gethostname()[:100]} {digest}"

    @classmethod
    def of_data(cls, data: Path, pool: str, *, most: int) -> WorkerProcesses:
        """Return the provider of the workers of *pool* on the data folder *data*."""
        program = "from holdfast.cli import main; main()"
        command = [sys.executable, "-c", program, "worker", "--data", str(data.absolute())]
        folder = hashlib.sha256(pool.encode()).hexdigest()[:12]  # a pool's name may be no path
        return cls(data / "hosts" / folder, command, most=most)

    async def launch(self, token: UUID, template: Template) -> Instance:  # noqa: ARG002
        """Start a worker for *token*, in the environment and the folder of this process."""
        return await asyncio.to_thread(self._launch, token)

    async def end(self, token: UUID, *, at_once: bool = False) -> None:
        """Ask the worker to finish the job at hand and end; *at_once* kills it."""
        await asyncio.to_thread(self._end, token, at_once)

    async def instances(self) -> list[Instance]:
        """Return all workers that were started here and not forgotten."""
        return await asyncio.to_thread(self._instances)

    async def forget(self, older_than: timedelta) -> int:
        """Remove what is kept of workers that ended longer ago; return how many there were."""
        return await asyncio.to_thread(self._forget, older_than.total_seconds())

    def _launch(self, token: UUID) -> Instance:
        place = self._place(token)
        with _opened(place / "lock") as lock:
            waited = time.monotonic() + _WAIT
            while not _locked(lock):
                if _pid(lock) is not None:
                    return self._instance(place, lock)
                if time.monotonic() > waited:
                    raise UnavailableError(f"somebody else launches the worker {token} now")
                time.sleep(0.01)
            if (place / "ended").exists():
                raise ServiceError("launch", 409, "Ended", f"the worker {token} is to end")
            if _pid(lock) is None:
                self._start(place, lock)
            # What was started has the lock too. Had it been started earlier, it is gone.
        with _opened(place / "lock") as lock:
            return self._instance(place, lock)

    def _start(self, place: Path, lock: int) -> None:
        """Start a worker that has *lock* from now on, if there is room for it."""
        with _opened(self._folder / "starting") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)  # one after the other counts and starts
            others = [each for each in self._places() if each != place]
            if sum(map(_lives, others)) >= self._most:
                raise UnavailableError(f"this host has {self._most} workers, as many as it may")
            arguments = [str(lock), str(place), *self._command]
            starter = [sys.executable, "-I", "-S", "-c", _STARTER, *arguments]
            subprocess.run(  # noqa: S603 - our own program
                starter, pass_fds=[lock], stdin=subprocess.DEVNULL, check=True
            )

    def _end(self, token: UUID, at_once: bool) -> None:
        place = self._place(token)
        (place / "ended").touch()
        with _opened(place / "lock") as lock:
            if _locked(lock):
                return
            pid = _pid(lock)
            if pid is None:
                return  # it is being started, and looks for the wish itself
            if not at_once and (place / "asked").exists():
                return  # a second signal would have it drop the job at hand
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL if at_once else signal.SIGTERM)
            (place / "asked").touch()

    def _instances(self) -> list[Instance]:
        found: list[Instance] = []
        for place in self._places():
            with _opened(place / "lock") as lock:
                if _pid(lock) is not None:
                    found.append(self._instance(place, lock))
        return found

    def _forget(self, age: float) -> int:
        forgotten = 0
        for place in self._places():
            with _opened(place / "lock") as lock:
                last = max(each.stat().st_mtime for each in place.iterdir())
                if _locked(lock) and time.time() - last > age:
                    shutil.rmtree(place)
                    forgotten += 1
        return forgotten

    def _instance(self, place: Path, lock: int) -> Instance:
        pid = _pid(lock)
        if _locked(lock):
            state = InstanceState.ENDED
        elif (place / "ended").exists():
            state = InstanceState.ENDING
        elif _paused(pid):
            state = InstanceState.STOPPED
        else:
            state = InstanceState.RUNNING
        return Instance(UUID(place.name), f"{socket.gethostname()[:100]}:{pid}", state)

    def _place(self, token: UUID) -> Path:
        place = self._folder / str(token)
        try:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"{str(place)!r} can't be made: {error.strerror}") from error
        return place

    def _places(self) -> list[Path]:
        if not self._folder.exists():
            return []
        return sorted(each for each in self._folder.iterdir() if each.is_dir())


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """Open a file, that is made if need be; its lock goes with it, unless somebody else has it."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield lock
    finally:
        os.close(lock)


def _lives(place: Path) -> bool:
    """Return whether a process was started for the token of *place*, and has not ended."""
    with _opened(place / "lock") as lock:
        return _pid(lock) is not None and not _locked(lock)


def _locked(lock: int) -> bool:
    """Take the lock if it is free, and tell whether this is the one who has it now."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _pid(lock: int) -> int | None:
    """Return the pid of what was started with the lock, None when nothing was."""
    text = os.pread(lock, 20, 0)
    return int(text) if text else None


def _paused(pid: int | None) -> bool:
    """Return whether a process is stopped by a signal, where the system shows it."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat.rpartition(b")")[2].split()[0] == b"T"
