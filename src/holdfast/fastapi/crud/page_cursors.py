"""The cursors of pages as the application that answers gives them out and takes them back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from holdfast.fastapi.crud.sealed_cursor import seal, unseal
from holdfast.fastapi.exchange import cursor_secrets

if TYPE_CHECKING:
    from holdfast.records import Page

T = TypeVar("T")


def sealed_page(found: Page[T]) -> Page[T]:
    """Return *found* with its cursors sealed, for a client."""
    secrets = cursor_secrets()
    return replace(found, next=seal(found.next, secrets), previous=seal(found.previous, secrets))


def unsealed_cursor(given: str | None) -> str | None:
    """Return the cursor that a client gave, None for none. Raises InvalidCursorError."""
    return None if given is None else unseal(given, cursor_secrets())
