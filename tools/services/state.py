"""What is remembered between runs: `services.json`, replaced whole, and a lock beside it."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import IO, TYPE_CHECKING

from tools.services.failure import ServicesError, StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

POLL = 0.05  # seconds between two looks at a lock


@dataclass(frozen=True)
class Record:
    """A server that was started: where it answers, its processes, and what it was started with."""

    urls: dict[str, str]
    pids: dict[str, int]
    digest: str


@dataclass(frozen=True)
class State:
    ports: dict[str, int] = field(default_factory=dict)
    servers: dict[str, Record] = field(default_factory=dict)


def load(folder: Path) -> State:
    """Return what *folder* remembers; nothing when it was never used."""
    path = folder / "services.json"
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return State()
    try:
        document = json.loads(text)
        ports = {str(name): int(port) for name, port in document["ports"].items()}
        servers = {str(name): Record(**record) for name, record in document["servers"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StateError(
            f"{path} is damaged ({error!r}): stop the servers, delete it and start them again"
        ) from error
    return State(ports, servers)


def save(folder: Path, state: State) -> None:
    """Replace what *folder* remembers; an interrupted save leaves the old state whole."""
    path = folder / "services.json"
    partial = folder / f"services.json.{os.getpid()}"
    partial.write_text(json.dumps(asdict(state), indent=2) + "\n", encoding="utf-8")
    partial.replace(path)


class StateFile:
    """The state of *folder* while this process holds the folder; its threads change it in turn."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._state = load(folder)

    @property
    def state(self) -> State:
        return self._state

    def change(self, change: Callable[[State], State]) -> State:
        """Save what *change* makes of the state, and return it. No other change comes between."""
        with self._lock:
            self._state = change(self._state)
            save(self._folder, self._state)
            return self._state


@contextmanager
def exclusive(
    folder: Path,
    name: str = "lock",
    cancelled: threading.Event | None = None,
    waiting: Callable[[], None] | None = None,
) -> Iterator[int]:
    """Hold *folder* for this thread alone, as long as the descriptor that is yielded is open.

    Another one waits, and calls *waiting* before it does. The end of the process releases it, even
    by a kill, unless a child keeps the descriptor. Raises ServicesError when *cancelled* is set
    meanwhile.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("ab") as lock:
        if not _locked(lock):
            if waiting is not None:
                waiting()
            while not _locked(lock):
                if (cancelled or threading.Event()).wait(POLL):
                    raise ServicesError("interrupted")
        yield lock.fileno()


def _locked(lock: IO[bytes]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
