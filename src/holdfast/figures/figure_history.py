"""Keeps figures at three resolutions, each a ring of slots in the store, and reads them back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING

from holdfast.errors import DuplicateError, NotFoundError, StaleVersionError
from holdfast.figures.figure_slot import FigureSlot

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from holdfast.records import Store

_ATTEMPTS = 5  # at a slot that other processes write at the same moment


class Resolution(Enum):
    """How fine figures are: seconds of a slot, and how many slots there are."""

    HOUR = (60, 60)
    DAY = (900, 96)
    WEEK = (7200, 84)

    @property
    def step(self) -> timedelta:
        """The length of a slot."""
        return timedelta(seconds=self.value[0])

    @property
    def slots(self) -> int:
        """The number of slots, after which the first one is overwritten."""
        return self.value[1]

    def start(self, moment: datetime) -> datetime:
        """Return when the slot began in which *moment* lies."""
        seconds = int(moment.timestamp()) // self.value[0] * self.value[0]
        return datetime.fromtimestamp(seconds, UTC)


@dataclass(frozen=True, slots=True)
class _Slot:
    key: str
    at: datetime


class FigureHistory:
    """The figures of a store that was opened with `FigureSlot`: 240 rows, however long it runs.

    A write that others overtake five times is left out: figures are to be looked at, not paid by.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._slots = store.repository(FigureSlot)

    async def add(self, counts: Mapping[str, float]) -> None:
        """Add *counts* to the slots of this moment, at each resolution; others add to them too."""

        def added(old: Mapping[str, object]) -> dict[str, object]:
            return {**old, **{name: _number(old, name) + each for name, each in counts.items()}}

        for resolution in Resolution:
            await self._change(resolution, added)

    async def set(self, resolution: Resolution, values: Mapping[str, float]) -> None:
        """Say how *values* stand in the slot of this moment, in place of what was said before."""
        await self._change(resolution, lambda old: {**old, **values})

    async def read(
        self, resolution: Resolution, names: tuple[str, ...]
    ) -> tuple[list[datetime], dict[str, list[float | None]]]:
        """Return when each slot began, oldest first, and the values of *names* in them.

        None stands where nothing was written.
        """
        last = resolution.start(self.store.now())
        starts = [last - resolution.step * n for n in reversed(range(resolution.slots))]
        slots = [_slot(resolution, each) for each in starts]
        rows = await self._slots.get_many([each.key for each in slots])
        values = [
            row.values if row is not None and row.at == slot.at else {}
            for slot, row in zip(slots, rows, strict=True)
        ]
        return starts, {
            name: [_number(each, name) if name in each else None for each in values]
            for name in names
        }

    async def _change(
        self,
        resolution: Resolution,
        change: Callable[[Mapping[str, object]], dict[str, object]],
    ) -> None:
        slot = _slot(resolution, self.store.now())
        for _ in range(_ATTEMPTS):
            row = await self._slots.get(slot.key)
            try:
                if row is None:
                    await self._slots.add(FigureSlot(id=slot.key, at=slot.at, values=change({})))
                    return
                row.values = change(row.values if row.at == slot.at else {})
                row.at = slot.at
                await self._slots.update(row)
            except (DuplicateError, StaleVersionError, NotFoundError):
                continue
            return


def _slot(resolution: Resolution, moment: datetime) -> _Slot:
    at = resolution.start(moment)
    place = int(at.timestamp()) // resolution.value[0] % resolution.slots
    return _Slot(f"{resolution.name.lower()}:{place}", at)


def _number(values: Mapping[str, object], name: str) -> float:
    found = values.get(name, 0.0)
    return float(found) if isinstance(found, int | float) else 0.0
