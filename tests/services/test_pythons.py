"""`make pythons`: which Pythons are found, how a run is counted, and what is said."""

import json
import subprocess
import sys

import pytest
from tools.pythons import __main__ as command
from tools.pythons import interpreters
from tools.pythons.interpreters import find, supported
from tools.pythons.runs import run
from tools.services.source import find as installed

PROJECT = """\
[project]
classifiers = [
    "Programming Language :: Python :: 3 :: Only",
    "Programming Language :: Python :: 3.10",
    "Programming Language :: Python :: 3.9",
]
"""
TESTS = """\
import pytest


@pytest.fixture
def late():
    yield
    raise RuntimeError("late")


def test_passes():
    pass


def test_fails():
    assert False


def test_ends_badly(late):
    pass


@pytest.mark.parametrize("number", [1, 2])
def test_skips(number):
    pytest.skip("not here")
"""


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_the_versions_are_those_that_the_package_claims(tmp_path):
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    assert supported(tmp_path / "pyproject.toml") == ("3.9", "3.10")
    assert "{}.{}".format(*sys.version_info) in supported()


def test_one_that_does_not_run_or_is_another_is_passed_over(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{tmp_path / 'shims'}:{tmp_path / 'bin'}")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    script(tmp_path / "shims/python3.97", "echo not installed >&2; exit 127")
    assert find("3.97") is None
    script(tmp_path / "pyenv/versions/3.97.9/bin/python", "echo 3.97")
    script(tmp_path / "pyenv/versions/3.97.10/bin/python", "echo 3.97")
    assert find("3.97") == tmp_path / "pyenv/versions/3.97.10/bin/python"
    script(tmp_path / "bin/python3.97", "echo 3.96")
    assert find("3.97") == tmp_path / "pyenv/versions/3.97.10/bin/python"
    script(tmp_path / "bin/python3.97", "echo 3.97")
    assert find("3.97") == tmp_path / "bin/python3.97"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_it.py").write_text(TESTS)
    # What takes longest to import, and each of these runs would, is not asked for by any of them.
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -p no:schemathesis\n")
    return tmp_path / "tests"


@pytest.mark.parametrize("workers", [1, 2])
def test_each_way_a_test_can_go_is_counted_once(folder, tmp_path, workers):
    found = run(sys.executable, [], folder=folder, log=tmp_path / "log", workers=workers)
    assert (found.passed, found.failed, found.skipped) == (1, 2, 2)
    assert [name.rpartition("::")[2] for name in found.names] == ["test_ends_badly", "test_fails"]
    assert not found.well
    assert "late" in (tmp_path / "log").read_text()


def test_only_tests_that_ran_and_passed_are_well(folder, tmp_path):
    def ran(*tests):
        return run(sys.executable, tests, folder=folder, log=tmp_path / "log", workers=1)

    assert ran("-k", "passes").well
    assert not ran("-k", "skips").well
    nothing = ran("no_such_file.py")
    assert (nothing.code, nothing.passed, nothing.well) == (4, 0, False)


@pytest.fixture
def made(monkeypatch, folder):
    """Two Pythons that are this one, as is their environment; the checkout is a made one."""
    monkeypatch.setattr(command, "find", lambda version: None if version == "3.1" else version)
    monkeypatch.setattr(command, "environment", lambda *_: sys.executable)
    monkeypatch.setattr(command, "supported", lambda: ("3.1", "3.96", "3.97"))
    monkeypatch.setattr(command, "CHECKOUT", folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    monkeypatch.setenv("PATH", str(folder))  # no apt-get
    for version in ("3.96", "3.97"):
        (folder / f".venv-{version}").mkdir()
    return lambda *words: command.main([*words, "--workers", "1"])


def test_a_line_for_each_version_and_a_failure_is_a_failure(made, capsys, folder):
    assert made() == 1
    lines = capsys.readouterr().out.splitlines()
    for version in ("3.96", "3.97"):
        assert any(line.startswith(f"{version}: 1 passed, 2 failed, 2 skipped") for line in lines)
        assert f"  all of it: {folder / f'.venv-{version}' / 'pytest.log'}" in lines
    assert "3.1: not to be had: not installed, and there is no apt-get here" in lines
    assert lines[-1] == "not to be had: 3.1"


def test_one_that_is_not_to_be_had_is_a_failure_where_it_was_asked_for(made):
    assert made("3.97", "--tests=-kpasses") == 0
    assert made("3.1", "3.97", "--tests=-kpasses") == 1


def test_where_none_is_to_be_had_nothing_was_shown(made, monkeypatch):
    monkeypatch.setattr(command, "supported", lambda: ("3.1",))
    assert made() == 1


BROUGHT = interpreters._of_unstable(supported()[-1])


@pytest.mark.skipif(installed(BROUGHT) is None, reason="make pythons brings the newest Python")
def test_one_of_unstable_is_a_python_like_any_other():
    show = (
        "import ctypes, json, ssl, sqlite3, subprocess, sys;"
        "child = [sys.executable, '-c', 'import sys; print(sys.executable)'];"
        "print(json.dumps([sys.executable, subprocess.check_output(child, text=True).strip()]))"
    )
    program = installed(BROUGHT)["program"]
    done = subprocess.run([program, "-c", show], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [str(program), str(program)]
