"""Object lock in S3's requests, and the removal of versions that a lock may hold."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from holdfast.clock import utc_now
from holdfast.errors import ObjectLockedError, ObjectNotFoundError, ServiceError
from holdfast.objects.bucket_settings import DefaultRetention, Mode, ObjectLock, Retention
from holdfast.objects.drivers.s3.listing_pages import list_versions
from holdfast.objects.drivers.s3.service import S3Request, document_request
from holdfast.objects.drivers.s3.setting_documents import read
from holdfast.objects.drivers.s3.xml_document import unreadable, write, write_text
from holdfast.time_text import read_datetime

if TYPE_CHECKING:
    from holdfast.objects.drivers.s3.service import S3Service
    from holdfast.objects.drivers.s3.xml_document import Element

_ANSWERS = ("Retention", "LegalHold", "ObjectLockRetention", "ObjectLockLegalHold")
_NONE = frozenset({"NoSuchObjectLockConfiguration", "InvalidRequest", "NoSuchObjectLockRetention"})
_REFUSALS = frozenset({400, 403, 409})


async def lock_of(service: S3Service, key: str, version: str | None) -> ObjectLock:
    """Return the lock of that version. Raises ObjectNotFoundError."""
    retained = await _asked(service, "GetObjectRetention", "retention", key, version)
    held = await _asked(service, "GetObjectLegalHold", "legal-hold", key, version)
    retention = None
    if retained is not None and retained.get("Mode"):
        mode: Mode = "COMPLIANCE" if retained.need("Mode") == "COMPLIANCE" else "GOVERNANCE"
        retention = Retention(mode, _time(retained.need("RetainUntilDate")))
    return ObjectLock(retention, held is not None and held.get("Status") == "ON")


async def retain(service: S3Service, key: str, version: str | None, retention: Retention) -> None:
    """Keep that version until a time. Raises ObjectNotFoundError, ObjectLockedError."""
    until = f"{retention.until.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    body = write(
        "Retention", write_text("Mode", retention.mode), write_text("RetainUntilDate", until)
    )
    query = _query("retention", version)
    request = document_request("PutObjectRetention", "PUT", query, body.encode(), key=key)
    await _done(service, request, key, version)


async def hold(service: S3Service, key: str, version: str | None, *, held: bool) -> None:
    """Set or lift the legal hold of that version. Raises ObjectNotFoundError."""
    body = write("LegalHold", write_text("Status", "ON" if held else "OFF"))
    query = _query("legal-hold", version)
    request = document_request("PutObjectLegalHold", "PUT", query, body.encode(), key=key)
    await _done(service, request, key, version)


async def refused(
    service: S3Service, key: str, version: str | None, error: ServiceError
) -> Exception:
    """Return ObjectLockedError when *error* comes from a lock that stands, else *error*."""
    if error.status in (404, 405):
        return ObjectNotFoundError(key, version)
    if error.status not in _REFUSALS:
        return error
    try:
        lock = await lock_of(service, key, version)
        # Versity applies the bucket's default without writing it to the versions.
        by_default = lock.retention is None and await read(service, DefaultRetention) is not None
    except (ServiceError, ObjectNotFoundError):
        return error
    standing = lock.retention is not None and lock.retention.until > utc_now()
    return ObjectLockedError(key, version) if lock.held or standing or by_default else error


async def _is_there(service: S3Service, key: str, version: str) -> bool:
    """Return whether there is such a version or marker."""
    try:
        await service.call(S3Request("HeadObject", "HEAD", key, (("versionId", version),)))
    except ServiceError as error:
        if error.status in (400, 404):  # 400: a text that is not a version at all
            return error.status == 404 and await _is_marker(service, key, version)
        if error.status == 405:
            return True
        raise
    return True


async def remove_version(service: S3Service, key: str, version: str) -> bool:
    """Remove one version or marker permanently; return whether it was there.

    Raises ObjectLockedError.
    """
    if not await _is_there(service, key, version):
        return False
    try:
        await service.call(S3Request("DeleteObject", "DELETE", key, (("versionId", version),)))
    except ServiceError as error:
        raise await refused(service, key, version, error) from error
    return True


async def _is_marker(service: S3Service, key: str, version: str) -> bool:
    async for found in list_versions(service, key):
        if found.key != key:
            return False
        if found.version == version:
            return True
    return False


async def _done(service: S3Service, request: S3Request, key: str, version: str | None) -> None:
    try:
        await service.call(request)
    except ServiceError as error:
        raise await refused(service, key, version, error) from error


async def _asked(
    service: S3Service, operation: str, name: str, key: str, version: str | None
) -> Element | None:
    try:
        response = await service.call(S3Request(operation, "GET", key, _query(name, version)))
    except ServiceError as error:
        if error.code in _NONE:
            return None
        if error.status in (404, 405):
            raise ObjectNotFoundError(key, version) from error
        raise
    return response.document(*_ANSWERS) if response.body.strip() else None


def _query(name: str, version: str | None) -> tuple[tuple[str, str], ...]:
    return ((name, ""),) if version is None else ((name, ""), ("versionId", version))


def _time(text: str) -> datetime:
    try:
        return read_datetime(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise unreadable(f"{text!r} is not a time") from None
