"""All jobs that fit, retried and cancelled after a look, and failures by reason: on every store."""

import html
import re

import pytest

from console.conftest import STORES, assert_inert, console_on, send
from holdfast.jobs import EnqueueOptions, Jobs, NewJob


@pytest.fixture(scope="module", params=STORES)
async def client(request, tmp_path_factory):
    async with console_on(request.param, tmp_path_factory.mktemp("jobs")) as client:
        client.jobs = client.platform.service(Jobs)
        yield client


async def failed_jobs(client, queue, count, error="disk 7 is full"):
    options = EnqueueOptions(queue=queue)
    made = await client.jobs.enqueue_many([NewJob("copy", options=options)] * count)
    for _ in made:
        await client.jobs.fail(await client.jobs.claim("w", queues=[queue]), error, retry=False)
    return [each.job.id for each in made]


async def statuses(client, ids):
    return [(await client.jobs.get(each)).status.value for each in ids]


async def test_all_that_fit_are_changed_after_a_look_and_those_made_later_are_left(client):
    ids = await failed_jobs(client, "bulk", 3)
    other = await failed_jobs(client, "bulk", 1, "no such file")
    page = await client.get("/console/jobs?queue=bulk&error=is full")
    path = html.unescape(re.search(r'href="([^"]*matching/retry[^"]*)"', page.text)[1])
    asked = await client.get(path)
    assert_inert(asked)
    assert "3 jobs fit and failed for good" in " ".join(asked.text.split())
    until = re.search(r'name="until" value="([^"]+)"', asked.text)[1]
    later = await failed_jobs(client, "bulk", 1)
    assert (await send(client, path, until=until, typed="")).status_code == 400
    answer = await send(client, path, until=until, typed="bulk")
    assert "3 jobs are queued again." in (await client.get(answer.headers["location"])).text
    assert await statuses(client, [*ids, *other, *later]) == ["queued"] * 3 + ["failed"] * 2
    answer = await send(
        client,
        "/console/jobs/matching/cancel?queue=bulk",
        until=f"{client.jobs.now()}",
        typed="bulk",
    )
    assert answer.status_code == 303
    assert await statuses(client, [*ids, *other]) == ["cancelled"] * 3 + ["failed"]


async def test_many_that_fit_are_changed_a_thousand_at_a_time(client, monkeypatch):
    monkeypatch.setattr("holdfast.console.jobs.matching_job_pages.MOST_AT_ONCE", 2)
    ids = await failed_jobs(client, "piecemeal", 3)
    path = "/console/jobs/matching/retry?queue=piecemeal"
    fields = {"until": f"{client.jobs.now()}", "typed": "piecemeal"}
    first = await send(client, path, **fields)
    assert "2 jobs are queued again." in first.text
    assert "1 job fits" in first.text
    after = re.search(r'name="after" value="([^"]+)"', first.text)[1]
    assert (await send(client, path, **fields, after=after)).status_code == 303
    assert await statuses(client, ids) == ["queued"] * 3


async def test_a_reason_leads_to_the_jobs_that_failed_for_it(client):
    (job_id,) = await failed_jobs(client, "reasons", 1, "shelf 12 of <b>north</b> is gone")
    await client.jobs.write_figures()
    page = await client.get("/console/jobs")
    assert_inert(page)
    url = next(
        html.unescape(each)
        for each in re.findall(r'href="([^"]+)"', page.text)
        if "error=" in each and "queue=reasons" in each
    )
    assert f"/console/jobs/{job_id}" in (await client.get(url)).text
