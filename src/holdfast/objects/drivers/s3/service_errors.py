"""What the refusals of S3 mean: which may pass, and which blame the keys or the address."""

from __future__ import annotations

from holdfast.errors import ConfigurationError, IntegrityError, ServiceError, UnavailableError
from holdfast.objects.drivers.s3.headers import plain_text
from holdfast.objects.drivers.s3.xml_document import parsed

_PASSING_STATUS = frozenset({408, 429, 500, 502, 503, 504})
_PASSING_CODES = frozenset(
    {
        "ConditionalRequestConflict",
        "InternalError",
        "OperationAborted",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "SlowDownRead",
        "SlowDownWrite",
        "Throttling",
        "ThrottlingException",
    }
)
# What arrived is not what was sent: sent again, and then it is an IntegrityError.
_DAMAGED = frozenset(
    {
        "BadDigest",
        "InvalidDigest",
        "XAmzContentChecksumMismatch",
        "XAmzContentSHA256Mismatch",
    }
)
# Another key may be accepted: the source of the credentials is asked before another attempt.
KEY_REFUSED = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidToken",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
    }
)
MISCONFIGURED = KEY_REFUSED | {
    "AuthorizationHeaderMalformed",
    "NoSuchBucket",
    "PermanentRedirect",
    "RequestTimeTooSkewed",
    "TemporaryRedirect",
}


class ElsewhereError(ServiceError):
    """The bucket is in another region."""

    region = ""


def meaning(error: ServiceError) -> Exception:
    """Return what *error* says to the caller: often that an option is wrong."""
    return ConfigurationError(str(error)) if error.code in MISCONFIGURED else error


def passing(error: ServiceError) -> bool:
    """Return whether *error* may pass when the same is asked again."""
    return error.status in _PASSING_STATUS or error.code in _PASSING_CODES or error.code in _DAMAGED


def last_word(error: ServiceError) -> Exception:
    """Return what to raise for *error*, which did not pass."""
    if error.code in _DAMAGED:
        return IntegrityError(str(error))
    failure = UnavailableError(str(error))
    failure.__cause__ = error
    return failure


def is_passing_code(code: str) -> bool:
    """Return whether a refusal with that *code* may pass when the same is asked again."""
    return code in _PASSING_CODES


def region_in(body: bytes) -> str:
    """Return the region that the refusal in *body* names, an empty text when it names none."""
    root = parsed(body)
    found = None if root is None or root.name != "Error" else root.get("Region")
    return (found or "").strip()


def code_of(status: int, body: bytes) -> tuple[str, str]:
    """Return code and message of the refusal in *body*."""
    root = parsed(body)  # None for a proxy's page in HTML: the status is all there is
    if root is not None and root.name == "Error":
        code, message = (root.get("Code") or "").strip(), (root.get("Message") or "").strip()
        return plain_text(code) or f"{status}", plain_text(message) or "no reason given"
    return f"Status{status}", "no reason given"
