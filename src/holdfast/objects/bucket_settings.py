"""Settings of a bucket and locks of its objects, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeVar

from holdfast.errors import InvalidValueError
from holdfast.objects.checks import MOST_BUCKET_TAGS, check_tags
from holdfast.objects.driver import BucketCapability

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

Mode = Literal["GOVERNANCE", "COMPLIANCE"]
_MOST_RULES = 1000


@dataclass(frozen=True, slots=True)
class Versioning:
    """Whether what is replaced and deleted is kept as versions.

    When it is switched off again, the versions that are there stay.
    """

    enabled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LifecycleRule:
    """What the service does by itself to objects under *prefix* that have all of *tags*.

    In days: *expire* removes objects that long after they were written, *expire_old* versions that
    long after they were replaced or deleted, *abort_uploads* uploads in parts that long after they
    began. *name* is unique among the rules of the bucket.
    """

    name: str
    prefix: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    expire: int | None = None
    expire_old: int | None = None
    abort_uploads: int | None = None
    enabled: bool = True

    def __post_init__(self) -> None:
        if not 1 <= len(self.name) <= 255:
            raise InvalidValueError("lifecycle", "name", "expected 1 to 255 characters")
        check_tags(self.tags, of="lifecycle")
        days = (self.expire, self.expire_old, self.abort_uploads)
        if all(number is None for number in days):
            raise InvalidValueError("lifecycle", self.name, "the rule does nothing")
        if any(number is not None and number < 1 for number in days):
            raise InvalidValueError("lifecycle", self.name, "expected a day or more")
        if self.tags and self.abort_uploads is not None:
            raise InvalidValueError("lifecycle", self.name, "an upload in parts has no tags")


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """All the rules of a bucket."""

    rules: tuple[LifecycleRule, ...]

    def __post_init__(self) -> None:
        names = {rule.name for rule in self.rules}
        if not 1 <= len(self.rules) <= _MOST_RULES or len(names) < len(self.rules):
            raise InvalidValueError(
                "lifecycle", "rules", "expected 1 to 1000 of different names; unset() removes them"
            )


@dataclass(frozen=True, slots=True)
class BucketTags:
    """Names and values on the bucket itself."""

    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        check_tags(self.tags, of="bucket", most=MOST_BUCKET_TAGS)


@dataclass(frozen=True, slots=True)
class DefaultEncryption:
    """How objects are encrypted when the writer doesn't say."""

    algorithm: Literal["AES256", "aws:kms"] = "AES256"
    kms_key: str | None = None

    def __post_init__(self) -> None:
        if self.kms_key is not None and self.algorithm != "aws:kms":
            raise InvalidValueError("encryption", "kms_key", "it goes only with aws:kms")


@dataclass(frozen=True, slots=True)
class DefaultRetention:
    """For how many days each new version is kept from being removed.

    GOVERNANCE can be lifted by those with the right to, COMPLIANCE by nobody.
    """

    mode: Mode
    days: int

    def __post_init__(self) -> None:
        _check_mode(self.mode)
        if self.days < 1:
            raise InvalidValueError("retention", "days", f"expected 1 or more, got {self.days}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicAccessBlock:
    """Blocks that keep the bucket from becoming public by mistake."""

    block_acls: bool = True
    ignore_acls: bool = True
    block_policy: bool = True
    restrict_bucket: bool = True


@dataclass(frozen=True, slots=True)
class BucketPolicy:
    """Who may do what, in the JSON that AWS documents."""

    document: Mapping[str, object]


Setting = (
    Versioning
    | Lifecycle
    | BucketTags
    | DefaultEncryption
    | DefaultRetention
    | PublicAccessBlock
    | BucketPolicy
)

S = TypeVar(
    "S",
    Versioning,
    Lifecycle,
    BucketTags,
    DefaultEncryption,
    DefaultRetention,
    PublicAccessBlock,
    BucketPolicy,
)  # a setting of one kind: what is asked for by kind comes back as that

REQUIRED: Mapping[type[Setting], BucketCapability] = {
    Versioning: BucketCapability.VERSIONS,
    Lifecycle: BucketCapability.LIFECYCLE,
    BucketTags: BucketCapability.BUCKET_TAGS,
    DefaultEncryption: BucketCapability.DEFAULT_ENCRYPTION,
    DefaultRetention: BucketCapability.OBJECT_LOCK,
    PublicAccessBlock: BucketCapability.PUBLIC_ACCESS_BLOCK,
    BucketPolicy: BucketCapability.BUCKET_POLICY,
}


@dataclass(frozen=True, slots=True)
class Retention:
    """Until when a version can't be removed; *until* is an aware time."""

    mode: Mode
    until: datetime

    def __post_init__(self) -> None:
        _check_mode(self.mode)
        if self.until.tzinfo is None:
            raise InvalidValueError("retention", "until", "expected an aware time")


@dataclass(frozen=True, slots=True)
class ObjectLock:
    """What keeps a version from being removed: a retention, a legal hold, or nothing."""

    retention: Retention | None = None
    held: bool = False


def _check_mode(mode: str) -> None:
    if mode not in ("GOVERNANCE", "COMPLIANCE"):
        raise InvalidValueError(
            "retention", "mode", f"expected GOVERNANCE or COMPLIANCE, got {mode!r}"
        )
