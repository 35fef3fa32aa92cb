"""The addresses of the pages beside one of a list: with its filters, and a sealed cursor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

from holdfast.fastapi.crud.sealed_cursor import seal, unseal
from holdfast.fastapi.exchange import cursor_secrets

if TYPE_CHECKING:
    from holdfast.console.console_site import ConsoleSite
    from holdfast.records import Page

E = TypeVar("E")


def page_urls(
    site: ConsoleSite, path: str, asked: Mapping[str, object], found: Page[E]
) -> dict[str, str]:
    """Return the addresses `back` and `ahead` of *found*, '' where there is no such page.

    *path* is that of the list in the console, *asked* what stands in its address besides.
    """
    kept = {name: value for name, value in asked.items() if value}
    secrets = _secrets(site)
    return {
        name: "" if cursor is None else site.url(path, {**kept, "_cursor": seal(cursor, secrets)})
        for name, cursor in (("back", found.previous), ("ahead", found.next))
    }


def asked_cursor(site: ConsoleSite, given: str) -> str | None:
    """Return the cursor in an address, None for none. Raises InvalidCursorError."""
    return unseal(given, _secrets(site)) if given else None


def _secrets(site: ConsoleSite) -> tuple[str, ...]:
    """Return the secrets of the application around the console, or those of its platform."""
    return cursor_secrets() or site.cursor_secrets
