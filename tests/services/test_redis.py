"""The whole life of a real server; Redis, because it starts in a moment."""

import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tools.services import source
from tools.services.address import parse
from tools.services.endpoints import endpoints, rows
from tools.services.failure import StartError
from tools.services.lifecycle import reset, start, stop
from tools.services.process import find, running
from tools.services.redis import REDIS
from tools.services.redis_protocol import session
from tools.services.registry import SERVERS, named, to_start
from tools.services.state import load

CHECKOUT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(
    source.find(REDIS.source) is None, reason=f"no redis-server: {REDIS.source.how()}"
)


def begin(folder):
    [outcome] = start([REDIS], folder, say=lambda _: None)
    assert outcome.failure is None, outcome.failure
    return outcome.urls


def pids(folder):
    return find(("redis-server",), folder, running())


def test_started_twice_it_is_one_process_that_answers(folder):
    urls = begin(folder)
    first = pids(folder)
    assert len(first) == 1
    assert begin(folder) == urls
    assert pids(folder) == first
    assert endpoints(folder)["redis"].url == urls["redis"]
    assert {row.name: row.state for row in rows(folder)}["redis"] == "running"


def test_killed_it_is_started_again_where_it_was(folder):
    urls = begin(folder)
    [pid] = pids(folder)
    os.kill(pid, signal.SIGKILL)
    while pids(folder):
        pass
    assert "redis" not in endpoints(folder)
    assert begin(folder) == urls
    assert pids(folder) != [pid]


def test_stopped_nothing_is_left_and_its_port_is_kept_for_it(folder):
    urls = begin(folder)
    assert stop(SERVERS, folder) == ["redis"]
    assert pids(folder) == []
    assert endpoints(folder) == {}
    assert stop(SERVERS, folder) == []
    assert begin(folder) == urls


def test_a_lost_state_loses_no_process(folder):
    begin(folder)
    (folder / "services.json").unlink()
    begin(folder)
    assert len(pids(folder)) == 1
    (folder / "services.json").unlink()
    assert stop(SERVERS, folder) == ["redis"]
    assert pids(folder) == []


def test_a_recorded_process_id_that_is_another_process_now_is_left_alone(folder):
    begin(folder)
    stop(SERVERS, folder)
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        text = (folder / "services.json").read_text()
        assert load(folder).servers == {}
        record = '"servers": {"redis": {"urls": {}, "pids": {"redis": %d}, "digest": "x"}}'
        (folder / "services.json").write_text(text.replace('"servers": {}', record % other.pid))
        begin(folder)
        stop(SERVERS, folder)
        assert other.poll() is None
    finally:
        other.communicate(b"\n", timeout=600)


def test_a_port_that_somebody_took_meanwhile_is_replaced_for_good(folder):
    first = begin(folder)
    stop(SERVERS, folder)
    taken = parse(first["redis"]).port
    with socket.create_server(("127.0.0.1", taken)):
        second = begin(folder)
        assert parse(second["redis"]).port != taken
    assert begin(folder) == second


def test_two_checkouts_run_side_by_side(folder, tmp_path):
    other = tmp_path / "other" / ".services"
    try:
        assert begin(folder) != begin(other)
        assert stop(SERVERS, other) == ["redis"]
        assert "redis" in endpoints(folder)
    finally:
        stop(SERVERS, other)


def test_other_settings_start_it_anew(folder):
    begin(folder)
    before = pids(folder)

    def plan(site):
        [launch] = REDIS.plan(site)
        return (
            replace(launch, files={"redis.conf": launch.files["redis.conf"] + "databases 3\n"}),
        )

    [outcome] = start([replace(REDIS, plan=plan)], folder, say=lambda _: None)
    assert outcome.failure is None
    assert pids(folder) != before
    assert len(pids(folder)) == 1
    with session("127.0.0.1", parse(outcome.urls["redis"]).port) as ask:
        assert ask("CONFIG", "GET", "databases") == ["databases", "3"]


def test_one_that_does_not_come_up_is_told_with_the_end_of_its_log_and_ended(folder):
    def plan(site):
        [launch] = REDIS.plan(site)
        return (replace(launch, files={"redis.conf": "no-such-directive at-all\n"}),)

    [outcome] = start([replace(REDIS, plan=plan)], folder, say=lambda _: None)
    assert isinstance(outcome.failure, StartError)
    assert "no-such-directive" in str(outcome.failure)
    assert pids(folder) == []
    assert endpoints(folder) == {}


def test_it_listens_on_the_loopback_alone(folder):
    begin(folder)
    port = load(folder).ports["redis"]
    listening = [
        line.split()[1]
        for table in ("tcp", "tcp6")
        for line in Path("/proc/net", table).read_text().splitlines()[1:]
        if line.split()[3] == "0A" and line.split()[1].endswith(f":{port:04X}")
    ]
    assert listening == [f"0100007F:{port:04X}"]


def test_reset_deletes_what_it_kept(folder):
    begin(folder)
    reset([REDIS], folder)
    assert pids(folder) == []
    assert not (folder / "redis").exists()


def test_the_command_starts_says_and_stops(folder):
    def command(*words):
        return subprocess.run(
            [sys.executable, "-W", "error", "-m", "tools.services", *words, "--folder", folder],
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            timeout=600,
            check=True,
        ).stdout

    assert "redis           running  redis://127.0.0.1:" in command("start", "redis")
    assert "redis           running  redis://127.0.0.1:" in command("status")
    assert command("stop") == "redis: stopped\n"
    assert pids(folder) == []


def test_what_a_server_needs_starts_with_it_and_is_not_stopped_with_it():
    assert [server.name for server in to_start(["pgbouncer"])] == ["postgresql", "pgbouncer"]
    assert [server.name for server in named(["pgbouncer"])] == ["pgbouncer"]
    assert "redis-cluster" not in {server.name for server in to_start([])}
    assert set(named([])) == set(SERVERS)
