"""One compiled statement, and the numbered parameters that it is built with."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Dialect as Compiler
    from sqlalchemy.sql.compiler import SQLCompiler


_MARK = "%s"


class ValueList(tuple[object, ...]):
    """The values of one parameter, which the text has as often as there are values.

    For databases that take no list as a value. SQLAlchemy compiles the text once, with a single
    mark, and not again for each length, at some 60 µs a value.
    """

    __slots__ = ()


class RowList(tuple[tuple[object, ...], ...]):
    """The rows of one parameter, as a `ValueList`: each is a group of marks in the text."""

    __slots__ = ()


class WhenList(tuple[tuple[object, object], ...]):
    """The branches of one `CaseExpression`, as a `ValueList`: each is WHEN and THEN with a mark."""

    __slots__ = ()


_REPEATED = (ValueList, RowList, WhenList)


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

    def repeated(self, values: Sequence[object]) -> tuple[str, Sequence[object]]:
        """Return the text and `bind`'s values, with a mark for each value of a list."""
        bound = self.bind(values)
        if not any(type(value) in _REPEATED for value in bound):
            return self.sql, bound
        head, *rest = self.sql.split(_MARK)
        assert len(rest) == len(bound), "each mark of the text stands for a value"
        text, flat = [head], list[object]()
        for value, after in zip(bound, rest, strict=True):
            if type(value) is RowList:
                group = f"({', '.join([_MARK] * len(value[0]))})"
                text += (", ".join([group] * len(value)), after)
                flat += chain.from_iterable(value)
                continue
            if type(value) is WhenList:
                text += (" ".join([f"WHEN {_MARK} THEN {_MARK}"] * len(value)), after)
                flat += chain.from_iterable(value)
                continue
            listed = value if type(value) is ValueList else (value,)
            text += (", ".join([_MARK] * len(listed)), after)
            flat += listed
        return "".join(text), flat


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


class CaseExpression(FunctionElement[Any]):
    """CASE of the first element, its branches the `WhenList` of the second."""

    inherit_cache = True


@compiles(CaseExpression)
def _written(cases: CaseExpression, compiler: SQLCompiler, **options: object) -> str:
    column, branches = (compiler.process(each, **options) for each in cases.clauses)
    return f"CASE {column} {branches} END"


def literal(text: str) -> sa.ColumnClause[Any]:
    """Return *text* as it stands in the SQL itself."""
    return sa.literal_column("'" + text.replace("'", "''") + "'")


def typed(given: sa.ColumnElement[Any], name: str) -> sa.ColumnElement[Any]:
    """Return *given* cast to the named type, which nothing else tells the server."""
    return sa.cast(given, _Named(name))


class _Named(sa.types.UserDefinedType[object]):
    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_kw: object) -> str:
        return self.name
