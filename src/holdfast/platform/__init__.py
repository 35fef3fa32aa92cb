"""The platform: everything assembled from settings, opened in order and closed in reverse."""

from holdfast.domain import Domain, DomainParts, RoleBucket
from holdfast.platform.domain_selection import platform_entities, select_domains
from holdfast.platform.platform import Platform, open_platform

__all__ = [
    "Domain",
    "DomainParts",
    "Platform",
    "RoleBucket",
    "open_platform",
    "platform_entities",
    "select_domains",
]
