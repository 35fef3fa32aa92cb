"""What is stored and what comes back."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from holdfast.cache.driver import Outcome
from holdfast.errors import InvalidValueError

if TYPE_CHECKING:
    from holdfast.cache.cache import Cache


@dataclass
class Recording:
    """A value with a type."""

    id: UUID
    title: str
    at: datetime
    frames: list[int]


class Grade(enum.IntEnum):
    """Small numbers that look like digits of text when encoded."""

    LOW = 48
    MINUS = 45


class ValueCases:
    """Cases of set, get, add, increment and their many."""

    @pytest.mark.parametrize(
        "value",
        [
            *(None, True, False, "", "ä\0🎬", 0.1, -0.0, [], {}, [1, [None, {"a": "b"}]]),
            *(0, -1, 48, 45, 2**63 - 1, -(2**63), b"", b"\xc1\0\xff", "5", {"k": 2**63 - 1}),
        ],
        ids=repr,
    )
    async def test_a_value_comes_back_in_type_and_value(
        self, cache: Cache[object], value: object
    ) -> None:
        assert await cache.set("k", value) is Outcome.APPLIED
        found = await cache.get("k", "nothing")
        assert (found, type(found)) == (value, type(value))
        assert await cache.get_many(["k"]) == {"k": value}
        await cache.set("tagged", value, tags=["t"])
        found = await cache.get("tagged", "nothing")
        assert (found, type(found)) == (value, type(value))

    async def test_a_float_that_is_no_number_is_still_one(self, cache: Cache[object]) -> None:
        await cache.set("k", math.nan)
        assert math.isnan(await cache.typed(float).get("k", 0.0) or 0.0)

    async def test_a_cached_none_is_a_hit(self, cache: Cache[object]) -> None:
        await cache.set("k", None)
        assert await cache.get("k", "nothing") is None
        assert await cache.get_many(["k", "other"]) == {"k": None}
        assert await cache.add("k", 1) is False

    async def test_what_is_not_there_is_the_default(self, cache: Cache[object]) -> None:
        assert await cache.get("k") is None
        assert await cache.get("k", "d") == "d"
        assert await cache.get_many([]) == {}
        assert await cache.get_many(["a", "b"]) == {}

    async def test_what_comes_back_is_a_copy(self, cache: Cache[object]) -> None:
        value = {"list": [1]}
        await cache.set("k", value)
        value["list"].append(2)
        first = await cache.typed(dict[str, list[int]]).get("k")
        assert first is not None
        assert first == {"list": [1]}
        first["list"].append(3)
        assert await cache.get("k") == {"list": [1]}

    async def test_a_typed_cache_gives_its_type(self, cache: Cache[object]) -> None:
        clip = Recording(
            UUID(int=5), "x", datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC), [1, 2]
        )
        clips = cache.typed(Recording)
        await clips.set("k", clip)
        assert await clips.get("k") == clip
        assert await clips.get_many(["k"]) == {"k": clip}
        levels = cache.typed(Grade)
        for level in Grade:
            await levels.set("l", level)
            assert await levels.get("l") is level
        floats = cache.typed(float)
        await cache.set("f", 5)
        assert type(await floats.get("f")) is float

    async def test_a_value_of_another_type_is_a_miss(self, cache: Cache[object]) -> None:
        await cache.set("k", {"title": "no clip"})
        await cache.set("n", 5)
        clips = cache.typed(Recording)
        assert await clips.get("k") is None
        assert await clips.get("n") is None
        assert await clips.get_many(["k", "n"]) == {}

    async def test_what_has_no_bytes_is_refused_and_nothing_changes(
        self, cache: Cache[object]
    ) -> None:
        await cache.set("k", "old")
        loop: list[object] = []
        loop.append(loop)
        for value in (object(), 2**63, -(2**63) - 1, [2**64], "\ud800", {"a": {1j}}, loop):
            with pytest.raises(InvalidValueError, match="'k'"):
                await cache.set("k", value)
            with pytest.raises(InvalidValueError):
                await cache.set_many({"other": 1, "k": value})
        assert await cache.get("k") == "old"
        assert await cache.get("other") is None

    async def test_a_large_value_comes_back_whole(self, cache: Cache[object]) -> None:
        large = bytes(range(256)) * 20_000
        await cache.set("k", large)
        assert await cache.get("k") == large
        assert await cache.keys() == ["k"]

    async def test_many_are_stored_and_read_by_key(self, cache: Cache[object]) -> None:
        values: dict[str, object] = {f"k{number}": number for number in range(300)}
        assert await cache.set_many(values) is Outcome.APPLIED
        assert await cache.get_many([*values, "other", "k1"]) == values
        await cache.set_many({"k1": "x", "k2": None}, ttl=60, tags=["t"])
        assert await cache.get_many(["k1", "k2", "k3"]) == {"k1": "x", "k2": None, "k3": 3}
        assert await cache.set_many({}) is Outcome.APPLIED

    async def test_many_come_by_key_in_any_order(self, cache: Cache[object]) -> None:
        await cache.set_many({"a": 1, "b": 2, "d": 4})
        assert await cache.get_many(["d", "c", "a", "b"]) == {"a": 1, "b": 2, "d": 4}

    async def test_add_stores_only_where_nothing_is(self, cache: Cache[object]) -> None:
        assert await cache.add("k", "first") is True
        assert await cache.add("k", "second") is False
        assert await cache.get("k") == "first"
        await cache.delete("k")
        assert await cache.add("k", "third", ttl=60) is True
        await cache.set("tagged", 1, tags=["t"])
        await cache.invalidate(tags=["t"])
        assert await cache.add("tagged", "fourth") is True
        assert await cache.get("tagged") == "fourth"

    async def test_increment_adds_to_what_is_there(self, cache: Cache[object]) -> None:
        assert await cache.increment("k") == 1
        assert await cache.increment("k", 41) == 42
        assert await cache.increment("k", -50, ttl=60) == -8
        assert await cache.get("k") == -8
        await cache.set("k", 2**53)
        assert await cache.increment("k") == 2**53 + 1
        assert await cache.increment("new", 2**53 + 1, ttl=60) == 2**53 + 1
        assert await cache.increment("zero", 0) == 0
        assert await cache.get("zero") == 0

    @pytest.mark.parametrize("value", ["5", 5.0, None, True, [1], b"5"], ids=repr)
    async def test_increment_of_what_is_no_whole_number_is_refused(
        self, cache: Cache[object], value: object
    ) -> None:
        await cache.set("k", value)
        for ttl in (None, 60):
            with pytest.raises(InvalidValueError, match="whole number"):
                await cache.increment("k", ttl=ttl)
        assert await cache.get("k") == value

    async def test_increment_beyond_64_bits_is_refused(self, cache: Cache[object]) -> None:
        for start, by in ((2**63 - 1, 1), (-(2**63), -1)):
            await cache.set("k", start)
            for ttl in (None, 60):
                with pytest.raises(InvalidValueError, match="64 bits"):
                    await cache.increment("k", by, ttl=ttl)
            assert await cache.get("k") == start
        for odd in (2**63, 1.0, True, "1"):
            with pytest.raises(InvalidValueError, match="by"):
                await cache.increment("k", odd)  # type: ignore[arg-type]

    async def test_a_tag_takes_the_place_of_a_counter(self, cache: Cache[object]) -> None:
        await cache.set("k", 5, tags=["t"])
        with pytest.raises(InvalidValueError, match="without tags"):
            await cache.increment("k")
        await cache.invalidate(tags=["t"])
        assert await cache.increment("k") == 1

    async def test_reads_are_counted(self, cache: Cache[object]) -> None:
        await cache.set("k", 1)
        await cache.get("k")
        await cache.get("other")
        await cache.get_many(["k", "other", "more"])
        counters = cache.stats().counters
        assert (counters["hits"], counters["misses"]) == (2, 3)
