"""How servers of S3 differ, as found by running the conformance suite on each."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.objects.driver import Capability


@dataclass(frozen=True, slots=True)
class Profile:
    """What one kind of server can. *folders*: keys are paths of its file system."""

    name: str
    capabilities: frozenset[Capability]
    folders: bool = False

    def refusal(self, key: str) -> str | None:
        """Return why this kind of server would not keep *key* as it is, None when it would."""
        if not self.folders:
            return None
        parts = key.split("/")
        if "" in parts or "." in parts or ".." in parts:
            return "this server takes keys for paths: empty parts, '.' and '..' are not kept"
        if any(len(part.encode()) > 255 for part in parts):
            return "this server takes keys for paths: no part may exceed 255 bytes"
        return None


_CONDITIONS = frozenset({Capability.CONDITIONAL_CREATE, Capability.CONDITIONAL_REPLACE})
_KNOWN = {
    "AmazonS3": Profile("AWS", _CONDITIONS | {Capability.ANY_KEY}),
    "MinIO": Profile("MinIO", _CONDITIONS),
    "VERSITYGW": Profile("Versity", _CONDITIONS, folders=True),
}
_UNKNOWN = Profile("S3", frozenset(), folders=True)


def profile_of(server: str) -> Profile:
    """Return the profile for a ``Server`` header; of an unknown one nothing is presumed."""
    return _KNOWN.get(server.partition("/")[0], _UNKNOWN)
