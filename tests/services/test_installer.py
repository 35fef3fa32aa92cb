"""Programs are installed side by side, each once, and an interruption leaves nothing half-made."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from tools.services.endpoints import endpoints
from tools.services.failure import MissingError, ServicesError
from tools.services.installer import AT_ONCE, Installer
from tools.services.paths import cache_folder, replaced
from tools.services.process import lives
from tools.services.redis import REDIS
from tools.services.source import find
from tools.services.state import exclusive, load

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Script:
    """A source that a shell script installs, in a folder that is given to it as `$1`."""

    name: str
    script: str

    @property
    def label(self):
        return self.name

    @property
    def processes(self):
        return (self.name,)

    def programs(self):
        program = cache_folder() / self.name / "program"
        return {"program": program if program.exists() else None}

    def how(self):
        return f"write {self.name}"

    def install(self, run):
        with replaced(cache_folder() / self.name) as folder:
            command = ["sh", "-ec", self.script, "sh", str(folder)]
            if run(command, log=cache_folder() / f"{self.name}.log"):
                raise MissingError("the script failed", self.how())


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    cache_folder().mkdir(parents=True)
    return cache_folder()


@pytest.fixture
def said():
    return []


def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_several_are_installed_side_by_side_and_no_more_than_the_bound(cache, said):
    """Each waits for enough others to have begun: alone, none of them would end."""
    script = f"""
echo + >> "{cache}/order"
touch "{cache}/begun.$(basename "$1")"
while [ "$(ls "{cache}" | grep -c begun)" -lt {AT_ONCE} ]; do sleep 0.01; done
echo - >> "{cache}/order"
touch "$1/program"
"""
    scripts = [Script(f"s{number}", script) for number in range(AT_ONCE + 2)]
    installer = Installer(scripts, said.append)
    with ThreadPoolExecutor(len(scripts)) as threads:
        found = list(threads.map(installer.programs, scripts))
    assert all(programs["program"].exists() for programs in found)
    depth = [0]
    for mark in (cache / "order").read_text().split():
        depth.append(depth[-1] + (1 if mark == "+" else -1))
    assert max(depth) == AT_ONCE


def test_one_that_many_ask_for_is_installed_once_and_said_at_begin_and_end(cache, said):
    script = Script("one", f'echo x >> "{cache}/times"; touch "$1/program"')
    installer = Installer([script], said.append)
    with ThreadPoolExecutor(5) as threads:
        list(threads.map(installer.programs, [script] * 5))
    assert (cache / "times").read_text() == "x\n"
    assert said == ["one: begins", "one: done in 0 s"]
    assert not Installer([script], said.append).needed


def test_one_that_failed_is_not_tried_again_and_leaves_nothing_but_its_log(cache, said):
    script = Script("bad", f'echo x >> "{cache}/times"; touch "$1/half"; exit 3')
    installer = Installer([script], said.append)
    for _ in range(2):
        with pytest.raises(MissingError, match="the script failed"):
            installer.programs(script)
    assert (cache / "times").read_text() == "x\n"
    assert said == ["bad: begins", "bad: failed after 0 s"]
    assert {path.name for path in cache.iterdir()} == {"times", "bad.log", "bad.lock"}


def test_cancelled_a_command_ends_with_its_children_and_no_other_begins(cache, said):
    slow = Script(
        "slow",
        f'sleep 1000 & echo $! > "{cache}/child.new"\nmv "{cache}/child.new" "{cache}/child"; wait',
    )
    other = Script("other", 'touch "$1/program"')
    installer = Installer([slow, other], said.append)
    with ThreadPoolExecutor(1) as threads:
        future = threads.submit(installer.programs, slow)
        until((cache / "child").exists)
        child = int((cache / "child").read_text())
        installer.cancel()
        with pytest.raises(ServicesError, match="interrupted"):
            future.result()
    until(lambda: not lives(child))
    with pytest.raises(ServicesError, match="interrupted"):
        installer.programs(other)
    assert not (cache / "slow.partial").exists()
    assert "other: begins" not in said


def test_what_another_checkout_installs_is_waited_for_and_then_taken(cache, said):
    script = Script("shared", "exit 1")
    installer = Installer([script], said.append)
    with ThreadPoolExecutor(1) as threads:
        with exclusive(cache, "shared.lock"):
            future = threads.submit(installer.programs, script)
            until(lambda: said)
            (cache / "shared").mkdir()
            (cache / "shared" / "program").touch()
        assert future.result()["program"].exists()
    assert said == ["shared: waits, another start installs it"]


def test_a_wait_for_another_checkout_can_be_cancelled(cache, said):
    script = Script("shared", "exit 1")
    installer = Installer([script], said.append)
    with exclusive(cache, "shared.lock"), ThreadPoolExecutor(1) as threads:
        future = threads.submit(installer.programs, script)
        until(lambda: said)
        installer.cancel()
        with pytest.raises(ServicesError, match="interrupted"):
            future.result()


KILLED = """\
import sys
from pathlib import Path
from tools.services.paths import cache_folder
from tools.services.programs.command import Commands
from tools.services.state import exclusive

with exclusive(cache_folder(), "held") as lock:
    script = 'touch "$1/begun"; while [ ! -e "$1/go" ]; do sleep 0.01; done'
    Commands().run(["sh", "-c", script, "sh", sys.argv[1]], log=cache_folder() / "log", lock=lock)
"""


def test_where_we_are_killed_the_lock_stays_as_long_as_the_build(cache):
    ours = subprocess.Popen([sys.executable, "-c", KILLED, cache], cwd=CHECKOUT)
    until((cache / "begun").exists)
    ours.kill()
    ours.wait()
    cancelled = threading.Event()
    with pytest.raises(ServicesError, match="interrupted"):
        with exclusive(cache, "held", cancelled, waiting=cancelled.set):
            pass
    (cache / "go").touch()
    with exclusive(cache, "held"):
        pass


@pytest.mark.skipif(find(REDIS.source) is None, reason=REDIS.source.how())
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_what_is_ready_answers_during_a_build_and_stays_when_that_is_interrupted(
    how, folder, tmp_path, cache
):
    """Go is a script that builds until it is ended."""
    (tmp_path / "bin").mkdir()
    script = f'[ "$1" = env ] && echo go1.26.1 && exit\necho $$ > "{tmp_path}/pid"\nsleep 1000\n'
    (tmp_path / "bin" / "go").write_text(f"#!/bin/sh\n{script}")
    (tmp_path / "bin" / "go").chmod(0o755)
    command = [sys.executable, "-m", "tools.services", "start", "toxiproxy", "redis"]
    path = f"{tmp_path / 'bin'}:/usr/sbin:/usr/bin:/sbin:/bin"
    begun = subprocess.Popen(
        [*command, "--folder", folder],
        cwd=CHECKOUT,
        env={**os.environ, "PATH": path},
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: "redis" in load(folder).servers and (tmp_path / "pid").exists())
    assert "redis" in endpoints(folder)
    begun.send_signal(how)
    _, errors = begun.communicate(timeout=60)
    assert begun.returncode == 130
    assert "the same command goes on from here" in errors
    until(lambda: not lives(int((tmp_path / "pid").read_text())))
    assert not [path for path in cache.iterdir() if path.is_dir()]
    assert "redis" in endpoints(folder)
