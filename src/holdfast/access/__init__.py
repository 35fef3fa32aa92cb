"""Access: the API keys by which programs and people reach a platform, and what each may do."""

from holdfast.access.api_key import ApiKey, Caller, Role
from holdfast.access.api_keys import ApiKeys, IssuedKey
from holdfast.access.login_sessions import (
    LoginSession,
    LoginSessions,
    OpenedSession,
    PersonSession,
)
from holdfast.access.person import Person

__all__ = [
    "ApiKey",
    "ApiKeys",
    "Caller",
    "IssuedKey",
    "LoginSession",
    "LoginSessions",
    "OpenedSession",
    "Person",
    "PersonSession",
    "Role",
]
