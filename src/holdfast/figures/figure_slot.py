"""The row of figures: one slot of a ring, overwritten when its turn comes again."""

from __future__ import annotations

from datetime import datetime

from holdfast.records import Entity, Field, field, key, version


class FigureSlot(Entity, table="figure_slots"):
    """The figures of one stretch of time, which began *at*; its key names resolution and place.

    *values* are by name: sums of what was counted in it, or how something stood at its end.
    """

    id: Field[str] = key(max_length=20)
    at: Field[datetime]
    values: Field[dict[str, object]] = field(default_factory=dict)
    version: Field[int] = version()
