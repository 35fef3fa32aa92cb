"""Release notes: fragments in `changes/`, from which the next version and its notes follow."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tools.release import programs
from tools.release.failure import ReleaseError

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = programs.CHECKOUT / "changes"
KINDS = ("breaking", "added", "fixed")
"""What a fragment may be, `TOPIC.KIND.md`: towncrier's types in pyproject.toml have the same."""

_NAME = re.compile(rf"[a-z0-9-]+(\.[0-9]+)?\.({'|'.join(KINDS)})\.md")
_VERSION = re.compile(r'^version = "(\d+)\.(\d+)\.(\d+)"$', re.MULTILINE)


def kinds(folder: Path = FOLDER) -> set[str]:
    """Return the kinds of the fragments in *folder*.

    Raises ReleaseError for one that is not named as they are, or says nothing.
    """
    found: set[str] = set()
    for path in sorted(folder.glob("[!.]*")):
        if path.name == "README.md":
            continue
        named = _NAME.fullmatch(path.name)
        if named is None:
            raise ReleaseError(
                f"{path.name}: a release note is TOPIC.KIND.md, where KIND is {', '.join(KINDS)}"
            )
        if not path.read_text().strip():
            raise ReleaseError(f"{path.name} is empty")
        found.add(named[2])
    return found


def next_version(current: str, of: set[str]) -> str:
    """Return the version after *current* that has changes *of* these kinds.

    Before 1.0 what breaks is a minor version, as `docs/explanation/versions.md` says. Raises
    ReleaseError where nothing changed.
    """
    if not of:
        raise ReleaseError("changes/ has no release notes: there is nothing to release")
    major, minor, patch = map(int, current.split("."))
    if "breaking" in of and major:
        return f"{major + 1}.0.0"
    return f"{major}.{minor}.{patch + 1}" if of == {"fixed"} else f"{major}.{minor + 1}.0"


def write(*, checkout: Path = programs.CHECKOUT, inside: Path) -> str:
    """Move the fragments into CHANGELOG.md, give pyproject.toml the next version, and return it.

    *inside* has the programs of a release. Raises ReleaseError, and then nothing was changed but
    by a towncrier that failed on its way.
    """
    pyproject = checkout / "pyproject.toml"
    text = pyproject.read_text()
    version = next_version(tomllib.loads(text)["project"]["version"], kinds(checkout / "changes"))
    date = datetime.now(UTC).date().isoformat()
    command: list[str | Path] = [inside / "towncrier", "build", "--yes"]
    programs.run([*command, "--version", version, "--date", date], folder=checkout)
    pyproject.write_text(_VERSION.sub(f'version = "{version}"', text, count=1))
    return version
