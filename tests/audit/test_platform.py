"""The audit on the platform: who acts, what is recorded of whom, its routes and its commands."""

import pytest

from cli.program import here
from holdfast import open_bucket, open_store
from holdfast.access import Role
from holdfast.audit import AuditEntry, AuditFilter, AuditHook, AuditLog, acting
from holdfast.audit.log_keeper import LogKeeper, LogKeeping
from holdfast.audit.object_events import object_events
from holdfast.domain import RoleBucket
from holdfast.errors import ConfigurationError
from holdfast.jobs import Job, Jobs, Worker
from holdfast.media.entities import MEDIA_ENTITIES, Project
from holdfast.objects import Hooks, Versioning
from holdfast.platform import open_platform
from holdfast.settings import Settings
from holdfast.web.platform_application import create_application
from holdfast.web.serve_options import ServeOptions
from http_serving import client_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def settings(tmp_path):
    return Settings(
        data=tmp_path / "data",
        storage={"type": "memory"},
        bucket="memory://",
        audit={"objects": True},
    )


async def test_a_request_acts_as_its_key_and_the_routes_show_and_prove_what_it_did(settings):
    app = create_application(settings, ServeOptions(work=False))
    async with client_of(app, headers={"Host": "localhost"}) as client:
        keys = app.state.gate.keys
        secret = (await keys.issue("alice", Role.ADMIN)).secret
        headers = {"Authorization": f"Bearer {secret}", "X-Request-ID": "r-17"}
        made = await client.post("/api/v1/projects", json={"name": "north"}, headers=headers)
        assert made.status_code == 201, made.text
        key = made.json()["id"]
        assert (await client.get("/api/v1/audit/entries?entty=Project")).status_code == 422
        page = (await client.get("/api/v1/audit/entries?entity=Project")).json()
        (entry,) = page["items"]
        assert (entry["actor"], entry["request"], entry["verb"]) == ("alice", "r-17", "add")
        assert "salt" not in entry
        assert (await client.get(f"/api/v1/audit/entries/{entry['id']}/proof")).status_code == 404
        async with open_bucket("memory://") as copies:
            keeping = LogKeeping(settings.data / "audit.key")
            assert await LogKeeper(keys.store, RoleBucket(copies), keeping).sequence() >= 2
        proof = (await client.get(f"/api/v1/audit/entries/{entry['id']}/proof")).json()
        note = (await client.get("/api/v1/audit/checkpoint")).text
        assert proof["checkpoint"] == note
        found = (await client.get("/api/v1/audit/verification")).json()
        assert (found["ok"], found["findings"]) == (True, [])
        row = await client.get(f"/api/v1/audit/rows/Project/{key}", params={"at": entry["at"]})
        assert row.json()["values"]["name"] == "north"
        hidden = (await client.get("/api/v1/audit/entries?entity=ApiKey")).json()["items"][0]
        assert hidden["changes"]["sha256"] == [None, {"redacted": True}]
        nobody_s = await client.get(f"/api/v1/audit/rows/Job/{key}", params={"at": entry["at"]})
        assert nobody_s.status_code == 404
        assert acting().actor is None, "what a request acted as ended with it"


async def test_a_job_acts_as_itself_and_its_cancellation_is_recorded():
    async with open_store(
        "memory://", [Job, *MEDIA_ENTITIES], hooks=[AuditHook(also=[Project])]
    ) as store:
        await store.create_schema()
        jobs, projects = Jobs(store), store.repository(Project)

        async def make(_context):
            await projects.add(Project(name="made"))

        made = (await jobs.enqueue("make")).job
        await Worker(jobs, {"make": make}).run(until="idle")
        waiting = (await jobs.enqueue("make")).job
        await jobs.cancel(waiting.id)
        await jobs.cancel(waiting.id)
        log = AuditLog(store)
        (entry,) = (await log.search(AuditFilter(entity="Project"))).items
        assert (entry.actor, entry.reason) == (f"job {made.id}", "make")
        (entry,) = (await log.history("Job", str(waiting.id))).items
        assert (entry.verb, entry.changes) == (
            "job.cancelled",
            {"task": "make", "status": "cancelled"},
        )


async def test_writes_of_objects_are_events_of_the_log():
    async with open_store("memory://", [], hooks=[AuditHook()]) as store:
        await store.create_schema()
        async with open_bucket("memory://", hooks=Hooks(audit=object_events(store))) as bucket:
            await bucket.acting_as("eve").put("a.txt", b"12345")
            await bucket.delete("a.txt")
            await bucket.acting_as("eve").admin.set(Versioning(enabled=True))
        (settled,) = (await AuditLog(store).search(AuditFilter(verb="object.set_versioning"))).items
        assert settled.changes["actor"] == "eve"
        gone, put = (await AuditLog(store).history("Object", "a.txt")).items
        assert (put.verb, gone.verb) == ("object.put", "object.delete")
        assert put.changes["size"] == 5
        assert put.changes["actor"] == "eve"


async def test_the_platform_records_what_its_domains_name_and_a_worker_sequences(settings):
    async with open_platform(settings) as platform:
        await platform.store.repository(Project).add(Project(name="north"))
        await platform.jobs.enqueue("audit.sequence")
        await Worker(platform.jobs, platform.handlers).run(until="idle")
        (job,) = await platform.jobs.list()
        assert job.result == {"sequenced": 1}
        keeper = platform.service(LogKeeper)
        assert (await keeper.verify()).ok
        await platform.store.repository(AuditEntry).update_where(
            AuditEntry.position == 0, changes=AuditEntry.verb.to("delete")
        )
        found = await keeper.verify()
        assert [each.kind.value for each in found.findings] == ["changed"]


async def test_a_key_that_others_may_read_is_refused_and_a_new_one_is_made_whole(settings):
    async with open_platform(settings) as platform:
        keeper = platform.service(LogKeeper)
        first = keeper.signer()
        assert keeper.signer().verifier == first.verifier
        path = settings.data / "audit.key"
        assert path.stat().st_mode & 0o777 == 0o600
        path.chmod(0o644)
        with pytest.raises(ConfigurationError, match="chmod 600"):
            keeper.signer()


async def test_copies_of_the_log_are_no_entries_of_it(settings):
    async with open_platform(settings) as platform:
        await platform.bucket.put("a.txt", b"12345")
        keeper = platform.service(LogKeeper)
        assert [await keeper.sequence(), await keeper.sequence()] == [1, 0]


async def test_a_second_key_does_not_sign_the_log_of_another_one(settings):
    async with open_platform(settings) as platform:
        projects = platform.store.repository(Project)
        await projects.add(Project(name="north"))
        assert await platform.service(LogKeeper).sequence() == 1
        await projects.add(Project(name="south"))
        elsewhere = LogKeeping(settings.data / "another.key")
        other = LogKeeper(platform.store, platform.buckets["logs"], elsewhere)
        with pytest.raises(ConfigurationError, match=r"another key.*setting audit\.key"):
            await other.sequence()
        assert await platform.service(LogKeeper).sequence() == 1
        assert (await platform.service(LogKeeper).verify()).ok


def test_the_commands_sequence_verify_show_export_and_redact(tmp_path):
    data = ("--data", tmp_path / "data")
    assert here("keys", "issue", "alice", *data).code == 0
    assert here("audit", "sequence", *data).code == 0
    (entry,) = here("audit", "history", "--json", *data).json
    assert (entry["verb"], entry["entity"], entry["position"]) == ("add", "ApiKey", 0)
    assert entry["actor"]
    assert here("audit", "show", entry["id"], *data).json["proof"]["hashes"] == []
    assert here("audit", "verify", "--entry", entry["id"], *data).code == 0
    exported, key = tmp_path / "x.jsonl", here("audit", "key", *data).out.strip()
    assert here("audit", "export", exported, *data).code == 0
    offline = here("audit", "verify", "--export", exported, "--key", key, "--json")
    assert (offline.code, offline.json["entries"]) == (0, 1)
    exported.write_text(exported.read_text().replace("alice", "mallory"))
    offline = here("audit", "verify", "--export", exported, "--key", key, "--json")
    assert (offline.code, offline.json["findings"][0]["kind"]) == (6, "changed")
    assert here("audit", "redact", "--entity", "ApiKey", "--part", "changes.name", *data).code == 0
    assert "alice" not in here("audit", "history", "--json", *data).out
    verified = here("audit", "verify", "--json", *data)
    assert (verified.code, verified.json["ok"]) == (0, True)
