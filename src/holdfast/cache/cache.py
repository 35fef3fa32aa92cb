"""The cache that people hold."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Generic, ParamSpec, TypeVar, cast, overload

from holdfast.cache import envelope, tag_validation
from holdfast.cache.batch_loader import BatchRequest
from holdfast.cache.cached_function import call_keys, result_type
from holdfast.cache.codec import Unreadable, codec_of
from holdfast.cache.coordination import Coordination
from holdfast.cache.driver import CacheCapability, Outcome, swap_one
from holdfast.cache.entry_name import (
    KEYS,
    TTL,
    entry_tags,
    milliseconds,
    name_of,
    names_by_key,
    names_of,
    tags_of,
)
from holdfast.cache.load_callbacks import check_mapping, not_callable
from holdfast.cache.loader import LoadRequest
from holdfast.cache.pattern import compile_pattern
from holdfast.errors import InvalidValueError
from holdfast.stats import Stats

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from holdfast.cache.codec import Codec
    from holdfast.cache.driver import CacheDriver
    from holdfast.cache.loader import Loader
    from holdfast.cache.monitor import CacheMonitor
    from holdfast.health import Health

T = TypeVar("T")
D = TypeVar("D")
U = TypeVar("U")
P = ParamSpec("P")
R = TypeVar("R")


class Cache(Coordination, Generic[T]):
    """Values under keys, for a time: `async with open_cache(url) as cache`.

    Values are what msgspec (or pydantic) can encode, and come back as copies of the type that the
    cache is for; a stored value that is not of that type is a miss. A cached None is a hit. Times
    to live are in seconds, or a timedelta; None is forever. Safe to use from many tasks at once.

    While a store is away, reads are answered from this process alone, writes and invalidations
    answer PENDING, and what must be true for everybody raises UnavailableError.
    """

    def __init__(
        self,
        driver: CacheDriver,
        loader: Loader,
        monitor: CacheMonitor,
        codec: Codec[T],
        *,
        namespace: str,
    ) -> None:
        super().__init__(driver, loader.pause)
        self._loader = loader
        self._monitor = monitor
        self._counters = monitor.counters
        self._codec = codec
        self._namespace = namespace

    def typed(self, kind: type[U]) -> Cache[U]:
        """Return the same cache for values of type *kind*.

        Raises InvalidValueError when neither msgspec nor pydantic knows the type.
        """
        return self.coded(codec_of(kind))

    def coded(self, codec: Codec[U]) -> Cache[U]:
        """Return the same cache with values encoded by *codec*."""
        return Cache(self._driver, self._loader, self._monitor, codec, namespace=self._namespace)

    @property
    def namespace(self) -> str:
        """What keeps its names apart from those of other caches: the option *prefix*."""
        return self._namespace

    @property
    def backend(self) -> str:
        """The name of the backend, as errors and metrics say it: `memory`, `redis`."""
        return self._driver.name

    @property
    def capabilities(self) -> frozenset[CacheCapability]:
        """What its backend can do that others can't."""
        return self._driver.capabilities

    async def health(self) -> Health:
        """Return how the store answers one probe; a store that is away is tried once.

        DOWN: the store is away, and this process goes on alone. DEGRADED: it is used, and some
        invalidations still wait for it. The detail says why, since when, and how many wait.
        """
        return await self._monitor.health()

    def stats(self) -> Stats:
        """Return what was done since the cache was opened, and how it stands. No I/O.

        Counters: hits, misses, loads, failed_loads, void_loads, unreadable, near_hits,
        load_seconds, outages, pending_answers. Gauges: `up`, 1 while the store is used; `since`,
        the Unix time at which that began; `pending`, how many invalidations wait for it;
        `overflowed`, 1 while one of them stands for all keys.
        """
        return Stats(counters=self._counters.by_name(), gauges=self._monitor.gauges())

    @overload
    async def get(self, key: str) -> T | None: ...
    @overload
    async def get(self, key: str, default: D) -> T | D | None: ...
    async def get(self, key: str, default: object = None) -> object:
        """Return the value of *key*, *default* when there is none. A cached None is a value."""
        (raw,) = await self._driver.get_many((name_of(key),))
        if raw is not None and not envelope.is_plain(raw):
            (raw,) = await tag_validation.validated(self._driver, (raw,))
        if raw is not None:
            try:
                value = self._codec.decode(envelope.payload_of(raw))
            except Unreadable:
                self._counters.unreadable += 1
            else:
                self._counters.hits += 1
                return value
        self._counters.misses += 1
        return default

    async def get_many(self, keys: Iterable[str]) -> dict[str, T | None]:
        """Return the values of those *keys* that have one."""
        names = names_by_key(keys)
        raws = await self._driver.get_many([*names.values()])
        payloads = await tag_validation.valid_payloads(self._driver, raws)
        decode = self._codec.decode
        found: dict[str, T | None] = {}
        for key, payload in zip(names, payloads, strict=True):
            if payload is not None:
                try:
                    found[key] = decode(payload)
                except Unreadable:
                    self._counters.unreadable += 1
        self._counters.hits += len(found)
        self._counters.misses += len(names) - len(found)
        return found

    async def set(
        self, key: str, value: T, *, ttl: TTL | None = None, tags: Iterable[str] = ()
    ) -> Outcome:
        """Store *value*; invalidating any of *tags* removes it.

        PENDING: only this process reads it, for a short time, and it is gone when the store is
        back. Raises InvalidValueError, StorageError; nothing was stored then.
        """
        name, life, names = name_of(key), milliseconds("ttl", ttl), entry_tags(tags)
        content = self._codec.encode(key, value)
        if names:
            versions = await tag_validation.current_versions(self._driver, names)
            content = envelope.sealed(content, envelope.Header(tags=versions))
        return await self._driver.set_many(((name, content),), ttl=life)

    async def set_many(
        self, values: Mapping[str, T], *, ttl: TTL | None = None, tags: Iterable[str] = ()
    ) -> Outcome:
        """Store all of *values* in one step, in a Redis Cluster one for each node; see `set`."""
        life, names = milliseconds("ttl", ttl), entry_tags(tags)
        check_mapping("values", values)
        encode = self._codec.encode
        items = [(name_of(key), encode(key, value)) for key, value in values.items()]
        if not items:
            return Outcome.APPLIED
        if names:
            versions = await tag_validation.current_versions(self._driver, names)
            header = envelope.Header(tags=versions)
            items = [(name, envelope.sealed(content, header)) for name, content in items]
        return await self._driver.set_many(items, ttl=life)

    async def add(self, key: str, value: T, *, ttl: TTL | None = None) -> bool:
        """Store *value* unless *key* has one; tell whether it was stored.

        Of any number who do this at once, in any number of processes, one is told True. Raises
        UnavailableError while the store is away.
        """
        name, life = name_of(key), milliseconds("ttl", ttl)
        content = self._codec.encode(key, value)
        over: bytes | None = None
        while not await swap_one(self._driver, name, content, over=over, ttl=life, shared=True):
            (raw,) = await self._driver.get_many((name,))
            (valid,) = await tag_validation.validated(self._driver, (raw,))
            if valid is not None:
                return False
            over = None if raw is None else envelope.fence_of(raw)
        return True

    async def delete(self, key: str) -> Outcome:
        """Remove *key*: `invalidate` of one key."""
        return await self._driver.delete_many((name_of(key),))

    async def increment(self, key: str, by: int = 1, *, ttl: TTL | None = None) -> int:
        """Add *by* to the whole number under *key*, 0 when there is none, and return the sum.

        A new number lives *ttl*; one that is there keeps its own time. Raises InvalidValueError
        for another value, one with tags, and a sum beyond 64 bits; UnavailableError while the
        store is away, and when the answer was lost: then it was added or not.
        """
        name, life = name_of(key), milliseconds("ttl", ttl)
        if type(by) is not int or not -(2**63) <= by < 2**63:
            raise InvalidValueError("cache", "by", f"expected a whole number of 64 bits: {by!r}")
        try:
            while (total := await self._driver.increment(name, by, ttl=life)) is None:
                (raw,) = await self._driver.get_many((name,))
                (valid,) = await tag_validation.validated(self._driver, (raw,))
                if valid is not None:
                    raise InvalidValueError(
                        "cache", repr(key), "holds no whole number that was stored without tags"
                    )
                if raw is not None:
                    await swap_one(
                        self._driver, name, None, over=envelope.fence_of(raw), shared=True
                    )
        except OverflowError as error:
            raise InvalidValueError("cache", repr(key), str(error)) from None
        return total

    async def expire(self, key: str, ttl: TTL | None) -> bool:
        """Give *key* a new time to live; tell whether there was such a key.

        Raises UnavailableError while the store is away.
        """
        name, life = name_of(key), milliseconds("ttl", ttl)
        if not await self._is_there(name):
            return False
        return await self._driver.expire(name, life)

    async def ttl(self, key: str) -> float | None:
        """Return the seconds that *key* has left: infinity for forever, None for no such key."""
        name = name_of(key)
        if not await self._is_there(name):
            return None
        left = await self._driver.ttl(name)
        return None if left is None else math.inf if left == -1 else left / 1000

    async def keys(self, pattern: str = "*") -> list[str]:
        r"""Return the keys that fit a glob, sorted: `*`, `?`, `[a-z]`, `[^a-z]`, `\` to escape.

        It looks at every key of the namespace with the pattern's literal beginning. What comes or
        goes meanwhile may be there or not. Raises UnavailableError when the store goes away in it.
        """
        compiled = compile_pattern(pattern, KEYS)
        found: set[str] = set()
        async for batch in self._driver.scan(compiled.prefix):
            fitting = [(name, head) for name, head in batch if compiled.fits(name)]
            heads = await tag_validation.validated(self._driver, [head for _, head in fitting])
            found.update(
                name.removeprefix(KEYS)
                for (name, _), head in zip(fitting, heads, strict=True)
                if head is not None
            )
        return sorted(found)

    async def invalidate(
        self,
        *,
        keys: Iterable[str] | None = None,
        tags: Iterable[str] | None = None,
        pattern: str | None = None,
    ) -> Outcome:
        """Remove *keys*, what was stored with one of *tags*, and the keys that *pattern* fits.

        A load that is under way for any of them is not stored. APPLIED: no process reads an older
        value from now on. PENDING: not this process; the others once the store is back in its
        reach. Cancelled or interrupted, it is still carried out, soon; do it again to know when.
        Raises InvalidValueError where none of the three is given; keys and tags may be none at all.
        """
        if keys is None and tags is None and pattern is None:
            raise InvalidValueError(
                "cache", "invalidate", 'name what is to go: keys=[...], tags=[...] or pattern="..."'
            )
        names = [*names_of(() if keys is None else keys), *tags_of(() if tags is None else tags)]
        compiled = None if pattern is None else compile_pattern(pattern, KEYS)
        return await self._driver.delete_many(names, pattern=compiled)

    async def get_or_set(
        self,
        key: str,
        load: Callable[[], Awaitable[T]],
        *,
        ttl: TTL | None = None,
        stale: TTL = 0.0,
        tags: Iterable[str] = (),
    ) -> T:
        """Return the value of *key*; when there is none, what *load* returns, stored for *ttl*.

        One load per key at a time, in all processes; callers who come meanwhile wait for it, up to
        the option load_timeout. What *load* raises goes to all who wait, and nothing is stored. A
        write or invalidation of the key or a tag during the load makes it void: it is returned and
        not stored. For *stale* seconds after its end a value is still returned, while it is loaded
        again in the background. Cancelling one who waits cancels nobody else. A *load* that asks
        for its own key raises RuntimeError, for it would wait for itself.
        """
        if not callable(load):
            raise not_callable(load)
        request = LoadRequest(
            key=key,
            name=name_of(key),
            load=load,
            codec=self._codec,
            ttl=milliseconds("ttl", ttl),
            stale=(milliseconds("stale", stale) or 0) if stale else 0,
            tags=entry_tags(tags),
        )
        return await self._loader.find_or_load(request)  # type: ignore[return-value] # None if T may

    async def get_or_set_many(
        self,
        keys: Iterable[str],
        load: Callable[[Sequence[str]], Awaitable[Mapping[str, T]]],
        *,
        ttl: TTL | None = None,
        tags: Iterable[str] = (),
    ) -> dict[str, T | None]:
        """Return the values of *keys*; *load* is given those that have none, and gives theirs.

        What it leaves out is left out of the answer, and not stored. A write or invalidation of a
        key during the load makes its value void, as in `get_or_set`; a key that another call is
        loading meanwhile is loaded here, too, and not stored. What *load* raises escapes.
        """
        if not callable(load):
            raise not_callable(load)
        batch = BatchRequest(
            names=names_by_key(keys),
            load=load,
            codec=self._codec,
            ttl=milliseconds("ttl", ttl),
            tags=entry_tags(tags),
        )
        return await self._loader.batches.find_or_load(batch)

    def cached(
        self,
        *,
        ttl: TTL | None = None,
        stale: TTL = 0.0,
        tags: Iterable[str] = (),
        key: Callable[P, str] | None = None,
    ) -> Callable[[Callable[P, Awaitable[R]]], Callable[P, Awaitable[R]]]:
        """Return a decorator that caches what an async function returns, as `get_or_set` does.

        The key is the function's name and its arguments, or what *key* returns for these. Values
        are of the type that the function is annotated to return. Raises InvalidValueError for
        options that no entry can have, when it decorates; a call does for arguments that make no
        key.
        """
        names = tuple(tags)

        def decorate(function: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
            keys = call_keys(function, key)
            cache = self.typed(result_type(function))

            @functools.wraps(function)
            async def call(*args: P.args, **kwargs: P.kwargs) -> R:
                found = await cache.get_or_set(
                    keys.key(*args, **kwargs),
                    lambda: function(*args, **kwargs),
                    ttl=ttl,
                    stale=stale,
                    tags=names,
                )
                return cast("R", found)

            return call

        entry_tags(names)
        milliseconds("ttl", ttl)
        return decorate

    async def _is_there(self, name: str) -> bool:
        found = await self._driver.get_many((name,))
        (raw,) = await tag_validation.validated(self._driver, found)
        return bool(raw)  # what is foreign is empty, and not a value
