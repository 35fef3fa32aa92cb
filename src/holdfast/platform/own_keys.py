"""Keys that domains keep for themselves in a bucket: the audit's evidence, the models' files.

Their services write them. Whoever could write them besides could destroy what an audit proves, or
put other bytes under a model, so that needs an administrator, on each way to the bucket's objects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.access import Role
from holdfast.errors import ForbiddenError

if TYPE_CHECKING:
    from holdfast.access import Caller
    from holdfast.objects import Bucket
    from holdfast.platform.platform import Platform

_KEEPERS = ("models", "logs")  # videos are written and removed by operators anyway


def own_prefixes(platform: Platform, bucket: Bucket) -> tuple[str, ...]:
    """Return the prefixes in *bucket* that domains keep for themselves; ('',) for all of it."""
    places = (platform.buckets[role] for role in _KEEPERS)
    return tuple(place.prefix for place in places if place.bucket is bucket)


def check_may_write(platform: Platform, bucket: Bucket, caller: Caller, key: str) -> None:
    """Raise ForbiddenError where *key* is a domain's own and *caller* no administrator."""
    for prefix in own_prefixes(platform, bucket):
        if key.startswith(prefix):
            _require_admin(caller, prefix)


def check_may_empty(platform: Platform, bucket: Bucket, caller: Caller, prefix: str) -> None:
    """Raise ForbiddenError where a domain's own keys can be below *prefix*, as `check_may_write`.

    That is also so for a prefix that is shorter than the domain's.
    """
    for own in own_prefixes(platform, bucket):
        if prefix.startswith(own) or own.startswith(prefix):
            _require_admin(caller, own)


def _require_admin(caller: Caller, prefix: str) -> None:
    if not caller.role.includes(Role.ADMIN):
        what = f"below {prefix!r}" if prefix else "in this bucket"
        raise ForbiddenError(caller.name, caller.role, f"{Role.ADMIN}, for what lies {what}")
