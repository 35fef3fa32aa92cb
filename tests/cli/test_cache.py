"""`holdfast cache`: a look into a real Redis, and what is invalidated there."""

from uuid import uuid4

import pytest

from cli.program import here
from holdfast import CacheOptions, sync
from servers import url_of


@pytest.fixture
def url(monkeypatch):
    """A cache in Redis with some values, in a namespace of its own, by the name people have."""
    prefix = f"test-{uuid4().hex}"
    url = f"{url_of('redis')}?prefix={prefix}"
    with sync.open_cache(url_of("redis"), options=CacheOptions(prefix=prefix)) as cache:
        cache.set("user:1", {"name": "Ada"}, ttl=60, tags=["users"])
        cache.set("user:2", None, ttl=60)
        cache.set("other", 3, ttl=60)
        monkeypatch.setenv("REDIS_URL", url)
        yield url
        cache.invalidate(pattern="*")


def test_values_and_keys_are_shown(url):
    assert here("cache", "keys").out.split() == ["other", "user:1", "user:2"]
    assert here("cache", "keys", "user:*", "--json").json == ["user:1", "user:2"]
    assert here("cache", "get", "user:1").json == {"name": "Ada"}
    assert here("cache", "get", "user:2").out == "null\n"
    assert here("cache", "get", "nobody").code == 3
    shown = here("cache", "stats", "--json").json
    assert (shown["backend"], shown["state"], shown["keys"]) == ("redis", "up", 3)
    assert "user" not in here("cache", "stats").out


def test_keys_tags_and_patterns_are_invalidated(url):
    assert here("cache", "invalidate", "other", "--json").json == {"outcome": "applied"}
    assert here("cache", "get", "other").code == 3
    assert here("cache", "invalidate", "--tag", "users").code == 0
    assert here("cache", "get", "user:1").code == 3
    assert here("cache", "invalidate", "--pattern", "*").err == "applied\n"
    assert here("cache", "keys", "--json").json == []
    assert here("cache", "invalidate").code == 2


def test_a_cache_that_no_command_can_reach_is_told():
    ran = here("cache", "keys")
    assert (ran.code, "in the memory of each process" in ran.err) == (2, True)
    away = ("--url", "redis://user:hunter2@127.0.0.1:1")
    assert here("cache", "stats", *away, "--json").json["state"] == "down"
    ran = here("cache", "invalidate", "x", *away)
    assert ran.code == 6
    assert "hunter2" not in ran.err
