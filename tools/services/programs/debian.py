"""The system's own packages, found on PATH and where distributions put them, else installed."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING

from tools.services.failure import MissingError
from tools.services.paths import cache_folder
from tools.services.programs.command import complaint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tools.services.programs.command import Run

QUIET = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}


@dataclass(frozen=True)
class DebianPackages:
    """Programs of the system's own packages; *folders* are where else than on PATH they may lie."""

    debian: tuple[str, ...]
    binaries: tuple[str, ...]
    folders: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return "system-packages"

    @property
    def label(self) -> str:
        return f"{', '.join(self.debian)} of the system"

    @property
    def processes(self) -> tuple[str, ...]:
        return self.binaries

    def programs(self) -> dict[str, Path | None]:
        return {name: on_path(name, self.folders) for name in self.binaries}

    def how(self) -> str:
        return f"install {' '.join(self.debian)} (Debian and Ubuntu: sudo apt-get install)"

    def install(self, run: Run) -> None:
        install_packages(self.debian, run)


def install_packages(names: Sequence[str], run: Run) -> None:
    """Install Debian packages, without starting the services that some of them bring.

    Raises MissingError when apt-get is not here, is not allowed, or fails.
    """
    fix = f"sudo apt-get install {' '.join(names)}"
    if shutil.which("apt-get") is None:
        raise MissingError(
            "not installed, and there is no apt-get here", f"install {' '.join(names)}"
        )
    if os.geteuid() != 0:
        raise MissingError("not installed, and only root may install it", fix)
    command = ["apt-get", "install", "-y", "--no-install-recommends"]
    command += ["-o", "DPkg::Lock::Timeout=300", *names]
    log = cache_folder() / "system-packages.log"
    failed = run(command, env=QUIET, log=log)
    if failed:  # the lists may be missing or old
        run(["apt-get", "update"], env=QUIET, log=log)
        failed = run(command, env=QUIET, log=log)
    if failed:
        raise MissingError(f"apt-get could not install it: {complaint(log)}", fix)


def on_path(name: str, folders: Sequence[str] = ()) -> Path | None:
    """Return where program *name* lies: the newest of *folders* (patterns), else on PATH."""
    for pattern in folders:
        for candidate in sorted(glob(pattern), key=numbers, reverse=True):  # noqa: PTH207 - absolute
            if os.access(Path(candidate) / name, os.X_OK):
                return Path(candidate) / name
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")
    return Path(found) if found else None


def numbers(text: str) -> tuple[int, ...]:
    """Return the numbers in *text*, by which versions compare."""
    return tuple(int(digits) for digits in re.findall(r"\d+", text))
