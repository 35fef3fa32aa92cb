"""Jobs in the console: queues, lists, one job as it goes on, and its cancellation."""

import asyncio
import html
import re
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from console.conftest import HOSTILE, assert_inert, console_client, log_in, send, token_in
from holdfast.access import Role
from holdfast.audit import AuditFilter, AuditLog
from holdfast.console.jobs.workflow_graph import MOST_NODES, workflow_graph
from holdfast.console.jobs.workflow_pages import JOBS_SHOWN
from holdfast.jobs import (
    EnqueueOptions,
    Jobs,
    JobStatus,
    Limit,
    NewJob,
    Queues,
    Schedule,
    Schedules,
    ScheduleStatus,
    Workflow,
    Workflows,
)  # fmt: skip

_NOW = datetime(2026, 11, 29, tzinfo=UTC)


@pytest.fixture(scope="module")
async def client(tmp_path_factory):
    async with console_client(tmp_path_factory.mktemp("jobs")) as client:
        client.jobs = client.platform.service(Jobs)
        yield client


async def test_queues_lists_and_one_job_are_shown_whatever_they_hold(client):
    for text in HOSTILE:
        job = (await client.jobs.enqueue(text, {text: text})).job
        for path in ("/console/jobs", f"/console/jobs?task={text}&status=queued",
                     f"/console/jobs/{job.id}"):  # fmt: skip
            page = await client.get(path)
            assert page.status_code == 200, path
            assert_inert(page)
    assert (await client.get(f"/console/jobs/{uuid4()}")).status_code == 404
    assert (await client.get("/console/jobs/x")).status_code == 404
    assert "Nothing fits" in (await client.get("/console/jobs?queue=no-such")).text


async def test_a_job_is_cancelled_and_that_is_recorded(client):
    job = (await client.jobs.enqueue("detect")).job
    answer = await send(client, f"/console/jobs/{job.id}/cancel")
    assert answer.status_code == 303
    page = await client.get(answer.headers["location"])
    assert "The job is cancelled." in page.text
    assert "Cancel this job" not in page.text
    assert (await client.jobs.get(job.id)).status is JobStatus.CANCELLED
    log = AuditLog(client.platform.store)
    (entry,) = await log.search(AuditFilter(verb="job.cancelled", key=str(job.id)))
    assert entry.actor == "local"
    again = await client.get(
        (await send(client, f"/console/jobs/{job.id}/cancel")).headers["location"]
    )
    assert "The job is cancelled." in again.text


async def test_the_page_of_queues_counts_what_lives_and_what_ended_lately(client):
    jobs, once = client.jobs, EnqueueOptions(queue="counted", max_attempts=1)
    for end in (jobs.complete, jobs.complete, None):
        await jobs.enqueue("t", options=once)
        claim = await jobs.claim("w", queues=["counted"])
        await (end(claim) if end else jobs.fail(claim, "broken"))
    await jobs.enqueue_many([NewJob("t", options=once)] * 4)
    await jobs.write_figures()
    page = (await client.get("/console/jobs")).text
    (row,) = re.findall(r"<bdi>counted</bdi></a></th>(.*?)</tr>", page, re.DOTALL)
    cells = re.findall(r'data-label="([^"]+)">(?:<[^>]*>)?(\d+)', row)
    counts = {label: number for label, number in cells if label != "oldest is due for"}
    assert counts == {
        "waiting": "0", "queued": "4", "running": "0",
        "succeeded, last day": "2", "failed, last day": "1", "cancelled, last day": "0",
    }  # fmt: skip


async def test_a_page_follows_a_job_to_its_end(client):
    job = (await client.jobs.enqueue("<b>detect</b>", options=EnqueueOptions(queue="followed"))).job
    page = await client.get(f"/console/jobs/{job.id}")
    assert f'data-live="/console/jobs/{job.id}/live"' in page.text
    following = asyncio.create_task(client.get(f"/console/jobs/{job.id}/live"))
    claimed = await client.jobs.claim("w", queues=["followed"])
    await client.jobs.complete(claimed)
    stream = (await following).text
    assert stream.startswith("retry:")
    assert "event: job-state" in stream
    assert "succeeded" in stream
    assert stream.rstrip().endswith("event: end\ndata:")
    over = await client.get(f"/console/jobs/{job.id}")
    assert "data-live=" not in over.text


async def test_a_failed_job_shows_its_attempts_and_is_retried(client):
    job = (await client.jobs.enqueue("odd", options=EnqueueOptions(queue="odd"))).job
    claimed = await client.jobs.claim("worker <b>1</b>", queues=["odd"])
    await client.jobs.fail(claimed, HOSTILE[0], retry=False)
    page = await client.get(f"/console/jobs/{job.id}")
    assert_inert(page)
    assert "worker &lt;b&gt;1&lt;/b&gt;" in page.text
    assert "<progress" not in page.text, "it made none"
    assert (await send(client, f"/console/jobs/{job.id}/retry")).status_code == 303
    assert (await client.jobs.get(job.id)).status is JobStatus.QUEUED
    assert (await send(client, f"/console/jobs/{job.id}/retry")).status_code == 409


async def test_what_was_asked_for_stands_first_and_reasons_name_their_queue(client):
    options = EnqueueOptions(queue="of reasons")
    await client.jobs.enqueue("look", options=options)
    (claim,) = await client.jobs.claim_many("w", 1, queues=("of reasons",))
    await client.jobs.fail(claim, "no picture came", retry=False)
    await client.jobs.write_figures()
    plain = (await client.get("/console/jobs")).text
    assert plain.index('id="queues"') < plain.index('id="why"') < plain.index('id="list"')
    why = plain[plain.index('id="why"') : plain.index('id="list"')]
    assert '<td data-label="Queue"><bdi>of reasons</bdi></td>' in why
    asked = (await client.get("/console/jobs?status=failed")).text
    assert asked.index('id="list"') < asked.index('id="queues"') < asked.index('id="why"')


async def test_a_queue_is_paused_and_resumed_and_one_without_jobs_is_shown(client):
    name = f"paused {HOSTILE[0]}"
    assert (await send(client, "/console/jobs/queues/pause", queue=name)).status_code == 303
    page = await client.get("/console/jobs")
    assert_inert(page)
    assert "is paused; what runs goes on." in page.text
    assert 'action="/console/jobs/queues/resume"' in page.text
    assert [each.name for each in await Queues(client.platform.store).paused()] == [name]
    await send(client, "/console/jobs/queues/resume", queue=name)
    assert await Queues(client.platform.store).paused() == []


async def test_schedules_are_listed_with_their_ticks_paused_resumed_and_run_now(client):
    schedules, name = Schedules(client.platform.store), f"nightly {HOSTILE[0]}"
    options = EnqueueOptions(queue="nightly", unique_key="nightly")
    stored = await schedules.put(
        Schedule(name, NewJob("report", options=options), cron="0 3 * * *")
    )
    page = await client.get("/console/jobs/schedules")
    assert_inert(page)
    assert page.text.count("03:00:00 UTC") == 3
    await send(client, "/console/jobs/schedules/pause", name=name)
    assert (await schedules.get(name)).status is ScheduleStatus.PAUSED
    assert "none while it is paused" in (await client.get("/console/jobs/schedules")).text
    answer = await send(client, "/console/jobs/schedules/run", name=name)
    made = await client.get(answer.headers["location"])
    assert "The job is queued." in made.text
    again = await send(client, "/console/jobs/schedules/run", name=name)
    assert again.headers["location"] == answer.headers["location"], "its unique key is taken"
    job = await client.jobs.get_one(UUID(answer.headers["location"].rpartition("/")[2]))
    assert (job.task, job.schedule, job.queue) == ("report", name, "nightly")
    await send(client, "/console/jobs/schedules/resume", name=name)
    assert (await schedules.get(name)).next_tick == stored.next_tick
    events = await AuditLog(client.platform.store).search(AuditFilter(key=name))
    assert {each.verb for each in events} >= {"schedule.paused", "schedule.run", "schedule.resumed"}
    assert (await send(client, "/console/jobs/schedules/run", name="no")).status_code == 404


async def test_a_limit_is_set_shown_with_its_use_and_removed(client):
    limits, own = client.jobs.limits, "/console/jobs/limits/one?queue=limited"
    for fields, said in (
        ({"concurrency": "many"}, "expected a whole number"),
        ({"concurrency": "0"}, "greater than or equal to 1"),
        ({"period": "1"}, "a limit says one of"),
        ({"concurrency": "2", "weights": "a = 3"}, "weights are of a queue's keys"),
        ({"key_rate": "2", "weights": "a"}, "KEY = NUMBER"),
    ):
        refused = await send(client, own, **fields)
        assert (refused.status_code, said in html.unescape(refused.text)) == (422, True), fields
    assert await limits.all() == []
    sent = {
        "concurrency": "5",
        "key_concurrency": "2",
        "period": "1",
        "weights": f"{HOSTILE[0]} = 3",
    }
    assert (await send(client, own, **sent)).status_code == 303
    assert await limits.get(queue="limited") == Limit(
        queue="limited", concurrency=5, key_concurrency=2, weights={HOSTILE[0]: 3}
    )
    for key in (HOSTILE[0], HOSTILE[0], None):
        options = EnqueueOptions(queue="limited", limit_key=key)
        await client.jobs.enqueue("shrink", options=options)
    assert await client.jobs.claim("w", queues=["limited"])
    page = await client.get(own)
    assert_inert(page)
    assert "running, of 5</dt><dd>1</dd>" in page.text
    assert "waiting</dt><dd>2</dd>" in page.text
    listed = await client.get("/console/jobs/limits")
    assert "queue <bdi>limited</bdi>" in listed.text
    assert "1 of 5" in listed.text
    await send(client, "/console/jobs/limits/one/remove?queue=limited")
    assert await limits.all() == []
    assert (await client.get("/console/jobs/limits/one")).status_code == 400


async def test_a_viewer_looks_and_an_operator_sets_no_limits(tmp_path):
    async with console_client(tmp_path, keys=True) as client:
        await log_in(client, Role.VIEWER)
        for path in ("", "/schedules", "/limits", "/limits/one?queue=a"):
            page = await client.get(f"/console/jobs{path}")
            assert page.status_code == 200, path
            assert re.findall(r'<form method="post" action="/console/jobs', page.text) == []
        assert (await client.get("/console/jobs/matching/retry")).status_code == 403
        client.cookies.clear()
        await log_in(client, Role.OPERATOR)
        token = token_in(await client.get("/console/jobs/limits"))
        fields = {"form_token": token, "concurrency": "1"}
        answer = await client.post("/console/jobs/limits/one?queue=a", data=fields)
        assert answer.status_code == 403


async def test_a_workflow_is_drawn_listed_cancelled_and_retried(client):
    flow, quiet = Workflow(HOSTILE[0]), EnqueueOptions(queue="flows")
    first = flow.add(NewJob("split", options=quiet), name=HOSTILE[6])
    parts = [flow.job("detect", after=[first]) for _ in range(5)]
    last = flow.job("join", after=parts)
    await Workflows(client.jobs).start(flow)
    page = await client.get("/console/jobs/workflows")
    assert_inert(page)
    own = f"/console/jobs/workflows/{flow.id}"
    assert own in page.text
    page = await client.get(own)
    assert_inert(page)
    assert page.text.count("<rect") == 3, "the five are one node"
    assert "5 waiting" in page.text
    assert f"/console/jobs/{parts[0].id}" in page.text
    assert "and 2 more" in page.text
    assert own in (await client.get(f"/console/jobs/{last.id}")).text
    assert (await send(client, f"{own}/cancel")).status_code == 303
    assert "The workflow is cancelled." in (await client.get(own)).text
    assert (await send(client, f"{own}/retry")).status_code == 303
    assert "7 jobs are to be done again." in (await client.get(own)).text
    assert (await client.get(f"/console/jobs/workflows/{uuid4()}")).status_code == 404

    many = Workflow("many")
    first = many.job("first")
    for _ in range(JOBS_SHOWN):
        many.job("detect", after=[first])
    await Workflows(client.jobs).start(many)
    page = await client.get(f"/console/jobs/workflows/{many.id}")
    assert f"{JOBS_SHOWN - 1} waiting</text>" in page.text
    (ahead,) = re.findall(r'rel="next" href="([^"]*)"', page.text)
    behind = await client.get(ahead)
    assert (behind.text.count("<tr>"), '<svg class="flow"' in behind.text) == (2, False)


async def test_a_graph_has_columns_and_a_bounded_number_of_nodes():
    flow = Workflow("wide")
    first, alone = flow.job("a"), flow.job("b")
    third = flow.job("c", after=[flow.job("b", after=[first, alone])])
    drawn = workflow_graph(list(flow.stored(_NOW).values()), flow.links())
    columns = {}
    for node in drawn.nodes:
        columns.setdefault(node.x, []).append(node.label)
    assert [columns[x] for x in sorted(columns)] == [["a", "b"], ["b"], ["c"]]
    assert (len(drawn.lines), drawn.left_out) == (3, 0)
    for number in range(100):
        flow.job("d", name=f"d{number}", after=[third])
    jobs = list(flow.stored(_NOW).values())
    drawn = workflow_graph(jobs, flow.links())
    assert (len(drawn.nodes), drawn.left_out) == (MOST_NODES, 104 - MOST_NODES)
    assert workflow_graph(jobs, []) is None
