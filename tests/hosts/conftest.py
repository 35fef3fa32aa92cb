"""Hosts on every backend: one database a module, and a pool of its own for each test."""

from uuid import uuid4

import pytest

from dynamodb_servers import store_url
from holdfast import open_store, sync
from holdfast.hosts.host_entities import HOST_ENTITIES
from servers import empty_store

BACKENDS = ["memory", "sqlite", "postgresql", "mariadb", "mysql", "dynamodb"]


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request):
    return request.param


@pytest.fixture(scope="module")
def url(backend, tmp_path_factory):
    if backend == "dynamodb":
        url = store_url("dynoxide", uuid4().hex, scan=False)
        yield url
        with sync.open_store(url, HOST_ENTITIES) as store:
            store.drop_schema()
        return
    with empty_store(backend, tmp_path_factory.mktemp("hosts")) as url:
        yield url


@pytest.fixture
async def store(url, clock):
    async with open_store(url, HOST_ENTITIES, clock=clock) as store:
        await store.create_schema()
        yield store


@pytest.fixture
def pool_name():
    """A name that no other test's pool has."""
    return uuid4().hex
