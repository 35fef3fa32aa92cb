"""What a server's programs come from: found here, else installed. The kinds are in `programs/`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tools.services.programs.command import Run


class Source(Protocol):
    """A source of programs. Equal sources have equal names, and are installed once."""

    @property
    def name(self) -> str:
        """The name of its lock and of its folder in the cache."""
        ...

    @property
    def label(self) -> str:
        """What it is, for a line that says that it is being installed."""
        ...

    @property
    def processes(self) -> tuple[str, ...]:
        """What its programs are called as processes."""
        ...

    def programs(self) -> Mapping[str, Path | None]:
        """Return every program, with None for those that are not here."""
        ...

    def how(self) -> str:
        """Return what a person does to have it."""
        ...

    def install(self, run: Run) -> str | None:
        """Install it, all or nothing; return the version where only now it is known.

        Raises MissingError when it can't be had here.
        """
        ...


def find(source: Source) -> Mapping[str, Path] | None:
    """Return where each program lies, or None unless all of them are here."""
    programs = source.programs()
    present = {name: path for name, path in programs.items() if path is not None}
    return present if len(present) == len(programs) else None
