"""How servers of S3 differ, as found by running the conformance suite on each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.objects.driver import Capability
from holdfast.objects.drivers.s3.document import fits

if TYPE_CHECKING:
    from collections.abc import Callable

    Rule = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Profile:
    """What one kind of server can. *rules* say why it would not keep a key as it is."""

    name: str
    capabilities: frozenset[Capability]
    rules: tuple[Rule, ...] = ()

    def refusal(self, key: str) -> str | None:
        """Return why this kind of server would not keep *key* as it is, None when it would."""
        return next((why for rule in self.rules if (why := rule(key)) is not None), None)


def _no_leading_slash(key: str) -> str | None:
    return "this server loses a leading '/'" if key.startswith("/") else None


def _no_dots(key: str) -> str | None:
    parts = key.removesuffix("/").split("/")
    if "" in parts or "." in parts or ".." in parts:
        return "this server keeps no empty part, '.' or '..'"
    return None


def _only_paths(key: str) -> str | None:
    parts = key.split("/")
    if "" in parts or "." in parts or ".." in parts:
        return "this server takes keys for paths and keeps no empty part, '.' or '..'"
    if any(len(part.encode()) > 255 for part in parts):
        return "this server takes keys for paths and keeps no part of more than 255 bytes"
    return None


def _only_xml(key: str) -> str | None:
    return None if fits(key) else "this server lists no control characters"


_LEAST = frozenset({Capability.PRESIGN, Capability.UPLOADS})
_USUAL = _LEAST | {
    Capability.BUCKET_POLICY,
    Capability.BUCKET_TAGS,
    Capability.CONDITIONAL_CREATE,
    Capability.CONDITIONAL_REPLACE,
    Capability.OBJECT_LOCK,
    Capability.PRESIGN_POST,
    Capability.RESUMABLE_UPLOADS,
    Capability.TAGS,
    Capability.VERSIONS,
}
_RULED = _USUAL | {Capability.DEFAULT_ENCRYPTION, Capability.LIFECYCLE}
_KEYS = frozenset({Capability.ANY_KEY, Capability.KEY_INSIDE_KEY})
_KNOWN = {
    "AmazonS3": Profile("AWS", _RULED | _KEYS | {Capability.PUBLIC_ACCESS_BLOCK}),
    "MinIO": Profile("MinIO", _RULED, (_no_leading_slash, _no_dots)),
    "VERSITYGW": Profile("Versity", _USUAL, (_only_paths, _only_xml)),
}
_UNKNOWN = Profile("S3", _LEAST, (_only_paths, _only_xml))


def profile_of(server: str) -> Profile:
    """Return the profile for a ``Server`` header; of an unknown one nothing is presumed."""
    return _KNOWN.get(server.partition("/")[0], _UNKNOWN)
