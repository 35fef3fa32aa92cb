"""The public suite on both backends."""

import itertools

import pytest

from holdfast.cache import open_cache, sync
from holdfast.cache.conformance import CacheConformance, CacheHarness

_numbers = itertools.count()


class UrlHarness(CacheHarness):
    def __init__(self, url):
        self.url = url

    def open(self):
        return open_cache(self.url)

    def open_blocking(self):
        return sync.open_cache(self.url)


class TestMemory(CacheConformance):
    @pytest.fixture
    def harness(self):
        return UrlHarness("memory://")


class TestRedis(CacheConformance):
    @pytest.fixture
    def harness(self, shared_redis):
        return UrlHarness(f"{shared_redis.url}?timeout=30&prefix=suite[{next(_numbers)}]*%3F\\")


class TestRedisWithNearCopies(CacheConformance):
    @pytest.fixture
    def harness(self, shared_redis):
        return UrlHarness(
            f"{shared_redis.url}?timeout=30&near=0.01&prefix=near[{next(_numbers)}]*%3F\\"
        )


class TestRedisCluster(CacheConformance):
    @pytest.fixture
    def harness(self, shared_cluster):
        return UrlHarness(f"{shared_cluster.url}?timeout=30&prefix=suite[{next(_numbers)}]*%3F\\")
