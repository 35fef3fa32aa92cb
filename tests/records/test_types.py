"""Mypy and pyright take what is right and refuse what is wrong, line by line."""

import re
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


def refused_lines(checker, name):
    command = [sys.executable, "-m", *CHECKERS[checker], str(TYPED / name)]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    return {int(line) for line in re.findall(rf"{name}:(\d+)(?::\d+)?(?: -|:) error", output)}


@pytest.mark.parametrize("checker", CHECKERS)
def test_what_is_right_is_taken(checker):
    assert refused_lines(checker, "accepted.py") == set()


@pytest.mark.parametrize("checker", CHECKERS)
def test_what_is_wrong_is_refused(checker):
    lines = (TYPED / "rejected.py").read_text("utf-8").splitlines()
    expected = {number for number, line in enumerate(lines, 1) if line.endswith("# refused")}
    assert refused_lines(checker, "rejected.py") == expected
