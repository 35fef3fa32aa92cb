"""One compiled statement."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL text, and which of the walk's values stands at each of its parameters."""

    sql: str
    places: tuple[int, ...]
    _in_order: bool = field(init=False)

    def __post_init__(self) -> None:
        in_order = self.places == tuple(range(len(self.places)))
        object.__setattr__(self, "_in_order", in_order)

    def bind(self, values: Sequence[object]) -> Sequence[object]:
        if self._in_order and len(values) == len(self.places):
            return values
        return [values[place] for place in self.places]
