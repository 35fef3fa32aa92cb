"""Start and stop: a server that runs as it should is left alone, any other one is put right."""

from __future__ import annotations

import os
import shutil
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tools.services.failure import MissingError, NotReadyError, ServicesError, StartError
from tools.services.installer import Installer
from tools.services.paths import server_folder, server_folders
from tools.services.ports import allocate, base, is_free
from tools.services.process import Owner, find, lives, running, spawn, terminate
from tools.services.server import Launch, Server, Site, digest
from tools.services.state import Record, State, StateFile, exclusive, load, save

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


@dataclass(frozen=True)
class _Run:
    """One start of several servers, shared by a thread for each."""

    folder: Path
    fast: bool
    say: Callable[[str], None]
    installer: Installer
    state: StateFile

    def remember(self, name: str, record: Record | None) -> None:
        def changed(state: State) -> State:
            others = {known: other for known, other in state.servers.items() if known != name}
            return State(state.ports, others if record is None else {**others, name: record})

        self.state.change(changed)


def start(
    servers: Sequence[Server],
    folder: Path,
    *,
    fast: bool = False,
    say: Callable[[str], None] = print,
) -> list[Outcome]:
    """Install, start and wait for each of *servers*; return how each went, in their order.

    Idempotent: what runs with the same settings is left alone. Each is started as soon as its
    programs are here, while others are still being built, and is remembered once it answers. One
    that fails is ended, and keeps only those from starting that need it.
    """
    with exclusive(folder):
        (folder / ".gitignore").write_text("*\n", encoding="utf-8")
        installer = Installer([server.source for server in servers], say)
        run = _Run(folder, fast, say, installer, StateFile(folder))
        with ThreadPoolExecutor(max_workers=max(len(servers), 1)) as threads:
            futures: dict[str, Future[Outcome]] = {}
            for server in servers:
                needed = [futures[name] for name in server.after if name in futures]
                futures[server.name] = threads.submit(_bring_up, server, needed, run)
            try:
                return [future.result() for future in futures.values()]
            except BaseException:  # whatever ends us, nothing of ours is to go on
                installer.cancel()
                raise


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
        for place in server_folders(folder, server.name):
            if place.exists():
                shutil.rmtree(place)


def _bring_up(server: Server, needed: Sequence[Future[Outcome]], run: _Run) -> Outcome:
    """Install *server*, start it once those that it needs answer, wait for it, and remember it."""
    try:
        programs = run.installer.programs(server.source)
        for future in needed:
            _require(future.result())
        state = _choose_ports(server, run)
        owner = Owner(server.user if os.geteuid() == 0 else None)
        place = server_folder(run.folder, server.name, owner.user)
        site = Site(place, state.ports, programs, owner, run.fast)
        attempt = _launch(server, site, state.servers.get(server.name))
        try:
            urls = _wait(attempt, run.installer)
        except (ServicesError, OSError):
            _end(server, run.folder)
            raise
    except (ServicesError, OSError) as error:
        run.remember(server.name, None)
        failure = error if isinstance(error, ServicesError) else StartError(str(error))
        return Outcome(server, {}, failure)
    run.remember(server.name, Record(urls, attempt.pids, digest(attempt.launches)))
    if run.installer.needed:
        run.say(f"{server.name}: answers")
    return Outcome(server, urls)


def _require(outcome: Outcome) -> None:
    name, failure = outcome.server.name, outcome.failure
    if isinstance(failure, MissingError):
        raise MissingError(f"needs {name}, which is missing", failure.how)
    if failure is not None:
        raise StartError(f"needs {name}, which does not start")


def _choose_ports(server: Server, run: _Run) -> State:
    """Remember ports for *server*. One that somebody took while it stood still is replaced."""
    if server.name not in run.state.state.servers:
        _end(server, run.folder)  # it answers nobody knows where
    runs = bool(_pids(server, run.folder))

    def chosen(state: State) -> State:
        kept = {
            name: port
            for name, port in state.ports.items()
            if runs or name not in server.ports or is_free(port)
        }
        ports = allocate(server.ports, remembered=kept, start=base(run.folder))
        return State(ports, state.servers)

    return run.state.change(chosen)


def _launch(server: Server, site: Site, record: Record | None) -> _Attempt:
    site.owner.give(site.folder)
    programs = server.source.processes
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


def _wait(attempt: _Attempt, installer: Installer) -> dict[str, str]:
    """Return the URLs once all of them answer and every process lives.

    Raises StartError when one ends, the deadline passes, or the start is cancelled.
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
        if installer.cancelled:
            raise StartError("interrupted")
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
    programs, alive = server.source.processes, running()
    places = server_folders(folder, server.name)
    return [pid for place in places for pid in find(programs, place, alive)]


def _end(server: Server, folder: Path) -> bool:
    programs = server.source.processes
    ended = [
        terminate(programs, place, politely=server.stop_with)
        for place in server_folders(folder, server.name)
    ]
    return any(ended)
