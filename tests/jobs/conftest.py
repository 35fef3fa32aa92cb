from uuid import uuid4

import pytest

from dynamodb_servers import store_url
from holdfast import open_store
from holdfast.jobs import JOB_ENTITIES, Job, Jobs
from servers import empty_store


@pytest.fixture(params=["memory", "sqlite"])
def url(request, tmp_path):
    return "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/jobs.db"


@pytest.fixture
async def store(url, clock):
    async with open_store(url, [Job], clock=clock) as store:
        await store.create_schema()
        yield store


@pytest.fixture
def jobs(store):
    return Jobs(store, chance=lambda: 0.0)


@pytest.fixture
async def jobs_of_all(url, clock):
    """The jobs of a store that has all entities of theirs."""
    async with open_store(url, JOB_ENTITIES, clock=clock) as store:
        await store.create_schema()
        yield Jobs(store, chance=lambda: 0.0)


@pytest.fixture
async def live_store(url):
    """A store by the real clock, for workers whose heartbeats are real."""
    async with open_store(url, [Job]) as store:
        await store.create_schema()
        yield store


@pytest.fixture(
    scope="module", params=["memory", "sqlite", "postgresql", "mariadb", "mysql", "dynamodb"]
)
def every_backend(request, tmp_path_factory):
    """The URL of each backend in turn, an empty place there that the module's tests share."""
    if request.param == "dynamodb":
        yield store_url("dynoxide", f"jobs{uuid4().hex[:8]}", scan=False)
    else:
        with empty_store(request.param, tmp_path_factory.mktemp("jobs")) as url:
            yield url


@pytest.fixture
async def every_store(every_backend, clock):
    """An empty store with all entities of jobs, on each backend in turn."""
    async with open_store(every_backend, JOB_ENTITIES, clock=clock) as store:
        await store.create_schema()
        yield store
        await emptied(store)


@pytest.fixture
async def every_live_store(every_backend):
    """The same by the real clock."""
    async with open_store(every_backend, JOB_ENTITIES) as store:
        await store.create_schema()
        yield store
        await emptied(store)


@pytest.fixture
def every_jobs(every_store):
    return Jobs(every_store, chance=lambda: 0.0)


@pytest.fixture
def every_live_jobs(every_live_store):
    return Jobs(every_live_store)


async def emptied(store):
    """Empty *store*: DynamoDB clears 100 items at once, and makes tables quickly."""
    if store.backend == "dynamodb":
        await store.drop_schema()
    else:
        await store.clear()
