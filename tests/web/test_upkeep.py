"""What a served platform does by itself, again and again."""

import asyncio
import logging

from holdfast.audit import AuditCheckpoint, AuditEntry
from holdfast.audit.log_keeper import LogKeeper
from holdfast.domain import Domain
from holdfast.errors import UnavailableError
from holdfast.media.entities import Project
from holdfast.platform import open_platform
from holdfast.settings import Settings
from holdfast.web.platform_application import create_application
from holdfast.web.serve_options import ServeOptions
from holdfast.web.upkeep import keeping_up
from holdfast.workspace import workspace
from http_serving import client_of
from objects.s3_servers import new_name, options_of, remove


async def until(condition):
    async with asyncio.timeout(60):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_a_server_does_what_is_due_at_its_start(settings):
    done = asyncio.Event()

    async def each_minute(_parts):
        done.set()

    domain = Domain(name="own", each_minute=each_minute)
    app = create_application(settings, ServeOptions(work=False), domains=[domain])
    async with client_of(app), asyncio.timeout(60):
        await done.wait()


async def test_the_audit_is_sequenced_and_copied_again_and_again_unasked(settings):
    async with open_platform(settings) as platform, keeping_up(platform, minute=0.001):
        projects = platform.store.repository(Project)
        copies = platform.store.repository(AuditCheckpoint)

        async def both_are_copied():
            sizes = await copies.find(AuditCheckpoint.exported == True)  # noqa: E712
            return number in [each.size for each in sizes]

        for number in (1, 2):
            await projects.add(Project(name=f"gate {number}"))
            await until(both_are_copied)
        assert await platform.store.repository(AuditEntry).count(AuditEntry.position.is_null()) == 0
        verified = await platform.service(LogKeeper).verify()
        assert (verified.ok, verified.size) == (True, 2)
        assert verified.checkpoints == 4, "each in the store and in the bucket"


async def test_what_can_t_be_done_is_tried_again_and_logged_once_for_each_reason(settings, caplog):
    calls = 0

    async def each_minute(_parts):
        nonlocal calls
        calls += 1
        raise UnavailableError("the first" if calls < 4 else "the second")

    async def many():
        return calls > 6

    own = Domain(name="own", each_minute=each_minute)
    with caplog.at_level(logging.ERROR, "holdfast.web"):
        async with open_platform(settings, domains=[own]) as platform:
            async with keeping_up(platform, minute=0.001):
                await until(many)
    told = [record.getMessage() for record in caplog.records if record.name == "holdfast.web"]
    assert [message.rpartition(": ")[2] for message in told] == ["the first", "the second"]


async def test_upkeep_removes_folders_of_programs_that_died_and_no_others(settings):
    async with open_platform(settings) as platform:
        with workspace(settings.work_folder) as living:
            dead = living.with_name("work-dead")
            dead.mkdir()
            (dead / "film.mp4").write_bytes(b"half of it")
            await platform.upkeep()
            assert sorted(settings.work_folder.iterdir()) == [living]


async def test_upkeep_aborts_uploads_in_parts_that_nobody_completes(tmp_path, monkeypatch):
    options, name = options_of("minio"), new_name()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", options.credentials.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", options.credentials.secret_key)
    settings = Settings(
        data=tmp_path, storage={"type": "memory"}, limits={"upload_age": 3600},
        bucket=f"{name}?endpoint_url={options.endpoint_url}&create=true",
    )  # fmt: skip
    async with open_platform(settings) as platform:
        uploads = platform.bucket.admin.uploads
        await platform.bucket.admin.begin_upload("clip.mp4")
        await platform.upkeep()
        assert [each.key async for each in uploads()] == ["clip.mp4"], "it may be under way"
    limits = settings.limits.model_copy(update={"upload_age": 1e-6})
    old = settings.model_copy(update={"limits": limits})
    async with open_platform(old) as platform:
        await platform.upkeep()
        assert [each.key async for each in platform.bucket.admin.uploads()] == []
    remove(name, options)
