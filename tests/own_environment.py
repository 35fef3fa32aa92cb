"""An environment of its own for programs that can't be installed beside Holdfast's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def environment_of(name: str, lock: Path) -> Path:
    """Return the folder of programs of the environment *name*, with what *lock* pins.

    It comes from the package index, once.
    """
    folder = ROOT / name
    installed = folder / ".installed"
    if not installed.exists():
        uv = Path(sys.executable).with_name("uv")
        subprocess.run([uv, "venv", "--quiet", "--allow-existing", folder], check=True)
        command = [uv, "pip", "install", "--quiet", "--require-hashes", "-r", lock]
        subprocess.run(command, check=True, env={**os.environ, "VIRTUAL_ENV": str(folder)})
        installed.touch()
    return folder / "bin"
