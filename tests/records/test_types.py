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


@pytest.fixture(scope="module", params=CHECKERS)
def refused(request):
    """What the checker says of both programs in one run: the lines with an error, by file."""
    command = [sys.executable, "-m", *CHECKERS[request.param]]
    output = subprocess.run(
        [*command, str(TYPED / "accepted.py"), str(TYPED / "rejected.py")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    return {
        name: {int(line) for line in re.findall(rf"{name}:(\d+)(?::\d+)?(?: -|:) error", output)}
        for name in ("accepted.py", "rejected.py")
    }


def test_what_is_right_is_taken(refused):
    assert refused["accepted.py"] == set()


def test_what_is_wrong_is_refused(refused):
    lines = (TYPED / "rejected.py").read_text("utf-8").splitlines()
    expected = {number for number, line in enumerate(lines, 1) if line.endswith("# refused")}
    assert expected
    assert refused["rejected.py"] == expected
