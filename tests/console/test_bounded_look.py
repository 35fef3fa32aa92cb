"""Lists of what no index leads to look through a bounded number of rows, on every store."""

import html
import re
from datetime import timedelta

import pytest

from console.conftest import STORES, assert_inert, console_on
from console.console_entities import DEPOTS, Depot, Gatehouse, Memo, Mood
from holdfast.audit import AuditLog
from holdfast.console.records.indexed_rows import indexed_rows, newest_first
from holdfast.jobs import EnqueueOptions, Jobs, NewJob
from holdfast.media import Video
from holdfast.records.entities.model import model_of
from holdfast.records.record_filters import parse_sort
from holdfast.records.search.search_build import finds_words_by_index

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
    monkeypatch.setattr("holdfast.console.records.record_pages.PAGE", 2)
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


async def test_words_are_looked_for_in_pieces_where_no_index_leads_to_few_rows(client):
    memos = client.platform.store.repository(Memo)
    texts = ["rare and usual", *["usual"] * 6]
    await memos.add_many([Memo(text=text) for text in texts])
    rare = await pieces(client, "/console/records/memos?_q=rare")
    has_index = finds_words_by_index(client.platform.store)
    assert has_index == (client.platform.store.driver.name == "postgresql")
    found = [True] if has_index else [False, True]
    assert ["rare and usual" in each for each in rare] == found
    assert ("Not among the newest of them" in rare[0]) != has_index
    usual = await pieces(client, "/console/records/memos?_q=usual")
    assert [each.count(">usual<") for each in usual] == [AT_ONCE, 2]
    palette = await client.get("/console/search?q=usual&part=1")
    assert palette.text.count("records/memos/row") == AT_ONCE, "among the newest alone"


async def test_what_fits_is_counted_as_far_as_a_list_looks(client, monkeypatch):
    def told(page):
        assert page.status_code == 200, page.text
        assert_inert(page)
        lead = " ".join(re.search(r'<p class="lead">(.*?)</p>', page.text, re.DOTALL)[1].split())
        return lead, re.findall(r'name="rows" value="([^"]*)"', page.text)

    await client.depots.delete_many([each.id for each in await client.depots.find()])
    added = [
        Depot(name=f"shed {n}", size=n, mood=Mood.BUSY if n in (0, 5) else Mood.CALM)
        for n in range(6)
    ]
    await client.depots.add_many(added)
    at = "/console/records/depots/matching"
    assert told(await client.get(at)) == ("More than 4 rows fit.", ["all"] * 2)
    assert told(await client.get(f"{at}?_sort=size")) == ("More than 4 rows fit.", ["all"] * 2)
    assert told(await client.get(f"{at}?name=shed+1")) == ("1 row fits.", ["1"] * 2)
    lead, rows = told(await client.get(f"{at}?mood=busy"))
    assert lead == (
        "Of the newest 4 that were looked through, 1 fits. There may be more among those before."
    )
    assert rows == ["all"] * 2
    lead, rows = told(await client.get(f"{at}?size=0"))
    assert lead.startswith("Of the newest 4 that were looked through, 0 fit.")
    assert rows == ["all"] * 2, "there may be some"
    await client.depots.delete_many([each.id for each in added[:2]])
    assert told(await client.get(f"{at}?mood=busy")) == ("1 row fits.", ["1"] * 2)

    for number in range(6):
        await failed(client, "counted", "disk 7 is full" if number == 5 else "no such file")
    at = "/console/jobs/matching/retry?queue=counted"
    assert told(await client.get(at))[0] == "More than 4 jobs fit and failed for good."
    assert told(await client.get(f"{at}&error=disk"))[0] == (
        "Of the newest 4 that were looked through, 1 fits and failed for good. "
        "There may be more among those before."
    )
    at = "/console/jobs/matching/cancel?queue=counted"
    assert told(await client.get(at))[0] == "0 jobs fit and are not at their end."
    made = NewJob("copy", options=EnqueueOptions(queue="counted"))
    await client.jobs.enqueue_many([made] * 5)
    # By the clock of the database server, which may be behind, none of them is made yet.
    behind = client.jobs.now() - timedelta(hours=1)
    monkeypatch.setattr(client.jobs, "now", lambda: behind)
    assert told(await client.get(at))[0] == (
        "Of the newest 4 that were looked through, 4 fit and are not at their end. "
        "There may be more among those before."
    )


async def test_what_points_at_a_record_is_counted_as_far_too(client):
    depot = await client.depots.add(Depot(name="with gates"))
    gates = client.platform.store.repository(Gatehouse)
    for many, told in ((4, "4"), (5, "more than 4")):
        await gates.add_many(
            [Gatehouse(code=f"{many}-{n}", depot_id=depot.id) for n in range(many)]
        )
        page = await client.get(f"/console/records/depots/delete?_key={depot.id}")
        assert f'<td class="n">{told}</td>' in page.text
        await gates.delete_where(Gatehouse.depot_id == depot.id)


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
