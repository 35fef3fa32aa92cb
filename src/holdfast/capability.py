"""Capabilities: what some backends can do and others refuse, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Collection
    from enum import StrEnum


def require(capability: StrEnum, capabilities: Collection[StrEnum], backend: str) -> None:
    """Raise UnsupportedError unless *capability* is one of *capabilities*, those of *backend*."""
    if capability not in capabilities:
        raise UnsupportedError(capability, backend)
