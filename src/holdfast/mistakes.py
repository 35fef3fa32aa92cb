"""What a caller who made a mistake is told: what was probably meant, and what was expected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import ConfigurationError

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


def check_kind(given: object, kind: type, name: str = "options") -> None:
    """Raise ConfigurationError unless *given*, the argument *name*, is a *kind*.

    It may hold a secret, so its type alone is told.
    """
    if not isinstance(given, kind):
        raise ConfigurationError(f"{name}= takes {kind.__name__}(...), not {type(given).__name__}")
