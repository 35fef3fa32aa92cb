import pytest

from cache.servers import RedisServer, require

pytest.register_assert_rewrite("holdfast.cache.conformance")


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory):
    """A server that nobody hurts."""
    require("redis-server")
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis(tmp_path):
    """A server of the test's own."""
    require("redis-server")
    with RedisServer(tmp_path) as server:
        yield server
