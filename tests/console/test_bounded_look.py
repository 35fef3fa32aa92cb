"""Lists of what no index leads to look through a bounded number of rows, on every store."""

import html
import re

import pytest

from console.conftest import STORES, assert_inert, console_on
from console.console_entities import DEPOTS, Depot, Gatehouse, Mood
from holdfast.audit import AuditLog
from holdfast.console.indexed_rows import indexed_rows, newest_first
from holdfast.jobs import EnqueueOptions, Jobs, NewJob
from holdfast.media import Video
from holdfast.records.model import model_of
from holdfast.records.record_filters import parse_sort

AT_ONCE = 4


@pytest.fixture(scope="module", params=STORES)
async def client(request, tmp_path_factory):
    async with console_on(
        request.param, tmp_path_factory.mktemp("look"), domains=[DEPOTS]
    ) as client:
        client.depots = client.platform.store.repository(Depot)
        client.jobs = client.platform.service(Jobs)
        yield client


@pytest.fixture(autouse=True)
def few_at_once(monkeypatch):
    monkeypatch.setattr("holdfast.console.bounded_look.LOOKED_THROUGH", AT_ONCE)


async def pieces(client, path):
    """Return the pages of the pieces from *path* on, the newest first."""
    found = []
    while path:
        page = await client.get(path)
        assert page.status_code == 200, page.text
        assert_inert(page)
        listed = page.text.partition('<div id="job-list">')[2].partition("</section>")[0]
        found.append(listed or page.text)
        further = re.search(r'href="([^"]+)">Look among those before', page.text)
        path = html.unescape(further[1]) if further else ""
    return found


async def failed(client, queue, error):
    await client.jobs.enqueue("copy", options=EnqueueOptions(queue=queue))
    claim = await client.jobs.claim("w", queues=[queue])
    await client.jobs.fail(claim, error, retry=False)
    return f'href="/console/jobs/{claim.job.id}"'


async def test_a_part_of_an_error_is_looked_for_in_pieces_of_the_jobs_that_failed(client):
    old = await failed(client, "errors", "disk 7 is full")
    for _ in range(5):
        await failed(client, "errors", "no such file")
    waiting = await client.jobs.enqueue("copy", options=EnqueueOptions(queue="errors"))
    for asked in ("queue=errors", "queue=errors&status=failed", "status=failed", "task=copy", ""):
        newest, *_, last = shown = await pieces(client, f"/console/jobs?{asked}&error=is+full")
        assert len(shown) == 2, asked
        assert f"{AT_ONCE} were looked through" in newest, asked
        assert (old in newest, old in last) == (False, True), asked
        assert str(waiting.job.id) not in last, asked
        assert len(await pieces(client, f"/console/jobs?{asked}")) == 1, "an index has it"


async def test_rows_of_one_time_are_looked_through_in_pieces_too(client):
    options = EnqueueOptions(queue="ties", run_at=client.jobs.now())
    tasks = ["first", *["usual"] * 6, "last"]
    made = await client.jobs.enqueue_many([NewJob(task, options=options) for task in tasks])
    ids = {each.job.task: each.job.id for each in made}
    asked = "/console/jobs?queue=ties&status=queued&task"
    for task, there in (("last", [True, False]), ("first", [False, True])):
        shown = await pieces(client, f"{asked}={task}")
        assert [str(ids[task]) in each for each in shown] == there, task


async def test_jobs_that_failed_stand_in_the_order_in_which_they_did(client):
    options = EnqueueOptions(queue="order")
    await client.jobs.enqueue_many([NewJob("copy", options=options)] * 2)
    first, second = [await client.jobs.claim("w", queues=["order"]) for _ in range(2)]
    for claim in (second, first):
        await client.jobs.fail(claim, "broken", retry=False)
    page = (await client.get("/console/jobs?status=failed")).text
    at = [page.index(f"/console/jobs/{each.job.id}") for each in (first, second)]
    assert at == sorted(at), "what failed last stands first, whichever was made first"
    assert "Those that ended last stand first" in page


async def test_the_few_jobs_that_live_are_found_behind_any_number_that_ended(client):
    running = await client.jobs.enqueue("slow", options=EnqueueOptions(queue="slow"))
    await client.jobs.claim("w", queues=["slow"])
    for _ in range(6):
        await failed(client, "ended", "broken")
    (page,) = await pieces(client, "/console/jobs?status=running")
    assert str(running.job.id) in page


async def test_entries_of_the_audit_are_looked_for_in_pieces_of_the_latest(client):
    log = AuditLog(client.platform.store)
    await log.record("rare.thing", entity="Rare", key="1")
    for number in range(6):
        await log.record("usual.thing", entity="Usual", key=str(number))
    rare = "rare.thing"
    for asked in ("verb=rare.thing", "since=2020-01-01&verb=rare.thing", "key=1&verb=rare.thing"):
        shown = await pieces(client, f"/console/audit?{asked}")
        assert f"{AT_ONCE} were looked through" in shown[0], asked
        assert [f">{rare}<" in each for each in shown[:2]] == [False, True], asked
    assert f">{rare}<" in (await client.get("/console/audit?entity=Rare")).text, "an index leads"
    assert f">{rare}<" in (await client.get("/console/audit?entity=Rare&verb=rare.thing")).text
    usual = await pieces(client, "/console/audit?entity=Usual&verb=usual.thing")
    assert sum(each.count(">usual.thing<") for each in usual) == 6
    assert "later" not in (await client.get("/console/audit?until=2020-01-01")).text


async def test_records_without_an_index_are_looked_through_and_sorted_in_pieces(client):
    await client.depots.add_many([
        Depot(name=f"depot {n}", size=n, mood=Mood.BUSY if n == 1 else Mood.CALM) for n in range(7)
    ])  # fmt: skip
    newest, last = await pieces(client, "/console/records/depots?mood=busy")
    assert f"{AT_ONCE} were looked through, the last by id" in newest
    assert ("depot 1" in newest, "depot 1" in last) == (False, True)
    newest, last = await pieces(client, "/console/records/depots?_sort=size")
    assert re.findall(r"depot \d", newest) == [f"depot {n}" for n in range(3, 7)]
    assert re.findall(r"depot \d", last) == [f"depot {n}" for n in range(3)]
    assert f"No index has all rows in this order: sorted are the last {AT_ONCE} by id." in newest
    for indexed in ("_sort=name", "_sort=-id", "name=depot+1", "name=depot+1&mood=busy"):
        (page,) = await pieces(client, f"/console/records/depots?{indexed}")
        assert "depot 1" in page, indexed


async def test_pages_of_a_piece_stay_within_it(client, monkeypatch):
    monkeypatch.setattr("holdfast.console.record_pages.PAGE", 2)
    await client.depots.delete_many([each.id for each in await client.depots.find()])
    await client.depots.add_many([Depot(name=f"room {n}", size=n) for n in range(7)])
    path, seen = "/console/records/depots?size__gte=0", []
    while path:
        page = (await client.get(path)).text
        seen.append(re.findall(r"room \d", page))
        await client.depots.add(Depot(name=f"later {len(seen)}"))
        ahead = re.search(r'rel="next" href="([^"]+)"', page)
        ahead = ahead or re.search(r'href="([^"]+)">Look among those before', page)
        path = html.unescape(ahead[1]) if ahead else ""
    assert seen == [["room 6", "room 5"], ["room 4", "room 3"], ["room 2", "room 1"], ["room 0"]]
    for wrong in ("x", "[1]", '["1"]', '["1", "2"]'):
        asked = {"size": "1", "_until": wrong}
        assert (await client.get("/console/records/depots", params=asked)).status_code == 400


def test_what_an_index_leads_to_is_told_from_what_it_does_not():
    video, gate = model_of(Video), model_of(Gatehouse)
    assert [each.operand.name for each in newest_first(video)] == ["created_at", "id"]
    assert [each.operand.name for each in newest_first(gate)] == ["code"]
    key = "0190a0b0-0000-7000-8000-000000000000"

    def told(model, sort="", **filters):
        found = indexed_rows(model, filters, parse_sort(model.entity, sort))
        return len(found.within), len(found.sought), len(found.led), found.is_ordered

    assert told(video) == (0, 0, 0, True)
    assert told(video, project_id=key) == (1, 0, 0, True)
    assert told(video, project_id=key, created_at__gte="2026-01-01T00:00:00Z") == (2, 0, 0, True)
    assert told(video, "filename", project_id=key) == (1, 0, 0, False)
    assert told(video, filename__icontains="a", id__in=key) == (0, 2, 1, True)
    assert told(video, "-created_at") == (0, 0, 0, True)
    assert told(video, "project_id") == (0, 0, 0, False), "the index has them by time, not by key"
    assert told(gate, depot_id=key) == (1, 0, 0, True)
    assert told(gate, "depot_id") == (0, 0, 0, True)
