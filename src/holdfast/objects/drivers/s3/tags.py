"""Requests about the tags of an object, and tags in S3's XML."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import ObjectNotFoundError, ServiceError
from holdfast.objects.drivers.s3.service import S3Request, document_request
from holdfast.objects.drivers.s3.xml_document import write, write_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.objects.drivers.s3.service import S3Service
    from holdfast.objects.drivers.s3.xml_document import Element

_QUERY = (("tagging", ""),)


async def tags_of(service: S3Service, key: str) -> dict[str, str]:
    """Return the tags of *key*. Raises ObjectNotFoundError."""
    try:
        response = await service.call(S3Request("GetObjectTagging", "GET", key, _QUERY))
    except ServiceError as error:
        if error.code in ("NoSuchTagSet", "NoSuchTagSetError"):
            return {}
        if error.status in (404, 405):
            raise ObjectNotFoundError(key) from error
        raise
    return read_tags(response.document("Tagging"))


async def set_tags(service: S3Service, key: str, tags: Mapping[str, str]) -> None:
    """Replace the tags of *key*. Raises ObjectNotFoundError."""
    try:
        await service.call(
            document_request("PutObjectTagging", "PUT", _QUERY, write_tags(tags), key=key)
        )
    except ServiceError as error:
        if error.status in (404, 405):
            raise ObjectNotFoundError(key) from error
        raise


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
