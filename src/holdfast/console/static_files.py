"""The console's own files: styles and scripts, named with a digest so that browsers keep them."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from fastapi import APIRouter, Depends
from starlette.responses import Response

from holdfast.access.gate import anybody

if TYPE_CHECKING:
    from holdfast.console.console_site import ConsoleSite

_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_FOR_EVER = "public, max-age=31536000, immutable"


def asset_url(site: ConsoleSite, name: str) -> str:
    """Return the address of the file *name*, another one whenever its content is another."""
    return site.url(f"static/{_content(name)[1]}/{name}")


def static_routes(_site: ConsoleSite) -> APIRouter:
    """Return the route of the files."""
    router = APIRouter(dependencies=[Depends(anybody)])

    @router.get("/static/{digest}/{name}")
    def static_file(digest: str, name: str) -> Response:  # on a thread, for it reads the disk
        """Send a file."""
        kind = _TYPES.get(name.rpartition(".")[2])
        if kind is None or "/" in name or name not in _names():
            return Response(status_code=404)
        content, right = _content(name)
        kept = _FOR_EVER if digest == right else "no-cache"
        return Response(content, media_type=kind, headers={"Cache-Control": kept})

    return router


@cache
def _names() -> frozenset[str]:
    return frozenset(each.name for each in (files("holdfast.console") / "static").iterdir())


@cache
def _content(name: str) -> tuple[bytes, str]:
    content = (files("holdfast.console") / "static" / name).read_bytes()
    return content, hashlib.sha256(content).hexdigest()[:16]
