"""Signature Version 4, as AWS documents it."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

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


class Signer:
    """Signs for one region and one service. The key of a day is derived once."""

    def __init__(self, region: str, service: str) -> None:
        self._region = region
        self._service = service
        self._day_key: tuple[tuple[str, str, str], bytes] = (("", "", ""), b"")

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
        stamp = f"{now:%Y%m%dT%H%M%SZ}"
        headers["x-amz-date"] = stamp
        if credentials.session_token is not None:
            headers["x-amz-security-token"] = credentials.session_token
        signed, canonical = _canonical_headers(headers)
        payload = headers["x-amz-content-sha256"]
        request = f"{method}\n{path}\n{query}\n{canonical}\n{signed}\n{payload}"
        scope, signature = self._signature(request, credentials, stamp)
        headers["authorization"] = (
            f"{ALGORITHM} Credential={credentials.access_key}/{scope}, "
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
        stamp = f"{now:%Y%m%dT%H%M%SZ}"
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
        _, signature = self._signature(request, credentials, stamp)
        return f"{query}&X-Amz-Signature={signature}"

    def credential(self, credentials: Credentials, stamp: str) -> str:
        """Return the access key with the scope of what is signed at *stamp*."""
        return f"{credentials.access_key}/{self._scope(stamp)}"

    def sign_text(self, text: str, credentials: Credentials, stamp: str) -> str:
        """Return the signature of *text* alone, as forms need it."""
        key = self._key(credentials, stamp[:8])
        return hmac.digest(key, text.encode(), "sha256").hex()

    def _scope(self, stamp: str) -> str:
        return f"{stamp[:8]}/{self._region}/{self._service}/aws4_request"

    def _signature(self, request: str, credentials: Credentials, stamp: str) -> tuple[str, str]:
        scope = self._scope(stamp)
        digest = hashlib.sha256(request.encode()).hexdigest()
        text = f"{ALGORITHM}\n{stamp}\n{scope}\n{digest}"
        key = self._key(credentials, stamp[:8])
        return scope, hmac.digest(key, text.encode(), "sha256").hex()

    def _key(self, credentials: Credentials, day: str) -> bytes:
        holder = (credentials.access_key, credentials.secret_key, day)
        known, key = self._day_key
        if known != holder:
            key = f"AWS4{credentials.secret_key}".encode()
            for step in (day, self._region, self._service, "aws4_request"):
                key = hmac.digest(key, step.encode(), "sha256")
            self._day_key = (holder, key)
        return key


def _canonical_headers(headers: Mapping[str, str]) -> tuple[str, str]:
    names = sorted(name for name in headers if name not in _NEVER_SIGNED)
    lines = [f"{name}:{' '.join(headers[name].split())}\n" for name in names]
    return ";".join(names), "".join(lines)
