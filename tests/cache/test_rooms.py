"""How the cache is built: a small contract, capabilities by name, short ways, late imports."""

import asyncio
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import holdfast
from cache.lines import Line
from cache.states import is_settled, is_up
from holdfast.cache import CacheCapability, CacheOptions, Outcome, open_cache, sync
from holdfast.cache.driver import CacheDriver
from holdfast.health import HealthState

pytestmark = pytest.mark.anyio

PACKAGE = Path(holdfast.__file__).parent


def test_a_backend_implements_eight_methods():
    methods = [
        name
        for name, value in vars(CacheDriver).items()
        if inspect.isfunction(value) and not name.startswith("_")
    ]
    assert len(methods) == 8, methods


async def test_capabilities_name_what_a_backend_can(shared_redis, shared_cluster):
    shared, batches, near, tokens = CacheCapability
    for url, expected in (
        ("memory://", {batches}),
        (shared_redis.url, {shared, batches}),
        (f"{shared_redis.url}?near=0.01", {shared, batches, near}),
        (shared_cluster.url, {shared}),
    ):
        async with open_cache(url) as cache:
            assert cache.capabilities == expected | {tokens}
        with sync.open_cache(url) as cache:
            assert cache.capabilities == expected | {tokens}


async def files_of(call):
    """The files of the package whose code runs until *call*, an async function, returns."""
    for _ in range(5):
        await call()
    entered = set()

    def note(frame, event, _):
        if event == "call":
            entered.add(Path(frame.f_code.co_filename))

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        await call()
    finally:
        sys.setprofile(before)
    return sorted(str(path.relative_to(PACKAGE)) for path in entered if PACKAGE in path.parents)


@pytest.mark.parametrize(("kind", "get", "load"), [("memory", 5, 6), ("redis", 8, 9)])
async def test_a_cached_read_goes_a_short_way(request, kind, get, load):
    url = "memory://" if kind == "memory" else request.getfixturevalue("shared_redis").url

    async def loads():
        return "loaded"

    async with open_cache(url, options=CacheOptions(early=0)) as cache:
        await cache.set("short", 1)
        found = await files_of(lambda: cache.get("short"))
        assert len(found) <= get, found
        found = await files_of(lambda: cache.get_or_set("way", loads, tags=["t"]))
        assert len(found) <= load, found


async def test_health_probes_the_store_and_tells_what_waits(redis):
    async with (
        Line(redis.port) as line,
        open_cache(line.url, options=CacheOptions(timeout=5.0, fallback=0)) as cache,
    ):
        await cache.set("k", 1)
        line.cut()
        health = await cache.health()  # nobody else has noticed yet
        assert health.state is HealthState.DOWN
        assert not is_up(cache)
        assert await cache.delete("k") is Outcome.PENDING
        assert "1 invalidation waits for it" in (await cache.health()).detail
        driver = cache._driver
        honest = driver._remote.wait_for_near_expiry
        seen = []

        async def look_first():  # the store is used again, and the replay is not done yet
            seen.append(await cache.health())
            await honest()

        driver._remote.wait_for_near_expiry = look_first
        line.mend()
        async with asyncio.timeout(60):
            while not is_settled(cache):
                await cache.health()
        assert seen[0].state is HealthState.DEGRADED
        assert seen[0].detail == "1 invalidation waits for it"
        assert (await cache.health()).state is HealthState.UP


def test_a_blocking_cache_is_asked_for_its_health_too(redis):
    with sync.open_cache(redis.url, options=CacheOptions(timeout=5.0)) as cache:
        assert cache.health().state is HealthState.UP
        redis.kill()
        assert cache.health().state is HealthState.DOWN
        assert "away since" in cache.health().detail
    with sync.open_cache("memory://") as cache:
        assert cache.health().state is HealthState.UP


@pytest.mark.parametrize(
    ("program", "absent"),
    [
        ("import holdfast_alone.cache", {"asyncio", "msgspec", "logging", "hiredis", "ssl"}),
        ("from holdfast.cache import open_cache; open_cache('memory://')", {"hiredis"}),
        ("from holdfast.cache import CacheOptions", {"hiredis", "pydantic"}),
    ],
)
def test_nothing_is_imported_before_it_is_needed(program, absent):
    alone = (
        "import sys, types\n"
        "package = types.ModuleType('holdfast')\n"
        f"package.__path__ = [{str(PACKAGE)!r}]\n"
        "sys.modules['holdfast'] = package\n"
    )
    code = program
    if "holdfast_alone" in program:  # without what holdfast itself imports
        code = alone + program.replace("holdfast_alone", "holdfast")
    code += "\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert not absent & set(done.stdout.split())
