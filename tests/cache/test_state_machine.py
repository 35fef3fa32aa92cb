"""Memory and Redis, given the same random operations, never differ."""

import math

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from holdfast.cache import sync
from holdfast.cache.drivers.memory import MemoryCacheDriver
from holdfast.errors import HoldfastError

KEYS = st.sampled_from(["a", "ab", "[a]*", "ä日"])
TAGS = st.lists(st.sampled_from(["t", "u", "ä"]), max_size=3)
TTLS = st.sampled_from([None, 1000, 500, None, 1000, 500, 0])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
)
VALUES = st.recursive(
    SCALARS | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
PATTERNS = st.text(alphabet="ab*?[]^-\\ä日", max_size=6)


def outcome(call):
    """What a call returns or raises, in a form that compares."""
    try:
        found = call()
    except HoldfastError as error:
        return (type(error).__name__, getattr(error, "field", None))
    if isinstance(found, float) and not math.isinf(found):
        return ("about", round(found, -1))
    return (type(found), repr(found))


class Pair(RuleBasedStateMachine):
    url = ""

    @initialize()
    def begin(self):
        self.contexts = [sync.open_cache(url) for url in ("memory://", type(self).url)]
        self.memory, self.redis = (context.__enter__() for context in self.contexts)
        for cache in (self.memory, self.redis):
            cache.invalidate(pattern="*", tags=["t", "u", "ä"])

    def teardown(self):
        for context in getattr(self, "contexts", ()):
            context.__exit__(None, None, None)

    def same(self, call):
        assert outcome(lambda: call(self.memory)) == outcome(lambda: call(self.redis))

    @rule(key=KEYS, value=VALUES, ttl=TTLS, tags=TAGS)
    def set(self, key, value, ttl, tags):
        self.same(lambda cache: cache.set(key, value, ttl=ttl, tags=tags))

    @rule(values=st.dictionaries(KEYS, VALUES, max_size=4), ttl=TTLS, tags=TAGS)
    def set_many(self, values, ttl, tags):
        self.same(lambda cache: cache.set_many(values, ttl=ttl, tags=tags))

    @rule(key=KEYS, value=VALUES, ttl=TTLS)
    def add(self, key, value, ttl):
        self.same(lambda cache: cache.add(key, value, ttl=ttl))

    @rule(key=KEYS)
    def get(self, key):
        self.same(lambda cache: cache.get(key, "nothing"))

    @rule(keys=st.lists(KEYS, max_size=5))
    def get_many(self, keys):
        self.same(lambda cache: cache.get_many(keys))

    @rule(key=KEYS)
    def delete(self, key):
        self.same(lambda cache: cache.delete(key))

    @rule(key=KEYS, by=st.sampled_from([1, 1, 0, -5, 2**62, -(2**62), 2**63]), ttl=TTLS)
    def increment(self, key, by, ttl):
        self.same(lambda cache: cache.increment(key, by, ttl=ttl))

    @rule(key=KEYS, ttl=TTLS)
    def expire(self, key, ttl):
        self.same(lambda cache: cache.expire(key, ttl))

    @rule(key=KEYS)
    def ttl(self, key):
        self.same(lambda cache: cache.ttl(key))

    @rule(pattern=PATTERNS)
    def keys(self, pattern):
        self.same(lambda cache: cache.keys(pattern))

    @rule(keys=st.lists(KEYS, max_size=3), tags=TAGS, pattern=st.none() | PATTERNS)
    def invalidate(self, keys, tags, pattern):
        self.same(lambda cache: cache.invalidate(keys=keys, tags=tags, pattern=pattern))

    @rule(key=KEYS, value=VALUES, ttl=TTLS, tags=TAGS, meanwhile=st.none() | KEYS)
    def get_or_set(self, key, value, ttl, tags, meanwhile):
        def call(cache):
            def load():
                if meanwhile is not None:
                    cache.delete(meanwhile)
                return value

            return cache.get_or_set(key, load, ttl=ttl, tags=tags)

        self.same(call)

    @rule()
    def look_at_everything(self):
        self.same(lambda cache: cache.get_many(cache.keys()))


def test_memory_and_redis_never_differ(shared_redis):
    machine = type("Machine", (Pair,), {"url": f"{shared_redis.url}?prefix=machine"})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_backend_that_differs_is_found(shared_redis, monkeypatch):
    """Planted: a value that is stored anew keeps what was left of the old one's time."""
    honest = MemoryCacheDriver.set_many

    async def keeping(self, items, *, ttl):
        left = [await self.ttl(name) for name, _ in items]
        outcome = await honest(self, items, ttl=ttl)
        for (name, _), old in zip(items, left, strict=True):
            if old is not None and old > 0:
                await self.expire(name, old)
        return outcome

    monkeypatch.setattr(MemoryCacheDriver, "set_many", keeping)
    machine = type("Machine", (Pair,), {"url": f"{shared_redis.url}?prefix=planted"})
    with pytest.raises(AssertionError):
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=300,
                stateful_step_count=40,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                database=None,
                derandomize=True,
                phases=[Phase.generate],
                print_blob=False,
            ),
        )
