"""Several at once, signals, pipes and terminals: the program as a process."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import shutil
import signal
import subprocess
from functools import partial

import pytest

from cli.agreement import disagreements
from cli.program import (
    PROGRAM,
    apart,
    data_files,
    environment,
    finish,
    here,
    start,
    wait_until,
)
from media.films import film

MEASURE = """
import resource, sys
from holdfast.cli import main
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    main()
finally:
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(after - before, file=sys.stderr)
"""


def test_one_file_brought_in_by_two_processes_at_once_is_there_once(films, data):
    processes = [start("ingest", films / "middle.mp4", "--data", data, "--json") for _ in range(2)]
    outcomes = [finish(process) for process in processes]
    assert [ran.code for ran in outcomes] == [0, 0], outcomes
    assert sorted(ran.json[0]["created"] for ran in outcomes) == [False, True]
    assert outcomes[0].json[0]["video"] == outcomes[1].json[0]["video"]
    assert here("worker", "--once", "--data", data).code == 0
    assert disagreements(data) == []


def test_two_workers_share_the_jobs_and_do_none_twice(films, data, tmp_path):
    many = [film(tmp_path / f"film-{count}.mp4", frames=60 + count) for count in range(4)]
    assert here("ingest", *many, "--data", data).code == 0
    workers = [start("worker", "--once", "--data", data, "--json") for _ in range(2)]
    worked = [finish(worker).json["worked"] for worker in workers]
    assert sum(worked) == 4
    jobs = here("jobs", "--data", data, "--json").json
    assert {(job["status"], job["attempts"]) for job in jobs} == {("succeeded", 1)}
    assert len({job["worker"] for job in jobs}) == sum(count > 0 for count in worked)
    assert disagreements(data) == []


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_the_worker_finish_the_job_at_hand(films, data, kind):
    assert here("ingest", films / "middle.mp4", films / "a.mp4", "--data", data).code == 0
    worker = start("worker", "--data", data)
    wait_until(lambda: any((data / "work").glob("*")), "a job to run")
    worker.send_signal(kind)
    ran = finish(worker)
    assert ran.code == 0
    assert "Finishing the job at hand" in ran.err
    states = sorted(video["state"] for video in here("videos", "--data", data, "--json").json)
    assert states == ["done", "queued"]
    assert here("worker", "--once", "--data", data).code == 0
    assert disagreements(data) == []


def test_an_idle_worker_ends_at_a_signal(data):
    worker = start("worker", "--data", data)
    wait_until((data / "objects" / ".holdfast" / "locks").exists, "the worker to be there")
    wait_until(lambda: _waits(worker), "the worker to listen")
    worker.send_signal(signal.SIGTERM)
    assert finish(worker, timeout=120).code == 0


def _waits(worker):
    """Whether it has said that it waits, which it does once it listens for signals."""
    os.set_blocking(worker.stderr.fileno(), False)
    waits = b"Waiting" in (worker.stderr.read() or b"")
    os.set_blocking(worker.stderr.fileno(), True)
    return waits


@pytest.mark.parametrize(("kind", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_ingest_that_is_interrupted_leaves_nothing(films, data, tmp_path, kind, code):
    big = tmp_path / "big.mp4"
    _with_padding(films / "a.mp4", big, 1 << 30)
    temporary = data / "objects" / ".holdfast" / "temporary"
    process = _frozen_in_an_ingest(big, data, temporary)
    process.send_signal(kind)
    process.send_signal(signal.SIGCONT)
    ran = finish(process)
    assert ran.code == code
    assert ran.err.startswith("holdfast: ")
    assert ran.err.count("\n") == 1
    assert data_files(data) == []
    assert list(temporary.iterdir()) == []


def _has_stored(process, temporary):
    return process.poll() is not None or any(temporary.glob("*"))


def _frozen_in_an_ingest(big, data, temporary):
    """Return an ingest of *big* into *data* that stands still with less than half of it stored."""
    for _ in range(20):  # on a busy machine all may be stored before anybody looks
        process = start("ingest", big, "--data", data)
        wait_until(partial(_has_stored, process, temporary), "bytes to be stored")
        process.send_signal(signal.SIGSTOP)
        with contextlib.suppress(FileNotFoundError):
            stored = [each.stat().st_size for each in temporary.iterdir()]
            if stored and max(stored) < big.stat().st_size / 2:
                return process
        process.kill()
        finish(process)
        shutil.rmtree(data)
    raise AssertionError("each of 20 files was stored before it could be interrupted")


def test_a_large_file_is_brought_in_within_little_memory(films, data, tmp_path):
    big = tmp_path / "big.mp4"
    _with_padding(films / "a.mp4", big, int(os.environ.get("HOLDFAST_TEST_LARGE", "268435456")))
    ran = subprocess.run(
        [PROGRAM[0], "-c", MEASURE, "ingest", big, "--data", data],
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
    )
    beyond = int(ran.stderr.split()[-1]) / 1024
    assert beyond < 40, f"{beyond} MiB beyond the start of the program"
    big.unlink()
    shutil.rmtree(data)


def _with_padding(video, target, size):
    """Write *video* with a box of *size* bytes behind it that players skip."""
    shutil.copy(video, target)
    with target.open("ab") as file:
        file.write((8 + size).to_bytes(4, "big") + b"free")
        file.truncate(file.tell() + size)


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_reader_that_leaves_is_no_error(films, data, options):
    for project in range(3):
        here("ingest", films / "a.mp4", "--data", data, "--project", project)
    reading, writing = os.pipe()
    os.close(reading)
    ran = finish(start("videos", "--data", data, *options, stdout=writing))
    os.close(writing)
    assert (ran.code, ran.err) == (0, "")


def test_bars_are_for_terminals(films, data):
    bar = "━"
    assert (
        here("ingest", films / "middle.mp4", "--data", data).code == 0
    )  # seconds of work: it is seen
    controller, terminal = pty.openpty()
    env = environment(TERM="xterm-256color", COLUMNS="100")
    worker = start("worker", "--once", "--data", data, stderr=terminal, env=env)
    os.close(terminal)
    seen = b""
    while True:
        try:
            piece = os.read(controller, 65536)
        except OSError:  # the other side is closed
            break
        if not piece:
            break
        seen += piece
    os.close(controller)
    assert finish(worker).code == 0
    assert bar in seen.decode()
    assert "middle.mp4" in seen.decode()
    silent = apart("ingest", films / "c.avi", "--data", data, env=env)
    assert silent.err == ""
    assert not re.search(r"\x1b|━", silent.out)
