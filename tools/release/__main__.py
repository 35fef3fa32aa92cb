"""`python -m tools.release [make | audit | notes] [--commit HEAD] [--key KEY] [--folder dist]`."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from tools.release import checksums, distribution, materials, notes, programs
from tools.release.failure import ReleaseError

COMMANDS = ("make", "audit", "notes")


def main(arguments: list[str] | None = None) -> int:
    """Make a release, its notes, or ask what is known against what it brings in; return 0 or 1."""
    parser = argparse.ArgumentParser(prog="tools.release", description=__doc__)
    parser.add_argument("command", choices=COMMANDS, nargs="?", default="make")
    parser.add_argument("--commit", default="HEAD", help="what is released: HEAD")
    parser.add_argument("--key", type=Path, help="the SSH key that signs the checksums")
    parser.add_argument("--folder", type=Path, default=programs.CHECKOUT / "dist")
    asked = parser.parse_args(arguments)
    try:
        if asked.command == "audit":
            _audit()
        elif asked.command == "notes":
            version = notes.write(inside=programs.installed())
            print(f"CHANGELOG.md and pyproject.toml are of {version}: look, commit, tag v{version}")
        else:
            _make(asked.commit, asked.folder, asked.key)
    except ReleaseError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _audit() -> None:
    inside = programs.installed()
    with tempfile.TemporaryDirectory() as scratch:
        packages = materials.requirements(Path(scratch) / "requirements.txt")
        print(materials.audit(inside, packages), end="")


def _make(commit: str, folder: Path, key: Path | None) -> None:
    """Fill *folder*, which is replaced when all is well and left as it was when not."""
    inside = programs.installed()
    files = distribution.tracked(commit)
    with tempfile.TemporaryDirectory() as scratch:
        built = Path(scratch) / "built"
        wheel, sdist = distribution.build(commit, built)
        distribution.check_wheel(wheel, files)
        distribution.check_sdist(sdist, files)
        programs.run([inside / "twine", "check", "--strict", wheel, sdist])
        programs.run([inside / "check-wheel-contents", wheel])
        packages = materials.requirements(built / "requirements.txt")
        bill = materials.bill(inside, packages, built / f"{_stem(wheel)}.cdx.json")
        made = [wheel, sdist, bill]
        sums = checksums.write(made, built)
        made.append(sums)
        if key is not None:
            made.append(checksums.sign(sums, key.absolute()))
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for each in made:
            shutil.copy(each, folder)
            print(folder / each.name)
    print(f"two builds of {commit} gave the same bytes; {len(files)} files of git are in the sdist")
    if key is None:
        print("not signed: KEY=~/.ssh/id_ed25519 signs")


def _stem(wheel: Path) -> str:
    return "-".join(wheel.name.split("-")[:2])


if __name__ == "__main__":
    sys.exit(main())
