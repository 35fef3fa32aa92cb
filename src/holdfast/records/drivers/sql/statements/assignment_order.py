"""In which order MariaDB and MySQL assign: one after the other, while all changes see the old row.

There an assignment reads what those before it have written. So a field is assigned after all that
is computed of it; where fields are computed of one another in a circle, no order will do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.records.expressions.field_changes import SetBy, SetFrom
from holdfast.records.expressions.operands import columns_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.records.expressions.field_changes import Change


def in_turn(changes: Sequence[Change]) -> tuple[Change, ...] | None:
    """Return *changes* so that each reads fields that are not assigned yet; None in a circle."""
    reads = {change.column.name: _read(change) for change in changes}
    waiting, ordered = list(changes), list(changes[:0])
    while waiting:
        names = [change.column.name for change in waiting]
        for change in waiting:
            name = change.column.name
            if not any(name in reads[other] for other in names if other != name):
                break
        else:
            return None
        waiting.remove(change)
        ordered.append(change)
    return tuple(ordered)


def _read(change: Change) -> frozenset[str]:
    if isinstance(change, SetBy):
        return frozenset({change.by.name})
    if not isinstance(change, SetFrom):
        return frozenset()
    return frozenset(column.spec.name for column in columns_in(change.operand))
