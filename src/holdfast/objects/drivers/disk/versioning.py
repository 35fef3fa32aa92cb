"""Whether a bucket on disk keeps versions: a small file that every writer looks at."""

from __future__ import annotations

import msgspec

from holdfast.errors import IntegrityError

_FORMAT = 1


class _Form(msgspec.Struct):
    format: int


class _Said(_Form, forbid_unknown_fields=True):
    enabled: bool


def read(path: str) -> bool | None:
    """Return what *path* says, None when it was never said. Raises IntegrityError."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - every write comes by here
            content = file.read()
    except FileNotFoundError:
        return None
    try:
        form = msgspec.json.decode(content, type=_Form).format
        if form != _FORMAT:
            raise IntegrityError(f"{path}: format {form}, this version reads {_FORMAT}")
        return msgspec.json.decode(content, type=_Said).enabled
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise IntegrityError(f"{path}: not what a bucket says of versions: {error}") from None


def encode(*, enabled: bool) -> bytes:
    """Return what the file says."""
    return msgspec.json.encode(_Said(_FORMAT, enabled))
