"""What a caller who wrote a name that is not there probably meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'title'?", of the one of *known* that is nearest to *name*.

    Return '' where none is near.
    """
    from difflib import get_close_matches  # noqa: PLC0415 - for errors alone

    folded = {each.lower(): each for each in known}
    close = get_close_matches(name.lower(), folded, n=1)
    return f"; did you mean {folded[close[0]]!r}?" if close else ""
