"""Mypy and pyright take what is right in an application and refuse what is wrong."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TYPED = Path(__file__).parent / "typed"
CHECKERS = {
    "mypy": ["mypy", "--strict", "--hide-error-context", "--no-error-summary"],
    "pyright": ["pyright"],
}


@pytest.mark.parametrize("checker", CHECKERS)
def test_the_checker_refuses_what_is_wrong_and_nothing_else(checker):
    files = [TYPED / "accepted.py", TYPED / "rejected.py"]
    done = subprocess.run(
        [sys.executable, "-m", *CHECKERS[checker], *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.findall(r"(\w+\.py):(\d+)(?::\d+)?(?: -|:) error", done.stdout)
    lines = (TYPED / "rejected.py").read_text("utf-8").splitlines()
    expected = {
        ("rejected.py", str(number))
        for number, line in enumerate(lines, 1)
        if line.endswith("# refused")
    }
    assert set(found) == expected, done.stdout


def test_what_is_taken_runs():
    app = runpy.run_path(str(TYPED / "accepted.py"))["app"]
    assert "/crud/{id}" in app.openapi()["paths"]
