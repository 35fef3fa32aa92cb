"""URLs that name a backend and its place: `sqlite:///app.db?lock_timeout=5`."""

from __future__ import annotations

import dataclasses
import re
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from holdfast.errors import ConfigurationError

O = TypeVar("O")  # noqa: E741 - options

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True, slots=True)
class Location:
    """A parsed URL; *query* holds each parameter once, *shown* is what messages may say of it."""

    url: str
    shown: str
    scheme: str
    host: str
    path: str
    query: dict[str, str]


def shown(url: str) -> str:
    """Return *url* without what is nobody's business: who logs in, and its parameters' values.

    Hidden is all that stands before the last @, for a password may hold any character. When a ?
    stands before that @, nobody can tell a password from a parameter, and nothing is shown.
    """
    scheme = _scheme_of(url)
    login, at, place = url.removeprefix(scheme).rpartition("@")
    if "?" in login:
        return f"{scheme}***"
    place, _, query = place.partition("?")
    names = "&".join(f"{part.partition('=')[0]}=..." for part in query.split("&") if part)
    return f"{scheme}{at and '***@'}{place}{names and '?' + names}"


def locate(url: str, schemes: tuple[str, ...]) -> Location:
    """Return the parts of *url*.

    Raises ConfigurationError for one that is none of *schemes*, and for an @ behind the host:
    there it may as well be the end of a password that holds a / # or ?.
    """
    known = ", ".join(f"{scheme}://" for scheme in schemes)
    scheme = _scheme_of(url)
    if not scheme:
        raise ConfigurationError(f"{shown(url)!r} is no URL; expected one that starts with {known}")
    authority, *behind = re.split("[/?#]", url.removeprefix(scheme), maxsplit=1)
    if authority and "@" in "".join(behind):
        raise ConfigurationError(
            f"{shown(url)!r}: an @ stands behind a / # or ?; in a user or a password these are "
            "written %2F, %23 and %3F, and an @ behind the host is written %40"
        )
    try:
        parts = urlsplit(url)
    except ValueError:  # its text may quote the password
        raise ConfigurationError(f"{shown(url)!r} is no URL: its host can't be read") from None
    if parts.scheme not in schemes:
        raise ConfigurationError(
            f"unknown scheme {parts.scheme}:// in {shown(url)!r}; known are {known}"
        )
    query: dict[str, str] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name in query:
            raise ConfigurationError(
                f"the parameter {shown(name)!r} stands twice in {shown(url)!r}"
            )
        query[name] = value
    return Location(url, shown(url), parts.scheme, parts.netloc, unquote(parts.path), query)


def file_path(location: Location) -> Path:
    """Return the path of a URL like `sqlite:///relative.db` or `sqlite:////absolute.db`.

    Raises ConfigurationError when a host stands where the path should, or no path is there.
    """
    if location.host:
        raise ConfigurationError(
            f"{location.shown!r} names the host {shown(location.host)!r}; a path is written "
            f"{location.scheme}:///relative or {location.scheme}:////absolute"
        )
    path = location.path.removeprefix("/")
    if not path:
        raise ConfigurationError(f"{location.shown!r} names no path")
    return Path(path)


def options_from(location: Location, defaults: O) -> O:
    """Return *defaults*, a frozen dataclass, with the parameters of the URL's query.

    Raises ConfigurationError for an unknown parameter, naming the known ones, and for a bad value.
    """
    assert dataclasses.is_dataclass(defaults)
    assert not isinstance(defaults, type)
    hints = typing.get_type_hints(type(defaults))
    given: dict[str, object] = {}
    for name, text in location.query.items():
        if name not in hints:
            known = ", ".join(sorted(hints)) or "none"
            raise ConfigurationError(
                f"unknown parameter {shown(name)!r} in {location.shown!r}; known: {known}"
            )
        given[name] = _parse(location, name, text, hints[name])
    return dataclasses.replace(defaults, **given)


def _scheme_of(url: str) -> str:
    """Return what *url* begins with, up to and with its ://; empty when that is no scheme."""
    found = _SCHEME.match(url)
    return found[0] if found else ""


def _parse(location: Location, name: str, text: str, hint: object) -> object:
    choices = typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else None
    if choices is not None:
        if text in choices:
            return text
        expected = " or ".join(repr(choice) for choice in choices)
        raise ConfigurationError(
            f"{name}={shown(text)!r} in {location.shown!r}: expected {expected}"
        )
    if hint is bool:
        if text in ("true", "false"):
            return text == "true"
        raise ConfigurationError(
            f"{name}={shown(text)!r} in {location.shown!r}: expected true or false"
        )
    if hint in (int, float):
        try:
            return int(text) if hint is int else float(text)
        except ValueError:
            raise ConfigurationError(
                f"{name}={shown(text)!r} in {location.shown!r}: expected a number"
            ) from None
    return text
