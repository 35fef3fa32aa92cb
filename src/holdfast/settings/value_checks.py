"""Checks of single settings, for pydantic: what a value must be to be that setting."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import TYPE_CHECKING, cast

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from holdfast.backend_url import parse_url
from holdfast.errors import ConfigurationError
from holdfast.mistakes import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel

_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_HOST = re.compile(r"[^/?#@\s]+")


def no_unknown_names(kind: type[BaseModel], given: object) -> object:
    """Return what is *given* for a *kind* of settings. A name it does not have is refused."""
    if not isinstance(given, dict):
        return given
    known = kind.model_fields
    for name in cast("dict[object, object]", given):
        if name not in known:
            meant = did_you_mean(str(name), known) or f"; there are {', '.join(known)}"
            reason = f"{kind.__name__} has no setting {name!r}{meant}"
            raise PydanticCustomError("name", "{reason}", {"reason": reason})
    return cast("object", given)


def checked_url(parse: Callable[[str], object]) -> Callable[[str], str]:
    """Return a check of text: empty, or what *parse* takes without a ConfigurationError."""

    def check(value: str) -> str:
        if value:
            try:
                parse(value)
            except ConfigurationError as error:  # it shows no password
                raise PydanticCustomError("url", "{reason}", {"reason": str(error)}) from None
        return value

    return check


def parse_store(value: str) -> object:
    """Read the URL of a store. Raises ConfigurationError."""
    _check_is_url(value)
    from holdfast.records.store_url import parse_store_url  # noqa: PLC0415 - slow to import

    return parse_store_url(value)


def parse_bucket(value: str) -> object:
    """Read the URL of a bucket, or the name of one on S3. Raises ConfigurationError."""
    if "://" not in value and _BUCKET_NAME.fullmatch(value):
        return value
    if "://" not in value:
        raise ConfigurationError("it is neither a URL nor the name of a bucket")
    return parse_url(value, ("file", "memory", "s3"))


def parse_cache(value: str) -> object:
    """Read the URL of a cache. Raises ConfigurationError."""
    _check_is_url(value)
    from holdfast.cache.cache_url import parse_cache_url  # noqa: PLC0415 - the same

    return parse_cache_url(value, None)


def parse_endpoint(value: str) -> object:
    """Read the URL of a server, or `host:port`. Raises ConfigurationError."""
    if "://" not in value and _HOST.fullmatch(value):
        return value
    _check_is_url(value)
    return parse_url(value, ("http", "https"))


def _check_is_url(value: str) -> None:
    if "://" not in value:  # it may be a password, which no message shows
        raise ConfigurationError("it is not a URL")


def _no_truth(value: object) -> object:
    if isinstance(value, bool):  # which pydantic would take for 0 or 1
        raise PydanticCustomError("number", "a number", {})
    return value


NUMBER = BeforeValidator(_no_truth)
"""Refuses true and false where a number belongs."""


def split_names(value: object) -> object:
    """Return names with commas between as a tuple; another value as it is."""
    if isinstance(value, str):
        return tuple(name.strip() for name in value.split(",") if name.strip())
    return value


def checked_keys(value: str) -> str:
    """Return *value*, which must be keys that seal jobs, or empty."""
    if value:
        from holdfast.jobs.sealing_keys import parse_keys  # noqa: PLC0415 - slow to import

        try:
            parse_keys(value)
        except ConfigurationError as error:  # it shows nothing of a key
            raise PydanticCustomError("keys", "{reason}", {"reason": str(error)}) from None
    return value


def checked_networks(value: tuple[str, ...]) -> tuple[str, ...]:
    """Return *value*, which must be networks of IP."""
    for each in value:
        try:
            ip_network(each)
        except ValueError as error:
            raise PydanticCustomError("network", "{reason}", {"reason": str(error)}) from None
    return value
