"""What an object may carry beside its bytes: a content type and a little text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from mimetypes import MimeTypes

from holdfast.errors import InvalidValueError

UNKNOWN_CONTENT = "application/octet-stream"
MOST_METADATA = 2048
_NAME = re.compile(r"[a-z0-9!#$&^_.+-]+")
_CONTENT_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+( *;[ -~]*)?", re.ASCII)
# What the standard library's table lacks, in some of the versions at least.
_FURTHER_TYPES = {
    ".avif": "image/avif",
    ".m4v": "video/x-m4v",
    ".mkv": "video/matroska",
    ".parquet": "application/vnd.apache.parquet",
    ".ts": "video/mp2t",
    ".webp": "image/webp",
    ".zst": "application/zstd",
}


def content_type_of(key: str) -> str:
    """Guess the content type from *key*'s extension, the same on every machine."""
    stem, _, extension = key[key.rfind("/") + 1 :].rpartition(".")
    return _type_of(f".{extension.lower()}" if stem and extension else "")


@cache
def _table() -> MimeTypes:
    return MimeTypes()


@lru_cache(maxsize=512)
def _type_of(suffix: str) -> str:
    if suffix in _FURTHER_TYPES:
        return _FURTHER_TYPES[suffix]
    # The table that comes with Python, not the one of the machine.
    kind, encoding = _table().guess_type("x" + suffix)
    if encoding is not None:
        return f"application/{encoding}" if encoding == "gzip" else f"application/x-{encoding}"
    return kind or UNKNOWN_CONTENT


def check_content_type(content_type: str) -> str:
    """Return *content_type* if it is ``type/subtype`` with optional parameters.

    Raises InvalidValueError.
    """
    if (
        not isinstance(content_type, str)
        or len(content_type) > 255
        or not _CONTENT_TYPE.fullmatch(content_type)
    ):
        raise InvalidValueError(
            "object", "content_type", f"expected type/subtype, got {content_type!r}"
        )
    return content_type


def check_etag(etag: str) -> str:
    """Return *etag* if an object may have it: ASCII without quotes. Raises InvalidValueError."""
    if (
        not isinstance(etag, str)
        or not etag
        or not etag.isascii()
        or not etag.isprintable()
        or '"' in etag
    ):
        raise InvalidValueError("object", "etag", f"{etag!r} is no etag")
    return etag


def check_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return a copy of *metadata* with lower-case names.

    Names are ASCII tokens, equal in any case; values are printable text; together at most 2048
    bytes of UTF-8. Raises InvalidValueError.
    """
    if not isinstance(metadata, Mapping):
        raise _refused(f"expected a mapping of names to values, got {metadata!r}")
    checked: dict[str, str] = {}
    for name, value in metadata.items():
        lower = _checked_name(name)
        if lower in checked:
            raise _refused(f"the name {lower!r} is there twice; names are equal in any case")
        if not isinstance(value, str) or not value.isprintable():
            raise _refused(f"the value of {name!r} is {value!r}, expected printable text")
        checked[lower] = value
    size = sum(len(name) + len(value.encode()) for name, value in checked.items())
    if size > MOST_METADATA:
        raise _refused(f"it has {size} bytes, expected at most {MOST_METADATA}")
    return checked


def _checked_name(name: str) -> str:
    if isinstance(name, str) and name.isascii() and _NAME.fullmatch(name.lower()):
        return name.lower()
    raise _refused(f"the name {name!r} is no token of ASCII letters, digits and !#$&^_.+-")


def _refused(reason: str) -> InvalidValueError:
    return InvalidValueError("object", "metadata", reason)
