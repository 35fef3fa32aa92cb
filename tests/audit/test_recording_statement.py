"""PostgreSQL records a write in its own statement: what it keeps is what the general way keeps."""

import asyncio
from collections import Counter
from datetime import date, time, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from audited_entities import Colour, Project, Task, audited_store
from holdfast import Entity, Field, field, key, open_store, uuid7
from holdfast.audit import AuditEntry, AuditHook
from holdfast.audit.captured_value import recovered
from holdfast.errors import DuplicateError, PreconditionFailedError, StaleVersionError
from holdfast.records.hooked_writes import HookedWrites
from servers import database_on, execute

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def url():
    with database_on("postgresql") as url:
        yield url


@pytest.fixture
async def store(url, clock):
    async with audited_store(url, clock=clock) as store:
        yield store


FULL = {
    "description": 'Zürich "quoted" \\ \n ☃ \x1f',
    "secret": "s",
    "token": "t",
    "cached": 7,
    "colour": Colour.BLUE,
    "price": Decimal("-0.50"),
    "share": 1e-300,
    "blob": bytes(range(256)),
    "day": date(7, 1, 2),
    "clock": time(23, 59, 59, 999_999),
    "length": timedelta(days=-3, microseconds=1),
    "extra": {"b": [1, 1.5, None, True, "ü"], "a": {}},
}
LARGE = {"description": "ü" * 513, "blob": b"x" * 1025, "extra": {"a": "z" * 1100}}
NOTHING = {name: None for name in FULL if name not in ("cached", "colour")}
WAITING = (
    "SELECT pid FROM pg_stat_activity "
    "WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


async def changed(store, by):
    """The changes that each step leaves behind, written by *by*."""
    projects = store.repository(Project)
    project = await projects.add(Project(name=by))
    for step in (FULL, LARGE, NOTHING):
        if by == "update":
            for name, value in step.items():
                setattr(project, name, value)
            project = await projects.update(project)
        else:
            columns = vars(Project)["__vocabulary__"]
            project = await projects.patch(
                project.id, *(columns[name].to(value) for name, value in step.items())
            )
    found = await store.repository(AuditEntry).find(
        AuditEntry.key == str(project.id), order_by=AuditEntry.id.asc()
    )
    return [entry.changes for entry in found][1:]


@pytest.mark.parametrize("by", ["update", "patch"])
async def test_each_kind_of_value_is_kept_as_the_general_way_keeps_it(store, monkeypatch, by):
    native = await changed(store, by)
    await store.clear()
    monkeypatch.setattr(HookedWrites, "_recorder", lambda *_: None)
    general = await changed(store, by)
    for ours, theirs in zip(native, general, strict=True):
        assert ours.keys() == theirs.keys()
        for name in ours.keys() - {"updated_at", "created_at"}:
            assert ours[name] == theirs[name], name
    spec = Project.__holdfast__.by_name["share"]
    assert recovered(spec, native[0]["share"][1]) == 1e-300


async def test_an_audited_update_or_patch_is_one_statement(url):
    async with audited_store(f"{url}?measure=true") as store:
        projects = store.repository(Project)
        project = await projects.add(Project(name="a"))
        before = verbs(store)
        project.name = "b"
        project = await projects.update(project)
        await projects.patch(project.id, Project.name.to("c"))
        done = verbs(store) - before
        assert done == Counter(replace=1, patch=1), "no begin, no commit, no insert"


def verbs(store):
    return Counter({name: each.count for name, each in store.stats().operations.items()})


async def test_refusals_are_those_of_a_plain_write_and_leave_no_entry(store):
    projects, entries = store.repository(Project), store.repository(AuditEntry)
    one, two = (await projects.add_many([Project(name="a"), Project(name="b")])).entities
    before = await entries.count()
    stale = await projects.get_one(one.id)
    two.name = "a"
    with pytest.raises(DuplicateError) as refused:
        await projects.update(two)
    assert refused.value.fields == ("name",)
    with pytest.raises(PreconditionFailedError):
        await projects.patch(one.id, Project.name.to("c"), when=Project.name == "nobody")
    assert await entries.count() == before
    await projects.patch(one.id, Project.cached.to(1))
    assert await entries.count() == before + 1
    with pytest.raises(StaleVersionError):
        await projects.update(stale)
    async with store.transaction() as tx:
        with pytest.raises(KeyError):
            async with tx.savepoint():
                await projects.patch(one.id, Project.name.to("undone"))
                raise KeyError
        await projects.patch(one.id, Project.name.to("kept"))
    newest = await entries.first(order_by=AuditEntry.id.desc())
    assert newest.changes["name"] == ["a", "kept"]
    assert await entries.count() == before + 2


class Note(Entity, table="recorded_notes", audited=True):
    id: Field[UUID] = key(default_factory=uuid7)
    text: Field[str] = field(search=True)


async def test_rows_without_words_are_recorded_beside_an_entity_that_is_searched(url, clock):
    entities = [Project, Task, Note]
    async with open_store(url, entities, hooks=[AuditHook()], clock=clock) as store:
        await store.create_schema()
        projects, notes = store.repository(Project), store.repository(Note)
        project = await projects.add(Project(name="of notes"))
        note = await notes.add(Note(text="red"))
        project = await projects.patch(project.id, Project.cached.to(1))
        async with store.transaction():
            project.description = "d"
            await projects.update(project)
            await projects.patch(project.id, Project.colour.to(Colour.BLUE))
            await notes.patch(note.id, Note.text.to("blue"))
        assert [hit.entity.id for hit in await notes.search("blue")] == [note.id]
        found = await store.repository(AuditEntry).find(
            AuditEntry.key.in_([str(project.id), str(note.id)]), order_by=AuditEntry.id.asc()
        )
        verbs = [(each.entity, each.verb) for each in found]
        assert Counter(verbs) == {
            ("Project", "add"): 1,
            ("Note", "add"): 1,
            ("Project", "patch"): 2,
            ("Project", "update"): 1,
            ("Note", "patch"): 1,
        }


async def test_what_waits_for_a_lock_records_what_it_found_behind_it(store, url):
    projects = store.repository(Project)
    project = await projects.add(Project(name="a"))
    inside, done = asyncio.Event(), asyncio.Event()

    async def first():
        async with store.transaction():
            await projects.patch(project.id, Project.description.to("first"))
            inside.set()
            await done.wait()

    holding = asyncio.create_task(first())
    await inside.wait()
    waiting = asyncio.create_task(projects.patch(project.id, Project.description.to("second")))
    while not await asyncio.to_thread(execute, url, WAITING):  # noqa: ASYNC110 - of the server
        await asyncio.sleep(0.01)
    done.set()
    await asyncio.gather(holding, waiting)
    found = await store.repository(AuditEntry).find(order_by=AuditEntry.id.asc())
    assert [each.changes.get("description") for each in found] == [
        None,
        [None, "first"],
        ["first", "second"],
    ]
