"""Semantic versions and ranges of them (semver.org, version 2.0.0).

A version has a *precedence*, a text whose order by code point is the order of semver.org, so that
any store sorts versions and finds ranges of them by an index.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from holdfast.errors import InvalidValueError

_NUMBER = r"0|[1-9][0-9]{0,8}"
_IDENTIFIER = r"(?:0|[1-9][0-9]{0,8}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_FORM = re.compile(
    rf"(?P<major>{_NUMBER})\.(?P<minor>{_NUMBER})\.(?P<patch>{_NUMBER})"
    rf"(?:-(?P<early>{_IDENTIFIER}(?:\.{_IDENTIFIER})*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
_RANGE = re.compile(
    rf"(?P<operator>\^|~|>=)(?P<major>{_NUMBER})(?:\.(?P<minor>{_NUMBER})(?:\.(?P<patch>{_NUMBER}))?)?"
)
LONGEST = 100
"""The longest version, in characters."""
_RELEASE = "~"  # behind every pre-release of the same three numbers


@dataclass(frozen=True, slots=True)
class SemanticVersion:
    """A version: its *text*, its *precedence*, and whether it is *stable*: no pre-release."""

    text: str
    precedence: str
    stable: bool


@dataclass(frozen=True, slots=True)
class VersionRange:
    """What precedences a range holds: from *lowest* up to, without, *above* (None: no end)."""

    lowest: str
    above: str | None


def semantic_version(text: str) -> SemanticVersion:
    """Return *text* as a version. Build metadata (`+...`) does not count in its precedence.

    Raises InvalidValueError unless it is a version of semver.org of at most LONGEST characters,
    whose numbers have at most nine digits.
    """
    found = _FORM.fullmatch(text) if len(text) <= LONGEST else None
    if found is None:
        raise InvalidValueError(
            "ModelVersion",
            "semantic",
            f"expected a semantic version such as 2.1.0 or 2.1.0-rc.1, got {text[:LONGEST]!r}",
        )
    early = found["early"]
    tail = _RELEASE if early is None else "-" + "".join(map(_identifier, early.split(".")))
    return SemanticVersion(
        text, _numbers(*found.group("major", "minor", "patch")) + tail, early is None
    )


def is_range(text: str) -> bool:
    """Return whether *text* is a range such as `^2.1`, `~2.1.3` or `>=2`."""
    return _RANGE.fullmatch(text) is not None


def version_range(text: str) -> VersionRange:
    """Return the range *text*: `^2.1` up to 3.0.0, `~2.1` up to 2.2.0, `>=2.1` without an end.

    As in npm, `^` keeps the first number that is not 0, and of `^0.0.3` the third. Pre-releases
    belong to no range. Raises InvalidValueError.
    """
    found = _RANGE.fullmatch(text)
    if found is None:
        raise InvalidValueError(
            "ModelVersion", "range", f"expected a range such as ^2.1, ~2.1.3 or >=2, got {text!r}"
        )
    given = [None if each is None else int(each) for each in found.group("major", "minor", "patch")]
    major, minor, patch = (each or 0 for each in given)
    lowest = _numbers(major, minor, patch) + _RELEASE
    match found["operator"]:
        case ">=":
            return VersionRange(lowest, None)
        case "~":
            above = (major + 1, 0, 0) if given[1] is None else (major, minor + 1, 0)
        case _ if major or given[1] is None:
            above = (major + 1, 0, 0)
        case _ if minor or given[2] is None:
            above = (0, minor + 1, 0)
        case _:
            above = (0, 0, patch + 1)
    return VersionRange(lowest, _numbers(*above))


def _numbers(*parts: str | int) -> str:
    return ".".join(f"{int(part):09}" for part in parts)


def _identifier(text: str) -> str:
    """Return an identifier of a pre-release so that numbers come first, in their own order.

    The `!` that ends it comes before every letter, digit and `-`, so a shorter list comes first.
    """
    return f"0{int(text):09}!" if text.isdigit() else f"1{text}!"
