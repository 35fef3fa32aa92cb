import pytest

from holdfast import open_store
from holdfast.access import ApiKey, ApiKeys


@pytest.fixture(params=["memory", "sqlite"])
async def store(request, tmp_path, clock):
    url = "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/keys.db"
    async with open_store(url, [ApiKey], clock=clock) as store:
        await store.create_schema()
        yield store


@pytest.fixture
def keys(store):
    return ApiKeys(store)
