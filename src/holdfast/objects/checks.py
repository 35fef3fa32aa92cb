"""Checks of what callers pass: keys, content types, metadata, tags, versions, ranges."""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING, SupportsIndex

from holdfast.errors import InvalidValueError, ObjectKeyError

if TYPE_CHECKING:
    from mimetypes import MimeTypes

    from holdfast.objects.object_info import ObjectInfo

LONGEST_KEY = 1024
MOST_METADATA = 2048
MOST_TAGS = 10
MOST_BUCKET_TAGS = 50
UNKNOWN_CONTENT = "application/octet-stream"
_LONGEST_HEADER = 1024
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_LONGEST_TAG_NAME = 128
_LONGEST_TAG_VALUE = 256
_TAG_TEXT = re.compile(r"[\w +\-=.:/@]*", re.ASCII)  # AWS takes letters of any script, others don't
_METADATA_NAME = re.compile(r"[a-z0-9!#$&^_.+-]+")
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


def check_key(key: str) -> str:
    """Return *key* if a bucket may hold it: 1 to 1024 bytes of UTF-8 without NUL.

    Everything else is legal and comes back as it went in: ``..``, ``//``, a leading or trailing
    slash, control characters. Raises ObjectKeyError.
    """
    check_prefix(key)
    if not key:
        raise ObjectKeyError(key, "it is empty; expected 1 to 1024 bytes of UTF-8")
    return key


def check_prefix(prefix: str) -> str:
    """Return *prefix*, which may be empty, if a legal key may start with it.

    Raises ObjectKeyError.
    """
    if not isinstance(prefix, str):
        raise ObjectKeyError(str(prefix), f"expected text, got {type(prefix).__name__}")
    if "\0" in prefix:
        raise ObjectKeyError(prefix, "it holds a NUL character")
    try:
        size = len(prefix.encode())
    except UnicodeEncodeError as error:
        raise ObjectKeyError(
            prefix, f"it holds a lone surrogate at position {error.start}; expected valid Unicode"
        ) from None
    if size > LONGEST_KEY:
        raise ObjectKeyError(prefix, f"it has {size} bytes of UTF-8, expected at most 1024")
    return prefix


def check_version(version: str) -> str:
    """Return *version* if it is text that could name one. Raises InvalidValueError."""
    if not isinstance(version, str) or not version or not version.isprintable():
        raise InvalidValueError(
            "object", "version", f"expected the name of a version as text, got {version!r}"
        )
    return version


def content_type_of(key: str) -> str:
    """Return the content type that *key*'s extension suggests, the same on every machine."""
    stem, _, extension = key[key.rfind("/") + 1 :].rpartition(".")
    return _type_of(f".{extension.lower()}" if stem and extension else "")


@cache
def _table() -> MimeTypes:
    from mimetypes import MimeTypes  # noqa: PLC0415 - few programs need it at their start

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


def check_header(name: str, text: str | None) -> None:
    """Raise InvalidValueError unless *text*, for the header *name*, is printable ASCII."""
    if text is None:
        return
    if not isinstance(text, str) or not text.strip() or len(text) > _LONGEST_HEADER:
        raise InvalidValueError("object", name, f"expected text of 1 to 1024, got {text!r}")
    if not text.isascii() or not text.isprintable() or text != text.strip():
        raise InvalidValueError(
            "object", name, f"expected printable ASCII without spaces around it, got {text!r}"
        )


def check_token(name: str, text: str | None) -> None:
    """Raise InvalidValueError unless *text* is a name as services have them."""
    if text is not None and not (isinstance(text, str) and _TOKEN.fullmatch(text)):
        raise InvalidValueError("object", name, f"expected a name of the service's, got {text!r}")


def check_etag(etag: str) -> str:
    """Return *etag* if an object may have it: ASCII without quotes. Raises InvalidValueError."""
    if (
        not isinstance(etag, str)
        or not etag
        or not etag.isascii()
        or not etag.isprintable()
        or '"' in etag
    ):
        raise InvalidValueError("object", "etag", f"{etag!r} is not an etag")
    return etag


def check_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return a copy of *metadata* with lower-case names.

    Names are ASCII tokens, equal in any case; values are printable text; together at most 2048
    bytes of UTF-8. Raises InvalidValueError.
    """
    if not isinstance(metadata, Mapping):
        raise _bad_metadata(f"expected a mapping of names to values, got {metadata!r}")
    checked: dict[str, str] = {}
    for name, value in metadata.items():
        lower = _metadata_name(name)
        if lower in checked:
            raise _bad_metadata(f"the name {lower!r} is there twice; names are equal in any case")
        if not isinstance(value, str) or not value.isprintable():
            raise _bad_metadata(f"the value of {name!r} is {value!r}, expected printable text")
        checked[lower] = value
    size = sum(len(name) + len(value.encode()) for name, value in checked.items())
    if size > MOST_METADATA:
        raise _bad_metadata(f"it has {size} bytes, expected at most {MOST_METADATA}")
    return checked


def _metadata_name(name: str) -> str:
    if isinstance(name, str) and name.isascii() and _METADATA_NAME.fullmatch(name.lower()):
        return name.lower()
    raise _bad_metadata(f"the name {name!r} is not a token of ASCII letters, digits and !#$&^_.+-")


def _bad_metadata(reason: str) -> InvalidValueError:
    return InvalidValueError("object", "metadata", reason)


def check_tags(
    tags: Mapping[str, str], *, of: str = "object", most: int = MOST_TAGS
) -> dict[str, str]:
    """Return a copy of *tags*: names of 1 to 128 characters, values of at most 256.

    Characters are ASCII letters, digits, spaces and ``+ - = . _ : / @``; a name doesn't start with
    ``aws:``. An object has at most 10 tags, a bucket 50. Raises InvalidValueError.
    """
    if not isinstance(tags, Mapping):
        raise InvalidValueError(of, "tags", f"expected a mapping of names to values, got {tags!r}")
    if len(tags) > most:
        raise InvalidValueError(of, "tags", f"{len(tags)} tags, expected at most {most}")
    for name, value in tags.items():
        if not _is_tag_text(name, _LONGEST_TAG_NAME) or not name or name.lower().startswith("aws:"):
            raise InvalidValueError(
                of,
                "tags",
                f"the name {name!r}: expected 1 to 128 letters, digits, spaces or +-=._:/@ "
                "that don't start with aws:",
            )
        if not _is_tag_text(value, _LONGEST_TAG_VALUE):
            raise InvalidValueError(
                of,
                "tags",
                f"the value of {name!r} is {value!r}, expected at most 256 letters, digits, "
                "spaces or +-=._:/@",
            )
    return dict(tags)


def _is_tag_text(text: object, longest: int) -> bool:
    return isinstance(text, str) and len(text) <= longest and _TAG_TEXT.fullmatch(text) is not None


def check_options(options: object, kind: type, field: str = "options") -> None:
    """Raise InvalidValueError unless *options*, the argument called *field*, are a *kind*."""
    if not isinstance(options, kind):
        raise InvalidValueError(
            "object", field, f"expected {kind.__name__}(...), got {options!r:.200}"
        )


def check_count(count: SupportsIndex | None, *, of: str, field: str) -> int | None:
    """Return *count*, a number of bytes, as an int; None as None.

    Raises InvalidValueError for what is not a whole number.
    """
    if count is None:
        return None
    try:
        return operator.index(count)
    except TypeError:
        raise InvalidValueError(
            of, field, f"expected a whole number of bytes, got {count!r}"
        ) from None


def span_of(info: ObjectInfo, start: int | None, end: int | None) -> tuple[int, int]:
    """Return the first offset of a range and the one behind its last, in bytes of the content.

    Raises InvalidValueError unless both lie in the object, in order.
    """
    first = 0 if start is None else start
    last = info.size if end is None else end
    if not 0 <= first <= last <= info.size:
        raise InvalidValueError(
            "object",
            "range",
            f"{info.key!r} has {info.size} bytes, expected 0 <= start <= end <= {info.size}, "
            f"got start={start}, end={end}",
        )
    return first, last
