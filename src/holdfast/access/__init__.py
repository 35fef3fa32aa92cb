"""Access: the API keys by which programs and people reach a platform, and what each may do."""

from holdfast.access.api_key import ApiKey, Caller, Role
from holdfast.access.api_keys import ApiKeys, IssuedKey

__all__ = ["ApiKey", "ApiKeys", "Caller", "IssuedKey", "Role"]
