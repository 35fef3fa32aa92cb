import pytest

from cache.servers import RedisCluster, RedisServer, Toxic
from servers import require, url_of


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


@pytest.fixture(scope="session")
def shared_cluster(tmp_path_factory):
    """A cluster that nobody hurts."""
    require("redis-server")
    with RedisCluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def cluster(tmp_path):
    """A cluster of the test's own."""
    require("redis-server")
    with RedisCluster(tmp_path) as cluster:
        yield cluster


@pytest.fixture
def toxic(redis):
    """A proxy before the test's own server."""
    with Toxic(url_of("toxiproxy"), redis) as proxy:
        yield proxy
