"""Case folding on a server whose LOWER differs from the simple lower-case mapping.

`fold_case` says what folding means. A server's LOWER knows another edition of Unicode, or maps a
character that ours leaves alone; which ones is asked once, of all characters there are. Those few
are kept out of its reach: written as an escape before LOWER, and as what they fold to after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING
from unicodedata import category

import sqlalchemy as sa

from holdfast.errors import UnsupportedError
from holdfast.records.drivers.sql.statement import literal
from holdfast.records.text import fold_case

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from holdfast.records.drivers.sql.dialect import Expression

_ESCAPE = "\ufdd0"  # no character, and escaped itself where it stands in text all the same
_MOST = 99  # exceptions, so that two digits tell them apart


@cache
def every_character() -> str:
    """Return all characters that may have a case: no ideograms, surrogates or private ones."""
    return "".join(
        chr(code) for code in range(1, 0x20000) if category(chr(code)) not in ("Lo", "Cs", "Co")
    )


@cache
def _folded() -> str:
    return fold_case(every_character())


def exceptions(lowered: str | None) -> tuple[tuple[str, str], ...] | None:
    """Return what a server folds otherwise than we do: each character, and what it becomes.

    *lowered* is `every_character` after the server's LOWER. None: there is no telling, or too many.
    """
    characters = every_character()
    if lowered is None or len(lowered) != len(characters):
        return None
    expected = _folded()
    if lowered == expected:
        return ()
    found = tuple(
        (character, wanted)
        for character, wanted, got in zip(characters, expected, lowered, strict=True)
        if wanted != got
    )
    return found if len(found) <= _MOST else None


_learned: dict[str, tuple[tuple[str, str], ...] | None] = {}


async def learned(
    server: str, lower: Callable[[str], Awaitable[object]]
) -> tuple[tuple[str, str], ...] | None:
    """Return the `exceptions` of *server*, its place and version: each is asked to *lower* once."""
    if server not in _learned:
        _learned[server] = exceptions(str(await lower(every_character())))
    return _learned[server]


@dataclass(frozen=True, slots=True)
class Folding:
    """How to fold on one server: its *lower*, and what that gets wrong (None: too much)."""

    backend: str
    lower: Callable[[Expression], Expression]
    wrong: tuple[tuple[str, str], ...] | None

    def fold(self, text: Expression) -> Expression:
        """Return *text* folded. Raises UnsupportedError where the server can't."""
        if self.wrong is None:
            raise UnsupportedError("matching that ignores case", self.backend)
        if not self.wrong:
            return self.lower(text)
        folded = _replace(text, _ESCAPE, f"{_ESCAPE}00")
        for number, (character, _) in enumerate(self.wrong, 1):
            folded = _replace(folded, character, f"{_ESCAPE}{number:02}")
        folded = self.lower(folded)
        for number, (_, wanted) in enumerate(self.wrong, 1):
            folded = _replace(folded, f"{_ESCAPE}{number:02}", wanted)
        return _replace(folded, f"{_ESCAPE}00", _ESCAPE)


def _replace(text: Expression, old: str, new: str) -> Expression:
    return sa.func.replace(text, literal(old), literal(new))
