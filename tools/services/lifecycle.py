"""Start and stop: a server that runs as it should is left alone, any other one is put right."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tools.services import source as sources
from tools.services.failure import MissingError, NotReadyError, ServicesError, StartError
from tools.services.places import home, homes
from tools.services.ports import allocate, base, is_free
from tools.services.process import Owner, find, lives, running, spawn, terminate
from tools.services.server import Launch, Server, Site, digest
from tools.services.state import Record, State, exclusive, load, save

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

DEADLINE = 60.0  # seconds that a server has to answer in
POLL = 0.05  # seconds between two questions
TAIL = 15  # lines of its log that an error shows


@dataclass(frozen=True)
class Outcome:
    """How starting *server* went: it answers at *urls*, or *failure* says why it does not."""

    server: Server
    urls: dict[str, str]
    failure: ServicesError | None = None


@dataclass(frozen=True)
class _Attempt:
    server: Server
    site: Site
    launches: tuple[Launch, ...]
    pids: dict[str, int]


def start(
    servers: Sequence[Server],
    folder: Path,
    *,
    fast: bool = False,
    say: Callable[[str], None] = print,
) -> list[Outcome]:
    """Install, start and wait for each of *servers*; return how each went, in their order.

    Idempotent: what runs with the same settings is left alone. All are launched before the first
    is waited for. One that fails is ended, and keeps only those from starting that need it.
    """
    outcomes: dict[str, Outcome] = {}
    attempts: list[_Attempt] = []
    with exclusive(folder):
        (folder / ".gitignore").write_text("*\n", encoding="utf-8")
        state = load(folder)
        _install_packages(servers, say)
        for server in servers:
            try:
                _require(server, outcomes)
                if sources.find(server.source) is None:
                    say(f"{server.name}: installing, once")
                programs = sources.install(server.source)
                state = _choose_ports(server, folder, state)
                owner = Owner(server.user if os.geteuid() == 0 else None)
                place = home(folder, server.name, owner.user)
                site = Site(place, state.ports, programs, owner, fast)
                attempts.append(_launch(server, site, state.servers.get(server.name)))
            except (ServicesError, OSError) as error:
                outcomes[server.name] = _failed(server, error)
        for attempt in attempts:
            name = attempt.server.name
            others = {known: record for known, record in state.servers.items() if known != name}
            try:
                _require(attempt.server, outcomes)
                urls = _wait(attempt)
            except (ServicesError, OSError) as error:
                _end(attempt.server, folder)
                outcomes[name] = _failed(attempt.server, error)
            else:
                others[name] = Record(urls, attempt.pids, digest(attempt.launches))
                outcomes[name] = Outcome(attempt.server, urls)
            state = State(state.ports, others)
        save(folder, state)
    return [outcomes[server.name] for server in servers]


def stop(servers: Sequence[Server], folder: Path) -> list[str]:
    """End every process of *servers*, politely, then by force; return the names of those that ran.

    Nothing of theirs runs on return, even where the remembered state was lost. Data stays.
    """
    with exclusive(folder):
        stopped = [server.name for server in reversed(servers) if _end(server, folder)]
        state = load(folder)
        names = {server.name for server in servers}
        left = {name: record for name, record in state.servers.items() if name not in names}
        save(folder, State(state.ports, left))
    return stopped


def reset(servers: Sequence[Server], folder: Path) -> None:
    """Stop *servers* and delete all that they keep."""
    stop(servers, folder)
    for server in servers:
        for place in homes(folder, server.name):
            if place.exists():
                shutil.rmtree(place)


def _failed(server: Server, error: ServicesError | OSError) -> Outcome:
    failure = error if isinstance(error, ServicesError) else StartError(str(error))
    return Outcome(server, {}, failure)


def _require(server: Server, outcomes: dict[str, Outcome]) -> None:
    for name in server.after:
        failure = outcomes[name].failure if name in outcomes else None
        if isinstance(failure, MissingError):
            raise MissingError(f"needs {name}, which is missing", failure.how)
        if failure is not None:
            raise StartError(f"needs {name}, which does not start")


def _install_packages(servers: Sequence[Server], say: Callable[[str], None]) -> None:
    """All in one run of the package manager, which costs as much as one package does."""
    wanted = [server.source for server in servers if isinstance(server.source, sources.Packages)]
    lacking = [source for source in wanted if sources.find(source) is None]
    names = sorted({name for source in lacking for name in source.debian})
    if len(names) > 1 and os.geteuid() == 0 and shutil.which("apt-get"):
        say(f"installing {', '.join(names)}, once")
        try:
            sources.install_packages(names)
        except MissingError:
            return  # each is tried alone after this, and says what is wrong with it


def _choose_ports(server: Server, folder: Path, state: State) -> State:
    """Remember ports for *server*. One that somebody took while it stood still is replaced."""
    if server.name not in state.servers:
        _end(server, folder)  # it answers nobody knows where
    kept = dict(state.ports)
    if not _pids(server, folder):
        kept = {n: port for n, port in kept.items() if n not in server.ports or is_free(port)}
    chosen = State(
        allocate(server.ports, remembered=kept, start=base(folder)),
        state.servers,
    )
    save(folder, chosen)
    return chosen


def _launch(server: Server, site: Site, record: Record | None) -> _Attempt:
    site.owner.give(site.folder)
    programs = sources.names(server.source)
    if not find(programs, site.folder, running()):
        server.prepare(site)
    launches = server.plan(site)
    if record is None or record.digest != digest(launches):
        terminate(programs, site.folder, politely=server.stop_with)
    pids = {}
    for launch in launches:
        alive = find(programs, launch.folder, running())
        pids[launch.name] = alive[0] if alive else _spawn(launch, site)
    return _Attempt(server, site, launches, pids)


def _spawn(launch: Launch, site: Site) -> int:
    site.owner.give(launch.folder)
    for name, text in launch.files.items():
        (launch.folder / name).write_text(text, encoding="utf-8")
    log = _log(launch, site)
    return spawn(launch.command, folder=launch.folder, log=log, owner=site.owner, env=launch.env)


def _wait(attempt: _Attempt) -> dict[str, str]:
    """Return the URLs once all of them answer and every process lives.

    Raises StartError when one ends or the deadline passes.
    """
    server, site = attempt.server, attempt.site
    deadline = time.monotonic() + DEADLINE
    while True:
        failure: Exception | None = None
        urls = server.urls(site)
        try:
            server.settle(site)
            for url in urls.values():
                server.ping(url)
        except (NotReadyError, OSError) as error:
            failure = error
        for launch in attempt.launches:
            if not lives(attempt.pids[launch.name]):
                raise StartError(f"{launch.name} ended while starting; {_tail(launch, site)}")
        if failure is None:
            return urls
        if time.monotonic() > deadline:
            said = "; ".join(_tail(launch, site) for launch in attempt.launches)
            raise StartError(f"does not answer within {DEADLINE:.0f} s ({failure}); {said}")
        time.sleep(POLL)


def _log(launch: Launch, site: Site) -> Path:
    return site.folder / f"{launch.name}.log"


def _tail(launch: Launch, site: Site) -> str:
    log = _log(launch, site)
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    return "\n  ".join([f"{log} ends:", *lines[-TAIL:]])


def _pids(server: Server, folder: Path) -> list[int]:
    programs, alive = sources.names(server.source), running()
    places = homes(folder, server.name)
    return [pid for place in places for pid in find(programs, place, alive)]


def _end(server: Server, folder: Path) -> bool:
    programs = sources.names(server.source)
    ended = [
        terminate(programs, place, politely=server.stop_with)
        for place in homes(folder, server.name)
    ]
    return any(ended)
