"""The public suite fails on each backend that is wrong, in the case that is about it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from objects.broken_backends import CAUGHT_BY

FILE = Path(__file__).with_name("broken_backends.py")


@pytest.fixture(scope="module")
def failed():
    """Which cases failed on which backend."""
    chosen = " or ".join(f"({case} and {kind.__name__})" for kind, case in CAUGHT_BY.items())
    command = [sys.executable, "-m", "pytest", str(FILE), "-q", "--tb=no", "-k", chosen]
    ended = subprocess.run(
        command, cwd=FILE.parents[2], capture_output=True, text=True, check=False, timeout=600
    )
    found = re.findall(r"^FAILED \S+::(\w+)\[([\w-]+)", ended.stdout, re.MULTILINE)
    return {(case, part) for case, parts in found for part in parts.split("-")}


@pytest.mark.parametrize("driver", CAUGHT_BY, ids=lambda driver: driver.__name__)
def test_a_broken_backend_fails_the_case_about_it(failed, driver):
    assert (CAUGHT_BY[driver], driver.__name__) in failed
