import os
import signal
import sys
from pathlib import Path

import pytest
from tools.services.process import Owner, Process, find, running, spawn, terminate

PYTHON = Path(sys.executable).name
STUBBORN = """\
import pathlib, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1], "ready").touch()
signal.pause()
"""


def process(*arguments):
    return Process(1, arguments)


@pytest.mark.parametrize(
    "argument",
    ["/a/.services/redis", "/a/.services/redis/redis.conf", "--datadir=/a/.services/redis/data"],
)
def test_a_server_is_known_by_its_program_and_its_folder(argument):
    server = process("/usr/bin/redis-server", "-x", argument)
    assert server.runs(("redis-server",), Path("/a/.services/redis"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("/usr/bin/redis-server", "/a/.services/redis-cluster/redis.conf"),
        ("/usr/bin/redis-server", "/b/a/.services/redis/redis.conf"),
        ("/usr/bin/redis-server", "--datadir=/b/a/.services/redis/redis.conf"),
        ("/usr/bin/redis-server", "*:6379"),
        ("/usr/bin/tail", "-f", "/a/.services/redis/redis.log"),
        ("/a/.services/redis/redis-server",),
        (),
    ],
)
def test_nothing_else_is_taken_for_it(arguments):
    assert not process(*arguments).runs(("redis-server",), Path("/a/.services/redis"))


def test_what_does_not_end_when_asked_is_ended(tmp_path):
    command = (sys.executable, "-c", STUBBORN, str(tmp_path))
    pid = spawn(command, folder=tmp_path, log=tmp_path / "log", owner=Owner(), env={})
    while not (tmp_path / "ready").exists():
        assert find((PYTHON,), tmp_path, running()) == [pid], (tmp_path / "log").read_text()
    assert terminate((PYTHON,), tmp_path, politely=signal.SIGTERM, within=0.1)
    assert not find((PYTHON,), tmp_path, running())
    assert not terminate((PYTHON,), tmp_path, politely=signal.SIGTERM)


def test_a_server_sees_nothing_of_our_environment_and_leads_its_own_session(tmp_path, monkeypatch):
    monkeypatch.setenv("PGOPTIONS", "-c leaked=1")
    show = "import os, sys; print(sorted(os.environ), os.getsid(0) == os.getpid(), flush=True)"
    log = tmp_path / "log"
    command = (sys.executable, "-I", "-c", show, str(tmp_path))
    spawn(command, folder=tmp_path, log=log, owner=Owner(), env={"OWN": "1"})
    while find((PYTHON,), tmp_path, running()):
        pass
    words = log.read_text()
    assert "PGOPTIONS" not in words
    assert "'OWN'" in words
    assert words.endswith("True\n")


def test_ourselves_are_among_what_runs():
    assert os.getpid() in {process.pid for process in running()}
