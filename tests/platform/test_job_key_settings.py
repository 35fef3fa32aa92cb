"""Keys that seal the jobs of a platform, and when one is poison, as settings."""

import base64
import secrets
from datetime import timedelta

import anyio
import pytest

from holdfast.domain import Domain
from holdfast.errors import InvalidSettingsError
from holdfast.jobs import EnqueueOptions, Job, JobKeys, Jobs, JobStatus, Worker
from holdfast.platform import open_platform
from holdfast.settings import read_settings, resolve_settings, settings_in_force
from holdfast.web.platform_application import create_application
from holdfast.web.serve_options import ServeOptions
from http_serving import client_of

pytestmark = pytest.mark.anyio


def key():
    return base64.b64encode(secrets.token_bytes(32)).decode()


OLD, NEW = f"old:{key()}", f"new:{key()}"


def fault():
    with pytest.raises(InvalidSettingsError) as refused:
        read_settings()
    (found,) = refused.value.faults
    return found


async def charge(context):
    return context.payload["card"][-4:]


async def test_a_platform_seals_by_the_current_key_of_a_secret_file_and_opens_by_the_others(
    monkeypatch, tmp_path
):
    file = tmp_path / "job-keys"
    file.write_text(f"{OLD}\n")
    monkeypatch.setenv("HOLDFAST_JOBS_KEYS_FILE", str(file))
    async with open_platform(read_settings()) as platform:
        first = (await platform.jobs.enqueue("charge", {"card": "4111 1111"})).job
    file.write_text(f"{OLD}\n\n{NEW}\n")
    monkeypatch.setenv("HOLDFAST_JOBS_CURRENT_KEY", "new")
    async with open_platform(read_settings()) as platform:
        second = (await platform.jobs.enqueue("charge", {"card": "4222 2222"})).job
        assert await Worker(platform.jobs, {"charge": charge}).run(until="idle") == 2
        rows = [await platform.store.repository(Job).get_one(job.id) for job in (first, second)]
        assert [row.payload["holdfast:key"] for row in rows] == ["old", "new"]
        assert {row.result["holdfast:key"] for row in rows} == {"new"}
        assert [platform.jobs.opened(row).result for row in rows] == ["1111", "2222"]
        assert key_text(NEW) not in repr(platform.parts)


async def test_the_worker_of_a_server_opens_sealed_jobs_and_a_browser_is_shown_none(
    monkeypatch, tmp_path
):
    monkeypatch.setenv("HOLDFAST_JOBS_KEYS", OLD)
    monkeypatch.setenv("HOLDFAST_STORAGE_TYPE", "memory")
    monkeypatch.setenv("HOLDFAST_DOMAINS", "access,jobs")
    own = Domain(name="own", requires=("jobs",), handlers=lambda _parts: {"charge": charge})
    app = create_application(read_settings(), ServeOptions(work=True), domains=[own])
    async with client_of(app, headers={"Host": "localhost"}) as client:
        jobs = Jobs(app.state.gate.keys.store, keys=JobKeys.parse(OLD))
        made = (await jobs.enqueue("charge", {"card": "4111 1111"})).job
        with anyio.fail_after(120):
            while not (stored := await jobs.get_one(made.id)).status.finished:  # noqa: ASYNC110 - the server's worker ends it
                await anyio.sleep(0.01)
        assert jobs.opened(stored).result == "1111"
        shown = (await client.get(f"/api/v1/jobs/{made.id}")).json()
        assert shown["payload"] == stored.payload


def key_text(entry):
    return entry.partition(":")[2]


def test_keys_are_never_shown(monkeypatch):
    monkeypatch.setenv("HOLDFAST_JOBS_KEYS", OLD)
    shown = {each.name: each.value for each in settings_in_force(resolve_settings())}
    assert shown["jobs.keys"] == "***"


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        (key(), "key 1 has no id"),
        (f"{OLD},{OLD}", "'old' is there twice"),
        ("old:c2hvcnQ=", "the key 'old': expected 32 random bytes in base64"),
        (f"{OLD},new:$$$", "the key 'new': expected 32 random bytes in base64"),
        (" , ", "there is no key"),
    ],
    ids=["no id", "twice", "short", "no base64", "none"],
)
def test_keys_that_can_not_be_used_are_refused_and_not_shown(monkeypatch, keys, reason):
    monkeypatch.setenv("HOLDFAST_JOBS_KEYS", keys)
    assert (fault().name, fault().value) == ("HOLDFAST_JOBS_KEYS", "***")
    assert reason in fault().expected
    assert key_text(OLD) not in str(fault())


def test_which_key_seals_must_be_known(monkeypatch):
    monkeypatch.setenv("HOLDFAST_JOBS_CURRENT_KEY", "old")
    assert "HOLDFAST_JOBS_KEYS beside it" in fault().expected
    monkeypatch.setenv("HOLDFAST_JOBS_KEYS", f"{OLD},{NEW}")
    assert read_settings().jobs.current_key == "old"
    monkeypatch.setenv("HOLDFAST_JOBS_CURRENT_KEY", "older")
    assert fault().expected == "one of the keys: 'old', 'new'"
    monkeypatch.delenv("HOLDFAST_JOBS_CURRENT_KEY")
    assert (fault().name, fault().value) == ("HOLDFAST_JOBS_CURRENT_KEY", "")
    assert JobKeys.parse(OLD).current == "old"


async def test_a_platform_fails_a_job_as_poison_after_as_many_leases_as_its_setting_says(
    monkeypatch,
):
    monkeypatch.setenv("HOLDFAST_JOBS_QUARANTINE_AFTER", "2")
    async with open_platform(read_settings()) as platform:
        jobs, instant = platform.jobs, timedelta(microseconds=1)
        job = (await jobs.enqueue("t", options=EnqueueOptions(max_attempts=9))).job
        statuses = []
        for _ in range(2):
            assert await jobs.claim("a worker that vanishes", lease=instant)
            await jobs.make_ready()
            statuses.append((await jobs.get_one(job.id)).status)
        assert statuses == [JobStatus.QUEUED, JobStatus.FAILED]
        assert (await jobs.get_one(job.id)).error.startswith("poison: 2 workers")


@pytest.mark.parametrize("wrong", ["0", "1001", "many"])
def test_a_number_of_leases_that_can_not_be_is_refused_with_its_place(monkeypatch, wrong):
    monkeypatch.setenv("HOLDFAST_JOBS_QUARANTINE_AFTER", wrong)
    found = fault()
    assert "HOLDFAST_JOBS_QUARANTINE_AFTER" in str(found)
    assert "a whole number from 1 to 1000" in str(found)
