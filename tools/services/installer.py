"""Installs what is missing: several sources side by side, each of them once."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from tools.services.failure import MissingError, ServicesError
from tools.services.paths import cache_folder
from tools.services.programs.command import Commands
from tools.services.programs.debian import DebianPackages
from tools.services.source import Source, find
from tools.services.state import exclusive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

AT_ONCE = 3  # two builds that fill two cores, and a download beside them


class Installer:
    """Installs *sources* for the threads that ask; says when each begins and how long it took.

    Another checkout that installs the same is waited for: the cache is locked by name.
    """

    def __init__(self, sources: Iterable[Source], say: Callable[[str], None]) -> None:
        known = list(sources)
        self._say = say
        self._commands = Commands()
        self._slots = threading.Semaphore(AT_ONCE)
        self._turns = {source.name: threading.Lock() for source in known}
        self._failed: dict[Source, ServicesError] = {}
        absent = [source for source in known if find(source) is None]
        system = [source for source in absent if isinstance(source, DebianPackages)]
        self._system = sorted({name for source in system for name in source.debian})
        self.needed = bool(absent)

    def programs(self, source: Source) -> Mapping[str, Path]:
        """Return where the programs lie, after installing them when they are missing.

        Raises MissingError when they can't be had, and what else an installation raised.
        """
        found = find(source)
        if found is not None:
            return found
        with self._turns[source.name]:
            if source in self._failed:
                raise self._failed[source]
            try:
                self._install(source)
            except ServicesError as error:
                self._failed[source] = error
                raise
        found = find(source)
        if found is None:
            raise MissingError("installed, and still not found", source.how())
        return found

    def cancel(self) -> None:
        """End what is being installed. What was built stays, and no installation is half there."""
        self._commands.cancel()

    @property
    def cancelled(self) -> bool:
        """Whether everything is to end."""
        return self._commands.cancelled.is_set()

    def _install(self, source: Source) -> None:
        waiting = partial(self._say, f"{source.label}: waits, another start installs it")
        cancelled = self._commands.cancelled
        with exclusive(cache_folder(), f"{source.name}.lock", cancelled, waiting) as lock:
            with self._slots:
                if self.cancelled:
                    raise ServicesError("interrupted")
                if find(source) is None:  # nobody did it meanwhile
                    self._together(source, lock)
                if find(source) is None:
                    self._alone(source, lock)

    def _together(self, source: Source, lock: int) -> None:
        """All system packages in one run of apt-get, which costs as much as one of them does."""
        if isinstance(source, DebianPackages) and len(self._system) > 1:
            every, self._system = DebianPackages(tuple(self._system), ()), []
            with suppress(MissingError):  # each is tried alone after this, and says what is wrong
                self._alone(every, lock)

    def _alone(self, source: Source, lock: int) -> None:
        began = None

        def run(command: Sequence[str], *, env: Mapping[str, str] | None = None, log: Path) -> int:
            nonlocal began
            if began is None:
                began = time.monotonic()
                self._say(f"{source.label}: begins")
            return self._commands.run(command, env=env, log=log, lock=lock)

        outcome = ": failed after"
        try:
            came = source.install(run)
            outcome = f" ({came}): done in" if came else ": done in"
        finally:
            if began is not None:
                took = time.monotonic() - began
                ended = ": interrupted after" if self.cancelled else outcome
                self._say(f"{source.label}{ended} {took:.0f} s")
