"""What lists and writes answer with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from holdfast.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

E = TypeVar("E")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Page(Generic[E]):
    """A stretch of a query's results, with cursors to the stretches before and after it.

    `next` and `previous` are None where nothing lies in that direction, `previous` also where
    DynamoDB has no way back, without an order; `total` counts all that fit, and is None unless it
    was asked for.
    """

    items: list[E]
    next: str | None
    previous: str | None
    total: int | None = None

    def map(self, make: Callable[[E], R]) -> Page[R]:
        """Return the same page with what *make* returns for each item."""
        return Page([make(item) for item in self.items], self.next, self.previous, self.total)

    def __iter__(self) -> Iterator[E]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True, slots=True)
class SearchHit(Generic[E]):
    """An entity that a search found, and how well it fits: its *rank*, a whole number.

    It is the sum, over the words and phrases that were looked for and the searched fields, of
    weight * (1000 - 1000 * k // (n + k)), where it stands n times in the field; k is 1 + the length
    of the field's words, with two blanks for each, // 512.
    """

    entity: E
    rank: int


@dataclass(frozen=True, slots=True)
class Upserted(Generic[E]):
    """An entity as stored, and whether the row was created by this write."""

    entity: E
    created: bool


@dataclass(frozen=True, slots=True)
class BatchResult(Generic[E]):
    """What became of each entity of a batch: by position the stored one, or why it was refused."""

    results: list[E | ConflictError]

    @property
    def entities(self) -> list[E]:
        """The stored ones, in the order of the batch."""
        return [result for result in self.results if not isinstance(result, ConflictError)]

    @property
    def errors(self) -> dict[int, ConflictError]:
        """The refusals by position in the batch."""
        return {
            index: result
            for index, result in enumerate(self.results)
            if isinstance(result, ConflictError)
        }


@dataclass(frozen=True, slots=True)
class LinkChanges:
    """What `Links.replace` did: the keys that it *connected*, and those that it *disconnected*."""

    connected: tuple[object, ...]
    disconnected: tuple[object, ...]
