"""What the audit keeps, on every backend, and what it answers."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal

import pytest

from audited_entities import Colour, Project, Task
from holdfast import (
    Entity,
    Field,
    deleted_at,
    field,
    generated_key,
    key,
    open_store,
    version,
)
from holdfast.audit import UNKNOWN, AuditEntry, AuditFilter, AuditHook, AuditLog, acting_as
from holdfast.audit.sync import AuditLog as BlockingLog
from holdfast.errors import (
    ConfigurationError,
    InvalidValueError,
    NotFoundError,
)
from holdfast.sync import open_store as open_blocking
from servers import empty_store

pytestmark = pytest.mark.anyio


async def test_an_entry_says_who_when_why_and_which_fields_from_what_to_what(store, log, clock):
    projects = store.repository(Project)
    with acting_as("alice", reason="a new site", request="r-1"):
        made = await projects.add(Project(name="north", secret="s", token="t", cached=3))
    clock.forward(seconds=5)
    with acting_as("bob"), acting_as(reason="a typo"):
        changed = await projects.patch(
            made.id, Project.name.to("south"), Project.secret.to("z"), Project.cached.to(4)
        )
    latest, first = (await log.history(Project, made.id)).items
    assert (first.actor, first.reason, first.request) == ("alice", "a new site", "r-1")
    assert (first.verb, first.entity, first.key) == ("add", "Project", str(made.id))
    assert first.changes["name"] == [None, "north"]
    assert "description" not in first.changes
    assert (latest.actor, latest.reason, latest.request) == ("bob", "a typo", None)
    assert latest.at == clock.time
    hidden = {"redacted": True}
    assert latest.changes == {
        "name": ["north", "south"],
        "secret": [hidden, hidden],
        "updated_at": [_stamp(made.updated_at), _stamp(changed.updated_at)],
        "version": [1, 2],
    }
    assert first.changes["token"][1]["bytes"] == 1
    assert "cached" not in first.changes
    assert "cached" not in latest.changes


def _stamp(at):
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


async def test_what_is_large_is_kept_by_its_hash(store, log):
    made = await store.repository(Project).add(
        Project(name="n", description="x" * 1025, blob=b"y" * 1024, extra={"a": "z" * 2000})
    )
    (entry,) = (await log.history(Project, made.id)).items
    assert set(entry.changes["description"][1]) == {"sha256", "bytes"}
    assert isinstance(entry.changes["blob"][1], str)
    assert entry.changes["extra"][1]["bytes"] > 2000


async def test_a_row_is_what_it_was_at_each_time_with_every_kind_of_value(store, log, clock):
    projects = store.repository(Project)
    before = clock.time
    clock.forward(seconds=1)
    made = await projects.add(
        Project(
            name="a",
            colour=Colour.BLUE,
            price=Decimal("12.50"),
            share=0.1,
            blob=b"\x00\xff",
            day=date(2026, 1, 2),
            clock=time(3, 4, 5, 6),
            length=timedelta(days=-1, microseconds=7),
            extra={"list": [1, 1.0, None, True]},
        )
    )
    first = clock.time
    clock.forward(seconds=1)
    changed = await projects.patch(
        made.id, Project.name.to("b"), Project.price.to(None), Project.extra.to({"x": 1})
    )
    second = clock.time
    clock.forward(seconds=1)
    await projects.delete(made.id)
    clock.forward(seconds=1)
    assert await log.as_of(Project, made.id, clock.time) is None
    assert await log.as_of(Project, made.id, before) is None
    for at, stored in ((first, made), (second, changed)):
        snapshot = await log.as_of(Project, made.id, at)
        assert snapshot.unknown == ("cached",)
        known = {name: value for name, value in vars(stored).items() if name != "cached"}
        assert {name: snapshot.values[name] for name in known} == known
        with pytest.raises(InvalidValueError, match="cached"):
            snapshot.entity()
    between = await log.diff(Project, made.id, first, second)
    assert between["name"] == ("a", "b")
    assert between["price"] == (Decimal("12.50"), None)
    assert set(between) == {"name", "price", "extra", "updated_at", "version"}
    gone = await log.diff(Project, made.id, second, clock.time)
    assert gone["name"] == ("b", None)
    assert gone["cached"] == (UNKNOWN, None)


async def test_a_restored_row_is_a_new_write_that_is_audited(store, log, clock):
    projects, tasks = store.repository(Project), store.repository(Task)
    project = await projects.add(Project(name="a", token="kept"))
    task = await tasks.add(Task(project_id=project.id, title="cut"))
    good = clock.time
    clock.forward(seconds=1)
    await projects.patch(project.id, Project.name.to("b"), Project.token.to("now"))
    with acting_as("carol", reason="undo"):
        restored = await log.restore(Project, project.id, good)
        assert await log.restore(Project, project.id, good) == restored
    assert (restored.name, restored.token, restored.version) == ("a", "now", 3)
    newest = (await log.history(Project, project.id)).items[0]
    assert (newest.actor, newest.verb, newest.changes["name"]) == ("carol", "patch", ["b", "a"])
    clock.forward(seconds=1)
    await tasks.delete(task.id)
    assert (await log.restore(Task, task.id, good)).title == "cut"
    with pytest.raises(NotFoundError):
        await log.restore(Task, task.id, good - timedelta(days=1))


class Folder(Entity, table="folders", audited=True):
    id: Field[int] = generated_key()
    name: Field[str] = field(max_length=50)
    version: Field[int] = version()
    deleted_at: Field[datetime | None] = deleted_at()


async def test_a_deletion_by_a_mark_is_recorded_as_one_and_undone_by_a_restore(clock):
    async with open_store("memory://", [Folder], hooks=[AuditHook()], clock=clock) as store:
        await store.create_schema()
        folders, log = store.repository(Folder), AuditLog(store)
        made = await folders.add(Folder(name="a"))
        good = clock.time
        clock.forward(seconds=1)
        await folders.patch(made.id, Folder.name.to("b"))
        await folders.delete(made.id)
        (newest, *_) = (await log.history(Folder, made.id)).items
        assert (newest.verb, set(newest.changes)) == ("soft_delete", {"deleted_at", "version"})
        with pytest.raises(NotFoundError):
            await log.restore(Folder, made.id, clock.time)
        restored = await log.restore(Folder, made.id, good)
        assert (restored.name, restored.deleted_at, restored.version) == ("a", None, 5)
        assert [each.verb for each in (await log.history(Folder, made.id)).items[:2]] == [
            "patch", "restore"
        ]  # fmt: skip


async def test_entries_are_found_by_actor_field_request_time_and_verb_in_pages(store, log, clock):
    projects = store.repository(Project)
    began = clock.time
    for number in range(5):
        clock.forward(seconds=1)
        with acting_as(f"user{number % 2}", request=f"r{number}"):
            made = await projects.add(Project(name=f"p{number}"))
            if number == 3:
                await projects.patch(made.id, Project.description.to("d"))
    assert len(await log.search(AuditFilter(actor="user1"))) == 3
    (entry,) = await log.search(AuditFilter(field="description"))
    assert (entry.verb, entry.request) == ("patch", "r3")
    assert len(await log.search(AuditFilter(request="r3"))) == 2
    late = AuditFilter(since=began + timedelta(seconds=3), until=began + timedelta(seconds=5))
    assert [each.request for each in await log.search(late)] == ["r3", "r3", "r2"]
    first = await log.search(AuditFilter(verb="add", entity="Project"), size=3)
    rest = await log.search(AuditFilter(verb="add", entity="Project"), size=3, cursor=first.next)
    assert [each.request for each in (*first, *rest)] == ["r4", "r3", "r2", "r1", "r0"]


async def test_cascades_events_and_undone_writes(store, log):
    projects, tasks = store.repository(Project), store.repository(Task)
    project = await projects.add(Project(name="a"))
    task = await tasks.add(Task(project_id=project.id, title="t"))
    with pytest.raises(KeyError):
        async with store.transaction():
            await projects.patch(project.id, Project.name.to("never"))
            raise KeyError
    await projects.delete(project.id)
    entry, _ = (await log.history(Task, task.id)).items
    assert (entry.verb, entry.changes["title"]) == ("cascade", ["t", None])
    assert [each.verb for each in await log.history(Project, project.id)] == ["delete", "add"]
    with acting_as("dave"):
        await log.record("model.promoted", entity="Model", key="cars", details={"to": 7})
    (event,) = await log.history("Model", "cars")
    assert (event.is_event, event.actor, event.changes) == (True, "dave", {"to": 7})
    with pytest.raises(InvalidValueError, match=r"model\.promoted"):
        await log.record("promoted", entity="Model", key="cars")
    assert await store.repository(AuditEntry).count() == 5


async def test_a_store_without_the_hook_has_no_audit_to_ask():
    async with open_store("memory://", []) as store:
        with pytest.raises(ConfigurationError, match="keeps no audit"):
            AuditLog(store)


class Membership(Entity, table="memberships", audited=True):
    project: Field[str] = key()
    person: Field[int] = key()
    role: Field[str] = field(default="")
    version: Field[int] = version()


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])  # by hook, and in the statement
async def test_a_row_with_a_composite_key_is_followed_by_the_tuple_and_by_its_text(
    backend, tmp_path, clock
):
    with empty_store(backend, tmp_path) as url:
        hooks = [AuditHook()]
        async with open_store(url, [Membership], hooks=hooks, clock=clock) as store:
            await store.create_schema()
            rows, log = store.repository(Membership), AuditLog(store)
            made = await rows.add(Membership(project='a","b', person=7))
            clock.forward(seconds=5)
            await rows.patch(('a","b', 7), Membership.role.to("guest"))
            made = await rows.get_one(('a","b', 7))
            made.role = "owner"
            await rows.update(made)
            (last, patched, first) = (await log.history(Membership, ('a","b', 7))).items
            assert first.key == last.key == patched.key
            assert [each.verb for each in (first, patched, last)] == ["add", "patch", "update"]
            by_text = (await log.history("Membership", first.key)).items
            assert [each.id for each in by_text] == [last.id, patched.id, first.id]
            then = await log.as_of(Membership, ('a","b', 7), clock.time - timedelta(seconds=2))
            assert then is not None
            assert then.entity().role == ""
            assert await rows.delete(('a","b', 7)) is True
            restored = await log.restore(
                Membership, ('a","b', 7), clock.time - timedelta(seconds=2)
            )
            assert (restored.project, restored.person, restored.role) == ('a","b', 7, "")
            with pytest.raises(InvalidValueError):
                await log.history(Membership, "7")


def test_the_blocking_twin_asks_and_restores_on_a_blocking_store(clock):
    with open_blocking("memory://", [Project], hooks=[AuditHook()], clock=clock) as store:
        store.create_schema()
        log, projects = BlockingLog(store), store.repository(Project)
        made = projects.add(Project(name="north"))
        first = clock.time
        clock.forward(seconds=1)
        projects.patch(made.id, Project.name.to("South"))
        latest, added = log.history(Project, made.id).items
        assert latest.changes["name"] == ["north", "South"]
        assert log.get(added.id) == added
        assert log.as_of(Project, made.id, first).values["name"] == "north"
        assert log.diff(Project, made.id, first, clock.time)["name"] == ("north", "South")
        assert log.restore(Project, made.id, first).name == "north"
        log.record("site.closed", entity="Project", key=str(made.id))
        (event,) = log.search(AuditFilter(verb="site.closed")).items
        assert event.is_event
