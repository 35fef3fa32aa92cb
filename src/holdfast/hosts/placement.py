"""Which templates a request's machines come from: in the proportion of their weights."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Room:
    """What a template has to give to one request.

    *free* is how many more machines it may have, *standing* how many the request has of it,
    *failed* how many of it broke before they ran.
    """

    template: str
    weight: int
    free: int
    standing: int = 0
    failed: int = 0


def spread(wanted: int, rooms: Sequence[Room]) -> Mapping[str, int]:
    """Return how many of *wanted* machines each template gives; less in all when they are full.

    One after the other goes to the template that has least for its weight, those that failed least
    first; of equals to the first by name.
    """
    given: Counter[str] = Counter()
    for _ in range(wanted):
        open_rooms = [room for room in rooms if given[room.template] < room.free]
        if not open_rooms:
            break
        chosen = min(
            open_rooms,
            key=lambda room: (
                room.failed,
                (room.standing + given[room.template] + 1) / room.weight,
                room.template,
            ),
        )
        given[chosen.template] += 1
    return given
