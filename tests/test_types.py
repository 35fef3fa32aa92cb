"""Mypy and pyright take what is right and refuse what is wrong, line by line."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TYPED = Path(__file__).parent / "typed"
PROGRAMS = sorted(path.name for path in TYPED.glob("*.py"))
CHECKERS = {
    "mypy": ["mypy", "--strict", "--hide-error-context", "--no-error-summary"],
    "pyright": ["pyright"],
}


@pytest.fixture(scope="module", params=CHECKERS)
def refused(request):
    """What the checker says of all programs in one run: the lines with an error, by file."""
    done = subprocess.run(
        [sys.executable, "-m", *CHECKERS[request.param], *(TYPED / name for name in PROGRAMS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.findall(r"(\w+\.py):(\d+)(?::\d+)?(?: -|:) error", done.stdout)
    assert {name for name, _ in found} <= {*PROGRAMS}, done.stdout
    return {name: {int(line) for file, line in found if file == name} for name in PROGRAMS}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_lines_that_say_so_are_refused_and_no_others(refused, name):
    lines = (TYPED / name).read_text("utf-8").splitlines()
    expected = {number for number, line in enumerate(lines, 1) if line.endswith("# refused")}
    assert bool(expected) == name.endswith("_rejected.py")
    assert refused[name] == expected


def test_the_accepted_application_runs():
    app = runpy.run_path(str(TYPED / "fastapi_accepted.py"))["app"]
    assert "/crud/{id}" in app.openapi()["paths"]
