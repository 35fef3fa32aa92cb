"""Entity tags (RFC 9110, 8.8.3): how versions of entities stand in them, how they compare."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from zlib import crc32

from holdfast.errors import ConfigurationError
from holdfast.records.entities.model import model_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_TAG = re.compile(rb'\s*((?:W/)?"[\x21\x23-\x7e\x80-\xff]*")\s*(?:,|$)')
_VERSION = re.compile(rb'"([1-9][0-9]{0,18})(?:-[0-9a-f]+)?"')


def entity_tag(entity: object) -> str:
    """Return the strong ETag of *entity*, which is its version: `"3"`.

    What it holds in unversioned fields stands behind it as a digest: `"3-5f0c2a91"`.

    Raises ConfigurationError for an entity without a version field.
    """
    model = model_of(type(entity))
    if model.version is None:
        raise ConfigurationError(f"{model.name} has no version field, so it has no ETag")
    values = vars(entity)
    version = values[model.version.name]
    apart = [values[spec.name] for spec in model.fields if spec.declaration.unversioned]
    return f'"{version}-{crc32(repr(apart).encode()):08x}"' if apart else f'"{version}"'


def tags_in(headers: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the tags of If-Match or If-None-Match *headers*; `*` for itself.

    Raises ValueError for what is none.
    """
    for header in headers:
        if header.strip() == b"*":
            yield b"*"
            continue
        at = 0
        while at < len(header):
            found = _TAG.match(header, at)
            if found is None:
                raise ValueError("not a list of entity tags")
            yield found[1]
            at = found.end()


def any_matches(headers: list[bytes], tag: bytes) -> bool:
    """Return whether If-None-Match *headers* name *tag*, by the weak comparison.

    What is no list of tags names nothing.
    """
    try:
        given = list(tags_in(headers))
    except ValueError:
        return False
    wanted = tag.removeprefix(b"W/")
    return any(each in (b"*", wanted) or each.removeprefix(b"W/") == wanted for each in given)


def version_in(tag: bytes) -> int | None:
    """Return the version that the strong *tag* of an entity says, None for any other tag."""
    found = _VERSION.fullmatch(tag)
    return int(found[1]) if found else None
