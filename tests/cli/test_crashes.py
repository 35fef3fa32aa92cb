"""Killed at any moment and run again, it ends as if run once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time

import pytest

from cli.agreement import disagreements
from cli.program import apart, data_files, environment, finish, here, start, wait_until

MANY = "HOLDFAST_TEST_KILLS"
KILLS = int(os.environ.get(MANY, "2"))
SEED = 20261121
PATIENT = ("HOLDFAST_JOBS_QUARANTINE_AFTER", "1000")
"""Not what is tried here: that a job over which a few workers vanished is not tried again."""
QUICK = environment(HOLDFAST_LEASE="1", **dict([PATIENT]))
"""For those that are killed: their jobs are soon free. Whoever ends the work keeps its lease."""


def kill_often(run, longest):
    """Start what *run* starts and kill it at random moments, KILLS times, one in each part.

    The parts are of *longest* seconds, and of half of that after a run that had ended by itself:
    how long one takes is known to nobody beforehand.
    """
    chance = random.Random(SEED)
    for part in range(KILLS):
        while not kill_after(run(), longest * (part + chance.random()) / KILLS):
            longest /= 2


def kill_after(process, seconds):
    """Kill *process* when it has run for *seconds*; False when it was done before."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
    finish(process)
    return process.returncode == -signal.SIGKILL


def timed(*args):
    began = time.monotonic()
    ran = apart(*args)
    assert ran.code == 0, ran.err
    return time.monotonic() - began


def test_an_ingest_killed_at_random_moments_and_repeated_leaves_one_of_everything(films, tmp_path):
    data = tmp_path / "data"
    files = [films / "a.mp4", films / "middle.mp4"]
    longest = timed("ingest", *files, "--data", tmp_path / "measured")
    kill_often(lambda: start("ingest", *files, "--data", data, env=QUICK), longest)
    assert here("ingest", *files, "--data", data).code == 0
    assert here("worker", "--once", "--data", data).code == 0
    assert disagreements(data) == []
    assert len(here("videos", "--json", "--data", data).json) == 2


def test_a_worker_killed_at_random_moments_and_repeated_leaves_one_set_of_results(
    films, tmp_path, monkeypatch
):
    monkeypatch.setenv(*PATIENT)
    measured, data = tmp_path / "measured", tmp_path / "data"
    for folder in (measured, data):
        assert here("ingest", films / "middle.mp4", "--data", folder).code == 0
    longest = timed("worker", "--once", "--data", measured)
    kill_often(lambda: start("worker", "--once", "--data", data, env=QUICK), longest)
    assert here("worker", "--once", "--data", data).code == 0
    assert disagreements(data) == []
    assert disagreements(measured) == []


@pytest.mark.parametrize("count", [1, 2])
def test_an_ingest_killed_when_an_object_appears_is_ended_by_the_next(films, data, count):
    process = start("ingest", films / "a.mp4", "--data", data, env=QUICK)
    wait_until(lambda: len(data_files(data)) >= count, f"{count} objects")
    process.kill()
    finish(process)
    assert here("ingest", films / "a.mp4", "--data", data).code == 0
    assert here("worker", "--once", "--data", data).code == 0
    assert disagreements(data) == []


@pytest.mark.parametrize("count", [3, 6])
def test_a_worker_killed_when_a_result_appears_is_followed_by_another(films, data, count):
    assert here("ingest", films / "a.mp4", "--data", data).code == 0
    process = start("worker", "--once", "--data", data, env=QUICK)
    wait_until(lambda: len(data_files(data)) >= count, f"{count} objects")
    process.kill()
    finish(process)
    assert here("worker", "--once", "--data", data).code == 0
    assert disagreements(data) == []
