"""What is remembered between runs: `services.json`, replaced whole, and a lock beside it."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from tools.services.failure import StateError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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


@contextmanager
def exclusive(folder: Path, name: str = "lock") -> Iterator[None]:
    """Hold *folder* for this process alone; another one waits. Released even by a kill."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
