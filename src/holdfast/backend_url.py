"""URLs that name a backend and its place: `sqlite:///app.db?lock_timeout=5`."""

from __future__ import annotations

import dataclasses
import re
import typing
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from holdfast.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

O = TypeVar("O")  # noqa: E741 - options

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True, slots=True)
class BackendURL:
    """A parsed URL.

    *query* holds each parameter once; *redacted* is the URL as messages may show it.
    """

    url: str
    redacted: str
    scheme: str
    host: str
    path: str
    query: dict[str, str]


def redacted(url: str) -> str:
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


def parse_url(
    url: str, schemes: tuple[str, ...], aliases: Mapping[str, str] = MappingProxyType({})
) -> BackendURL:
    """Return the parts of *url*; a scheme that is one of *aliases* is told as what it stands for.

    Raises ConfigurationError for a scheme that is not one of *schemes*, and for an @ behind the
    host: there it may as well be the end of a password that holds a / # or ?.
    """
    known = ", ".join(f"{scheme}://" for scheme in schemes)
    if not isinstance(url, str):
        raise ConfigurationError(
            f"the URL is {'None' if url is None else f'a {type(url).__name__}'}: "
            f"expected text that starts with {known}"
        )
    scheme = _scheme_of(url)
    if not scheme:
        raise ConfigurationError(
            f"{redacted(url)!r} is not a URL; expected one that starts with {known}"
        )
    authority, *behind = re.split("[/?#]", url.removeprefix(scheme), maxsplit=1)
    if authority and "@" in "".join(behind):
        raise ConfigurationError(
            f"{redacted(url)!r}: an @ stands behind a / # or ?; in a user or a password these are "
            "written %2F, %23 and %3F, and an @ behind the host is written %40"
        )
    # Several hosts with commas between are no host to urlsplit, which minds that since Python 3.14.
    several = "," in authority
    try:
        parts = urlsplit(url.replace(authority, "hosts", 1) if several else url)
    except ValueError:  # its text may quote the password
        raise ConfigurationError(
            f"{redacted(url)!r} is not a URL: its host can't be read"
        ) from None
    named = aliases.get(parts.scheme, parts.scheme)
    if named not in schemes:
        raise ConfigurationError(
            f"unknown scheme {parts.scheme}:// in {redacted(url)!r}; known are {known}"
        )
    query: dict[str, str] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name in query:
            raise ConfigurationError(
                f"the parameter {redacted(name)!r} is given twice in {redacted(url)!r}"
            )
        query[name] = value
    host = authority if several else parts.netloc
    return BackendURL(url, redacted(url), named, host, unquote(parts.path), query)


def file_path(location: BackendURL) -> Path:
    """Return the path of a URL like `sqlite:///relative.db` or `sqlite:////absolute.db`.

    Raises ConfigurationError when a host stands where the path should, or no path is there.
    """
    if location.host:
        raise ConfigurationError(
            f"{location.redacted!r} names the host {redacted(location.host)!r}; a path is written "
            f"{location.scheme}:///relative or {location.scheme}:////absolute"
        )
    path = location.path.removeprefix("/")
    if not path:
        raise ConfigurationError(f"{location.redacted!r} names no path")
    return Path(path)


def options_for(location: BackendURL, defaults: O, given: object | None = None) -> O:
    """Return *given*, else *defaults*, with what the URL's query sets over it.

    *defaults* is a frozen dataclass. Raises ConfigurationError for *given* of another type, for
    an unknown parameter, naming the known ones, and for a bad value.
    """
    assert dataclasses.is_dataclass(defaults)
    assert not isinstance(defaults, type)
    if given is None:
        base = defaults
    elif isinstance(given, type(defaults)):
        base = given
    else:
        raise ConfigurationError(
            f"{location.scheme}:// takes options={type(defaults).__name__}(...), "
            f"not {type(given).__name__}"
        )
    if not location.query:
        return base
    hints = typing.get_type_hints(type(defaults))
    parsed: dict[str, object] = {}
    for name, text in location.query.items():
        if name not in hints:
            known = ", ".join(sorted(hints)) or "none"
            raise ConfigurationError(
                f"unknown parameter {redacted(name)!r} in {location.redacted!r}; known: {known}"
            )
        parsed[name] = _parse(location, name, text, hints[name])
    return dataclasses.replace(base, **parsed)


def shared_options(location: BackendURL, defaults: O) -> O:
    """Return *defaults*, with what the URL's query says of the fields that they have.

    For options that every backend has beside its own. Raises ConfigurationError for a bad value.
    """
    names = typing.get_type_hints(type(defaults))
    query = {name: text for name, text in location.query.items() if name in names}
    return options_for(dataclasses.replace(location, query=query), defaults)


def _scheme_of(url: str) -> str:
    """Return what *url* begins with, up to and with its ://; empty when it has no scheme."""
    found = _SCHEME.match(url)
    return found[0] if found else ""


def _parse(location: BackendURL, name: str, text: str, hint: object) -> object:
    choices = typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else None
    if choices is not None:
        if text in choices:
            return text
        expected = " or ".join(repr(choice) for choice in choices)
        raise ConfigurationError(
            f"{name}={redacted(text)!r} in {location.redacted!r}: expected {expected}"
        )
    if hint is bool:
        if text in ("true", "false"):
            return text == "true"
        raise ConfigurationError(
            f"{name}={redacted(text)!r} in {location.redacted!r}: expected true or false"
        )
    if hint in (int, float):
        try:
            return int(text) if hint is int else float(text)
        except ValueError:
            raise ConfigurationError(
                f"{name}={redacted(text)!r} in {location.redacted!r}: expected a number"
            ) from None
    return text
