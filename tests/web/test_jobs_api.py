"""The routes of jobs: looked at, retried, edited and cancelled, one by one and all that fit."""

import json
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from holdfast.audit import AuditEntry
from holdfast.jobs import EnqueueOptions, Jobs, Worker, Workflow, Workflows
from holdfast.jobs.history.job_log import log_line
from web.conftest import keys_of


@pytest.fixture
async def jobs(api):
    return Jobs(keys_of(api).store)


async def failed(jobs, text="ValueError: 7", **options):
    options = EnqueueOptions(max_attempts=1, **options)
    job = (await jobs.enqueue("resize", {"n": 1}, options=options)).job
    claim = await jobs.claim("w", queues=[job.queue])
    await jobs.write_log(claim, [log_line("began", "info", jobs.now())])
    await jobs.fail(claim, text)
    return str(job.id)


async def test_a_job_is_shown_with_its_log_its_attempts_and_its_place(api, jobs):
    job = await failed(jobs)
    shown = (await api.get(f"/api/v1/jobs/{job}")).json()
    assert (shown["status"], shown["error"]) == ("failed", "ValueError: 7")
    assert not {"lease", "live_key", "traceparent", "lane", "precedence"} & set(shown)
    log = (await api.get(f"/api/v1/jobs/{job}/log")).json()
    assert [(line["position"], line["text"]) for line in log["lines"]] == [(1, "began")]
    behind = (await api.get(f"/api/v1/jobs/{job}/log", params={"after": log["next"]})).json()
    assert behind == {"lines": [], "next": 1}
    followed = (await api.get(f"/api/v1/jobs/{job}/log/events")).text
    assert "event: line" in followed
    assert "id: 1" in followed
    (attempt,) = (await api.get(f"/api/v1/jobs/{job}/attempts")).json()
    assert (attempt["outcome"], attempt["worker"]) == ("failed", "w")
    assert (await api.get(f"/api/v1/jobs/{job}/position")).json()["place"] is None
    waiting = (await jobs.enqueue("resize")).job.id
    assert (await api.get(f"/api/v1/jobs/{waiting}/position")).json()["place"] == 1
    for path in ("", "/log", "/log/events", "/attempts", "/position"):
        assert (await api.get(f"/api/v1/jobs/{uuid4()}{path}")).status_code == 404


async def test_queues_statistics_and_failures_are_told(api, jobs):
    await failed(jobs)
    await jobs.enqueue("resize")
    await jobs.complete(await jobs.claim("w"))
    await jobs.write_figures()
    queues = (await api.get("/api/v1/jobs/queues")).json()
    assert queues == {}  # nothing lives
    counted = (await api.get("/api/v1/jobs/queues", params={"finished": True})).json()
    assert counted["default"]["counts"]["failed"] == 1
    (told,) = (await api.get("/api/v1/jobs/statistics")).json()
    assert (told["name"], told["succeeded"], told["failed"]) == ("resize", 1, 1)
    assert 0 <= told["p50"] <= told["p99"]
    (reason,) = (await api.get("/api/v1/jobs/failures")).json()
    assert (reason["reason"], reason["count"]) == ("ValueError: …", 1)
    wrong = await api.get("/api/v1/jobs/statistics", params={"since": "2020-01-01T00:00:00"})
    assert wrong.status_code == 422  # without a zone


async def test_one_job_is_retried_edited_and_cancelled(api, jobs):
    job = await failed(jobs)
    again = await api.post(f"/api/v1/jobs/{job}/retry")
    assert again.json()["status"] == "queued"
    assert (await api.post(f"/api/v1/jobs/{job}/retry")).status_code == 409
    later = (jobs.now() + timedelta(hours=1)).isoformat()
    edited = await api.patch(f"/api/v1/jobs/{job}", json={"run_at": later, "priority": 7})
    assert (edited.json()["priority"], edited.status_code) == (7, 200)
    assert (await jobs.get(UUID(job))).payload == {"n": 1}
    assert (await api.patch(f"/api/v1/jobs/{job}", json={})).status_code == 422
    assert (await api.patch(f"/api/v1/jobs/{job}", json={"status": "x"})).status_code == 422
    assert (await api.post(f"/api/v1/jobs/{job}/cancellation")).json()["status"] == "cancelled"
    await jobs.enqueue("resize")
    done = (await jobs.complete(await jobs.claim("w"))).id
    assert (await api.patch(f"/api/v1/jobs/{done}", json={"priority": 1})).status_code == 409


async def test_all_that_fit_are_counted_first_and_then_changed_in_pieces(api, jobs):
    for number in range(5):
        await failed(jobs, "Timeout" if number else "Other", tags=("night",))
    asked = {"jobs": {"error": "Timeout", "tag": "night"}}
    counted = await api.post("/api/v1/jobs/bulk/retry", json={**asked, "dry_run": True})
    assert counted.json() == {"matching": 4, "changed": 0, "refused": 0, "next": None}
    changed, after = 0, None
    while True:
        piece = {**asked, "limit": 3, "after": after}
        answer = (await api.post("/api/v1/jobs/bulk/retry", json=piece)).json()
        changed, after = changed + answer["changed"], answer["next"]
        if after is None:
            break
    assert changed == 4
    edit = {"jobs": {"statuses": ["queued"]}, "edit": {"priority": 3}}
    counted = await api.post("/api/v1/jobs/bulk/edit", json={**edit, "dry_run": True})
    assert counted.json()["matching"] == 4
    assert (await api.post("/api/v1/jobs/bulk/edit", json=edit)).json()["changed"] == 4
    nothing = await api.post("/api/v1/jobs/bulk/cancellation", json={"jobs": {}})
    assert nothing.status_code == 422
    all_of_them = {"jobs": {}, "everything": True}
    cancelled = await api.post("/api/v1/jobs/bulk/cancellation", json=all_of_them)
    assert cancelled.json()["changed"] == 4


async def test_the_description_names_every_route_of_jobs(api):
    described = (await api.get("/api/v1/openapi.json")).json()["paths"]
    ours = {path.removeprefix("/api/v1/jobs") for path in described if "/v1/jobs" in path}
    assert {"", "/queues", "/statistics", "/failures", "/events", "/bulk/edit"} <= ours
    assert json.dumps(described).count('"jobs"') > 10


async def told(jobs, *verbs):
    """Return what the audit holds of *verbs*, in the order in which it happened."""
    entries = [entry async for entry in jobs.store.repository(AuditEntry).stream()]
    found = [entry for entry in entries if entry.verb in verbs]
    return [(each.verb, each.key) for each in sorted(found, key=lambda entry: entry.id)]


async def test_workflows_are_listed_shown_cancelled_and_retried(api, jobs):
    flows, at = Workflows(jobs), "/api/v1/jobs/workflows"
    flow = Workflow("film")
    split = flow.job("split", {"secret": 1})
    parts = [flow.job("cut", name=f"part {number}", after=[split]) for number in range(3)]
    join = flow.then("join")
    await flows.start(flow)
    older, newest = [(await flows.start(Workflow(name))).id for name in ("film", "other")]
    listed = (await api.get(at, params={"size": 2})).json()
    assert [each["run"]["id"] for each in listed["items"]] == [str(newest), str(older)]
    (more,) = (await api.get(at, params={"size": 2, "cursor": listed["next"]})).json()["items"]
    assert (more["run"]["id"], more["run"]["size"]) == (str(flow.id), 5)
    assert (more["counts"]["waiting"], more["finished"]) == (4, False)
    named = (await api.get(at, params={"name": "film"})).json()["items"]
    assert [each["run"]["id"] for each in named] == [str(older), str(flow.id)]

    jobs_shown, links, asked = [], set(), {"size": 2}
    while True:
        page = (await api.get(f"{at}/{flow.id}", params=asked)).json()
        jobs_shown += page["jobs"]
        links |= {(link["job_id"], link["on_id"]) for link in page["links"]}
        if page["next"] is None:
            break
        asked["after"] = page["next"]
    assert [job["id"] for job in jobs_shown] == [str(each.id) for each in (split, *parts, join)]
    assert (jobs_shown[0]["status"], jobs_shown[-1]["status"]) == ("queued", "waiting")
    assert jobs_shown[-1]["pending"] == 4
    assert not {"payload", "result", "lease"} & set(jobs_shown[0])
    ends = [(part, split) for part in parts] + [(join, each) for each in (split, *parts)]
    assert links == {(str(job.id), str(on.id)) for job, on in ends}
    assert (page["workflow"]["fraction"], page["more_links"]) == (0.0, False)

    await jobs.complete(await jobs.claim("w"))
    cancelled = (await api.post(f"{at}/{flow.id}/cancellation")).json()
    assert (cancelled["counts"]["succeeded"], cancelled["counts"]["cancelled"]) == (1, 4)
    assert (cancelled["fraction"], cancelled["finished"], cancelled["failed"]) == (1.0, True, True)
    assert (await api.post(f"{at}/{flow.id}/cancellation")).json() == cancelled
    again = (await api.post(f"{at}/{flow.id}/retry")).json()
    assert (again["again"], again["workflow"]["run"]["cancelled_at"]) == (4, None)
    assert again["workflow"]["counts"]["waiting"] == 1
    assert await told(jobs, "workflow.cancelled", "workflow.retried") == [
        ("workflow.cancelled", str(flow.id)),
        ("workflow.retried", str(flow.id)),
    ]
    for method, path in (("GET", ""), ("POST", "/cancellation"), ("POST", "/retry")):
        assert (await api.request(method, f"{at}/{uuid4()}{path}")).status_code == 404


async def test_a_job_that_waits_goes_on_by_a_signal_and_shows_its_steps(api, jobs):
    async def approve(context):
        seconds = await context.step("probe", lambda: 90)
        return [seconds, await context.wait_for("approved")]

    job = (await jobs.enqueue("approve")).job.id
    at = f"/api/v1/jobs/{job}"
    await Worker(jobs, {"approve": approve}).run(until="idle")
    assert (await api.get(at)).json()["event"] == "approved"
    for wrong in ({}, {"event": ""}, {"event": "approved", "by": "Ann"}):
        assert (await api.post(f"{at}/signals", json=wrong)).status_code == 422
    signal = {"event": "approved", "data": {"by": "Ann"}}
    assert (await api.post(f"{at}/signals", json=signal)).json()["status"] == "queued"
    await Worker(jobs, {"approve": approve}).run(until="idle")
    assert (await api.get(at)).json()["result"] == [90, {"by": "Ann"}]
    page = (await api.get(f"{at}/steps", params={"size": 1})).json()
    assert [(step["name"], step["result"]) for step in page["steps"]] == [("probe", 90)]
    rest = (await api.get(f"{at}/steps", params={"first": page["next"]})).json()
    assert ([step["signal"] for step in rest["steps"]], rest["next"]) == ([0], None)
    signals = (await api.get(f"{at}/signals")).json()["signals"]
    assert [(each["event"], each["data"]) for each in signals] == [("approved", {"by": "Ann"})]
    assert await told(jobs, "job.signalled") == [("job.signalled", str(job))]
    assert (await api.post(f"/api/v1/jobs/{uuid4()}/signals", json=signal)).status_code == 404
    assert (await api.get(f"/api/v1/jobs/{uuid4()}/steps")).status_code == 404


async def test_queues_are_limited_over_http_and_claims_heed_it(api, jobs):
    at, asked = "/api/v1/jobs/limits", {"concurrency": 10, "key_concurrency": 1, "period": 60}
    stored = await api.put(f"{at}/queue/cameras", json={**asked, "weights": {"gate": 2}})
    shown = {
        "queue": "cameras", "task": None, **asked, "rate": None, "key_rate": None,
        "weights": {"gate": 2},
    }  # fmt: skip
    assert (stored.status_code, stored.json()) == (200, shown)
    assert (await api.get(at)).json() == [shown]
    options = EnqueueOptions(queue="cameras", limit_key="gate")
    await jobs.enqueue("cut", options=options)
    await jobs.enqueue("cut", options=options)
    assert len(await jobs.claim_many("w", 2, queues=("cameras",))) == 1
    stands = (await api.get(f"{at}/queue/cameras")).json()
    assert stands["keys"] == [{"key": "gate", "running": 1, "waiting": 1}]
    assert (stands["limit"], stands["running"], stands["waiting"]) == (shown, 1, 1)
    too_long = f"{at}/queue/{'q' * 101}"
    for answer in (await api.get(too_long), await api.delete(too_long)):
        assert (answer.status_code, "1 to 100" in answer.text) == (422, True)
    limited = await api.put(f"{at}/task/cut", json={"concurrency": 1})
    assert (limited.status_code, limited.json()["task"]) == (200, "cut")
    assert (await api.get(f"{at}/task/cut")).json()["running"] == 1
    weighed = {"key_rate": 1, "weights": {"a": 2}}
    assert (await api.put(f"{at}/task/cut", json=weighed)).status_code == 422
    assert (await api.delete(f"{at}/task/cut")).status_code == 204
    assert (await api.get(f"{at}/task/cut")).status_code == 404
    for wrong in ({}, {"rate": 0}, {"concurrency": 1, "weights": {"a": 1}}, {"rate": "1"}):
        assert (await api.put(f"{at}/queue/cameras", json=wrong)).status_code == 422
    assert (await api.delete(f"{at}/queue/cameras")).status_code == 204
    assert (await api.delete(f"{at}/queue/cameras")).status_code == 404
    assert (await api.get(at)).json() == []
    assert await told(jobs, "queue.limited", "queue.unlimited") == [
        ("queue.limited", "cameras"),
        ("queue.unlimited", "cameras"),
    ]
