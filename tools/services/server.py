"""What these tools have to know of a server: data and a few functions."""

from __future__ import annotations

import hashlib
import json
import signal
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tools.services.process import Owner
    from tools.services.source import Source

USER = "holdfast"
PASSWORD = "holdfast-secret"  # noqa: S105 - of servers that only this machine can reach


@dataclass(frozen=True)
class Site:
    """One server in one checkout."""

    folder: Path
    ports: Mapping[str, int]
    programs: Mapping[str, Path]
    owner: Owner
    fast: bool = False

    def program(self, name: str) -> str:
        return str(self.programs[name])


@dataclass(frozen=True)
class Launch:
    """One process: *command* names *folder*, which tells it from every other process.

    *files* are written into the folder before it starts.
    """

    name: str
    command: tuple[str, ...]
    folder: Path
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


def _nothing(_site: Site) -> None:
    return


@dataclass(frozen=True)
class Server:
    """A server: where it comes from, what it runs, where and how it answers.

    *plan* is pure. *prepare* makes what has to lie there before the first start and leaves what
    is there; *settle* is repeated with *ping* until both succeed, so it must bear repetition.
    *ping* takes one URL and raises NotReadyError or OSError unless the server there truly answers.
    *extra* are the endpoints that it may offer beside the one of its own name. *user* is whom it
    runs as when we are root, for those that refuse root. *after* are servers that it needs.
    """

    name: str
    source: Source
    ports: tuple[str, ...]
    plan: Callable[[Site], tuple[Launch, ...]]
    urls: Callable[[Site], dict[str, str]]
    ping: Callable[[str], None]
    prepare: Callable[[Site], None] = _nothing
    settle: Callable[[Site], None] = _nothing
    extra: tuple[str, ...] = ()
    user: str | None = None
    after: tuple[str, ...] = ()
    on_demand: bool = False
    stop_with: signal.Signals = signal.SIGTERM


def digest(launches: tuple[Launch, ...]) -> str:
    """Changes whenever a process would be started in another way."""
    document = json.dumps([asdict(launch) for launch in launches], sort_keys=True, default=str)
    return hashlib.sha256(document.encode()).hexdigest()
