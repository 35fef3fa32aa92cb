"""The platform's buckets by their names in addresses, and the way to what is in them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from holdfast.console.page import Crumb
from holdfast.errors import NotFoundError

if TYPE_CHECKING:
    from holdfast.console.console_site import ConsoleSite
    from holdfast.objects import Bucket


def buckets_of(site: ConsoleSite) -> dict[str, Bucket]:
    """Return the platform's buckets by name: `main`, and each role that has one of its own."""
    found = {"main": site.platform.bucket}
    for role, place in site.platform.buckets.items():
        if place.bucket is not site.platform.bucket:
            found[role] = place.bucket
    return found


def find_bucket(site: ConsoleSite, name: str) -> Bucket:
    """Return the bucket of that name. Raises NotFoundError."""
    found = buckets_of(site).get(name)
    if found is None:
        raise NotFoundError("a bucket", name)
    return found


def bucket_crumbs(site: ConsoleSite, name: str, key: str) -> list[Crumb]:
    """Return the way to what lies directly below the folders in *key*."""
    found = [Crumb("Buckets", site.url("buckets")), Crumb(name, site.url(f"buckets/{name}"))]
    for folder in re.finditer("[^/]*/", key):
        prefix = key[: folder.end()]
        title = folder[0].removesuffix("/") or "/"
        found.append(Crumb(title, site.url(f"buckets/{name}", {"prefix": prefix})))
    return found
