import base64
import json
from datetime import UTC, datetime, timedelta

import pytest

from cache.servers import RedisServer
from cli.program import here
from holdfast import open_store
from holdfast.cli.exit_codes import Exit
from holdfast.errors import ConfigurationError
from holdfast.integrations.queues import (
    ForeignJob,
    RefusedJob,
    arq_jobs,
    celery_jobs,
    import_jobs,
    procrastinate_jobs,
    redis_source,
)
from holdfast.integrations.queues.arq_jobs import read_job
from holdfast.integrations.queues.celery_messages import read_message
from holdfast.jobs import JOB_ENTITIES, EnqueueOptions, Job, Jobs, JobStatus
from servers import database_on, execute

pytestmark = pytest.mark.anyio
WHEN = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
TABLE = """
    CREATE TYPE procrastinate_job_status AS ENUM ('todo', 'doing', 'succeeded');
    CREATE TABLE procrastinate_jobs (
        id bigserial PRIMARY KEY, queue_name varchar(128) NOT NULL, task_name varchar(128) NOT NULL,
        priority integer DEFAULT 0 NOT NULL, lock text, queueing_lock text,
        args jsonb DEFAULT '{}' NOT NULL, status procrastinate_job_status DEFAULT 'todo' NOT NULL,
        scheduled_at timestamptz, attempts integer DEFAULT 0 NOT NULL
    )
"""


@pytest.fixture
async def jobs():
    async with open_store("memory://", JOB_ENTITIES) as store:
        await store.create_schema()
        yield Jobs(store)


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


def message(task="resize", *args, body=None, headers=(), properties=(), **parts):
    """A message as Celery sends it by protocol 2."""
    plain = json.dumps([args, parts.pop("kwargs", {}), parts.pop("embed", {"chain": None})])
    return json.dumps(
        {
            "body": base64.b64encode(plain.encode()).decode() if body is None else body,
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {"lang": "py", "task": task, "id": "id-1", "retries": 0, **dict(headers)},
            "properties": {
                "body_encoding": "base64",
                "delivery_info": {"exchange": "", "routing_key": "video"},
                "delivery_tag": "t",
                **dict(properties),
            },
            **parts,
        }
    ).encode()


async def listed(found):
    return [each async for each in found]


async def of(*found):
    for each in found:
        yield each


async def test_celerys_lists_by_priority_and_what_workers_left_are_read(redis):
    first, second = message("a", headers={"id": "1"}), message("b", headers={"id": "2"})
    low = message("c", headers={"id": "3"}, properties={"priority": 6})
    taken = message("d", headers={"id": "4"})
    redis.ask("LPUSH", "video", first.decode())
    redis.ask("LPUSH", "video", second.decode())
    redis.ask("LPUSH", "video\x06\x166", low.decode())
    for queue in ("video", "other"):
        unacked = f'[{taken.decode()}, "", "{queue}"]'
        redis.ask("HSET", "unacked", f"tag-{queue}", unacked)
    async with redis_source(redis.url) as source:
        found = await listed(celery_jobs(source, ["video", "empty"]))
    assert [(each.id, each.task, each.options.priority) for each in found] == [
        ("1", "a", 0),
        ("2", "b", 0),
        ("3", "c", -6),
        ("4", "d", 0),
    ]
    assert redis.ask("LLEN", "video") == ":2"


def test_a_celery_message_is_taken_with_its_times_and_arguments():
    headers = {"eta": WHEN.isoformat(), "expires": "2030-01-02T05:00:00"}
    found = read_message(message("resize", 1, kwargs={"width": 2}, headers=headers))
    deadline = datetime(2030, 1, 2, 5, tzinfo=UTC)
    assert found == ForeignJob(
        "celery",
        "id-1",
        "resize",
        (1,),
        {"width": 2},
        EnqueueOptions(queue="video", priority=0, run_at=WHEN, deadline=deadline),
    )


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"\x80\x04.", "no message"),
        (message(headers={"id": None}), "protocol 1"),
        (message(**{"content-type": "application/x-python-serialize"}), "pickles run"),
        (message(embed={"chord": {"task": "x"}, "chain": [{}]}), r"workflow \(chain, chord\)"),
        (message(headers={"compression": "gzip"}), "compressed"),
        (message(body="!"), "can't be read"),
        (message(body=base64.b64encode(b'{"a": 1}').decode()), "can't be read"),
        (message(headers={"eta": "soon"}), "can't be read"),
    ],
)
def test_what_can_not_be_taken_from_celery_is_refused_by_name(raw, reason):
    found = read_message(raw)
    assert isinstance(found, RefusedJob)
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(found.reason)


async def test_arqs_jobs_are_read_by_their_time_and_pickles_refused(redis):
    due = int(WHEN.timestamp() * 1000)
    redis.ask("ZADD", "arq:queue", str(due), "later")
    redis.ask("ZADD", "arq:queue", "1000", "soon")
    redis.ask("ZADD", "arq:queue", "2000", "gone")
    redis.ask("SET", "arq:job:later", '{"t": 1, "f": "resize", "a": [1], "k": {"w": 2}, "et": 5}')
    redis.ask("SET", "arq:job:soon", '{"t": 1, "f": "tick", "a": [], "k": {}, "et": 5}')
    async with redis_source(redis.url) as source:
        found = await listed(arq_jobs(source))
    assert [(each.id, each.task) for each in found] == [
        ("soon", "tick"),
        ("gone", ""),
        ("later", "resize"),
    ]
    assert found[2].options.run_at == WHEN
    assert (found[2].args, found[2].kwargs) == ((1,), {"w": 2})
    assert "expired" in found[1].reason
    packed = b"\x83\xa1f\xa4tick\xa1a\x90\xa1k\x80"  # MessagePack: f, a, k
    assert read_job("1", 0, packed, queue="arq:video").options.queue == "video"
    assert "pickle" in read_job("1", 0, b"\x80\x05.", queue="arq:queue").reason
    assert "neither" in read_job("1", 0, b"{", queue="arq:queue").reason


async def test_procrastinates_waiting_jobs_are_read(jobs):
    with database_on("postgresql") as url:
        with pytest.raises(ConfigurationError, match="no tables of procrastinate"):
            await listed(procrastinate_jobs(url))
        execute(
            url,
            TABLE,
            f"""INSERT INTO procrastinate_jobs
                (queue_name, task_name, priority, lock, args, status, scheduled_at) VALUES
                ('video', 'resize', 5, 'camera-7', '{{"n": 1.5}}', 'todo', '{WHEN}'),
                ('video', 'resize', 0, NULL, '{{"n": 2}}', 'succeeded', NULL),
                ('video', 'resize', 0, NULL, '{{"n": 3}}', 'doing', NULL)""",
        )
        report = await import_jobs(jobs, procrastinate_jobs(url))
        (job,) = await jobs.list()
        assert (job.queue, job.task, job.payload) == ("video", "resize", {"n": 1.5})
        assert (job.priority, job.limit_key, job.run_at) == (5, "camera-7", WHEN)
        assert [each.reason for each in report.refused] == ["a worker has taken it"]
        rest = await import_jobs(jobs, procrastinate_jobs(url, running=True))
        assert (rest.imported, rest.known, rest.refused) == (1, 1, [])


def test_the_command_takes_jobs_over_and_tells_what_it_left(redis, tmp_path):
    redis.ask("LPUSH", "films", message("resize", 7, headers={"id": "c-1"}).decode())
    redis.ask("LPUSH", "films", message("cut", 1, headers={"id": "c-2"}).decode())
    source = ("jobs", "import", "celery", redis.url, "--queue", "films", "--data", tmp_path)
    named = (*source, "--parameters", "resize=video")
    planned = here(*named, "--dry-run").err
    assert planned == "1 job would be taken over, 1 refused.\n"
    done = here(*named, "--json").json
    assert (done["imported"], done["known"], done["tasks"]) == (1, 0, {"resize": 1})
    assert [(each["id"], each["task"]) for each in done["refused"]] == [("c-2", "cut")]
    again = here(*named)
    assert again.err == "0 jobs taken over, 1 were here already, 1 refused.\n"
    assert "--parameters cut=NAME" in again.out
    (job,) = here("jobs", "--json", "--data", tmp_path).json
    assert (job["task"], job["payload"]) == ("resize", {"video": 7})
    for wrong in (("--parameters", "resize"), ("--parameters", "a=b,b"), ("--running",)):
        refused = here(*source, *wrong)
        assert refused.code == Exit.USAGE
        assert wrong[0] in refused.err


async def test_an_import_that_is_begun_again_makes_each_job_once(jobs):
    found = [ForeignJob("arq", str(n), "a", (), {"n": n}) for n in range(3)]
    assert (await import_jobs(jobs, of(*found[:2]))).imported == 2
    await jobs.complete(await jobs.claim("w"))
    again = await import_jobs(jobs, of(*found))
    assert (again.imported, again.known) == (1, 2)
    assert len(await jobs.list(status=JobStatus.QUEUED)) == 2
    other = await import_jobs(
        jobs, of(ForeignJob("celery", "0", "a"), ForeignJob("arq", "x" * 999, "a"))
    )
    assert other.imported == 2


async def test_arguments_without_a_name_need_one(jobs):
    found = [ForeignJob("celery", str(n), "resize", (7, 640), {"sharp": True}) for n in range(2)]
    report = await import_jobs(jobs, of(*found))
    assert "--parameters resize=NAME" in report.refused[1].reason
    twice = await import_jobs(jobs, of(*found), parameters={"resize": ["video", "sharp"]})
    assert "two values for sharp" in twice.refused[0].reason
    named = {"resize": ["video", "width"]}
    planned = await import_jobs(jobs, of(*found), parameters=named, dry_run=True)
    assert (planned.imported, planned.tasks) == (2, {"resize": 2})
    assert len(await jobs.list()) == 0
    assert (await import_jobs(jobs, of(*found), parameters=named)).imported == 2
    (job, _) = await jobs.list()
    assert job.payload == {"video": 7, "width": 640, "sharp": True}


async def test_what_can_not_be_stored_keeps_no_other_job_out(jobs):
    found = [ForeignJob("arq", str(n), "a", (), {"text": text}) for n, text in enumerate("a\0b")]
    report = await import_jobs(jobs, of(*found, ForeignJob("arq", "9", "q" * 300)))
    assert report.imported == 2
    assert [each.id for each in report.refused] == ["1", "9"]


async def test_a_job_without_an_id_or_unique_by_another_key_is_refused_and_not_lost(jobs):
    same = EnqueueOptions(unique_key="nightly")
    nameless = ForeignJob("table", "", "a", kwargs={"video": 1})
    report = await import_jobs(
        jobs, of(nameless, nameless, ForeignJob("table", "7", "a", options=same))
    )
    assert (report.imported, report.known) == (0, 0)
    assert [each.reason for each in report.refused] == [
        "has no id by which it would be known",
        "has no id by which it would be known",
        "has a unique key of its own; an import keeps each unique by its id",
    ]


async def test_jobs_that_expired_meanwhile_are_taken_and_fail_by_name(jobs):
    gone = EnqueueOptions(deadline=datetime.now(UTC) - timedelta(hours=1))
    await import_jobs(jobs, of(ForeignJob("celery", "1", "a", options=gone)))
    assert await jobs.claim("w") is None
    (job,) = await jobs.list(status=JobStatus.FAILED)
    assert "deadline" in job.error


async def test_a_store_with_jobs_alone_says_what_it_lacks():
    async with open_store("memory://", [Job]) as store:
        await store.create_schema()
        with pytest.raises(ConfigurationError, match="JOB_ENTITIES"):
            await import_jobs(Jobs(store), of(ForeignJob("arq", "1", "a")))


@pytest.mark.parametrize("url", ["memory://", "redis+cluster://localhost", "mysql://x/y"])
async def test_another_url_is_refused(url):
    with pytest.raises(ConfigurationError):
        async with redis_source(url):
            pass
    with pytest.raises(ConfigurationError, match="postgresql"):
        await listed(procrastinate_jobs(url))
