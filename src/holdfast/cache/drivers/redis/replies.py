"""What the refusals among Redis's answers mean."""

from __future__ import annotations

import hiredis

from holdfast.errors import ConfigurationError, StorageError, UnavailableError

Reply = object
"""What hiredis makes of an answer: bytes, int, None, a list, or a ReplyError as a value."""

_NOT_NOW = frozenset(
    {"LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY", "NOREPLICAS"}
    | {"MISCONF", "UNBLOCKED", "MOVED", "ASK"}
)
_NOT_ALLOWED = frozenset({"NOAUTH", "WRONGPASS", "NOPERM", "DENIED"})


def error_of(refusal: hiredis.ReplyError) -> Exception:
    """Return what to raise for a refusal; for one that nobody foresaw, the refusal itself."""
    code = str(refusal).partition(" ")[0]
    if code in _NOT_NOW:
        return UnavailableError(f"redis: {refusal}")
    if code in _NOT_ALLOWED or "invalid password" in str(refusal):
        return ConfigurationError(f"redis: {refusal}")
    if code == "OOM":
        return StorageError(f"redis: {refusal}")
    return refusal


def is_expected(reply: Reply) -> bool:
    """Return whether *reply* is a refusal that the driver makes sense of."""
    return is_unknown_script(reply) or is_foreign(reply)


def is_unknown_script(reply: Reply) -> bool:
    """Return whether *reply* says that the server does not know the script's digest."""
    return isinstance(reply, hiredis.ReplyError) and str(reply).startswith("NOSCRIPT")


def is_foreign(reply: Reply) -> bool:
    """Return whether *reply* says that what is there is of a type that no cache stores."""
    return isinstance(reply, hiredis.ReplyError) and str(reply).startswith("WRONGTYPE")
