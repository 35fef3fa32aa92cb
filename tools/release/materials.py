"""The bill of materials of a release: every package that it can bring in, with version and hash."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.release.programs import CHECKOUT, run, uv

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LOCK = CHECKOUT / "requirements.lock"
PROJECT = CHECKOUT / "pyproject.toml"


def requirements(target: Path, *, extras: Sequence[str] | None = None) -> Path:
    """Write the packages of the library with *extras* (all when None) to *target*, locked.

    Versions are those that the tests ran with; what only development needs is not among them.
    """
    asked = ["--all-extras"] if extras is None else [f"--extra={each}" for each in extras]
    run(
        [uv(), "pip", "compile", "--quiet", "--universal", "--python-version", "3.11",
         "--generate-hashes", "--no-emit-index-url", "--no-annotate", "--no-header",
         "--constraints", LOCK, *asked, "--output-file", target, PROJECT],
    )  # fmt: skip
    return target


def bill(programs: Path, packages: Path, target: Path) -> Path:
    """Write the CycloneDX 1.6 bill of *packages* to *target*, as JSON without times or chance."""
    run(
        [programs / "cyclonedx-py", "requirements", packages, "--pyproject", PROJECT,
         "--mc-type", "library", "--spec-version", "1.6", "--output-reproducible",
         "--output-format", "JSON", "--output-file", target],
    )  # fmt: skip
    return target


def audit(programs: Path, packages: Path) -> str:
    """Ask the advisory database about *packages*; return what it said.

    Raises ReleaseError for a known vulnerability, and for a package that it could not tell about.
    """
    return run(
        [programs / "pip-audit", "--strict", "--progress-spinner", "off", "--require-hashes",
         "--disable-pip", "--requirement", packages],
    )  # fmt: skip
