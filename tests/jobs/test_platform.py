"""Schedules, pauses and workers of the platform: its routes, its commands, its program."""

import asyncio
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from cli.program import environment, here, wait_until
from holdfast.audit import AuditEntry
from holdfast.cli.code_watch import code_changed
from holdfast.domain import Domain
from holdfast.jobs import EnqueueOptions, Job, Jobs, JobStatus, NewJob, Schedule, Schedules, Worker
from holdfast.platform import open_platform
from holdfast.settings import Settings
from holdfast.sync import open_store as open_blocking
from holdfast.web.platform_application import create_application
from holdfast.web.serve_options import ServeOptions
from http_serving import client_of

pytestmark = pytest.mark.anyio
OWN = """
from threading import Event
from holdfast.domain import Domain

def hang(context):
    context.progress(0.5, "hanging")
    while not context.cancelled:
        Event().wait(0.01)

HANDLERS = {{"say": lambda _: {said}, "hang": hang}}
DOMAIN = Domain(name="own", requires=("jobs",), handlers=lambda parts: HANDLERS)
"""


@pytest.fixture
def settings(tmp_path):
    return Settings(
        data=tmp_path / "data",
        storage={"type": "memory"},
        bucket="memory://",
        domains=("access", "audit", "jobs"),
    )


async def test_schedules_and_queues_are_looked_after_over_http(settings):
    app = create_application(settings, ServeOptions(work=False))
    async with client_of(app, headers={"Host": "localhost"}) as client:
        at, store = "/api/v1/jobs", app.state.gate.keys.store
        asked = {"task": "report", "cron": "0 3 * * *", "zone": "Europe/Athens", "queue": "night"}
        stored = (await client.put(f"{at}/schedules/nightly", json=asked)).json()
        assert (stored["zone"], stored["status"], stored["declared"]) == (
            "Europe/Athens",
            "active",
            False,
        )
        shown = (await client.get(f"{at}/schedules/nightly", params={"ticks": 2})).json()
        assert [shown["schedule"]["next_tick"], len(shown["ticks"])] == [shown["ticks"][0], 2]
        refused = await client.put(f"{at}/schedules/bad", json={"task": "a", "cron": "61 * * * *"})
        assert (refused.status_code, refused.json()["entity"]) == (422, "JobSchedule")
        assert (await client.put(f"{at}/schedules/bad", json={"task": "a"})).status_code == 422
        paused = (await client.post(f"{at}/schedules/nightly/pause")).json()
        assert paused["status"] == "paused"
        assert (await client.post(f"{at}/schedules/nightly/resume")).json()["status"] == "active"
        assert [each["name"] for each in (await client.get(f"{at}/schedules")).json()] == [
            "nightly"
        ]
        assert (await client.post(f"{at}/queues/night/pause")).json()["status"] == "paused"
        assert [each["name"] for each in (await client.get(f"{at}/paused-queues")).json()] == [
            "night"
        ]
        assert (await client.post(f"{at}/queues/night/resume")).json()["status"] == "open"
        assert (await client.delete(f"{at}/schedules/nightly")).status_code == 204
        assert (await client.post(f"{at}/schedules/nightly/pause")).status_code == 404
        told = [entry.verb async for entry in store.repository(AuditEntry).stream()]
        assert sorted(told) == [
            "queue.paused",
            "queue.resumed",
            "schedule.paused",
            "schedule.put",
            "schedule.removed",
            "schedule.resumed",
        ]


async def test_a_domain_brings_schedules_and_a_server_ticks_the_stored_ones(settings):
    every = timedelta(seconds=1)
    own = Domain(
        name="own",
        requires=("jobs",),
        handlers=lambda _: {"a": lambda _: worker.stop()},
        schedules=lambda _: [Schedule("own", NewJob("a"), every=every)],
    )
    async with open_platform(settings, domains=[own]) as platform:
        worker = Worker(platform.jobs, platform.handlers, schedules=platform.schedules)
        await worker.run()
        assert {job.schedule for job in await platform.jobs.list()} == {"own"}
        stored = await Schedules(platform.store).put(Schedule("stored", NewJob("b"), every=every))
        while platform.store.now() < stored.next_tick:
            time.sleep(0.01)  # noqa: ASYNC251 - nothing else is to run
        await platform.each_minute()
        assert await platform.store.repository(Job).exists(Job.task == "b")


def test_commands_put_pause_resume_and_remove_schedules_and_queues(tmp_path):
    data = ("--data", tmp_path / "data")
    payload = '{"days": 7}'
    put = ("schedules", "put", "weekly", "report", "--cron", "@weekly", "--payload", payload)
    assert here(*put, *data, "--json").json["payload"] == {"days": 7}
    assert here("schedules", "pause", "weekly", *data).code == 0
    assert "paused" in here("schedules", "list", *data).out
    assert here("schedules", "resume", "weekly", *data).code == 0
    shown = here("schedules", "show", "weekly", "--ticks", 3, *data, "--json").json
    assert (shown["status"], len(shown["ticks"])) == ("active", 3)
    assert here("schedules", "remove", "weekly", *data).code == 0
    gone = here("schedules", "show", "weekly", *data)
    assert (gone.code, "weekly" in gone.err) == (3, True)
    wrong = here("schedules", "put", "a", "b", "--cron", "* * *", *data)
    assert (wrong.code, "five fields" in wrong.err) == (2, True)
    assert here("queues", "pause", "night", *data).code == 0
    assert here("queues", "list", *data, "--json").json["night"]["paused"] is True
    assert here("queues", "resume", "night", *data).code == 0
    assert here("queues", "list", *data, "--json").json == {}


def test_a_worker_of_the_program_heeds_queues_new_code_and_its_deadline(tmp_path):
    site = tmp_path / "site"
    (site / "own-1.dist-info").mkdir(parents=True)
    (site / "own-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: own\n")
    (site / "own-1.dist-info" / "entry_points.txt").write_text("[holdfast.domains]\nown=own:DOMAIN")
    (site / "own.py").write_text(OWN.format(said=1))
    told = environment(
        PYTHONPATH=str(site), HOLDFAST_DOMAINS="jobs,own", HOLDFAST_WORKER_CONCURRENCY="4"
    )
    program = Path(sys.executable).with_name("holdfast")
    command = [program, "worker", "--reload", "--queues", "fast, slow", "--drain", "0.1"]
    command += ["--data", tmp_path / "data"]
    url = f"sqlite:///{tmp_path}/data/holdfast.db"
    with subprocess.Popen(command, env=told, stderr=subprocess.PIPE) as worker:
        try:
            for line in worker.stderr:
                if b"Waiting" in line:
                    break
            with open_blocking(url, [Job], verify="off") as store:
                jobs = Jobs(store.asynchronous)

                def said(queue="slow"):
                    job = store.run(jobs.enqueue("say", options=EnqueueOptions(queue=queue))).job
                    wait_until(lambda: store.repository(Job).get_one(job.id).status.finished, "it")
                    return store.repository(Job).get_one(job.id).result

                left = store.run(jobs.enqueue("say", options=EnqueueOptions(queue="other"))).job
                assert said() == 1
                (site / "own.py").write_text(OWN.format(said=22))
                wait_until(lambda: said("fast") == 22, "the new code")
                assert store.repository(Job).get_one(left.id).attempts == 0
                hangs = store.run(jobs.enqueue("hang", options=EnqueueOptions(queue="fast"))).job
                wait_until(lambda: store.repository(Job).get_one(hangs.id).message, "it to hang")
                worker.send_signal(signal.SIGTERM)
                assert worker.wait(120) == 0
                hangs = store.repository(Job).get_one(hangs.id)
                assert (hangs.status, hangs.attempts) == (JobStatus.QUEUED, 0)
        finally:
            worker.kill()


async def test_a_module_that_vanishes_is_noticed(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "changing_module.py").write_text("a = 1\n")
    __import__("changing_module")
    watching = asyncio.create_task(code_changed())
    await asyncio.sleep(0)  # it has looked once
    (tmp_path / "changing_module.py").unlink()
    try:
        assert await asyncio.wait_for(watching, 120) == tmp_path / "changing_module.py"
    finally:
        del sys.modules["changing_module"]
