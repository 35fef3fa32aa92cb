from contextlib import asynccontextmanager

import pytest

from holdfast import open_bucket, open_store
from holdfast.domain import RoleBucket
from holdfast.jobs import Job, Jobs
from holdfast.models import MODEL_ENTITIES, ModelRegistry
from objects.s3_servers import new_name, options_of, remove
from servers import empty_store

PLACES = {
    "memory": ("memory", "memory"),
    "sqlite": ("sqlite", "disk"),
    "postgresql": ("postgresql", "minio"),
    "mariadb": ("mariadb", "disk"),
}


@asynccontextmanager
async def opened(place, folder, **options):
    """A store and a bucket at *place*, empty."""
    records, objects = PLACES[place]
    async with _store(records, folder, **options) as store, _bucket(objects, folder) as bucket:
        await store.create_schema()
        yield store, bucket


@asynccontextmanager
async def _store(kind, folder, **options):
    with empty_store(kind, folder) as url:
        async with open_store(url, [*MODEL_ENTITIES, Job], **options) as store:
            yield store


@asynccontextmanager
async def _bucket(kind, folder):
    if kind == "minio":
        options, name = options_of(kind), new_name()
        try:
            async with open_bucket(name, options=options) as bucket:
                yield bucket
        finally:
            remove(name, options)
    else:
        url = "memory://" if kind == "memory" else f"file://{folder}/bucket"
        async with open_bucket(url) as bucket:
            yield bucket


def registry_on(store, bucket, folder):
    place = RoleBucket(bucket, "models/")
    return ModelRegistry(store, place, folder / "cache", jobs=Jobs(store))


@pytest.fixture
async def registry(tmp_path, clock):
    """A registry in memory, by a clock that stands still."""
    async with opened("memory", tmp_path, clock=clock) as (store, bucket):
        yield registry_on(store, bucket, tmp_path)


@pytest.fixture
def weights(tmp_path):
    """Make a file of a model with *content*."""

    def make(content, name="weights.bin"):
        path = tmp_path / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return make
