"""How long things stay."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING

import pytest

from holdfast.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from holdfast.cache.cache import Cache

SHORT = 0.03  # seconds


async def becomes(look: Callable[[], Awaitable[object]], expected: object) -> None:
    """Look until *expected* is seen; fail after three seconds."""
    deadline = time.monotonic() + 3
    while (seen := await look()) != expected:
        assert time.monotonic() < deadline, f"still {seen!r}, expected {expected!r}"
        await asyncio.sleep(0)  # a cache in memory never lets others run by itself


class ExpiryCases:
    """Cases of times to live."""

    async def test_a_value_is_gone_after_its_time(self, cache: Cache[object]) -> None:
        start = time.monotonic()
        await cache.set("k", 1, ttl=SHORT)
        await cache.set_many({"a": 1, "b": 2}, ttl=SHORT)
        await cache.add("c", 1, ttl=SHORT)
        await cache.increment("i", ttl=SHORT)
        await cache.set("stays", 1)
        await becomes(lambda: cache.keys(), ["stays"])  # noqa: PLW0108 - a default argument
        assert time.monotonic() - start >= SHORT
        assert await cache.get_many(["k", "a", "b", "c", "i"]) == {}
        assert await cache.ttl("k") is None
        assert await cache.expire("k", 1) is False
        assert await cache.increment("i") == 1

    async def test_ttl_tells_what_is_left(self, cache: Cache[object]) -> None:
        assert await cache.ttl("k") is None
        await cache.set("k", 1)
        assert await cache.ttl("k") == math.inf
        await cache.set("k", 1, ttl=60)
        left = await cache.ttl("k")
        assert left is not None
        assert 59 < left <= 60

    async def test_a_new_set_has_its_own_time(self, cache: Cache[object]) -> None:
        await cache.set("k", 1, ttl=60)
        await cache.set("k", 2)
        assert await cache.ttl("k") == math.inf
        await cache.set("k", 2, ttl=60)
        await cache.set_many({"k": 3, "l": 4})
        assert await cache.ttl("k") == math.inf

    async def test_expire_changes_the_time_and_not_the_value(self, cache: Cache[object]) -> None:
        assert await cache.expire("k", 60) is False
        await cache.set("k", "v")
        assert await cache.expire("k", 60) is True
        assert (await cache.ttl("k") or 0) <= 60
        assert await cache.expire("k", None) is True
        assert await cache.ttl("k") == math.inf
        assert await cache.get("k") == "v"
        assert await cache.expire("k", SHORT) is True
        await becomes(lambda: cache.get("k"), None)

    async def test_increment_keeps_the_time_of_what_is_there(self, cache: Cache[object]) -> None:
        await cache.increment("k", ttl=60)
        await cache.increment("k", ttl=9000)
        await cache.increment("k")
        left = await cache.ttl("k")
        assert left is not None
        assert left <= 60
        await cache.set("forever", 1)
        await cache.increment("forever", ttl=60)
        assert await cache.ttl("forever") == math.inf

    @pytest.mark.parametrize("ttl", [0, -1, math.nan, math.inf, 1e12, "5", True], ids=repr)
    async def test_a_time_that_is_none_is_refused(self, cache: Cache[object], ttl: float) -> None:
        await cache.set("k", 1)
        with pytest.raises(InvalidValueError, match="seconds"):
            await cache.set("k", 2, ttl=ttl)
        with pytest.raises(InvalidValueError, match="seconds"):
            await cache.expire("k", ttl)
        assert await cache.ttl("k") == math.inf
        assert await cache.get("k") == 1

    async def test_the_shortest_time_is_a_millisecond(self, cache: Cache[object]) -> None:
        await cache.set("k", 1, ttl=1e-9)
        await becomes(lambda: cache.get("k"), None)
