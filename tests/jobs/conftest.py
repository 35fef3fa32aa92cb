import pytest

from clock import Clock
from holdfast import open_store
from holdfast.jobs import Job, Jobs


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def clock():
    return Clock()


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
async def live_store(url):
    """A store by the real clock, for workers whose heartbeats are real."""
    async with open_store(url, [Job]) as store:
        await store.create_schema()
        yield store
