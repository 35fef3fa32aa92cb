"""The platform: opened in order, closed in reverse, also when a part fails; its health."""

import asyncio
import subprocess
import sys
from contextlib import asynccontextmanager

import pytest

from holdfast.errors import (
    ConfigurationError,
    NotFoundError,
    StorageError,
    TransactionError,
    UnavailableError,
)
from holdfast.health import Health, HealthState
from holdfast.jobs import Jobs
from holdfast.media import MediaLibrary
from holdfast.platform import Domain, open_platform
from holdfast.settings import Settings


def memory(tmp_path, **more):
    return Settings(data=tmp_path, store="memory://", bucket="memory://", **more)


def recording(name, told, *, requires=(), opens=None, closes=None):
    """A domain that tells when it is opened and closed, and raises what it is given."""

    @asynccontextmanager
    async def opened(parts):
        if opens is not None:
            raise opens
        told.append(f"+{name}")
        try:
            yield name
        finally:
            told.append(f"-{name}")
            if closes is not None:
                raise closes

    return Domain(name=name, requires=requires, service=opened)


async def test_domains_open_behind_what_they_require_and_close_in_reverse(tmp_path):
    told = []
    domains = [recording("c", told, requires=("b",)), recording("b", told, requires=("a", "jobs"))]
    async with open_platform(
        memory(tmp_path), domains=[*domains, recording("a", told)]
    ) as platform:
        assert told == ["+a", "+b", "+c"]
        names = [domain.name for domain in platform.domains]
        assert names.index("jobs") < names.index("b")
        assert platform.store.capabilities is not None
    assert told == ["+a", "+b", "+c", "-c", "-b", "-a"]
    with pytest.raises(TransactionError, match="not open"):
        await platform.jobs.list()


async def test_a_part_that_fails_is_named_and_what_was_open_is_closed(tmp_path):
    told = []
    domains = [
        recording("a", told),
        recording("b", told, requires=("a",), opens=StorageError("no room")),
        recording("c", told, requires=("b",)),
    ]
    with pytest.raises(StorageError, match="no room") as raised:
        async with open_platform(memory(tmp_path), domains=domains):
            raise AssertionError("it opened")
    assert told == ["+a", "-a"]
    assert raised.value.__notes__ == ["so the platform's domain b could not be opened"]


async def test_a_part_that_fails_to_close_keeps_no_other_from_closing(tmp_path):
    told = []
    domains = [
        recording("a", told),
        recording("b", told, requires=("a",), closes=StorageError("stuck")),
    ]
    with pytest.raises(StorageError, match="stuck") as raised:
        async with open_platform(memory(tmp_path), domains=domains):
            pass
    assert told == ["+a", "+b", "-b", "-a"]
    assert raised.value.__notes__ == ["so the platform's domain b could not be closed"]


async def test_the_error_of_the_block_goes_on_as_it_is(tmp_path):
    told = []
    with pytest.raises(NotFoundError) as raised:
        async with open_platform(memory(tmp_path), domains=[recording("a", told)]):
            raise NotFoundError("Note", 1)
    assert told == ["+a", "-a"]
    assert not getattr(raised.value, "__notes__", ())


async def test_cancelling_while_it_opens_closes_what_is_open(tmp_path):
    told = []
    reached = asyncio.Event()

    @asynccontextmanager
    async def waits(parts):
        reached.set()
        await asyncio.Event().wait()
        yield

    async def opening():
        slow = Domain(name="slow", requires=("a",), service=waits)
        async with open_platform(memory(tmp_path), domains=[recording("a", told), slow]):
            raise AssertionError("it opened")

    task = asyncio.create_task(opening())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert told == ["+a", "-a"]


@pytest.mark.parametrize(
    ("settings", "part", "error"),
    [
        ({"store": "postgresql://u:p@127.0.0.1:1/d"}, "store", UnavailableError),
        ({"bucket": "file:///dev/null/x"}, "bucket", StorageError),
        ({"objects": {"logs_bucket": "file:///dev/null/x"}}, "bucket logs", StorageError),
    ],
)
async def test_each_pillar_is_named_when_it_fails(tmp_path, settings, part, error):
    given = {"data": tmp_path, "store": "memory://", "bucket": "memory://"} | settings
    with pytest.raises(error) as raised:
        async with open_platform(Settings(**given)):
            raise AssertionError("it opened")
    assert raised.value.__notes__ == [f"so the platform's {part} could not be opened"]


async def test_several_platforms_may_be_open_beside_one_another(tmp_path):
    async with open_platform(memory(tmp_path)) as one, open_platform(memory(tmp_path)) as other:
        await one.jobs.enqueue("x")
        assert (len(await one.jobs.list()), len(await other.jobs.list())) == (1, 0)


async def test_roles_share_one_bucket_by_prefixes(tmp_path):
    async with open_platform(memory(tmp_path)) as platform:
        keys = {role: place.key("x") for role, place in platform.buckets.items()}
        assert keys == {"video": "x", "models": "models/x", "logs": "logs/x"}
        assert all(place.bucket is platform.bucket for place in platform.buckets.values())


async def test_a_role_may_have_a_bucket_of_its_own(tmp_path):
    objects = {"models_bucket": f"file://{tmp_path}/models", "compression": True}
    async with open_platform(memory(tmp_path, objects=objects)) as platform:
        place = platform.buckets["models"]
        assert place.key("x.txt") == "x.txt"
        info = await place.bucket.put(place.key("x.txt"), b"shrinks " * 10_000)
        assert await platform.bucket.head("x.txt") is None
        assert info.size == 80_000
        assert (await platform.health()).parts.keys() == {
            "store",
            "cache",
            "bucket",
            "bucket models",
        }
    stored = sum(path.stat().st_size for path in (tmp_path / "models").rglob("*") if path.is_file())
    assert stored < 10_000


async def test_versions_and_cached_metadata_by_settings(tmp_path):
    objects = {"versioning": True, "cache_metadata": True}
    async with open_platform(memory(tmp_path, objects=objects)) as platform:
        for content in (b"1", b"2"):
            await platform.bucket.put("k", content)
        assert len([each async for each in platform.bucket.versions("k")]) == 2
        for _ in range(3):
            await platform.bucket.head("k")
        assert platform.bucket.stats().counters["cache_hits"] == 2
        await platform.bucket.put("k", b"333")
        assert (await platform.bucket.head("k")).size == 3


async def test_health_is_that_of_the_worst_part(tmp_path):
    answers = {"state": HealthState.UP}

    async def probe(parts):
        if answers["state"] is None:
            await asyncio.Event().wait()
        return Health(answers["state"], 0.0, "" if answers["state"] == "up" else "so so")

    domain = Domain(name="own", health=probe)
    async with open_platform(memory(tmp_path), domains=[domain]) as platform:
        health = await platform.health()
        assert (health.state, health.detail) == (HealthState.UP, "")
        assert health.parts.keys() == {"store", "cache", "bucket", "own"}
        answers["state"] = HealthState.DEGRADED
        health = await platform.health()
        assert (health.state, health.detail) == (HealthState.DEGRADED, "own: so so")
        answers["state"] = None
        health = await platform.health(patience=0.01)
        assert health.state == HealthState.DOWN
        assert health.parts["own"].detail == "no answer within 0.01 s"


async def test_a_cache_that_is_away_degrades_the_whole_and_no_more(tmp_path):
    settings = memory(tmp_path, cache="redis://127.0.0.1:1")
    async with open_platform(settings) as platform:
        health = await platform.health()
        assert health.parts["cache"].state == HealthState.DOWN
        assert health.state == HealthState.DEGRADED


async def test_media_may_be_off_and_its_service_is_missed_by_name(tmp_path):
    async with open_platform(memory(tmp_path, domains=("jobs",))) as platform:
        assert platform.service(Jobs) is platform.jobs
        assert platform.handlers == {}
        with pytest.raises(
            ConfigurationError, match="no open domain brings the service MediaLibrary"
        ):
            platform.service(MediaLibrary)


def test_a_core_install_needs_neither_opencv_nor_pyav(tmp_path):
    program = (
        "import asyncio, sys\n"
        "for name in ('av', 'cv2', 'numpy', 'pyarrow', 'fastapi', 'typer', 'prometheus_client'):\n"
        "    sys.modules[name] = None\n"
        "from holdfast.errors import ConfigurationError\n"
        "from holdfast.platform import open_platform\n"
        "from holdfast.settings import Settings\n"
        "async def main():\n"
        "    async with open_platform(Settings(data=sys.argv[1])) as platform:\n"
        "        assert (await platform.health()).state == 'up'\n"
        "        await platform.library.project('p')\n"
        "        try:\n"
        "            platform.handlers\n"
        "        except ConfigurationError as error:\n"
        "            assert 'holdfast[media]' in str(error), error\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "data")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
