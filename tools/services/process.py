"""Processes: found by their command line, started detached, stopped for certain.

A process id alone proves nothing, since ids are used again: what counts is a process that runs the
program and names the server's own folder in an argument.
"""

from __future__ import annotations

import os
import pwd
import re
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tools.services.failure import StartError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

PROC = Path("/proc")
POLL = 0.02  # seconds between two looks at a condition


@dataclass(frozen=True)
class Process:
    pid: int
    arguments: tuple[str, ...]

    def runs(self, programs: Collection[str], folder: Path) -> bool:
        """Whether this is one of *programs*, working in *folder* or below it."""
        if not self.arguments or Path(self.arguments[0]).name not in programs:
            return False
        names_folder = re.compile(rf"(?:^|[=:,\s]){re.escape(str(folder))}(?:[/\s]|$)")
        return any(names_folder.search(argument) for argument in self.arguments[1:])


@dataclass(frozen=True)
class Owner:
    """Whom a process runs as; None stays who we are."""

    user: str | None = None

    def options(self) -> dict[str, object]:
        if self.user is None:
            return {}
        entry = pwd.getpwnam(self.user)
        groups = os.getgrouplist(self.user, entry.pw_gid)
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": groups}

    def give(self, folder: Path) -> None:
        """Make *folder* when it is missing, and hand it over."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.user is not None:
            entry = pwd.getpwnam(self.user)
            os.chown(folder, entry.pw_uid, entry.pw_gid)


def environment(folder: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """What a server sees: nothing of ours but the search path, so that it starts alike anywhere."""
    path = os.environ.get("PATH", os.defpath)
    return {"PATH": path, "HOME": str(folder), "LANG": "C.UTF-8", "TZ": "UTC", **extra}


def running() -> list[Process]:
    """Every live process whose command line we may read; what has ended and lingers is left out."""
    if not (PROC / "self" / "cmdline").exists():
        return _listed_by_ps()
    found = []
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:  # it ended, or it is another user's
                continue
            if line:  # empty for what has ended and lingers
                arguments = line.rstrip(b"\0").split(b"\0")
                found.append(Process(int(entry.name), tuple(map(os.fsdecode, arguments))))
    return found


def lives(pid: int) -> bool:
    """Whether the process has not ended; one that has, and was not collected yet, does not live."""
    try:
        os.kill(pid, 0)
        if not (PROC / "self" / "stat").exists():
            return True
        state = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except (ProcessLookupError, FileNotFoundError):
        return False
    except PermissionError:
        return True
    fields = state.rpartition(")")[2].split()
    threads = int(fields[17])  # the first may have ended while others still hold files and ports
    return threads > 1 if fields[0] == "Z" else fields[0] != "X"


def find(programs: Collection[str], folder: Path, among: Iterable[Process]) -> list[int]:
    """Return the ids of those *among* the processes that are *programs* working in *folder*."""
    return [process.pid for process in among if process.runs(programs, folder)]


def spawn(
    command: Sequence[str], *, folder: Path, log: Path, owner: Owner, env: Mapping[str, str]
) -> int:
    """Start *command* detached, its output in *log*; return its process id.

    It outlives us, closes nothing of ours and has no terminal. The log of the run before is kept
    beside it as `.previous`.
    """
    if log.exists():
        log.replace(log.with_suffix(".previous"))
    with log.open("wb") as output:
        started = subprocess.Popen(
            command,
            cwd=folder,
            env=environment(folder, env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **owner.options(),  # type: ignore[call-overload]
        )
    threading.Thread(target=started.wait, daemon=True).start()  # collects it, should it end first
    pid = int(started.pid)
    while lives(pid) and all(process.pid != pid for process in running()):
        time.sleep(POLL)  # for a moment after its start a program has no command line to find
    return pid


def setup(command: Sequence[str], *, folder: Path, owner: Owner, stdin: str = "") -> str:
    """Run *command* to its end and return what it printed. Raises StartError when it fails."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(folder, {}),
        input=stdin.encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        **owner.options(),  # type: ignore[call-overload]
    )
    output = str(done.stdout.decode(errors="replace"))
    if done.returncode != 0:
        raise StartError(f"{Path(command[0]).name} failed ({done.returncode}):\n{output.rstrip()}")
    return output


def terminate(
    programs: Collection[str], folder: Path, *, politely: signal.Signals, within: float = 15
) -> bool:
    """Ask what runs in *folder* to end, and end it when it has not *within* seconds.

    On return none of it runs; says whether anything did. Raises StartError when it can't be ended.
    """
    pids = find(programs, folder, running())
    if not pids:
        return False
    _send(pids, politely)
    if not _gone(programs, folder, pids, within):
        _send(find(programs, folder, running()), signal.SIGKILL)
        if not _gone(programs, folder, pids, 5):
            raise StartError(f"what runs in {folder} does not end, even when killed")
    return True


def _send(pids: Iterable[int], what: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, what)
        except ProcessLookupError:
            continue
        except PermissionError:
            raise StartError(
                f"process {pid} belongs to another user; stop it as that user"
            ) from None


def _gone(programs: Collection[str], folder: Path, pids: Iterable[int], within: float) -> bool:
    """Whether they end in time. While it ends, one has no command line but its port still."""
    deadline = time.monotonic() + within
    while find(programs, folder, running()) or any(map(lives, pids)):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL)
    return True


def _listed_by_ps() -> list[Process]:
    listing = subprocess.run(
        ["ps", "-axww", "-o", "pid=,command="], capture_output=True, text=True, check=True
    ).stdout
    found = []
    for line in listing.splitlines():
        pid, _, command = line.strip().partition(" ")
        found.append(Process(int(pid), tuple(command.split(maxsplit=1))))
    return found
