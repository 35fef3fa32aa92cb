"""What keeps versions from being removed, as S3 speaks of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from holdfast.errors import ObjectLockedError, ObjectNotFoundError, ServiceError
from holdfast.objects.drivers.s3.document import unreadable, write, write_text
from holdfast.objects.drivers.s3.service import Ask, sending
from holdfast.objects.drivers.s3.settings import read
from holdfast.objects.settings import DefaultRetention, Mode, ObjectLock, Retention

if TYPE_CHECKING:
    from holdfast.objects.drivers.s3.document import Element
    from holdfast.objects.drivers.s3.service import Service

_ANSWERS = ("Retention", "LegalHold", "ObjectLockRetention", "ObjectLockLegalHold")
_NONE = frozenset({"NoSuchObjectLockConfiguration", "InvalidRequest", "NoSuchObjectLockRetention"})
_REFUSALS = frozenset({400, 403, 409})


async def lock_of(service: Service, key: str, version: str | None) -> ObjectLock:
    """Return what holds that version. Raises ObjectNotFoundError."""
    retained = await _asked(service, "GetObjectRetention", "retention", key, version)
    held = await _asked(service, "GetObjectLegalHold", "legal-hold", key, version)
    retention = None
    if retained is not None and retained.get("Mode"):
        mode: Mode = "COMPLIANCE" if retained.need("Mode") == "COMPLIANCE" else "GOVERNANCE"
        retention = Retention(mode, _time(retained.need("RetainUntilDate")))
    return ObjectLock(retention, held is not None and held.get("Status") == "ON")


async def retain(service: Service, key: str, version: str | None, retention: Retention) -> None:
    """Keep that version until a time."""
    until = f"{retention.until.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    body = write(
        "Retention", write_text("Mode", retention.mode), write_text("RetainUntilDate", until)
    )
    query = _query("retention", version)
    ask = sending("PutObjectRetention", "PUT", query, body.encode(), key=key)
    await _done(service, ask, key, version)


async def hold(service: Service, key: str, version: str | None, *, held: bool) -> None:
    """Keep that version until told otherwise, or no more."""
    body = write("LegalHold", write_text("Status", "ON" if held else "OFF"))
    query = _query("legal-hold", version)
    ask = sending("PutObjectLegalHold", "PUT", query, body.encode(), key=key)
    await _done(service, ask, key, version)


async def refused(
    service: Service, key: str, version: str | None, error: ServiceError
) -> Exception:
    """Return ObjectLockedError when *error* comes from a lock that stands, else *error*."""
    if error.status in (404, 405):
        return ObjectNotFoundError(key, version)
    if error.status not in _REFUSALS:
        return error
    try:
        lock = await lock_of(service, key, version)
        # Versity heeds the bucket's default without writing it to the versions.
        by_default = lock.retention is None and await read(service, DefaultRetention) is not None
    except (ServiceError, ObjectNotFoundError):
        return error
    standing = lock.retention is not None and lock.retention.until > datetime.now(UTC)
    return ObjectLockedError(key, version) if lock.held or standing or by_default else error


async def _done(service: Service, ask: Ask, key: str, version: str | None) -> None:
    try:
        await service.call(ask)
    except ServiceError as error:
        raise await refused(service, key, version, error) from error


async def _asked(
    service: Service, operation: str, name: str, key: str, version: str | None
) -> Element | None:
    try:
        reply = await service.call(Ask(operation, "GET", key, _query(name, version)))
    except ServiceError as error:
        if error.code in _NONE:
            return None
        if error.status in (404, 405):
            raise ObjectNotFoundError(key, version) from error
        raise
    return reply.document(*_ANSWERS) if reply.body.strip() else None


def _query(name: str, version: str | None) -> tuple[tuple[str, str], ...]:
    return ((name, ""),) if version is None else ((name, ""), ("versionId", version))


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise unreadable(f"{text!r} is no time") from None
