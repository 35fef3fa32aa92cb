"""One compiled statement, and the numbered parameters that it is built with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Dialect as Compiler


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
        """Return *values* in the order in which the text has its parameters."""
        if self._in_order and len(values) == len(self.places):
            return values
        return [values[place] for place in self.places]


def compiled(built: sa.ClauseElement, compiler: Compiler) -> Statement:
    """Return *built*, whose parameters are those of `parameter`, as the text of *compiler*."""
    made = built.compile(dialect=compiler)
    places = getattr(made, "positiontup", None) or []
    return Statement(str(made), tuple(int(name[1:]) for name in places))


class Parameters:
    """Hands out a statement's parameters, numbered in the order of the walk."""

    def __init__(self) -> None:
        self._count = 0

    def next(self) -> sa.BindParameter[object]:
        """Return the next parameter."""
        self._count += 1
        return parameter(self._count - 1)


def parameter(position: int) -> sa.BindParameter[object]:
    """Return the parameter that stands for the value at *position* of the walk, or of a row."""
    # Typed as NULL, so that SQLAlchemy adds no conversion of its own to any value.
    return sa.bindparam(f"p{position}", type_=sa.types.NullType())


def literal(text: str) -> sa.ColumnElement[object]:
    """Return *text* as it stands in the SQL itself."""
    return sa.literal_column("'" + text.replace("'", "''") + "'")
