"""Registrations, promotions and collections that die at each step, or run beside one another."""

import asyncio
import os
import signal
from contextlib import contextmanager
from datetime import timedelta
from itertools import count, pairwise
from pathlib import Path

import pytest

import preloaded
from holdfast import open_bucket, open_store
from holdfast.errors import NotFoundError, PreconditionFailedError
from holdfast.jobs import Job
from holdfast.models import MODEL_ENTITIES, VersionDetails
from holdfast.models.model_entities import BlobState, ModelBlob, VersionFile
from models.conftest import PLACES, opened, registry_on
from models.dying import Doom, dies
from objects.s3_servers import new_name, options_of, remove
from servers import empty_store

pytestmark = pytest.mark.anyio
NOW = timedelta(0)


@pytest.fixture(params=PLACES)
async def place(request, tmp_path):
    async with opened(request.param, tmp_path) as (store, bucket):
        yield store, bucket, registry_on(store, bucket, tmp_path)


async def keys(bucket):
    return {info.key async for info in bucket.list()}


async def named(store):
    """The keys of the objects that versions name."""
    ids = {
        blob_id for (blob_id,) in await store.repository(VersionFile).select(VersionFile.blob_id)
    }
    return {each.object_key for each in await store.repository(ModelBlob).get_many(ids)}


async def check_exact(place):
    """After a collection there is what versions name, whole, and nothing else."""
    store, bucket, registry = place
    await registry.gc(grace=NOW)
    wanted = await named(store)
    assert await keys(bucket) == wanted
    blobs = await store.repository(ModelBlob).find()
    assert {(each.object_key, each.state) for each in blobs} == {
        (key, BlobState.LIVE) for key in wanted
    }
    assert await registry.verify() == []


async def versions_of(registry, name):
    try:
        return list((await registry.versions(name)).items)
    except NotFoundError:
        return []


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "model"
    path.mkdir()
    (path / "shared.bin").write_bytes(b"the same in all")
    return path


async def test_a_registration_that_dies_at_any_call_is_wholly_there_or_not_at_all(
    place, folder, tmp_path
):
    store, bucket, registry = place
    for number in count(1):
        name = f"m{number}"
        (folder / "own.bin").write_bytes(name.encode())
        details = VersionDetails(metrics={"mAP": 0.5}, tags={"a": "b"}, semantic_version="1.0.0")
        doom = Doom(number)
        died = await dies(
            store,
            bucket,
            tmp_path,
            doom,
            lambda r: r.register(name, folder, details),  # noqa: B023
        )
        found = await versions_of(registry, name)
        assert len(found) <= 1
        for version in found:
            assert len(await registry.files(version)) == version.files == 2
            assert (await registry.resolve(f"{name}:1.0.0")).id == version.id
        await check_exact(place)
        # It can be done again, and gets the first number, as nothing was left.
        if died:
            again = await registry.register(name, folder)
            assert again.version.number == len(found) + 1
        else:
            assert len(found) == 1
            break
    assert number > 10


async def test_a_promotion_that_dies_at_any_call_has_moved_the_alias_or_not(
    place, folder, tmp_path
):
    store, bucket, registry = place
    pair = [(await registry.register("m", folder)).version for _ in range(2)]
    await registry.promote(pair[0], "prod")
    for number in count(1):
        before = await registry.resolve("m@prod")
        other = pair[before.number % 2]
        doom = Doom(number)
        died = await dies(
            store,
            bucket,
            tmp_path,
            doom,
            lambda r: r.promote(other, "prod"),  # noqa: B023
        )
        now = await registry.resolve("m@prod")
        (alias,) = await registry.aliases("m")
        moves = await registry.history("m", "prod")
        assert len(moves) == alias.moves
        assert moves[0].to_number == now.number
        if not died:
            assert now.id == other.id
            break
    assert number > 5


async def test_a_collection_that_dies_at_any_call_takes_nothing_that_is_named(
    place, folder, tmp_path
):
    store, bucket, registry = place
    for number in count(1):
        (folder / "own.bin").write_bytes(b"%d" % number)
        gone = (await registry.register("gone", folder)).version
        await registry.delete(gone)
        await bucket.put(f"models/sha256/ab/stray/{number:032x}", b"of a writer that woke up")
        doom = Doom(number)
        died = await dies(store, bucket, tmp_path, doom, lambda r: r.gc(grace=NOW))
        assert await registry.verify() == []
        await check_exact(place)
        assert not await keys(bucket)
        if not died:
            break
    assert number > 5


async def test_twenty_registrations_of_one_name_get_twenty_numbers_beside_a_collector(
    place, tmp_path
):
    store, _, registry = place
    paths = []
    for number in range(20):
        path = tmp_path / f"{number}.bin"
        path.write_bytes(b"%d" % (number % 5))  # few contents, so that they meet in the blobs
        paths.append(path)

    async def collect():
        for _ in range(10):  # each may make one registration store its bytes again
            await registry.gc(grace=NOW)
            await asyncio.sleep(0)

    *made, _ = await asyncio.gather(*(registry.register("m", path) for path in paths), collect())
    assert sorted(each.version.number for each in made) == list(range(1, 21))
    await check_exact(place)
    assert len(await named(store)) == 5


async def test_of_twenty_promotions_that_expect_the_same_one_succeeds(place, folder):
    _, _, registry = place
    versions = [(await registry.register("m", folder)).version for _ in range(4)]
    await registry.promote(versions[0], "prod")
    done = await asyncio.gather(
        *(registry.promote(versions[number % 3 + 1], "prod", expected=1) for number in range(20)),
        return_exceptions=True,
    )
    assert sum(isinstance(each, PreconditionFailedError) for each in done) == 19
    # Those that expect nothing all succeed, one behind the other.
    await asyncio.gather(*(registry.promote(versions[n % 4], "prod") for n in range(20)))
    moves = await registry.history("m", "prod")
    assert [each.number for each in moves] == list(range(22, 0, -1))
    for later, earlier in pairwise(moves):
        assert later.from_number == earlier.to_number


KILLS = int(os.environ.get("HOLDFAST_TEST_KILLS", "3"))
PROGRAM = f"""import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from models.killed_process import main; main(*sys.argv[1:])"""


@contextmanager
def addresses(kind, folder):
    """The URLs of an empty store and a bucket, and what a process needs to know beside them."""
    with empty_store(kind, folder) as records:
        if kind == "sqlite":
            yield records, f"file://{folder}/bucket", {}
            return
        name, options = new_name(), options_of("minio")
        credentials = options.credentials
        known = {
            "AWS_ACCESS_KEY_ID": credentials.access_key,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
        }
        try:
            yield records, f"{name}?endpoint_url={options.endpoint_url}&create=true", known
        finally:
            remove(name, options)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_a_process_killed_before_any_step_leaves_versions_whole_or_not_at_all(
    kind, folder, tmp_path, monkeypatch
):
    """The steps are spread over two registrations, two promotions, a deletion and a collection."""
    with addresses(kind, tmp_path) as (records, objects, known):
        for name, value in known.items():
            monkeypatch.setenv(name, value)

        def run(name, step):
            done = preloaded.run(PROGRAM, records, objects, tmp_path, name, step, timeout=300)
            assert done.returncode in {0, -signal.SIGKILL}, done.stderr
            return done

        async with (
            open_store(records, [*MODEL_ENTITIES, Job]) as store,
            open_bucket(objects) as bucket,
        ):
            await store.create_schema()
            registry = registry_on(store, bucket, tmp_path)
            await registry.register("first", folder)  # the shared file is there for all that follow
            steps = int(run("whole", 0).stdout)
            for number in range(min(KILLS, steps)):
                name = f"m{number}"
                step = 1 + number * (steps - 1) // max(min(KILLS, steps) - 1, 1)
                assert run(name, step).returncode == -signal.SIGKILL
                versions = await versions_of(registry, name)
                for version in versions:
                    assert len(await registry.files(version)) == version.files == 2, step
                await check_exact((store, bucket, registry))
                if versions and (moves := await registry.history(name, "prod")):
                    (alias,) = await registry.aliases(name)
                    assert len(moves) == alias.moves, step
                    assert moves[0].to_number == (await registry.resolve(f"{name}@prod")).number
                numbers = [each.number for each in versions]
                again = await registry.register(name, folder)
                assert again.version.number == max(numbers, default=0) + 1, step
