"""Tags of objects and buckets in S3's XML and in its header."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from holdfast.errors import ObjectNotFoundError, ServiceError
from holdfast.objects.drivers.s3.document import write, write_text
from holdfast.objects.drivers.s3.service import Ask, sending

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.objects.drivers.s3.document import Element
    from holdfast.objects.drivers.s3.service import Service

_QUERY = (("tagging", ""),)


async def tags_of(service: Service, key: str) -> dict[str, str]:
    """Return the tags of *key*. Raises ObjectNotFoundError."""
    try:
        reply = await service.call(Ask("GetObjectTagging", "GET", key, _QUERY))
    except ServiceError as error:
        if error.code in ("NoSuchTagSet", "NoSuchTagSetError"):
            return {}
        if error.status in (404, 405):
            raise ObjectNotFoundError(key) from error
        raise
    return read_tags(reply.document("Tagging"))


async def tag(service: Service, key: str, tags: Mapping[str, str]) -> None:
    """Replace the tags of *key*. Raises ObjectNotFoundError."""
    try:
        await service.call(sending("PutObjectTagging", "PUT", _QUERY, write_tags(tags), key=key))
    except ServiceError as error:
        if error.status in (404, 405):
            raise ObjectNotFoundError(key) from error
        raise


def tagging_header(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the header that tags an object while it is put, none without tags."""
    return {"x-amz-tagging": urlencode(tags)} if tags else {}


def write_tags(tags: Mapping[str, str]) -> bytes:
    """Return the XML of *tags*."""
    every = [
        write("Tag", write_text("Key", name), write_text("Value", value))
        for name, value in tags.items()
    ]
    return write("Tagging", write("TagSet", *every)).encode()


def read_tags(root: Element) -> dict[str, str]:
    """Return the tags in the XML under *root*."""
    return {
        tag.need("Key"): tag.get("Value") or ""
        for tags in root.all("TagSet")
        for tag in tags.all("Tag")
    }
