"""Many records at once in the console: imported from a file, and all that fit, by a job."""

import csv
import html
import io
import json
import re

import pytest

from console.conftest import HOSTILE, STORES, assert_inert, console_on, send, token_in
from console.console_entities import DEPOTS, Depot, Gatehouse, Mood, Rota
from holdfast.audit import AuditFilter, AuditLog
from holdfast.jobs import Jobs, JobStatus, Worker
from holdfast.platform.import_file import IMPORTS, MOST_ROWS
from holdfast.records import everything

LIST = "/console/records/depots"


@pytest.fixture(scope="module", params=STORES)
async def client(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("many")
    async with console_on(request.param, folder, domains=[DEPOTS]) as client:
        client.depots = client.platform.store.repository(Depot)
        client.gates = client.platform.store.repository(Gatehouse)
        client.jobs = client.platform.service(Jobs)
        yield client


@pytest.fixture(autouse=True)
async def empty(client):
    await client.gates.delete_where(everything())
    await client.platform.store.repository(Rota).delete_where(everything())
    await client.depots.delete_where(everything())


async def send_file(client, content, name="depots.csv", **fields):
    """Send a file as the form of the page does, with the fields before it."""
    token = token_in(await client.get(f"{LIST}/import"))
    text = content if isinstance(content, bytes) else content.encode()
    return await client.post(
        f"{LIST}/import", data={"form_token": token, **fields}, files={"file": (name, text)}
    )


async def confirm(client, looked_at):
    """Send the form of a page that has looked at a file."""
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', looked_at.text)
    fields = {name: html.unescape(value) for name, value in found if name != "back"}
    return await client.post(f"{LIST}/import/store", data=fields)


def faults(page):
    """Return the faults that *page* names: line, field and reason."""
    table = page.text.partition('id="faults"')[2].partition("</table>")[0]
    cells = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", table)[3:]
    plain = [html.unescape(re.sub("<[^>]+>", "", each)) for each in cells]
    return [tuple(plain[at : at + 3]) for at in range(0, len(plain), 3)]


async def names(client):
    return sorted(each.name for each in await client.depots.find())


async def test_a_file_is_looked_at_before_it_is_stored_and_then_gone(client):
    assert_inert(await client.get(f"{LIST}/import"))
    lines = io.StringIO()
    writer = csv.writer(lines)
    writer.writerow(["name", "size", "note", "mood", "price"])
    writer.writerow([HOSTILE[0], "3", "", "busy", "1.50"])
    writer.writerow(["two, lines", "", "a\nb", "calm", ""])
    page = await send_file(client, "\ufeff" + lines.getvalue(), HOSTILE[0])
    assert page.status_code == 200, page.text
    assert_inert(page)
    assert "Import 2 rows" in page.text
    assert await names(client) == [], "a look stores nothing"
    answer = await confirm(client, page)
    assert "Imported: 2 new, 0 changed." in (await client.get(answer.headers["location"])).text
    stored = {each.name: each for each in await client.depots.find()}
    first, second = stored[HOSTILE[0]], stored["two, lines"]
    assert (first.size, first.note, first.mood, str(first.price)) == (3, None, Mood.BUSY, "1.50")
    assert (second.size, second.note, second.price) == (1, "a\nb", None)
    assert [each async for each in client.platform.bucket.list(IMPORTS)] == []
    again = await confirm(client, page)
    assert "the file is gone" in again.text
    log = AuditLog(client.platform.store)
    (told,) = await log.search(AuditFilter(entity="Depot", verb="records.imported"))
    assert (told.actor, told.key) == ("local", HOSTILE[0])
    (row,) = await log.search(AuditFilter(entity="Depot", key=str(first.id)))
    assert (row.actor, row.reason) == ("local", f"import of {HOSTILE[0]}")


async def test_one_row_that_can_not_be_stored_keeps_all_out_and_faults_have_lines(client):
    await client.depots.add(Depot(name="taken"))
    content = (
        "name,size,mood,secret,colour\n"
        "good,1,calm,,\n"
        "taken,1,calm,,\n"
        "twice,1,calm,,\n"
        "twice,1,calm,,\n"
        "odd,-1,merry,,\n"
        "short,1\n"
    )
    page = await send_file(client, content.replace(",secret,colour", "").replace(",,\n", "\n"))
    assert page.status_code == 422
    assert faults(page) == [
        ("6", "size", "is not 0 or more"),
        ("6", "mood", "expected one of calm, busy, got 'merry'"),
        ("7", "the row", "expected 3 cells, as the header has"),
        ("3", "name", "is taken already"),
        ("5", "name", "is taken already"),
    ]
    assert "4 of 6 rows can't be stored, so none is" in html.unescape(page.text)
    refused = await confirm(client, page)  # there is no button, and this would be no way around it
    assert refused.status_code == 400
    assert await names(client) == ["taken"]
    page = await send_file(client, content)
    assert {(field, said.partition(";")[0]) for _, field, said in faults(page)} >= {
        ("secret", "is hidden: it can't be imported"),
        ("colour", "is not a field"),
    }
    for broken, said in (
        (b"name\n\xff\n", "is not UTF-8"),
        (b'name\n"a', "is not CSV"),
        (b"name,name\na,b\n", "has two columns of one name"),
        (b"name\n" + b"a\n" * (MOST_ROWS + 1), "has more than 10,000 rows"),
        (b"name\n", "There is no row in"),
    ):
        page = await send_file(client, broken)
        assert (page.status_code, said in html.unescape(page.text)) == (422, True), said


async def test_what_happens_between_the_look_and_the_import_keeps_all_of_it_out(client):
    page = await send_file(client, "name\nnorth\nsouth\n")
    await client.depots.add(Depot(name="south"))
    refused = await confirm(client, page)
    assert refused.status_code == 422
    assert faults(refused) == [("3", "name", "is taken already")]
    assert await names(client) == ["south"]


async def test_an_export_that_was_edited_changes_what_differs_and_nothing_newer(client):
    north = await client.depots.add(Depot(name="north", secret="hush", extra={"a": 1}))
    south = await client.depots.add(Depot(name="south"))
    text = (await client.get(f"{LIST}/export?_sort=name&_format=jsonl")).text
    rows = [json.loads(line) for line in text.splitlines()]
    rows[0]["size"] = 9
    content = "\n".join(json.dumps(each) for each in rows)
    refused = await send_file(client, content, "depots.jsonl")
    assert {(field, said) for _, field, said in faults(refused)} == {("id", "is taken already")}
    page = await send_file(client, content, "depots.jsonl", overwrite="on")
    assert (page.status_code, "<ins>9</ins>" in page.text) == (200, True)
    assert (await confirm(client, page)).status_code == 303
    now = await client.depots.get_one(north.id)
    assert (now.size, now.secret, now.extra, now.version) == (9, "hush", {"a": 1}, 2)
    assert (await client.depots.get_one(south.id)).version == 1, "it was as it is"
    stale = await send_file(client, content, "depots.jsonl", overwrite="on")
    assert faults(stale) == [("1", "version", "is 2 by now: somebody changed the record since")]


def typed(page):
    return {"rows": re.search(r'name="rows" value="(\w+)"', page.text)[1], "typed": "Depot"}


async def worked(client, answer):
    """Run the job that *answer* leads to, and return it."""
    await Worker(client.jobs, client.platform.handlers).run(until="idle")
    (job,) = (await client.jobs.list(size=1)).items
    assert answer.headers["location"] == f"/console/jobs/{job.id}"
    return job


async def test_all_that_fit_are_deleted_by_a_job_in_the_name_of_who_asked(client, monkeypatch):
    monkeypatch.setattr("holdfast.platform.matching_rows._PIECE", 20)
    await client.depots.add_many([Depot(name=f"depot {n}", size=n) for n in range(60)])
    listed = await client.get(f"{LIST}?size__gte=10")
    assert "size from <strong>10</strong>" in listed.text
    path = html.unescape(re.search(r'href="([^"]*/matching[^"]*)"', listed.text)[1])
    page = await client.get(path)
    assert_inert(page)
    assert "50 rows fit." in page.text
    own = f"{LIST}/matching/delete?size__gte=10"
    assert (await send(client, own, rows="50", typed="depots")).status_code == 400
    held = await client.depots.one(Depot.name == "depot 20")
    await client.gates.add(Gatehouse(code="g", depot_id=held.id))
    answer = await send(client, own, **typed(page))
    changed = await client.depots.one(Depot.name == "depot 30")
    await client.depots.patch(changed.id, Depot.size.to(1))
    job = await worked(client, answer)
    done = {"changed": 48, "refused": 1, "left": 0}
    assert (job.status, job.result, job.error) == (JobStatus.SUCCEEDED, done, None)
    assert await client.depots.count() == 12, "ten, the one that is held, the one that moved on"
    (line,) = await client.jobs.log(job.id)
    assert str(held.id) in line.text
    log = AuditLog(client.platform.store)
    (told,) = await log.search(AuditFilter(entity="Depot", verb="records.delete_asked"))
    assert (told.actor, told.changes["rows"]) == ("local", 50)
    gone = await log.search(AuditFilter(entity="Depot", verb="delete", actor="local"), size=100)
    assert len([each for each in gone if str(job.id) in (each.reason or "")]) == 48


async def test_more_rows_than_are_counted_are_all_changed_and_those_that_fit_by_then(
    client, monkeypatch
):
    monkeypatch.setattr("holdfast.console.bounded_look.LOOKED_THROUGH", 4)
    monkeypatch.setattr("holdfast.platform.matching_rows._PIECE", 3)
    await client.depots.add_many([Depot(name=f"depot {n}", size=n) for n in range(7)])
    own = f"{LIST}/matching/delete?size__gte=1"
    page = await client.get(f"{LIST}/matching?size__gte=1")
    assert "all that do are changed, however many they are" in page.text
    for wrong in ("", "-1", "some"):
        assert (await send(client, own, rows=wrong, typed="Depot")).status_code == 400
    answer = await send(client, own, **typed(page))
    await client.depots.add(Depot(name="late", size=9))
    job = await worked(client, answer)
    assert (job.status, job.result["changed"]) == (JobStatus.SUCCEEDED, 7)
    assert await names(client) == ["depot 0"]


async def test_a_field_of_all_that_fit_is_set_and_of_no_more_than_was_confirmed(client):
    await client.depots.add_many([Depot(name=f"depot {n}", size=n) for n in range(5)])
    own = f"{LIST}/matching/change?size__gte=2"
    page = await client.get(f"{LIST}/matching?size__gte=2")
    assert 'value="secret"' not in page.text
    assert 'value="name"' not in page.text, "a unique field is not the same in many"
    refused = await send(client, own, **typed(page), field="size", value="-4")
    assert (refused.status_code, "is not 0 or more" in refused.text) == (422, True)
    answer = await send(client, own, **typed(page), field="mood", value="busy")
    job = await worked(client, answer)
    assert job.result == {"changed": 3, "refused": 0, "left": 0}
    busy = await client.depots.find(Depot.mood == Mood.BUSY)
    assert sorted(each.size for each in busy) == [2, 3, 4]
    answer = await send(client, own, **typed(page), field="note", value="seen")
    await client.depots.add(Depot(name="late", size=7))
    job = await worked(client, answer)
    assert job.status is JobStatus.FAILED
    assert "4 rows fit now, and 3 did when it was asked for; nothing was changed" in job.error
    assert await client.depots.count(Depot.note == "seen") == 0
    assert (await client.get(f"{LIST}/matching?secret__startswith=a")).status_code == 400
    assert (await client.get("/console/records/rotas/matching")).status_code == 403
