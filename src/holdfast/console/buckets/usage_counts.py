"""Counts of what lies below a folder of a bucket, which go on while pages show how far they are."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from contextvars import Context
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.objects import Bucket

_log = logging.getLogger("holdfast.console")
KEPT = timedelta(minutes=1)
"""How long a count is shown; a later visit has it counted again."""
_MOST = 20  # counts that are kept
_PLACES = 10_000  # of one count; objects beside them are counted together
_OTHERS = ""
_PATIENCE = 0.1  # seconds that a page waits for the end


@dataclass(frozen=True, slots=True)
class PrefixUsage:
    """What lies below a *prefix*, a folder or one object: *objects*, of *size* stored bytes."""

    prefix: str
    objects: int
    size: int
    share: float


@dataclass(slots=True)
class UsageCount:
    """What was counted so far below *prefix*; *ended*: all of it, or up to what *failed* says."""

    prefix: str
    objects: Counter[str] = field(default_factory=Counter)
    sizes: Counter[str] = field(default_factory=Counter)
    ended: datetime | None = None
    failed: str = ""

    def add(self, key: str, size: int) -> None:
        """Count the object *key* of *size* bytes with the folder in which it lies."""
        folder, slash, _ = key[len(self.prefix) :].partition("/")
        place = f"{self.prefix}{folder}{slash}" if slash else key
        if place not in self.sizes and len(self.sizes) > _PLACES:
            place = _OTHERS
        self.objects[place] += 1
        self.sizes[place] += size

    @property
    def others(self) -> int:
        """How many objects are counted in no place of their own."""
        return self.objects[_OTHERS]

    def by_size(self) -> list[PrefixUsage]:
        """Return the places that were counted, the largest first."""
        total = self.sizes.total() or 1
        found = [
            PrefixUsage(each, self.objects[each], size, size / total)
            for each, size in self.sizes.items()
            if each != _OTHERS
        ]
        return sorted(found, key=lambda each: (-each.size, each.prefix))


class UsageCounts:
    """The counts of one console: each goes on after the page that began it, one at a time.

    *now* tells the time. What was counted stands in this process alone.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._turn = asyncio.Lock()
        self._counts: dict[tuple[str, str], tuple[UsageCount, asyncio.Task[None]]] = {}

    async def below(self, name: str, bucket: Bucket, prefix: str) -> UsageCount:
        """Return the count of *prefix* in the bucket called *name*, begun where there is none."""
        found = self._counts.get((name, prefix))
        if found is None or self._is_old(found[0]):
            found = self._begin(name, bucket, prefix)
        count, task = found
        await asyncio.wait({task}, timeout=_PATIENCE)
        return count

    async def aclose(self) -> None:
        """End the counts that go on."""
        tasks = [task for _, task in self._counts.values() if not task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _is_old(self, count: UsageCount) -> bool:
        return count.ended is not None and not count.ended <= self._now() < count.ended + KEPT

    def _begin(
        self, name: str, bucket: Bucket, prefix: str
    ) -> tuple[UsageCount, asyncio.Task[None]]:
        ended = [key for key, (count, _) in self._counts.items() if count.ended is not None]
        for key in ended[: max(0, len(self._counts) + 1 - _MOST)]:
            del self._counts[key]
        count = UsageCount(prefix)
        # In a context of its own: nothing that the page's request is inside of is the count's.
        going = self._count(bucket, count)
        task = asyncio.get_running_loop().create_task(going, context=Context())
        self._counts[name, prefix] = count, task
        return count, task

    async def _count(self, bucket: Bucket, count: UsageCount) -> None:
        try:
            async with self._turn:
                async for each in bucket.list(count.prefix):
                    count.add(each.key, each.stored_size)
        except HoldfastError as error:
            count.failed = str(error)
        except asyncio.CancelledError:
            count.failed = "the server was stopped"
            raise
        except Exception:  # noqa: BLE001 - nobody awaits it: the log tells, and the page
            _log.exception("the count of what lies below %r broke off", count.prefix)
            count.failed = "the server's log says why"
        finally:
            count.ended = self._now()
