"""The invalidations that the store has not heard of yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.cache.pattern import Pattern


@dataclass(frozen=True, slots=True)
class Backlog:
    """What a journal holds at one moment; with *overflowed*, everything must go."""

    names: tuple[str, ...]
    patterns: tuple[Pattern, ...]
    overflowed: bool


class InvalidationJournal:
    """Names and patterns to remove, each once, at most *limit* of them.

    One more and it remembers only that it overflowed, which stands for every name there is.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._names: dict[str, None] = {}
        self._patterns: dict[Pattern, None] = {}
        self._overflowed = False

    def __len__(self) -> int:
        return len(self._names) + len(self._patterns) + self._overflowed

    @property
    def overflowed(self) -> bool:
        """Whether it holds only that everything must go."""
        return self._overflowed

    def add(self, names: Sequence[str], pattern: Pattern | None = None) -> None:
        """Write down *names* and *pattern*; beyond the limit, that everything must go."""
        if self._overflowed:
            return
        self._names.update(dict.fromkeys(names))
        if pattern is not None:
            self._patterns[pattern] = None
        if len(self._names) + len(self._patterns) > self._limit:
            self._overflow()

    def take(self) -> Backlog:
        """Return all that is there, and be empty."""
        backlog = Backlog(tuple(self._names), tuple(self._patterns), self._overflowed)
        self._names.clear()
        self._patterns.clear()
        self._overflowed = False
        return backlog

    def put_back(self, backlog: Backlog) -> None:
        """Add what was taken and could not be carried out."""
        if backlog.overflowed:
            self._overflow()
            return
        self.add(backlog.names)
        for pattern in backlog.patterns:
            self.add((), pattern)

    def _overflow(self) -> None:
        self._overflowed = True
        self._names.clear()
        self._patterns.clear()
