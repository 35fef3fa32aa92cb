"""The settings of a bucket in S3's XML and JSON, and the requests about them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from holdfast.errors import ServiceError
from holdfast.objects.bucket_settings import (
    BucketPolicy,
    BucketTags,
    DefaultEncryption,
    DefaultRetention,
    Lifecycle,
    LifecycleRule,
    Mode,
    PublicAccessBlock,
    S,
    Setting,
    Versioning,
)
from holdfast.objects.drivers.s3.headers import count_in
from holdfast.objects.drivers.s3.service import S3Request, document_request
from holdfast.objects.drivers.s3.tags import read_tags, write_tags
from holdfast.objects.drivers.s3.xml_document import Element, parse, unreadable, write, write_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.objects.drivers.s3.service import S3Service

_MOST_DAYS = 100_000  # what a settings document may say of days or years


@dataclass(frozen=True, slots=True)
class _SettingRequest:
    """The name of a kind of setting at S3, and the codes that say that there is none."""

    operation: str
    query: str
    absent: frozenset[str] = frozenset()


_REQUESTS: Mapping[type[Setting], _SettingRequest] = {
    Versioning: _SettingRequest("BucketVersioning", "versioning"),
    Lifecycle: _SettingRequest(
        "Lifecycle", "lifecycle", frozenset({"NoSuchLifecycleConfiguration"})
    ),
    BucketTags: _SettingRequest(
        "BucketTagging", "tagging", frozenset({"NoSuchTagSet", "NoSuchTagSetError"})
    ),
    DefaultEncryption: _SettingRequest(
        "BucketEncryption",
        "encryption",
        frozenset({"ServerSideEncryptionConfigurationNotFoundError"}),
    ),
    DefaultRetention: _SettingRequest(
        "ObjectLockConfiguration",
        "object-lock",
        frozenset({"ObjectLockConfigurationNotFoundError"}),
    ),
    PublicAccessBlock: _SettingRequest(
        "PublicAccessBlock",
        "publicAccessBlock",
        frozenset({"NoSuchPublicAccessBlockConfiguration"}),
    ),
    BucketPolicy: _SettingRequest("BucketPolicy", "policy", frozenset({"NoSuchBucketPolicy"})),
}


async def read(service: S3Service, kind: type[S]) -> S | None:
    """Return the setting of that *kind*, None when the service has none."""
    request = _REQUESTS[kind]
    try:
        response = await service.call(
            S3Request(f"Get{request.operation}", "GET", query=((request.query, ""),))
        )
    except ServiceError as error:
        if error.code in request.absent:
            return None
        raise
    found = _decoded(kind, response.body) if response.body.strip() else None
    return found if isinstance(found, kind) else None


async def make(service: S3Service, setting: Setting) -> None:
    """Replace the setting of this kind."""
    request = _REQUESTS[type(setting)]
    body = _encoded(setting)
    await service.call(
        document_request(f"Put{request.operation}", "PUT", ((request.query, ""),), body)
    )


async def remove(service: S3Service, kind: type[Setting]) -> None:
    """Remove the setting of that *kind*."""
    request = _REQUESTS[kind]
    if kind is DefaultRetention:
        await service.call(
            document_request(
                f"Put{request.operation}",
                "PUT",
                ((request.query, ""),),
                _lock_configuration("").encode(),
            )
        )
        return
    try:
        await service.call(
            S3Request(f"Delete{request.operation}", "DELETE", query=((request.query, ""),))
        )
    except ServiceError as error:
        if error.code not in request.absent:
            raise


def _encoded(setting: Setting) -> bytes:
    match setting:
        case Versioning(enabled):
            status = write_text("Status", "Enabled" if enabled else "Suspended")
            return write("VersioningConfiguration", status).encode()
        case Lifecycle(rules):
            return write("LifecycleConfiguration", *map(_write_rule, rules)).encode()
        case BucketTags(tags):
            return write_tags(tags)
        case DefaultEncryption(algorithm, kms_key):
            key = "" if kms_key is None else write_text("KMSMasterKeyID", kms_key)
            default = write(
                "ApplyServerSideEncryptionByDefault", write_text("SSEAlgorithm", algorithm), key
            )
            return write("ServerSideEncryptionConfiguration", write("Rule", default)).encode()
        case DefaultRetention(mode, days):
            kept = write(
                "DefaultRetention", write_text("Mode", mode), write_text("Days", f"{days}")
            )
            return _lock_configuration(write("Rule", kept)).encode()
        case PublicAccessBlock():
            flags = {
                "BlockPublicAcls": setting.block_acls,
                "IgnorePublicAcls": setting.ignore_acls,
                "BlockPublicPolicy": setting.block_policy,
                "RestrictPublicBuckets": setting.restrict_bucket,
            }
            every = [write_text(name, "true" if flag else "false") for name, flag in flags.items()]
            return write("PublicAccessBlockConfiguration", *every).encode()
        case BucketPolicy(document):
            return json.dumps(document).encode()
    assert_never(setting)


def _decoded(kind: type[Setting], body: bytes) -> Setting | None:
    if kind is BucketPolicy:
        return _policy(body)
    root = parse(body)
    if kind is Versioning:
        status = root.get("Status")
        return None if not status else Versioning(status == "Enabled")
    if kind is Lifecycle:
        rules = tuple(_rule(element) for element in root.all("Rule"))
        return Lifecycle(rules) if rules else None
    if kind is BucketTags:
        return BucketTags(read_tags(root))
    if kind is DefaultEncryption:
        return _encryption(root)
    if kind is DefaultRetention:
        return _retention(root)
    assert kind is PublicAccessBlock, "every kind has its request"
    return PublicAccessBlock(
        block_acls=root.get("BlockPublicAcls") == "true",
        ignore_acls=root.get("IgnorePublicAcls") == "true",
        block_policy=root.get("BlockPublicPolicy") == "true",
        restrict_bucket=root.get("RestrictPublicBuckets") == "true",
    )


def _policy(body: bytes) -> BucketPolicy:
    try:
        document = json.loads(body)
    except ValueError as error:
        raise unreadable(f"the policy is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise unreadable("the policy is not a JSON object")
    return BucketPolicy(document)


def _encryption(root: Element) -> DefaultEncryption | None:
    default = _below(root, "Rule", "ApplyServerSideEncryptionByDefault")
    if default is None:
        return None
    algorithm = default.need("SSEAlgorithm")
    if algorithm not in ("AES256", "aws:kms"):
        raise unreadable(f"the encryption {algorithm!r} is unknown")
    kms_key = default.get("KMSMasterKeyID") or None
    return DefaultEncryption("aws:kms", kms_key) if algorithm == "aws:kms" else DefaultEncryption()


def _retention(root: Element) -> DefaultRetention | None:
    kept = _below(root, "Rule", "DefaultRetention")
    if kept is None:
        return None
    mode: Mode = "COMPLIANCE" if kept.need("Mode") == "COMPLIANCE" else "GOVERNANCE"
    days = kept.get("Days")
    return DefaultRetention(mode, _count(days) if days else _count(kept.need("Years")) * 365)


def _lock_configuration(rule: str) -> str:
    return write("ObjectLockConfiguration", write_text("ObjectLockEnabled", "Enabled"), rule)


def _write_rule(rule: LifecycleRule) -> str:
    wanted = [write_text("Prefix", rule.prefix)] if rule.prefix or not rule.tags else []
    wanted += [
        write("Tag", write_text("Key", name), write_text("Value", value))
        for name, value in sorted(rule.tags.items())
    ]
    chosen = wanted[0] if len(wanted) == 1 else write("And", *wanted)
    actions = [
        write(name, write_text(unit, f"{days}"))
        for name, unit, days in (
            ("Expiration", "Days", rule.expire),
            ("NoncurrentVersionExpiration", "NoncurrentDays", rule.expire_old),
            ("AbortIncompleteMultipartUpload", "DaysAfterInitiation", rule.abort_uploads),
        )
        if days is not None
    ]
    return write(
        "Rule",
        write_text("ID", rule.name),
        write_text("Status", "Enabled" if rule.enabled else "Disabled"),
        write("Filter", chosen),
        *actions,
    )


def _rule(element: Element) -> LifecycleRule:
    chosen = next(element.all("Filter"), element)
    chosen = next(chosen.all("And"), chosen)
    return LifecycleRule(
        name=element.need("ID"),
        prefix=chosen.get("Prefix") or "",
        tags={tag.need("Key"): tag.need("Value") for tag in chosen.all("Tag")},
        expire=_days(element, "Expiration", "Days"),
        expire_old=_days(element, "NoncurrentVersionExpiration", "NoncurrentDays"),
        abort_uploads=_days(element, "AbortIncompleteMultipartUpload", "DaysAfterInitiation"),
        enabled=element.get("Status") == "Enabled",
    )


def _days(element: Element, name: str, unit: str) -> int | None:
    text = next((action.get(unit) for action in element.all(name)), None)
    return None if text is None else _count(text)


def _count(text: str) -> int:
    """Return the number of days or years in *text*. Raises ServiceError for what is none."""
    count = count_in(text.strip())
    if count is None or count > _MOST_DAYS:
        raise unreadable(f"{text[:50]!r} is not a number of days")
    return count


def _below(root: Element, *names: str) -> Element | None:
    found: Element | None = root
    for name in names:
        found = None if found is None else next(found.all(name), None)
    return found
