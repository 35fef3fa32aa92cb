"""POST policies: signed forms with which a browser sends a file."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from holdfast.aws.signature import ALGORITHM
from holdfast.objects.presign import PresignedPost

if TYPE_CHECKING:
    from datetime import datetime

    from holdfast.aws.credentials import Credentials
    from holdfast.aws.signature import Signer
    from holdfast.objects.drivers.s3.options import BucketAddress
    from holdfast.objects.presign import PresignPostOptions


def signed_form(
    address: BucketAddress,
    key: str,
    options: PresignPostOptions,
    *,
    signer: Signer,
    credentials: Credentials,
    now: datetime,
) -> PresignedPost:
    """Return a form for *key* at *address*, signed at *now*, a whole second."""
    ends = credentials.until(now + options.expires)
    stamp = f"{now:%Y%m%dT%H%M%SZ}"
    fields = {
        "key": key,
        "x-amz-algorithm": ALGORITHM,
        "x-amz-credential": signer.credential(credentials, stamp),
        "x-amz-date": stamp,
    }
    if credentials.session_token is not None:
        fields["x-amz-security-token"] = credentials.session_token
    if options.content_type is not None:
        fields["Content-Type"] = options.content_type
    conditions: list[object] = [
        {"bucket": address.bucket},
        ["content-length-range", options.least, options.most],
        *[["eq", f"${name}", text] for name, text in fields.items()],
    ]
    if options.content_type is None:
        conditions.append(["starts-with", "$Content-Type", ""])
    policy = base64.b64encode(
        json.dumps(
            {"expiration": f"{ends:%Y-%m-%dT%H:%M:%S.000Z}", "conditions": conditions}
        ).encode()
    ).decode()
    fields["policy"] = policy
    fields["x-amz-signature"] = signer.sign_text(policy, credentials, stamp)
    path = address.prefix.rstrip("/") or "/"
    return PresignedPost(f"{address.endpoint.url}{path}", fields, ends)
