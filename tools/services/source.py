"""Where programs come from: system packages, a Go module, jars; found, else installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from tools.services.failure import MissingError
from tools.services.places import cache_folder
from tools.services.state import exclusive

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

POM = Path(__file__).with_name("dynamodb-pom.xml")


@dataclass(frozen=True)
class Packages:
    """Programs of the system's own packages; *folders* are where else than on PATH they may lie."""

    debian: tuple[str, ...]
    programs: tuple[str, ...]
    folders: tuple[str, ...] = ()


@dataclass(frozen=True)
class GoModule:
    """A program built from the Go module *path* at exactly *version*."""

    program: str
    path: str
    version: str
    needs_go: tuple[int, int]


@dataclass(frozen=True)
class Jars:
    """The Java libraries that the pom beside this file names, run by *needs_java* or newer."""

    name: str
    version: str
    needs_java: int


Source = Packages | GoModule | Jars


def find(source: Source) -> Mapping[str, Path] | None:
    """Return where each program lies, or None unless all of them are here."""
    match source:
        case Packages():
            found = {name: _program(name, source.folders) for name in source.programs}
        case GoModule():
            built = _go_folder(source) / source.program
            found = {source.program: built if built.exists() else _program(source.program, ())}
        case Jars():
            jars = _jar_folder(source)
            found = {"java": _program("java", ()), "jars": jars if jars.exists() else None}
        case _:
            assert_never(source)
    present = {name: path for name, path in found.items() if path is not None}
    return present if len(present) == len(found) else None


def names(source: Source) -> tuple[str, ...]:
    """Return what the programs are called as processes."""
    match source:
        case Packages():
            return source.programs
        case GoModule():
            return (source.program,)
        case Jars():
            return ("java",)
        case _:
            assert_never(source)


def how(source: Source) -> str:
    """What a person does to have *source*."""
    match source:
        case Packages():
            return f"install {' '.join(source.debian)} (Debian and Ubuntu: sudo apt-get install)"
        case GoModule():
            needed = ".".join(map(str, source.needs_go))
            return (
                f"install Go {needed} or newer, and make services builds it; "
                f"or put {source.program} on PATH"
            )
        case Jars():
            return f"install Java {source.needs_java} and Maven, and make services fetches it"
        case _:
            assert_never(source)


def install(source: Source) -> Mapping[str, Path]:
    """Return where the programs lie, after installing them when they are missing.

    Two at once wait for one another; an interrupted installation leaves nothing half-made.
    Raises MissingError when they can't be had.
    """
    found = find(source)
    if found is not None:
        return found
    with exclusive(cache_folder(), "installing"):
        found = find(source)
        if found is not None:  # another checkout did it meanwhile
            return found
        match source:
            case Packages():
                install_packages(source.debian)
            case GoModule():
                _build(source)
            case Jars():
                _fetch(source)
            case _:
                assert_never(source)
        found = find(source)
    if found is None:
        raise MissingError("installed, and still not found", how(source))
    return found


def install_packages(names: Sequence[str]) -> None:
    """Install Debian packages, without starting the services that some of them bring."""
    fix = f"sudo apt-get install {' '.join(names)}"
    if shutil.which("apt-get") is None:
        raise MissingError(
            "not installed, and there is no apt-get here", f"install {' '.join(names)}"
        )
    if os.geteuid() != 0:
        raise MissingError("not installed, and only root may install it", fix)
    command = [
        "apt-get",
        "install",
        "-y",
        "--no-install-recommends",
        "-o",
        "DPkg::Lock::Timeout=300",
    ]
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    done = _run([*command, *names], quiet)
    if done.returncode != 0:  # the lists may be missing or old
        _run(["apt-get", "update"], quiet)
        done = _run([*command, *names], quiet)
    if done.returncode != 0:
        raise MissingError(f"apt-get could not install it: {_last_line(done.stdout)}", fix)


def _program(name: str, folders: Sequence[str]) -> Path | None:
    for pattern in folders:
        for candidate in sorted(glob(pattern), key=_numbers, reverse=True):  # noqa: PTH207 - absolute
            if os.access(Path(candidate) / name, os.X_OK):
                return Path(candidate) / name
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")
    return Path(found) if found else None


def _numbers(path: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", path)]


def _go_folder(source: GoModule) -> Path:
    return cache_folder() / f"{source.program}-{source.version}"


def _jar_folder(source: Jars) -> Path:
    return cache_folder() / f"{source.name}-{source.version}"


def _build(source: GoModule) -> None:
    go = shutil.which("go")
    if go is None:
        raise MissingError("not installed, and there is no Go to build it with", how(source))
    version = _run([go, "env", "GOVERSION"], os.environ).stdout.strip()
    if tuple(_numbers(version)[:2]) < source.needs_go:
        raise MissingError(f"not installed, and {version} is too old to build it", how(source))
    folder = _go_folder(source)
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    done = _run(
        ["nice", go, "install", f"{source.path}@{source.version}"],
        {**os.environ, "GOBIN": str(partial)},
    )
    if done.returncode != 0:
        raise MissingError(f"go could not build it: {_last_line(done.stdout)}", how(source))
    [binary] = partial.iterdir()
    binary.rename(partial / source.program)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def _fetch(source: Jars) -> None:
    java, maven = shutil.which("java"), shutil.which("mvn")
    if java is None or maven is None:
        raise MissingError("not installed, and there is no Java or no Maven", how(source))
    version = _numbers(_run([java, "-version"], os.environ).stdout)
    if version[:1] < [source.needs_java]:
        raise MissingError(f"not installed, and Java {version[:1]} is too old", how(source))
    folder = _jar_folder(source)
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    copy = [
        "dependency:copy-dependencies",
        "-DincludeScope=runtime",
        f"-DoutputDirectory={partial}",
    ]
    done = _run([maven, "-q", "-B", "-f", str(POM), *copy], os.environ)
    if done.returncode != 0:
        raise MissingError(f"Maven could not fetch it: {_last_line(done.stdout)}", how(source))
    partial.rename(folder)


def _run(command: Sequence[str], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )


def _last_line(output: str) -> str:
    lines = output.strip().splitlines()
    return lines[-1] if lines else "it said nothing"
