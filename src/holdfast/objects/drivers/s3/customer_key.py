"""The headers that carry a key of the caller's own (SSE-C), by the operation that they go with."""

from __future__ import annotations

import base64
import hashlib

_FIELDS = "x-amz-server-side-encryption-customer"
_COPIED = "x-amz-copy-source-server-side-encryption-customer"
_PLAIN = ("PutObject", "GetObject", "HeadObject", "CreateMultipartUpload", "UploadPart")
_COPIES = ("CopyObject", "UploadPartCopy")


def customer_key_headers(key: bytes) -> dict[str, dict[str, str]]:
    """Return the headers of *key*, which has 32 bytes, for each operation that needs it."""
    text = base64.b64encode(key).decode()
    digest = base64.b64encode(hashlib.md5(key, usedforsecurity=False).digest()).decode()

    def named(start: str) -> dict[str, str]:
        return {
            f"{start}-algorithm": "AES256",
            f"{start}-key": text,
            f"{start}-key-md5": digest,
        }

    plain = named(_FIELDS)
    both = plain | named(_COPIED)
    return {
        **dict.fromkeys((*_PLAIN, "CompleteMultipartUpload"), plain),
        **dict.fromkeys(_COPIES, both),
    }
