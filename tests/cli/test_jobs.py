"""Jobs looked at and changed from the command line."""

import asyncio
import base64
from uuid import uuid4

import orjson
import pytest

from cli.program import here
from holdfast.jobs import EnqueueOptions, Worker, WorkerOptions, Workflow, Workflows
from holdfast.platform import open_platform
from holdfast.settings import Settings, read_settings


@pytest.fixture
def filled(data):
    """A data folder with a job that failed, with its log, and two that wait; the ids of all."""

    async def fill():
        async with open_platform(Settings(data=data)) as platform:

            async def resize(context):
                context.log("began")
                context.log("odd", level="warning")
                raise ValueError("row 7 is bad")

            once = EnqueueOptions(max_attempts=1, queue="pictures")
            failed = (await platform.jobs.enqueue("resize", options=once)).job
            worker = Worker(
                platform.jobs, {"resize": resize}, options=WorkerOptions(queues=("pictures",))
            )
            await worker.run(until="idle")
            waiting = [(await platform.jobs.enqueue("resize")).job for _ in range(2)]
            return [str(job.id) for job in (failed, *waiting)]

    return asyncio.run(fill())


def test_a_job_is_listed_shown_and_its_log_read(filled, data):
    failed = filled[0]
    listed = here("jobs", "list", "--status", "failed", "--data", data)
    assert failed in listed.out
    assert max(map(len, listed.out.splitlines())) <= 80
    shown = here("jobs", "show", failed, "--data", data, "--json").json
    assert (shown["status"], shown["attempts_made"][0]["outcome"]) == ("failed", "failed")
    assert "lease" not in shown
    assert "row 7 is bad" in here("jobs", "show", failed, "--data", data).out
    assert here("jobs", "show", filled[2], "--data", data, "--json").json["position"]["place"] == 2
    lines = here("jobs", "logs", failed, "--level", "warning", "--data", data).out.splitlines()
    assert [line.split(maxsplit=2)[2] for line in lines] == ["warning odd"]
    followed = here("jobs", "logs", failed, "--follow", "--json", "--data", data).out
    assert [orjson.loads(line)["text"] for line in followed.splitlines()] == ["began", "odd"]
    stats = here("jobs", "stats", "--data", data, "--json").json
    assert [(each["name"], each["failed"]) for each in stats["statistics"]] == [("resize", 1)]
    assert stats["failures"][0]["reason"] == "ValueError: row … is bad"


def test_jobs_are_cancelled_and_retried_by_id_and_by_what_fits(filled, data):
    failed, first, second = filled
    dry = here("jobs", "cancel", "--task", "resize", "--dry-run", "--json", "--data", data)
    assert dry.json == {"matching": 2}
    assert here("jobs", "cancel", first, "--json", "--data", data).json["changed"] == 1
    done = here("jobs", "cancel", "--task", "resize", "--json", "--data", data)
    assert done.json == {"changed": 1, "refused": 0}
    assert here("jobs", "retry", "--queue", "pictures", "--json", "--data", data).json == {
        "changed": 1,
        "refused": 0,
    }
    assert here("jobs", "retry", failed, "--data", data).code == 5  # it is queued already
    watched = here("jobs", "watch", second, "--json", "--data", data)
    assert watched.code == 7
    assert watched.json["status"] == "cancelled"


def test_what_can_not_be_meant_is_refused(filled, data):
    for arguments, code, said in (
        (("cancel",), 2, "say which jobs"),
        (("list", "--status", "done"), 2, "expected one of waiting"),
        (("show", str(uuid4())), 3, "no such key"),
        (("stats", "--by", "colour"), 2, "task, queue, all"),
    ):
        refused = here("jobs", *arguments, "--data", data)
        assert refused.code == code
        assert said in refused.err


def test_workflows_are_listed_shown_cancelled_and_retried(data):
    flow = Workflow("film")
    parts = [flow.job("cut", name=f"part {number}") for number in range(5)]
    join = flow.job("join", after=parts)

    async def fill():
        async with open_platform(Settings(data=data)) as platform:
            await Workflows(platform.jobs).start(flow)

    asyncio.run(fill())
    listed = here("workflows", "list", "--name", "film", "--data", data)
    assert f"{flow.id}  film  running" in listed.out
    assert max(map(len, listed.out.splitlines())) <= 80
    assert here("workflows", "list", "--name", "other", "--data", data).out == ""
    shown = here("workflows", "show", flow.id, "--data", data)
    assert "part 0, part 1, part 2 and 2 more" in shown.out
    told = here("workflows", "show", flow.id, "--most", 4, "--data", data, "--json").json
    assert (told["state"], len(told["jobs"]), told["next"]) == ("running", 4, str(parts[3].id))
    assert "payload" not in told["jobs"][0]
    behind = ("workflows", "show", flow.id, "--after", told["next"], "--data", data, "--json")
    rest = here(*behind).json
    assert [job["id"] for job in rest["jobs"]] == [str(parts[4].id), str(join.id)]
    assert {link["on_id"] for link in rest["links"]} == {str(part.id) for part in parts}
    ended = here("workflows", "cancel", flow.id, "--data", data, "--json").json
    assert (ended["state"], ended["counts"]["cancelled"]) == ("cancelled", 6)
    assert here("workflows", "retry", flow.id, "--data", data, "--json").json["again"] == 6
    unknown = here("workflows", "show", uuid4(), "--data", data)
    assert (unknown.code, "WorkflowRun" in unknown.err) == (3, True)


def test_a_queue_is_limited_and_the_list_shows_it(data):
    at = ("jobs", "limits")
    limit = (*at, "set", "--queue", "cameras", "--data", data)
    said = ("--concurrency", 10, "--key-concurrency", 2, "--rate", 100, "--period", 60)
    assert here(*limit, *said, "--weight", "gate=3").code == 0
    listed = here("queues", "list", "--data", data, "--json").json["cameras"]["limit"]
    assert listed == {
        "queue": "cameras", "task": None, "concurrency": 10, "key_concurrency": 2, "rate": 100,
        "key_rate": None, "period": 60, "weights": {"gate": 3},
    }  # fmt: skip
    table = here("queues", "list", "--data", data).out
    assert "10 at once, 2 of a key, 100 in 60 s, gate x3" in table
    for wrong in ((), ("--task", "cut", "--rate", 1), ("--concurrency", 0), ("--weight", "gate")):
        assert here(*limit, *wrong).code == 2
    assert here(*at, "set", "--task", "cut", "--key-rate", 5, "--data", data).code == 0
    table = here(*at, "list", "--data", data).out
    assert "queue cameras" in table
    assert "5 of a key in 1 s" in table
    stands = here(*at, "show", "--task", "cut", "--data", data, "--json").json
    assert (stands["limit"]["key_rate"], stands["running"], stands["keys"]) == (5, 0, [])
    assert here(*at, "show", "--task", "other", "--data", data).code == 3
    assert here(*at, "remove", "--task", "cut", "--data", data).code == 0
    assert here(*at, "remove", "--queue", "cameras", "--data", data).code == 0
    assert here("queues", "list", "--data", data, "--json").json == {}


def test_a_sealed_job_is_worked_on_and_shown_by_its_key_and_as_it_is_stored_without(
    monkeypatch, data
):
    key = base64.b64encode(b"k" * 32).decode()
    monkeypatch.setenv("HOLDFAST_JOBS_KEYS", f"april:{key}")

    async def fill():
        async with open_platform(read_settings(data=data)) as platform:
            return (await platform.jobs.enqueue("charge", {"card": "4111"})).job.id

    job = asyncio.run(fill())
    show = ("jobs", "show", job, "--data", data, "--json")
    assert here(*show).json["payload"] == {"card": "4111"}
    (found,) = [
        each for each in here("doctor", "--data", data, "--json").json if each["what"] == "job keys"
    ]
    assert (found["state"], found["detail"]) == ("ok", "april; april seals")
    monkeypatch.setenv("HOLDFAST_JOBS_KEYS", f"may:{key}")
    shown = here(*show)
    assert shown.json["payload"]["holdfast:key"] == "april"
    assert "is sealed by the key 'april', which is not here" in shown.err


def test_resuming_a_queue_that_is_not_paused_names_those_that_are(data):
    assert here("queues", "pause", "cameras", "--data", data).code == 0
    missed = here("queues", "resume", "camera", "--data", data)
    assert (missed.code, missed.err) == (0, "No queue 'camera' is paused; paused are: cameras.\n")
    assert list(here("queues", "list", "--data", data, "--json").json) == ["cameras"]
    assert "claimed again" in here("queues", "resume", "cameras", "--data", data).err
    assert here("queues", "resume", "cameras", "--data", data).err == (
        "No queue 'cameras' is paused.\n"
    )
