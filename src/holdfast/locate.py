"""URLs that name a backend and its place: `sqlite:///app.db?lock_timeout=5`."""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from holdfast.errors import ConfigurationError

O = TypeVar("O")  # noqa: E741 - options


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
    """Return *url* without what is nobody's business: a password, and its parameters' values."""
    place, _, query = url.partition("?")
    scheme, _, rest = place.rpartition("://")
    user, at, host = rest.rpartition("@")
    name, colon, _ = user.partition(":")
    names = "&".join(f"{part.partition('=')[0]}=..." for part in query.split("&") if part)
    return f"{scheme}://{name}{colon and ':***'}{at}{host}{names and '?' + names}"


def locate(url: str, schemes: tuple[str, ...]) -> Location:
    """Return the parts of *url*. Raises ConfigurationError for one that is none of *schemes*."""
    known = ", ".join(f"{scheme}://" for scheme in schemes)
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ConfigurationError(f"{shown(url)!r} is no URL: {error}") from None
    if "://" not in url:
        raise ConfigurationError(f"{url!r} is no URL; expected one that starts with {known}")
    if parts.scheme not in schemes:
        raise ConfigurationError(
            f"unknown scheme {parts.scheme}:// in {shown(url)!r}; known are {known}"
        )
    query: dict[str, str] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name in query:
            raise ConfigurationError(f"the parameter {name!r} stands twice in {shown(url)!r}")
        query[name] = value
    return Location(url, shown(url), parts.scheme, parts.netloc, unquote(parts.path), query)


def file_path(location: Location) -> Path:
    """Return the path of a URL like `sqlite:///relative.db` or `sqlite:////absolute.db`.

    Raises ConfigurationError when a host stands where the path should, or no path is there.
    """
    if location.host:
        raise ConfigurationError(
            f"{location.shown!r} names the host {location.host!r}; a path is written "
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
                f"unknown parameter {name!r} in {location.shown!r}; known: {known}"
            )
        given[name] = _parse(location, name, text, hints[name])
    return dataclasses.replace(defaults, **given)


def _parse(location: Location, name: str, text: str, hint: object) -> object:
    choices = typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else None
    if choices is not None:
        if text in choices:
            return text
        expected = " or ".join(repr(choice) for choice in choices)
        raise ConfigurationError(f"{name}={text!r} in {location.shown!r}: expected {expected}")
    if hint is bool:
        if text in ("true", "false"):
            return text == "true"
        raise ConfigurationError(f"{name}={text!r} in {location.shown!r}: expected true or false")
    if hint in (int, float):
        try:
            return int(text) if hint is int else float(text)
        except ValueError:
            raise ConfigurationError(
                f"{name}={text!r} in {location.shown!r}: expected a number"
            ) from None
    return text
