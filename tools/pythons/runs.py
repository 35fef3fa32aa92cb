"""Runs the tests on one Python, in an environment of its own, and counts how they went."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from tools.pythons.interpreters import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class EnvironmentFailedError(Exception):
    """The locked packages can't be installed for this Python; the text is what uv said."""


@dataclass(frozen=True)
class Result:
    """How many tests went which way, in how many seconds. *names* are those that failed.

    *code* is pytest's exit code: 0 and 1 are of tests that ran, others of a run that broke off.
    """

    code: int
    passed: int
    failed: int
    skipped: int
    seconds: float
    names: tuple[str, ...]

    @property
    def well(self) -> bool:
        """Whether tests ran, and none failed."""
        return self.code == 0 and self.failed == 0 and self.passed > 0


def environment(version: str, python: Path, uv: Path) -> Path:
    """Return the Python of `.venv-VERSION`, which has everything that is locked.

    Raises EnvironmentFailedError when that can't be had, for want of a wheel, perhaps.
    """
    folder = CHECKOUT / f".venv-{version}"
    inside = {**os.environ, "VIRTUAL_ENV": str(folder)}
    lock = CHECKOUT / "requirements.lock"
    steps: list[list[str | Path]] = [
        [uv, "venv", "--quiet", "--allow-existing", "--python", python, folder],
        [uv, "pip", "sync", "--quiet", "--require-hashes", lock],
        [uv, "pip", "install", "--quiet", "--no-deps", "--editable", CHECKOUT],
    ]
    for step in steps:
        done = subprocess.run(step, env=inside, capture_output=True, text=True, check=False)
        if done.returncode:
            raise EnvironmentFailedError(done.stderr.strip())
    return folder / "bin" / "python"


def run(python: Path, tests: Sequence[str], *, folder: Path, log: Path, workers: int) -> Result:
    """Run *tests* (paths and options of pytest) of the checkout *folder* on *python*.

    What pytest prints replaces *log*.
    """
    report = log.with_suffix(".xml")
    report.unlink(missing_ok=True)
    command: list[str | Path] = [
        python,
        "-m",
        "pytest",
        f"--junit-xml={report}",
        "-p",
        "no:cacheprovider",
    ]
    if workers > 1:
        command += ["-n", str(workers), "--dist", "loadscope", "--no-loadscope-reorder"]
    began = time.monotonic()
    with log.open("wb") as output:
        code = subprocess.run(
            [*command, *tests],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
    passed, failed, skipped, names = _counts(report)
    return Result(code, passed, failed, skipped, time.monotonic() - began, names)


def _counts(report: Path) -> tuple[int, int, int, tuple[str, ...]]:
    """Return passed, failed and skipped, and the names of the failed; zeros without a report.

    A test that passed and whose fixture then failed counts as failed.
    """
    ways: dict[str, str] = {}
    if report.exists():
        for case in ET.parse(report).iter("testcase"):  # noqa: S314 - pytest's own
            name = f"{case.get('classname')}::{case.get('name')}"
            kinds = {child.tag for child in case}
            if kinds & {"failure", "error"}:
                ways[name] = "failed"
            elif "skipped" in kinds:
                ways.setdefault(name, "skipped")
            else:
                ways.setdefault(name, "passed")
    counted = [*ways.values()]
    failed = tuple(sorted(name for name, way in ways.items() if way == "failed"))
    return counted.count("passed"), len(failed), counted.count("skipped"), failed
