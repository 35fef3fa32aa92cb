"""Builds wheel and sdist of a commit, twice, and compares them with each other and with git."""

from __future__ import annotations

import filecmp
import tarfile
import zipfile
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from tools.release.failure import ReleaseError
from tools.release.programs import CHECKOUT, LOCK, run, uv

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE = "src/holdfast/"
METADATA = {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"}


def build(commit: str, folder: Path) -> list[Path]:
    """Build *commit* into the new *folder*; return the wheel and the sdist.

    Only what git has is in it, and the times within are the commit's: a second build of the same
    commit gives the same bytes, which is tried. The build's own programs are those of tools.lock.
    Raises ReleaseError.
    """
    first = _built(commit, folder, folder / "source")
    again = _built(commit, folder / "again", folder / "again-source")
    for one, other in zip(first, again, strict=True):
        if not filecmp.cmp(one, other, shallow=False):
            raise ReleaseError(f"two builds of {one.name} differ: compare {one} and {other}")
    return first


def _built(commit: str, target: Path, source: Path) -> list[Path]:
    source.mkdir(parents=True)
    archive = source.with_suffix(".tar")
    run(["git", "archive", "--output", archive, commit])
    with tarfile.open(archive) as packed:
        packed.extractall(source, filter="data")
    moment = run(["git", "log", "-1", "--format=%ct", commit]).strip()
    run(
        [uv(), "build", "--quiet", "--out-dir", target,
         "--build-constraint", LOCK, "--require-hashes", source],
        env={"SOURCE_DATE_EPOCH": moment},
    )  # fmt: skip
    return [*sorted(target.glob("*.whl")), *sorted(target.glob("*.tar.gz"))]


def tracked(commit: str) -> set[str]:
    """Return the paths of all files of *commit*."""
    listed = run(["git", "ls-tree", "-r", "-z", "--name-only", commit], folder=CHECKOUT)
    return set(filter(None, listed.split("\0")))


def check_wheel(wheel: Path, files: set[str]) -> None:
    """Check that *wheel* has the package as git has it, and nothing else. Raises ReleaseError."""
    with zipfile.ZipFile(wheel) as packed:
        found = {name for name in packed.namelist() if not name.endswith("/")}
    stem = "-".join(wheel.name.split("-")[:2])
    expected = {each.removeprefix("src/") for each in files if each.startswith(PACKAGE)}
    _same(wheel, found, expected | {f"{stem}.dist-info/{name}" for name in METADATA})


def check_sdist(sdist: Path, files: set[str]) -> None:
    """Check that *sdist* has what git has, and its metadata. Raises ReleaseError."""
    with tarfile.open(sdist) as packed:
        found = {
            str(PurePosixPath(*PurePosixPath(each.name).parts[1:]))
            for each in packed.getmembers()
            if each.isfile()
        }
    _same(sdist, found, files | {"PKG-INFO"})


def _same(archive: Path, found: set[str], expected: set[str]) -> None:
    wrong = [f"{each} is missing" for each in sorted(expected - found)]
    wrong += [f"{each} does not belong there" for each in sorted(found - expected)]
    if wrong:
        raise ReleaseError(f"{archive.name}: {'; '.join(wrong)}")
