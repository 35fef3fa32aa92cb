"""The public suite fails on each backend that is wrong, in the case that is about it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from cache.broken_backends import CAUGHT_BY

FILE = Path(__file__).with_name("broken_backends.py")


@pytest.fixture(scope="module")
def outcomes():
    """What became of which case on which backend."""
    chosen = " or ".join(f"({case} and {kind.__name__})" for kind, case in CAUGHT_BY.items())
    honest = " or ".join(f"({case} and MemoryCacheDriver)" for case in CAUGHT_BY.values())
    command = [sys.executable, "-m", "pytest", str(FILE), "-q", "--tb=no", "-rA"]
    ended = subprocess.run(
        [*command, "-k", f"not blocking and ({chosen} or {honest})"],
        cwd=FILE.parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    found = re.findall(r"^(\w+) \S+::(\w+)\[([^\]]+)\]", ended.stdout, re.MULTILINE)
    assert found, ended.stdout + ended.stderr
    return {
        (case, word): outcome
        for outcome, case, parameters in found
        for word in parameters.split("-")
    }


@pytest.mark.parametrize("driver", CAUGHT_BY, ids=lambda driver: driver.__name__)
def test_a_broken_backend_fails_the_case_about_it(outcomes, driver):
    assert outcomes[CAUGHT_BY[driver], driver.__name__] == "FAILED"


@pytest.mark.parametrize("case", dict.fromkeys(CAUGHT_BY.values()))
def test_the_honest_backend_passes_it(outcomes, case):
    assert outcomes[case, "MemoryCacheDriver"] == "PASSED"
