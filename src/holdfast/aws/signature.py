"""Signature Version 4, as AWS documents it."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from holdfast.aws.credentials import Credentials

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
# What proxies may change on the way.
_NEVER_SIGNED = frozenset({"authorization", "expect", "user-agent", "transfer-encoding"})


def query_string(parameters: Iterable[tuple[str, str]]) -> str:
    """Return *parameters* encoded, in the order that a signature needs."""
    pairs = sorted(
        (quote(name, safe="-_.~"), quote(text, safe="-_.~")) for name, text in parameters
    )
    return "&".join(f"{name}={text}" for name, text in pairs)


class _DayKey:
    """The key of one day, and the scope that it signs for.

    HMAC begins with the key in two hashes, which are made once: copies of them cost a fifth of
    `hmac.digest`, which looks its hash function up in OpenSSL each time.
    """

    def __init__(self, credentials: Credentials, day: str, region: str, service: str) -> None:
        self.of = (credentials.access_key, credentials.secret_key, day)
        self.scope = f"{day}/{region}/{service}/aws4_request"
        key = f"AWS4{credentials.secret_key}".encode()
        for step in (day, region, service, "aws4_request"):
            key = hmac.digest(key, step.encode(), "sha256")
        block = key.ljust(64, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def signature(self, text: str) -> str:
        """Return the HMAC of *text*, in hexadecimal."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(text.encode())
        outer.update(inner.digest())
        return outer.hexdigest()


class Signer:
    """Signs for one region and one service. The key of a day is derived once."""

    def __init__(self, region: str, service: str) -> None:
        self._region = region
        self._service = service
        self._day_key: _DayKey | None = None
        self._second: tuple[datetime, str] = (datetime.min.replace(tzinfo=UTC), "")
        """The last second that was signed at, and its text."""

    def sign(
        self,
        method: str,
        path: str,
        query: str,
        *,
        headers: dict[str, str],
        credentials: Credentials,
        now: datetime,
    ) -> None:
        """Add date, token and authorization to *headers*, which have lower-case names.

        *path* and *query* are as they are sent. The payload's hash is the header
        ``x-amz-content-sha256``, which has to be there.
        """
        stamp = headers["x-amz-date"] = self._stamp(now)
        if credentials.session_token is not None:
            headers["x-amz-security-token"] = credentials.session_token
        signed, canonical = _canonical_headers(headers)
        payload = headers["x-amz-content-sha256"]
        request = f"{method}\n{path}\n{query}\n{canonical}\n{signed}\n{payload}"
        key = self._key(credentials, stamp[:8])
        signature = _signature(request, key, stamp)
        headers["authorization"] = (
            f"{ALGORITHM} Credential={credentials.access_key}/{key.scope}, "
            f"SignedHeaders={signed}, Signature={signature}"
        )

    def presign(
        self,
        method: str,
        path: str,
        parameters: Iterable[tuple[str, str]],
        *,
        headers: Mapping[str, str],
        credentials: Credentials,
        now: datetime,
    ) -> str:
        """Return the query string with which anybody may request *path*.

        *parameters* hold ``X-Amz-Expires``, the seconds until it expires. *headers*, ``host``
        among them, have to be sent along as they are here.
        """
        stamp = self._stamp(now)
        signed, canonical = _canonical_headers(headers)
        every = [
            *parameters,
            ("X-Amz-Algorithm", ALGORITHM),
            ("X-Amz-Credential", self.credential(credentials, stamp)),
            ("X-Amz-Date", stamp),
            ("X-Amz-SignedHeaders", signed),
        ]
        if credentials.session_token is not None:
            every.append(("X-Amz-Security-Token", credentials.session_token))
        query = query_string(every)
        request = f"{method}\n{path}\n{query}\n{canonical}\n{signed}\n{UNSIGNED}"
        signature = _signature(request, self._key(credentials, stamp[:8]), stamp)
        return f"{query}&X-Amz-Signature={signature}"

    def credential(self, credentials: Credentials, stamp: str) -> str:
        """Return the access key with the scope of what is signed at *stamp*."""
        return f"{credentials.access_key}/{self._key(credentials, stamp[:8]).scope}"

    def sign_text(self, text: str, credentials: Credentials, stamp: str) -> str:
        """Return the signature of *text* alone, as forms need it."""
        return self._key(credentials, stamp[:8]).signature(text)

    def _stamp(self, now: datetime) -> str:
        second, stamp = self._second
        if (whole := now.replace(microsecond=0)) != second:
            stamp = f"{now:%Y%m%dT%H%M%SZ}"
            self._second = (whole, stamp)
        return stamp

    def _key(self, credentials: Credentials, day: str) -> _DayKey:
        known = self._day_key
        if known is None or known.of != (credentials.access_key, credentials.secret_key, day):
            known = self._day_key = _DayKey(credentials, day, self._region, self._service)
        return known


def _signature(request: str, key: _DayKey, stamp: str) -> str:
    digest = hashlib.sha256(request.encode()).hexdigest()
    return key.signature(f"{ALGORITHM}\n{stamp}\n{key.scope}\n{digest}")


def _canonical_headers(headers: Mapping[str, str]) -> tuple[str, str]:
    names = sorted(headers.keys() - _NEVER_SIGNED)
    lines = [f"{name}:{' '.join(headers[name].split())}\n" for name in names]
    return ";".join(names), "".join(lines)
