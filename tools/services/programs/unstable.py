"""Packages of Debian unstable, unpacked beside the system with every library that they need.

Nothing of the system is touched, and no root is needed: apt fetches into folders of our own, and
the programs run by the loader and the C library that were unpacked with them. Unstable moves on,
so what was fetched is kept, and is used again until somebody deletes it.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tools.services.failure import MissingError
from tools.services.paths import cache_folder, replaced
from tools.services.programs.apt_sources import debian_source
from tools.services.programs.command import answer, complaint
from tools.services.programs.debian import numbers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tools.services.programs.command import Run

LOADERS = ("ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1")


@dataclass(frozen=True)
class UnstablePackages:
    """*packages*, the first of which gives the version, for the sake of *program* in them.

    *program* is a path below the folder that stands for the system's root. `root` is that folder,
    `loader` runs the program, and `libraries` is where it finds its own.
    """

    packages: tuple[str, ...]
    program: str

    @property
    def name(self) -> str:
        return self.packages[0]

    @property
    def label(self) -> str:
        return f"{self.name} of Debian unstable, unpacked beside the system"

    @property
    def processes(self) -> tuple[str, ...]:
        return LOADERS

    @property
    def archives(self) -> Path:
        """The folder of what was fetched; `complete` there lists what belongs together."""
        return cache_folder() / f"{self.name}.archives"

    def programs(self) -> dict[str, Path | None]:
        root = self._root()
        if root is None:
            return {"program": None}
        return {
            "program": root / self.program,
            "loader": next((p for name in LOADERS for p in root.glob(f"usr/lib*/{name}")), None),
            "libraries": next(root.glob("usr/lib/*-linux-gnu"), None),
            "root": root,
        }

    def how(self) -> str:
        return "on Debian, make services fetches it from unstable; else say where yours is"

    def install(self, run: Run) -> str:
        """Fetch what was not kept from before, and unpack it; return the version that came.

        Raises MissingError where this is no Debian, or unstable has it not or can't be reached.
        """
        if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
            raise MissingError("not installed, and there is no apt-get here", self.how())
        archives = self._kept() or self._fetch(run)
        first = next(path for path in archives if path.name.startswith(f"{self.name}_"))
        version = first.name.split("_")[1].replace("%3a", ":")
        log = cache_folder() / f"{self.name}.log"
        with replaced(cache_folder() / f"{self.name}-{version}") as folder:
            for archive in archives:
                if run(["dpkg", "-x", str(archive), str(folder)], log=log):
                    raise MissingError(f"{archive.name}: {complaint(log)}", self.how())
        return version

    def _root(self) -> Path | None:
        """The newest that was unpacked."""
        roots = [
            path
            for path in cache_folder().glob(f"{self.name}-[0-9]*")
            if path.suffix != ".partial" and (path / self.program).exists()
        ]
        return max(roots, key=lambda path: numbers(path.name), default=None)

    def _kept(self) -> list[Path]:
        """The archives of the last complete fetch, or none when any is gone or cut short."""
        listed = self.archives / "complete"
        if not listed.exists():
            return []
        sizes = dict(line.rsplit(" ", 1) for line in listed.read_text("utf-8").splitlines())
        found = [self.archives / "archives" / name for name in sizes]
        whole = all(p.exists() and p.stat().st_size == int(sizes[p.name]) for p in found)
        return found if whole else []

    def _fetch(self, run: Run) -> list[Path]:
        apt, log = self._apt_get(), cache_folder() / f"{self.name}.log"
        if run([*apt, "update"], log=log):
            raise MissingError(f"unstable can't be reached: {complaint(log)}", self.how())
        wanted = ["install", "-y", "--no-install-recommends", *self.packages]
        # apt's plan leaves out what was fetched before: it is asked as if nothing were.
        nothing = ["-o", f"Dir::Cache::Archives={self.archives / 'nothing'}"]
        plan = answer([*apt, *nothing, "--print-uris", "-qq", *wanted])
        sizes = dict(re.findall(r"^'[^']*' (\S+\.deb) (\d+)", plan, re.MULTILINE))
        if not any(name.startswith(f"{self.name}_") for name in sizes):
            said = plan.splitlines()[-1] if plan else "apt-get said nothing"
            raise MissingError(f"unstable does not offer it: {said}", self.how())
        if run([*apt, "--download-only", *wanted], log=log):
            raise MissingError(f"it can't be fetched: {complaint(log)}", self.how())
        lines = [f"{name} {size}\n" for name, size in sizes.items()]
        (self.archives / "complete").write_text("".join(lines), encoding="utf-8")
        shutil.rmtree(self.archives / "lists")
        return self._kept()

    def _apt_get(self) -> Sequence[str]:
        """An apt-get that knows unstable alone, sees nothing installed, and keeps to our folder."""
        source = debian_source()
        if source is None:
            raise MissingError("not installed, and this is no Debian", self.how())
        folder = self.archives
        for name in ("lists/partial", "archives/partial", "nothing/partial", "sources"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "status").touch()
        (folder / "sources" / "unstable.sources").write_text(source.of_suite("sid"), "utf-8")
        options = {
            "Dir::Etc::SourceList": "/dev/null",
            "Dir::Etc::SourceParts": folder / "sources",
            "Dir::State": folder,
            "Dir::State::Lists": folder / "lists",
            "Dir::State::Status": folder / "status",
            "Dir::Cache": folder,
            "Dir::Cache::Archives": folder / "archives",
            "APT::Sandbox::User": "",  # its user could not enter our folder
        }
        flags = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
        return ["apt-get", *flags]
