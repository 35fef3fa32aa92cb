"""The programs that make and check a release, in an environment of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tools.release.failure import ReleaseError

if TYPE_CHECKING:
    from collections.abc import Mapping

CHECKOUT = Path(__file__).resolve().parents[2]
LOCK = Path(__file__).with_name("tools.lock")
ENVIRONMENT = CHECKOUT / ".venv-release"


def uv() -> Path:
    """Return uv, which `make setup` installs. Raises ReleaseError without it."""
    found = Path(sys.executable).with_name("uv")
    if not found.exists():
        raise ReleaseError("uv is missing: make setup")
    return found


def installed() -> Path:
    """Return the folder of the programs, with everything that tools.lock names installed."""
    inside = {"VIRTUAL_ENV": str(ENVIRONMENT)}
    run([uv(), "venv", "--quiet", "--allow-existing", ENVIRONMENT])
    run([uv(), "pip", "sync", "--quiet", "--require-hashes", LOCK], env=inside)
    return ENVIRONMENT / "bin"


def run(
    command: list[str | Path],
    *,
    folder: Path = CHECKOUT,
    env: Mapping[str, str] | None = None,
) -> str:
    """Run *command* in *folder* and return what it printed.

    Raises ReleaseError with all that it said when its exit code is not 0.
    """
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = (done.stdout + done.stderr).strip()
        raise ReleaseError(f"{Path(command[0]).name} failed with {done.returncode}: {said}")
    return done.stdout
