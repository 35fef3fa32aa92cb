r"""Glob patterns over keys, meaning the same on every backend: they compare characters, not bytes.

`*` is any run, `?` one character, `[abc]` and `[a-z]` one of them, `[^abc]` one that is none of
them, `\` takes the next character literally. `[!abc]` is refused: it means the same as `[^abc]` in
a shell, and `[\!abc]` in Redis.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from holdfast.errors import InvalidValueError

LONGEST = 1024


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled glob: every name that fits starts with *prefix* and matches *expression*."""

    text: str
    prefix: str
    expression: re.Pattern[str]

    def fits(self, name: str) -> bool:
        """Return whether *name*, a driver's name with its scope, matches."""
        return self.expression.fullmatch(name) is not None


def compile_pattern(text: str, scope: str) -> Pattern:
    """Return the glob *text* over the names that begin with *scope*. Raises InvalidValueError."""
    if not isinstance(text, str):
        raise InvalidValueError("cache", "pattern", f"expected a glob as text, got {text!r}")
    return _compiled(text, scope)


@lru_cache(maxsize=256)
def _compiled(text: str, scope: str) -> Pattern:
    if len(text) > LONGEST:
        raise InvalidValueError("cache", "pattern", f"expected at most {LONGEST} characters")
    literal: list[str] = []
    parts: list[str] = []
    wild = False
    position = 0
    while position < len(text):
        char = text[position]
        position += 1
        if char == "*":
            wild = True
            if not parts or parts[-1] != ".*":  # a run of stars would backtrack without end
                parts.append(".*")
            continue
        if char == "?":
            wild = True
            parts.append(".")
            continue
        if char == "[":
            wild = True
            choice, position = _choice(text, position)
            parts.append(choice)
            continue
        if char == "\\":
            if position == len(text):
                raise InvalidValueError("cache", "pattern", f"{text!r} ends in a lone backslash")
            char = text[position]
            position += 1
        parts.append(re.escape(char))
        if not wild:
            literal.append(char)
    expression = re.compile(re.escape(scope) + _lazy(parts), re.DOTALL)
    return Pattern(text, scope + "".join(literal), expression)


def _lazy(parts: list[str]) -> str:
    """Return the parts as an expression whose time is at worst the product of both lengths.

    Of a glob's stars only the last one ever needs a second try, so what stands before it is taken
    at its first place and never given back.
    """
    runs: list[list[str]] = [[]]
    for part in parts:
        if part == ".*":
            runs.append([])
        else:
            runs[-1].append(part)
    first, *rest = ("".join(run) for run in runs)
    if not rest:
        return first
    *middle, last = rest
    return first + "".join(f"(?>.*?{run})" for run in middle) + ".*" + last


def _choice(text: str, position: int) -> tuple[str, int]:
    """Return the class that opens before *position* as an expression, and the position after it."""
    if text[position : position + 1] == "!":
        raise InvalidValueError(
            "cache",
            "pattern",
            f"{text!r} has a [!: for none of the characters write [^, for the ! itself [\\!",
        )
    negated = text[position : position + 1] == "^"
    position += negated
    ranges: list[str] = []
    while position < len(text) and text[position] != "]":
        low, position = _member(text, position)
        high = low
        if text[position : position + 1] == "-" and text[position + 1 : position + 2] not in {
            "",
            "]",
        }:
            high, position = _member(text, position + 1)
        low, high = min(low, high), max(low, high)
        ranges.append(f"{re.escape(low)}-{re.escape(high)}")
    if position >= len(text):
        raise InvalidValueError("cache", "pattern", f"{text!r} opens a [ that nothing closes")
    if not ranges:
        raise InvalidValueError("cache", "pattern", f"{text!r} has an empty []")
    return f"[{'^' if negated else ''}{''.join(ranges)}]", position + 1


def _member(text: str, position: int) -> tuple[str, int]:
    if text[position] == "\\" and position + 1 < len(text):
        position += 1
    return text[position], position + 1
