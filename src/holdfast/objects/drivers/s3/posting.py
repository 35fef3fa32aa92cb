"""Forms that let a browser send a file: POST policies."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from holdfast.objects.grants import PresignedPost

if TYPE_CHECKING:
    from holdfast.aws.credentials import Credentials
    from holdfast.aws.signing import Signer
    from holdfast.objects.drivers.s3.options import Place
    from holdfast.objects.grants import PostGrant


def form(
    place: Place, key: str, grant: PostGrant, *, signer: Signer, credentials: Credentials
) -> PresignedPost:
    """Return a signed form for *key* at *place*."""
    now = datetime.now(UTC).replace(microsecond=0)
    ends = min(now + grant.expires, credentials.expires or datetime.max.replace(tzinfo=UTC))
    stamp = f"{now:%Y%m%dT%H%M%SZ}"
    fields = {
        "key": key,
        "x-amz-algorithm": "AWS4-HMAC-SHA256",
        "x-amz-credential": signer.credential(credentials, stamp),
        "x-amz-date": stamp,
    }
    if credentials.session_token is not None:
        fields["x-amz-security-token"] = credentials.session_token
    if grant.content_type is not None:
        fields["Content-Type"] = grant.content_type
    conditions: list[object] = [
        {"bucket": place.bucket},
        ["content-length-range", grant.least, grant.most],
        *[["eq", f"${name}", text] for name, text in fields.items()],
    ]
    if grant.content_type is None:
        conditions.append(["starts-with", "$Content-Type", ""])
    policy = base64.b64encode(
        json.dumps(
            {"expiration": f"{ends:%Y-%m-%dT%H:%M:%S.000Z}", "conditions": conditions}
        ).encode()
    ).decode()
    fields["policy"] = policy
    fields["x-amz-signature"] = signer.sign_text(policy, credentials, stamp)
    scheme = "https" if place.origin.secure else "http"
    path = place.prefix.rstrip("/") or "/"
    return PresignedPost(f"{scheme}://{place.origin.authority}{path}", fields, ends)
