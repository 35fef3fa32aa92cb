"""Case folding on a server whose LOWER differs from the simple lower-case mapping.

`fold_case` says what folding means. A server's LOWER knows another edition of Unicode, or maps a
character that ours leaves alone; which ones is asked once, of all characters there are. Those few
are kept out of its reach: written as an escape before LOWER, and as what they fold to after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple
from unicodedata import category

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from holdfast.errors import UnsupportedError
from holdfast.records.drivers.sql.statements.statement import literal
from holdfast.records.values.text import fold_case

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from sqlalchemy.sql.compiler import SQLCompiler

    from holdfast.records.drivers.sql.statements.dialect import Expression

_ESCAPE = "\ufdd0"  # no character, and escaped itself where it stands in text all the same
_MOST = 99  # characters that are escaped, so that two digits tell them apart
_MANY = 20  # replacements from which on a look whether there is anything to replace pays


class Misfolded(NamedTuple):
    """What a server's LOWER does otherwise than we do: each character, and what it is to become."""

    misread: tuple[tuple[str, str], ...]
    """LOWER makes something else of them."""
    overlooked: tuple[tuple[str, str], ...]
    """LOWER leaves them as they are, as it does not know that they have a lower case."""


NOTHING_WRONG = Misfolded((), ())


@cache
def every_character() -> str:
    """Return all characters that may have a case: no ideograms, surrogates or private ones."""
    return "".join(
        chr(code) for code in range(1, 0x20000) if category(chr(code)) not in ("Lo", "Cs", "Co")
    )


@cache
def _folded() -> str:
    return fold_case(every_character())


def misfolded(lowered: str | None) -> Misfolded | None:
    """Return what a server folds otherwise than we do.

    *lowered* is `every_character` after the server's LOWER. None: there is no telling, or too many.
    """
    characters = every_character()
    if lowered is None or len(lowered) != len(characters):
        return None
    expected = _folded()
    if lowered == expected:
        return NOTHING_WRONG
    misread: list[tuple[str, str]] = []
    overlooked: list[tuple[str, str]] = []
    for character, wanted, got in zip(characters, expected, lowered, strict=True):
        if wanted != got:
            (overlooked if got == character else misread).append((character, wanted))
    if len(misread) > _MOST or len(overlooked) > _MOST * 2:
        return None
    return Misfolded(tuple(misread), tuple(overlooked))


def growing() -> frozenset[str]:
    """Return the characters of `every_character` that have more bytes when they are folded."""
    pairs = zip(every_character(), _folded(), strict=True)
    return frozenset(each for each, low in pairs if len(low.encode()) > len(each.encode()))


_learned: dict[str, Misfolded | None] = {}


async def learned(server: str, lower: Callable[[str], Awaitable[object]]) -> Misfolded | None:
    """Return what *server*, a place and version, folds otherwise: each is asked to *lower* once."""
    if server not in _learned:
        _learned[server] = misfolded(str(await lower(every_character())))
    return _learned[server]


class Replaced(FunctionElement[Any]):
    """A text in which characters are replaced, one pair after the other.

    SQLAlchemy could not compile a hundred calls within calls: Python's stack ends before.
    """

    inherit_cache = False
    type = sa.types.NullType()

    def __init__(self, text: Expression, pairs: Sequence[tuple[str, str]]) -> None:
        super().__init__(text)
        self.pairs = pairs


@compiles(Replaced)
def _as_calls(element: Replaced, compiler: SQLCompiler, **options: Any) -> str:
    (text,) = element.clauses
    called = compiler.process(text, **options)
    for old, new in element.pairs:
        quoted = (compiler.process(literal(each), **options) for each in (old, new))
        called = f"REPLACE({called}, {', '.join(quoted)})"
    return called


@dataclass(frozen=True, slots=True)
class Folding:
    """How to fold on one server: its *lower*, and what that gets *wrong* (None: too much).

    *holds* tells whether a text has one of some characters, where the server can tell that sooner
    than it replaces them all.
    """

    backend: str
    lower: Callable[[Expression], Expression]
    wrong: Misfolded | None
    holds: Callable[[Expression, str], Expression] | None = None

    def fold(self, text: Expression) -> Expression:
        """Return *text* folded. Raises UnsupportedError where the server can't."""
        if self.wrong is None:
            raise UnsupportedError("matching that ignores case", self.backend)
        misread, overlooked = self.wrong
        if not misread and not overlooked:
            return self.lower(text)
        escaped = [(_ESCAPE, f"{_ESCAPE}00")] if misread else []
        marks = [f"{_ESCAPE}{number:02}" for number, _ in enumerate(misread, 1)]
        escaped += [(each, mark) for (each, _), mark in zip(misread, marks, strict=True)]
        back = [(mark, wanted) for (_, wanted), mark in zip(misread, marks, strict=True)]
        back += [(f"{_ESCAPE}00", _ESCAPE)] if misread else []
        lowered = self.lower(Replaced(text, escaped))
        folded = Replaced(lowered, [*overlooked, *back])
        if self.holds is None or len(overlooked) < _MANY:
            return folded
        odd = "".join(each for each, _ in (*escaped, *overlooked))
        return sa.case((self.holds(text, odd), folded), else_=self.lower(text))
