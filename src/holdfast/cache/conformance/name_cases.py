"""Keys, patterns, tags, and what removes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holdfast.cache.driver import Outcome
from holdfast.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from holdfast.cache.cache import Cache

ODD_KEYS = [
    *("k", "*", "?", "[a]", "\\", "a\nb", "ä", "日本", "🎬", " ", "a b", "k:", ":", "{", "}"),
    *("{a}b", "\0", "a" * 1024, "^", "-", "#%", "A", "life"),
]


class NameCases:
    """Cases of keys, patterns and tags."""

    async def test_every_key_is_itself_alone(self, cache: Cache[object]) -> None:
        for key in ODD_KEYS:
            await cache.set(key, key)
        assert await cache.get_many(ODD_KEYS) == {key: key for key in ODD_KEYS}
        assert await cache.keys() == sorted(ODD_KEYS)
        await cache.delete("*")
        await cache.invalidate(keys=["?", "[a]"])
        assert await cache.keys() == sorted(set(ODD_KEYS) - {"*", "?", "[a]"})

    @pytest.mark.parametrize("key", ["", "\ud800", "a" * 1025, "ä" * 600, b"k", 5, None], ids=repr)
    async def test_what_is_no_key_is_refused_everywhere(
        self, cache: Cache[object], key: str
    ) -> None:
        async def load() -> object:
            raise AssertionError("never loaded")

        calls: tuple[Callable[[], Awaitable[object]], ...] = (
            lambda: cache.get(key),
            lambda: cache.get_many(["k", key]),
            lambda: cache.set(key, 1),
            lambda: cache.set_many({"k": 1, key: 2}),
            lambda: cache.add(key, 1),
            lambda: cache.delete(key),
            lambda: cache.increment(key),
            lambda: cache.expire(key, 1),
            lambda: cache.ttl(key),
            lambda: cache.invalidate(keys=["k", key]),
            lambda: cache.get_or_set(key, load),
        )
        for call in calls:
            with pytest.raises(InvalidValueError, match="key"):
                await call()
        assert await cache.keys() == []

    async def test_one_text_is_not_several(self, cache: Cache[object]) -> None:
        calls: tuple[Callable[[], Awaitable[object]], ...] = (
            lambda: cache.get_many("abc"),
            lambda: cache.invalidate(keys="abc"),
            lambda: cache.invalidate(tags="abc"),
            lambda: cache.set("k", 1, tags="abc"),
        )
        for call in calls:
            with pytest.raises(InvalidValueError, match="one text"):
                await call()

    @pytest.mark.parametrize(
        ("pattern", "expected"),
        [
            ("*", ["A", "a", "ab", "abc", "b", "ä", "äb"]),
            ("a", ["a"]),
            ("a*", ["a", "ab", "abc"]),
            ("*b", ["ab", "b", "äb"]),
            ("?", ["A", "a", "b", "ä"]),
            ("?b", ["ab", "äb"]),
            ("*b*", ["ab", "abc", "b", "äb"]),
            ("**c", ["abc"]),
            ("[ab]", ["a", "b"]),
            ("[a-z]", ["a", "b"]),
            ("[z-a]", ["a", "b"]),
            ("[^a]", ["A", "b", "ä"]),
            ("[ä]*", ["ä", "äb"]),
            ("[\\!a]", ["a"]),
            ("[a!]", ["a"]),
            ("[^!a]", ["A", "b", "ä"]),
            ("\\a", ["a"]),
            ("a.", []),
            ("", []),
            ("k:*", []),
        ],
    )
    async def test_a_pattern_fits_characters(
        self, cache: Cache[object], pattern: str, expected: list[str]
    ) -> None:
        everything = ["A", "a", "ab", "abc", "b", "ä", "äb"]
        await cache.set_many(dict.fromkeys(everything, 1))
        assert await cache.keys(pattern) == expected
        assert await cache.invalidate(pattern=pattern) is Outcome.APPLIED
        assert await cache.keys() == [key for key in everything if key not in expected]

    async def test_a_backslash_makes_a_wildcard_plain(self, cache: Cache[object]) -> None:
        await cache.set_many(dict.fromkeys(["a*", "ab", "[x]", "x", "a\\b", "]", "-"], 1))
        assert await cache.keys("a\\*") == ["a*"]
        assert await cache.keys("\\[x\\]") == ["[x]"]
        assert await cache.keys("a\\\\b") == ["a\\b"]
        assert await cache.keys("[\\]]") == ["]"]
        assert await cache.keys("[a-]") == ["-"]
        assert await cache.keys("a?b") == ["a\\b"]

    @pytest.mark.parametrize("pattern", ["[", "[a", "a\\", "[]", "[^]", "[!a]", "x" * 1025])
    async def test_a_pattern_that_means_nothing_is_refused(
        self, cache: Cache[object], pattern: str
    ) -> None:
        with pytest.raises(InvalidValueError, match="pattern"):
            await cache.keys(pattern)
        with pytest.raises(InvalidValueError, match="pattern"):
            await cache.invalidate(pattern=pattern)

    async def test_a_pattern_of_many_stars_takes_no_time(self, cache: Cache[object]) -> None:
        await cache.set("a" * 1000, 1)
        assert await cache.keys("*a" * 400 + "b") == []
        assert await cache.keys("*a" * 400) == ["a" * 1000]

    async def test_invalidate_removes_keys_tags_and_patterns_together(
        self, cache: Cache[object]
    ) -> None:
        await cache.set_many(dict.fromkeys(["a1", "a2", "b1", "c"], 1))
        await cache.set("t1", 1, tags=["red", "blue"])
        await cache.set("t2", 1, tags=["green"])
        outcome = await cache.invalidate(keys=["c", "not there"], tags=["blue"], pattern="a*")
        assert outcome is Outcome.APPLIED
        assert await cache.keys() == ["b1", "t2"]
        assert await cache.invalidate(keys=[], tags=()) is Outcome.APPLIED
        with pytest.raises(InvalidValueError, match="name what is to go: keys="):
            await cache.invalidate()
        assert await cache.keys() == ["b1", "t2"]

    async def test_a_pattern_removes_what_it_fits_and_no_more(self, cache: Cache[object]) -> None:
        keys = ["page:1", "page:12", "page:1:old", "pages", "Page:3", "page:"]
        await cache.set_many(dict.fromkeys(keys, 1))
        await cache.invalidate(pattern="page:[0-9]")
        assert await cache.keys() == sorted(set(keys) - {"page:1"})
        await cache.invalidate(pattern="page:?*")
        assert await cache.keys() == ["Page:3", "page:", "pages"]

    async def test_any_of_its_tags_removes_an_entry_everywhere(self, cache: Cache[object]) -> None:
        tags = [f"tag {number}" for number in range(16)]
        await cache.set_many({"a": 1, "b": 2}, tags=tags)
        await cache.set("c", 3, tags=tags[:1])
        await cache.invalidate(tags=["tag 9"])
        assert await cache.get("a") is None
        assert await cache.get_many(["a", "b", "c"]) == {"c": 3}
        assert await cache.ttl("a") is None
        assert await cache.expire("b", 5) is False
        assert await cache.keys() == ["c"]
        await cache.set("a", 4, tags=tags)
        assert await cache.get("a") == 4

    async def test_what_a_tag_removed_does_not_come_back_with_the_tag(
        self, cache: Cache[object]
    ) -> None:
        await cache.set_many({"a": 1, "b": 1}, tags=["t"])
        await cache.invalidate(tags=["t"])
        await cache.set("b", 2, tags=["t"])
        assert await cache.get_many(["a", "b"]) == {"b": 2}
        assert await cache.get("a") is None

    async def test_what_is_no_tag_is_refused(self, cache: Cache[object]) -> None:
        for tags in ([""], ["ok", "t" * 129], [5], ["\ud800"], [str(n) for n in range(17)]):
            with pytest.raises(InvalidValueError, match="tags"):
                await cache.set("k", 1, tags=tags)  # type: ignore[arg-type]
        assert await cache.keys() == []

    async def test_a_key_and_a_tag_of_one_name_are_two_things(self, cache: Cache[object]) -> None:
        await cache.set("x", 1)
        await cache.set("y", 1, tags=["x"])
        await cache.invalidate(tags=["x"])
        assert await cache.keys() == ["x"]
        await cache.set("y", 1, tags=["x"])
        await cache.invalidate(keys=["x"])
        assert await cache.keys() == ["y"]
