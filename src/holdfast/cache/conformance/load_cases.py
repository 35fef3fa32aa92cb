"""What get_or_set promises, one caller at a time; crowds are the concern of the cache's tests."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from holdfast.cache.conformance.expiry_cases import SHORT, becomes
from holdfast.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.cache.cache import Cache


class Source:
    """Where values come from: a new number each time."""

    def __init__(self) -> None:
        self.loads = 0

    async def load(self) -> object:
        self.loads += 1
        return self.loads


class LoadCases:
    """Cases of get_or_set."""

    async def test_what_is_missing_is_loaded_once(self, cache: Cache[object]) -> None:
        source = Source()
        assert await cache.get_or_set("k", source.load, ttl=60) == 1
        assert await cache.get_or_set("k", source.load, ttl=60) == 1
        assert await cache.get("k") == 1
        left = await cache.ttl("k")
        assert left is not None
        assert 59 < left <= 60
        await cache.delete("k")
        assert await cache.get_or_set("k", source.load) == 2
        assert await cache.ttl("k") == math.inf
        assert cache.stats().counters["loads"] == 2

    async def test_what_is_there_however_it_came_is_not_loaded(self, cache: Cache[object]) -> None:
        source = Source()
        await cache.set("plain", "set")
        await cache.set("tagged", "set", tags=["a"])
        await cache.increment("number")
        for key, value in (("plain", "set"), ("tagged", "set"), ("number", 1)):
            for tags in ((), ("a",), ("b",)):
                assert await cache.get_or_set(key, source.load, tags=tags) == value
        assert source.loads == 0
        counters = cache.stats().counters
        assert (counters["hits"], counters["misses"]) == (9, 0)

    async def test_a_loaded_none_is_a_hit(self, cache: Cache[object]) -> None:
        loads = 0

        async def load() -> object:
            nonlocal loads
            loads += 1
            return None

        assert await cache.get_or_set("k", load) is None
        assert await cache.get_or_set("k", load) is None
        assert loads == 1

    async def test_a_loaded_value_comes_back_as_a_copy(self, cache: Cache[object]) -> None:
        loaded = [1]

        async def load() -> object:
            return loaded

        first = await cache.get_or_set("k", load)
        loaded.append(2)
        assert first == [1]
        assert await cache.get("k") == [1]

    async def test_what_a_load_raises_escapes_and_nothing_is_stored(
        self, cache: Cache[object]
    ) -> None:
        async def fail() -> object:
            raise KeyError("mine")

        async def unfit() -> object:
            return object()

        with pytest.raises(KeyError, match="mine"):
            await cache.get_or_set("k", fail)
        with pytest.raises(InvalidValueError):
            await cache.get_or_set("k", unfit)
        assert await cache.keys() == []
        assert await cache.get_or_set("k", Source().load) == 1

    async def test_what_is_being_loaded_is_not_there_yet(self, cache: Cache[object]) -> None:
        seen: list[object] = []

        async def load() -> object:
            seen.extend([await cache.get("k", "nothing"), await cache.keys()])
            seen.extend([await cache.ttl("k"), await cache.expire("k", None)])
            seen.append(await cache.get_many(["k"]))
            return "loaded"

        assert await cache.get_or_set("k", load, ttl=60) == "loaded"
        assert seen == ["nothing", [], None, False, {}]
        assert (await cache.ttl("k") or math.inf) <= 60

    @pytest.mark.parametrize("how", ["keys", "tags", "pattern", "delete"])
    async def test_an_invalidation_during_the_load_makes_it_void(
        self, cache: Cache[object], how: str
    ) -> None:
        async def load() -> object:
            if how == "keys":
                await cache.invalidate(keys=["key"])
            elif how == "tags":
                await cache.invalidate(tags=["tag"])
            elif how == "pattern":
                await cache.invalidate(pattern="k*")
            else:
                await cache.delete("key")
            return "old"

        assert await cache.get_or_set("key", load, tags=["tag"]) == "old"
        assert await cache.get("key", "nothing") == "nothing"
        assert await cache.keys() == []

    async def test_a_write_during_the_load_stays(self, cache: Cache[object]) -> None:
        async def set_meanwhile() -> object:
            await cache.set("set", "new")
            return "old"

        async def add_meanwhile() -> object:
            assert await cache.add("added", "new")
            return "old"

        async def count_meanwhile() -> object:
            assert await cache.increment("counted", 7) == 7
            return 1

        assert await cache.get_or_set("set", set_meanwhile) == "old"
        assert await cache.get_or_set("added", add_meanwhile) == "old"
        assert await cache.get_or_set("counted", count_meanwhile) == 1
        found = await cache.get_many(["set", "added", "counted"])
        assert found == {"set": "new", "added": "new", "counted": 7}
        assert cache.stats().counters["void_loads"] == 3

    async def test_tags_remove_what_was_loaded(self, cache: Cache[object]) -> None:
        source = Source()
        assert await cache.get_or_set("k", source.load, tags=["a", "b"]) == 1
        assert await cache.get_or_set("k", source.load) == 1
        await cache.invalidate(tags=["b"])
        assert await cache.get_or_set("k", source.load, tags=["a"]) == 2
        await cache.invalidate(tags=["b"])
        assert await cache.get_or_set("k", source.load) == 2

    async def test_a_stale_value_is_loaded_anew(self, cache: Cache[object]) -> None:
        source = Source()
        assert await cache.get_or_set("k", source.load, ttl=SHORT, stale=60) == 1
        await becomes(lambda: cache.get_or_set("k", source.load, ttl=60, stale=60), 2)
        assert await cache.get("k") == 2
        assert source.loads == 2

    async def test_a_stale_value_stays_when_the_new_load_fails(self, cache: Cache[object]) -> None:
        async def fail() -> object:
            raise ConnectionError("the source is away")

        await cache.get_or_set("k", Source().load, ttl=SHORT, stale=60)

        async def failed() -> object:
            assert await cache.get_or_set("k", fail, ttl=SHORT, stale=60) == 1
            return cache.stats().counters["failed_loads"]

        await becomes(failed, 1)
        assert await cache.get("k") == 1

    async def test_a_value_of_another_type_is_loaded_anew(self, cache: Cache[object]) -> None:
        await cache.set("k", "text")

        async def load() -> list[int]:
            return [1]

        assert await cache.typed(list[int]).get_or_set("k", load) == [1]
        assert await cache.get("k") == [1]

    async def test_many_are_loaded_in_one_go(self, cache: Cache[object]) -> None:
        asked: list[list[str]] = []

        async def load(missing: Sequence[str]) -> dict[str, object]:
            asked.append(list(missing))
            return {key: None if key == "none" else key * 2 for key in missing if key != "left"}

        await cache.set("there", 1)
        keys = ["a", "there", "none", "a", "left"]
        expected = {"a": "aa", "there": 1, "none": None}
        assert await cache.get_or_set_many(keys, load, ttl=60, tags=["t"]) == expected
        assert asked == [["a", "none", "left"]]
        assert await cache.get_or_set_many(["a", "none"], load) == {"a": "aa", "none": None}
        assert len(asked) == 1
        assert (await cache.ttl("a") or math.inf) <= 60
        assert await cache.keys() == ["a", "none", "there"]
        assert await cache.get_or_set("left", Source().load) == 1
        await cache.invalidate(tags=["t"])
        assert await cache.keys() == ["left", "there"]
        assert await cache.get_or_set_many([], load) == {}

    async def test_what_changes_while_many_are_loaded_is_not_stored(
        self, cache: Cache[object]
    ) -> None:
        async def load(missing: Sequence[str]) -> dict[str, object]:
            await cache.delete("a")
            await cache.set("b", "new")
            return dict.fromkeys(missing, "old")

        found = await cache.get_or_set_many(["a", "b", "c"], load)
        assert found == {"a": "old", "b": "old", "c": "old"}
        assert await cache.get_many(["a", "b", "c"]) == {"b": "new", "c": "old"}

        async def tagged(missing: Sequence[str]) -> dict[str, object]:
            await cache.invalidate(tags=["t"])
            return dict.fromkeys(missing, "old")

        await cache.get_or_set_many(["d"], tagged, tags=["t"])
        assert await cache.get("d") is None

    async def test_what_a_load_of_many_raises_escapes_and_nothing_stays(
        self, cache: Cache[object]
    ) -> None:
        async def fail(_: Sequence[str]) -> dict[str, object]:
            raise KeyError("mine")

        async def unfit(missing: Sequence[str]) -> dict[str, object]:
            return dict.fromkeys(missing, object())

        with pytest.raises(KeyError, match="mine"):
            await cache.get_or_set_many(["a", "b"], fail)
        with pytest.raises(InvalidValueError):
            await cache.get_or_set_many(["a", "b"], unfit)
        with pytest.raises(InvalidValueError, match="one text"):
            await cache.get_or_set_many("ab", fail)
        assert await cache.keys() == []
        assert await cache.get_or_set("a", Source().load) == 1
