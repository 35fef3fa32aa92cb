"""Text to look for, out of a pattern that SQLAlchemy has escaped."""

from __future__ import annotations


def literal_of(pattern: str, escape: str | None) -> str | None:
    """Return the text that *pattern* stands for; None when it holds a wildcard.

    Without *escape* the caller gave text to startswith() and its like, and text it is.
    """
    if escape is None:
        return pattern
    found: list[str] = []
    characters = iter(pattern)
    for character in characters:
        if character == escape:
            found.append(next(characters, escape))
        elif character in "%_":
            return None
        else:
            found.append(character)
    return "".join(found)
