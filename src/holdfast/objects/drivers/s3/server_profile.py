"""How S3 servers differ, as found by running the conformance suite on each."""

from __future__ import annotations

import re
from dataclasses import dataclass

from holdfast.objects.driver import BucketCapability

Rule = tuple[re.Pattern[bytes], str]


@dataclass(frozen=True, slots=True)
class ServerProfile:
    """What one kind of server can do.

    *rules* are patterns of keys, in UTF-8, that it would not keep as they are, with the reason.
    """

    name: str
    capabilities: frozenset[BucketCapability]
    rules: tuple[Rule, ...] = ()


_NO_LEADING_SLASH: Rule = (re.compile(rb"^/"), "this server loses a leading '/'")
_NO_DOTS: Rule = (  # one slash at the end does not make an empty part here
    re.compile(rb"(?:^|/)(?:\.{0,2}/|\.{1,2}\Z)"),
    "this server keeps no empty part, '.' or '..'",
)
_ONLY_PATHS: Rule = (
    re.compile(rb"(?:^|/)\.{0,2}(?:/|\Z)"),
    "this server takes keys for paths and keeps no empty part, '.' or '..'",
)
_ONLY_FILE_NAMES: Rule = (
    re.compile(rb"[^/]{256}"),
    "this server takes keys for paths and keeps no part of more than 255 bytes",
)
_ONLY_XML: Rule = (  # U+FFFE and U+FFFF too
    re.compile(rb"[\x00-\x1f]|\xef\xbf[\xbe\xbf]"),
    "this server lists no control characters",
)
_LEAST = frozenset({BucketCapability.PRESIGN, BucketCapability.UPLOADS})
_USUAL = _LEAST | {
    BucketCapability.BUCKET_POLICY,
    BucketCapability.BUCKET_TAGS,
    BucketCapability.CONDITIONAL_CREATE,
    BucketCapability.CONDITIONAL_REPLACE,
    BucketCapability.HTTP_HEADERS,
    BucketCapability.OBJECT_LOCK,
    BucketCapability.PRESIGN_POST,
    BucketCapability.RESUMABLE_UPLOADS,
    BucketCapability.TAGS,
    BucketCapability.VERSIONS,
}
_RULED = _USUAL | {BucketCapability.DEFAULT_ENCRYPTION, BucketCapability.LIFECYCLE}
_KEYS = frozenset({BucketCapability.ANY_KEY, BucketCapability.KEY_INSIDE_KEY})
_STORED = frozenset({BucketCapability.CUSTOMER_KEYS, BucketCapability.STORAGE_CLASS})
_AWS_ALONE = frozenset({BucketCapability.ACL, BucketCapability.PUBLIC_ACCESS_BLOCK})
_KNOWN = {
    "AmazonS3": ServerProfile("AWS", _RULED | _KEYS | _STORED | _AWS_ALONE),
    "MinIO": ServerProfile("MinIO", _RULED | _STORED, (_NO_LEADING_SLASH, _NO_DOTS)),
    "VERSITYGW": ServerProfile("Versity", _USUAL, (_ONLY_PATHS, _ONLY_FILE_NAMES, _ONLY_XML)),
}
_UNKNOWN = ServerProfile("S3", _LEAST, (_ONLY_PATHS, _ONLY_FILE_NAMES, _ONLY_XML))


def server_profile_of(server: str) -> ServerProfile:
    """Return the profile for a ``Server`` header; an unknown server gets the least."""
    return _KNOWN.get(server.partition("/")[0], _UNKNOWN)
