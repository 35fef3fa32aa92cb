"""Records in the console: lists and filters, one row, forms, conflicts, history, export."""

import hashlib
import html
import re

import pytest

from console.conftest import HOSTILE, assert_inert, console_client, log_in, send, token_in
from console.console_entities import DEPOTS, Depot, Gatehouse, Mood, Rota
from holdfast.access import Role
from holdfast.media import Project
from holdfast.records import everything


@pytest.fixture(scope="module")
async def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    async with console_client(folder, domains=[DEPOTS]) as client:
        client.depots = client.platform.store.repository(Depot)
        client.gates = client.platform.store.repository(Gatehouse)
        yield client


@pytest.fixture(autouse=True)
async def empty(client):
    await client.gates.delete_where(everything())
    await client.platform.store.repository(Rota).delete_where(everything())
    await client.depots.delete_where(everything())


def row_path(depot, page="row"):
    return f"/console/records/depots/{page}?_key={depot.id}"


def shown_names(page):
    return re.findall(r"<bdi>(depot \d+)</bdi>", page.text)


async def test_a_list_shows_rows_by_pages_in_both_directions(client):
    await client.depots.add_many([Depot(name=f"depot {n}", size=n) for n in range(120)])
    page = await client.get("/console/records/depots?_sort=size")
    assert shown_names(page) == [f"depot {n}" for n in range(50)]
    ahead = re.search(r'rel="next" href="([^"]+)"', page.text)[1]
    page = await client.get(html.unescape(ahead))
    assert shown_names(page) == [f"depot {n}" for n in range(50, 100)]
    back = re.search(r'rel="prev" href="([^"]+)"', page.text)[1]
    page = await client.get(html.unescape(back))
    assert shown_names(page) == [f"depot {n}" for n in range(50)]
    forged = html.unescape(ahead).replace("_cursor=", "_cursor=A")
    assert (await client.get(forged)).status_code == 400


async def test_a_list_shows_the_beginning_of_a_digest_and_a_record_all_of_it(client):
    digest = hashlib.sha256(b"content").hexdigest()
    depot = await client.depots.add(Depot(name="digested", note=digest))
    page = await client.get("/console/records/depots?name=digested")
    assert f'<code class="cut" title="{digest}">{digest[:12]}…</code>' in page.text
    assert f"<code data-copy>{digest}</code>" in (await client.get(row_path(depot))).text


async def test_filters_are_built_from_types_and_read_in_the_grammar_of_the_api(client):
    await client.depots.add_many(
        [Depot(name=f"depot {n}", size=n, mood=Mood.BUSY if n % 2 else Mood.CALM) for n in range(9)]
    )
    form = await client.get("/console/records/depots")
    for name in ("name__icontains", "size__gte", "size__lte", "mood", "open", "seen_at__gte", "id"):
        assert f'name="{name}"' in form.text, name
    assert 'name="extra' not in form.text
    assert 'name="secret' not in form.text
    found = await client.get("/console/records/depots?size__gte=3&mood=busy&_sort=-size")
    assert shown_names(found) == ["depot 7", "depot 5", "depot 3"]
    found = await client.get("/console/records/depots?size__in=1,2&_sort=size")
    assert shown_names(found) == ["depot 1", "depot 2"]
    clean = await client.get("/console/records/depots?size__gte=3&mood=&id=")
    assert clean.headers["location"] == "/console/records/depots?size__gte=3"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("size__gte=many", "expected a whole number"),
        ("colour=red", "has no field"),
        ("size__like=1", "is not an operator"),
        ("_sort=colour", "has no field"),
        ("secret__startswith=a", "hidden"),
        ("_sort=-secret", "hidden"),
    ],
)
async def test_a_filter_that_means_nothing_is_told(client, query, said):
    page = await client.get(f"/console/records/depots?{query}")
    assert page.status_code == 400
    assert said in html.unescape(page.text)


async def test_a_row_leads_to_what_it_points_at_and_to_what_points_at_it(client):
    depot = await client.depots.add(Depot(name="north", secret="hush", extra={"a": [1]}))
    await client.gates.add(Gatehouse(code="g/1 & <2>", depot_id=depot.id))
    page = await client.get(row_path(depot))
    assert "hush" not in page.text
    assert "g/1 &amp; &lt;2&gt;" in page.text
    way = re.search(r'href="(/console/records/gatehouses/row[^"]+)"', page.text)[1]
    gate = await client.get(html.unescape(way))
    assert gate.status_code == 200
    assert row_path(depot) in gate.text


async def test_a_row_with_a_composite_key_has_an_address(client):
    depot = await client.depots.add(Depot(name="north"))
    await client.platform.store.repository(Rota).add(Rota(depot_id=depot.id, day=3, who="ann"))
    listed = await client.get("/console/records/rotas")
    way = html.unescape(re.search(r'href="(/console/records/rotas/row[^"]+)"', listed.text)[1])
    assert "ann" in (await client.get(way)).text
    assert (await client.get("/console/records/rotas/row?_key=1")).status_code == 422


async def test_a_record_is_added_with_the_checks_of_its_entity(client):
    form = await client.get("/console/records/depots/new")
    assert 'name="f.price"' in form.text
    assert "empty for a new one" in form.text, "a key that makes itself"
    assert 'name="f.secret"' not in form.text
    path = "/console/records/depots/new"
    wrong = await send(client, path, **{"f.name": "north", "f.size": "-1", "f.price": "1.2"})
    assert wrong.status_code == 422
    assert "is not 0 or more" in wrong.text
    assert 'value="1.2"' in wrong.text, "what was typed is kept"
    added = await send(
        client, path, **{"f.name": "north", "f.mood": "busy", "f.open": "false", "f.price": "1.20"}
    )
    assert added.status_code == 303
    (depot,) = await client.depots.find()
    assert (depot.mood, depot.open, str(depot.price), depot.size) == (Mood.BUSY, False, "1.20", 1)
    twice = await send(client, path, **{"f.name": "north"})
    assert "is taken already" in twice.text


def edited(page, **fields):
    """Return what the form of *page* sends when *fields* are typed in."""
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.text))
    sent = {name: html.unescape(value) for name, value in hidden.items()}
    for name in [each for each in sent if each.startswith("b.")]:
        sent[f"f.{name[2:]}"] = sent[name]
    return {**sent, **{f"f.{name}": value for name, value in fields.items()}}


async def test_an_edit_writes_what_was_changed_and_keeps_the_rest(client):
    depot = await client.depots.add(Depot(name="north", note="a\nb", secret="hush"))
    form = await client.get(row_path(depot, "edit"))
    sent = edited(form, size="7", note="a\r\nb")
    answer = await client.post(row_path(depot, "edit"), data=sent)
    assert answer.status_code == 303, answer.text
    stored = await client.depots.get_one(depot.id)
    assert (stored.size, stored.note, stored.secret) == (7, "a\nb", "hush")
    assert stored.version == depot.version + 1
    same = await client.post(
        row_path(depot, "edit"), data=edited(await client.get(row_path(depot, "edit")))
    )
    assert same.status_code == 303
    assert (await client.depots.get_one(depot.id)).version == stored.version


async def test_a_conflict_is_shown_to_be_merged_and_loses_nothing(client):
    depot = await client.depots.add(Depot(name="north", note="old", size=1))
    form = await client.get(row_path(depot, "edit"))
    theirs = await client.depots.patch(depot.id, Depot.note.to("theirs"), Depot.open.to(False))
    sent = edited(form, note="<b>mine</b>", size="5")
    merge = await client.post(row_path(depot, "edit"), data=sent)
    assert merge.status_code == 409
    assert "Changed by both of you" in merge.text
    assert "&lt;b&gt;mine&lt;/b&gt;" in merge.text
    assert (await client.depots.get_one(depot.id)) == theirs, "nothing was written yet"
    again = {**edited(merge), "f.note": "theirs"}
    again |= dict(re.findall(r'type="hidden" name="(f\.[^"]+)" value="([^"]*)"', merge.text))
    answer = await client.post(row_path(depot, "edit"), data=again)
    assert answer.status_code == 303, answer.text
    stored = await client.depots.get_one(depot.id)
    assert (stored.note, stored.size, stored.open) == ("theirs", 5, False)


async def test_a_deletion_shows_what_holds_the_record(client):
    depot = await client.depots.add(Depot(name="north"))
    await client.gates.add(Gatehouse(code="g", depot_id=depot.id))
    page = await client.get(row_path(depot, "delete"))
    assert "they hold it" in page.text
    assert "Delete it" not in page.text
    answer = await send(client, row_path(depot, "delete"), version=str(depot.version))
    assert answer.status_code == 409
    await client.gates.delete_where(everything())
    stale = await send(client, row_path(depot, "delete"), version="99")
    assert stale.status_code == 412
    answer = await send(client, row_path(depot, "delete"), version=str(depot.version))
    assert answer.status_code == 303
    assert await client.depots.count() == 0
    audit = await client.get(f"/console/audit?key={depot.id}")
    verbs = re.findall(r'<span class="badge \w+">(\w+)</span>\s*(<a )?', audit.text)
    assert verbs[0] == ("delete", ""), "a link to what is gone"


async def test_a_row_has_its_history_and_is_restored_from_it(client):
    depot = await client.depots.add(Depot(name="north", note="first", secret="hush"))
    form = await client.get(row_path(depot, "edit"))
    await client.post(row_path(depot, "edit"), data=edited(form, note="second"))
    page = await client.get(row_path(depot))
    assert "<del>first</del>" in page.text
    assert "<ins>second</ins>" in page.text
    assert "<strong><bdi>local</bdi></strong>" in page.text
    assert "hush" not in page.text
    moments = re.findall(r'name="at" value="([^"]+)"', page.text)
    answer = await send(client, row_path(depot, "restore"), at=html.unescape(moments[-1]))
    assert answer.status_code == 303, answer.text
    assert (await client.depots.get_one(depot.id)).note == "first"
    assert (await send(client, row_path(depot, "restore"), at="soon")).status_code == 422


async def test_what_is_found_is_exported_without_what_is_hidden(client, monkeypatch):
    monkeypatch.setattr("holdfast.console.records.record_pages.MOST_EXPORTED", 700)
    await client.depots.add_many(
        [Depot(name=f'=d,"{n}"', size=n, secret="hush") for n in range(900)]
    )
    found = await client.get("/console/records/depots/export?size__lt=2&_sort=size")
    lines = found.text.split("\r\n")
    assert lines[0].startswith("id,name,note,size")
    assert '"=d,""0"""' in lines[1]
    assert len(lines) == 4
    assert "hush" not in found.text
    assert found.headers["content-disposition"] == 'attachment; filename="depots.csv"'
    all_lines = await client.get("/console/records/depots/export?_format=jsonl")
    assert len(all_lines.text.splitlines()) == 700


async def test_what_a_service_writes_is_not_written_by_hand(client):
    for path in ("jobs/new", "api_keys/new", "rotas/new"):
        answer = await client.get(f"/console/records/{path}")
        assert answer.status_code == 403, path
        assert (await send(client, f"/console/records/{path}")).status_code == 403
    assert (
        'href="/console/records/jobs/new"' not in (await client.get("/console/records/jobs")).text
    )


async def test_private_entities_are_there_for_administrators_alone(tmp_path):
    async with console_client(tmp_path, keys=True) as client:
        for role, status in ((Role.OPERATOR, 404), (Role.ADMIN, 200)):
            await log_in(client, role)
            for path in ("api_keys", "login_sessions", "audit_entries"):
                answer = await client.get(f"/console/records/{path}")
                assert answer.status_code == status, (role, path)
            listed = await client.get("/console/records")
            assert ("api_keys" in listed.text) == (status == 200)


async def test_what_others_wrote_is_shown_as_text_everywhere(client):
    for text in HOSTILE:
        depot = await client.depots.add(Depot(name=text, note=text, extra={text: text}))
        await client.gates.add(Gatehouse(code=text[:80], depot_id=depot.id))
        for path in (
            "/console/records/depots", "/console/records/gatehouses", row_path(depot),
            row_path(depot, "edit"), row_path(depot, "delete"),
        ):  # fmt: skip
            page = await client.get(path)
            assert page.status_code == 200, path
            assert_inert(page)
        form = await client.get(row_path(depot, "edit"))
        saved = await client.post(row_path(depot, "edit"), data=edited(form, note=f"{text}!"))
        assert saved.status_code == 303
        told = await client.get(row_path(depot))
        assert_inert(told)
        assert (await client.depots.get_one(depot.id)).note == f"{text}!"
        assert f"{text}!".replace("\u202e", "\ufffd") in html.unescape(told.text)
        await client.gates.delete_where(everything())
        await client.depots.delete(depot.id)


async def test_a_project_is_edited_by_the_same_rules(client):
    projects = client.platform.store.repository(Project)
    answer = await send(client, "/console/records/projects/new", **{"f.name": "gate"})
    assert answer.status_code == 303
    assert await projects.exists(Project.name == "gate")
    assert token_in(await client.get("/console/records/projects"))
