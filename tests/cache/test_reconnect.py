"""Blocking code comes back to its store without being called."""

import threading

import pytest

from cache.servers import wait_until
from cache.states import is_up, pending
from holdfast.cache import CacheOptions, Outcome, sync

QUICK = CacheOptions(timeout=1.0, early=0)


def threads():
    return [one for one in threading.enumerate() if one.name == "holdfast-cache-reconnect"]


def test_what_is_pending_is_carried_out_while_nobody_calls(redis, toxic):
    with sync.open_cache(toxic.url, options=QUICK) as cache, sync.open_cache(redis.url) as other:
        cache.set("price", 1)
        assert threads() == []
        toxic.cut()
        assert cache.invalidate(keys=["price"]) is Outcome.PENDING
        assert other.get("price") == 1
        assert len(threads()) == 1
        toxic.heal()
        wait_until(lambda: other.get("price") is None, "the invalidation is never carried out")
        wait_until(lambda: is_up(cache), "it stays DOWN")
        wait_until(lambda: not threads(), "the thread outlives its work")
        assert pending(cache) == 0


def test_it_comes_back_as_often_as_it_went(redis):
    with sync.open_cache(redis.url, options=QUICK) as cache:
        for number in range(3):
            redis.kill()
            assert cache.set("k", number) is Outcome.PENDING
            redis.start()
            wait_until(lambda: is_up(cache), "it stays away")
            assert cache.set("k", number) is Outcome.APPLIED


def test_closing_ends_the_thread_while_the_store_is_away(redis):
    with sync.open_cache(redis.url, options=QUICK) as cache:
        redis.kill()
        assert cache.delete("k") is Outcome.PENDING
        assert len(threads()) == 1
    assert threads() == []


def test_a_cache_that_opened_without_its_store_finds_it_later(redis):
    redis.kill()
    with sync.open_cache(redis.url, options=QUICK) as cache:
        assert not is_up(cache)
        redis.start()
        wait_until(lambda: is_up(cache), "it stays away")
    assert threads() == []


def test_what_is_pending_is_tried_at_the_close_also_after_an_error(redis):
    with sync.open_cache(redis.url) as other:
        other.set("k", 1)
        with pytest.raises(KeyError), sync.open_cache(redis.url, options=QUICK) as cache:
            assert cache.get("k") == 1
            redis.freeze()
            assert cache.delete("k") is Outcome.PENDING
            redis.thaw()
            raise KeyError("k")
        assert other.get("k") is None
