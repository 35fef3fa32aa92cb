"""`/docs`: the API's description in Swagger UI, from the server itself; no other host is asked."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, Response

if TYPE_CHECKING:
    from fastapi import FastAPI

PAGE = "/docs"
_FILES = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
}
_HTML = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Holdfast API</title>
<link rel="stylesheet" href="{page}/swagger-ui.css">
</head>
<body>
<div id="api"></div>
<script src="{page}/swagger-ui-bundle.js"></script>
<script src="{page}/start.js"></script>
</body>
</html>
"""
_START = """\
SwaggerUIBundle({{
  url: "{schema}", dom_id: "#api", deepLinking: true, displayRequestDuration: true,
  validatorUrl: null, presets: [SwaggerUIBundle.presets.apis],
}});
"""
# Swagger UI writes styles into its elements, and pictures into its style sheet.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'"
)


def add_docs_page(app: FastAPI) -> None:
    """Add the page and its files to *app*."""

    async def page() -> Response:
        return _cached(HTMLResponse(_HTML.format(page=PAGE)), _POLICY)

    async def start() -> Response:
        return _cached(
            Response(_START.format(schema=app.openapi_url), media_type="text/javascript")
        )

    def file(name: str) -> Response:  # on a thread, for it reads the disk
        if name not in _FILES:
            return Response(status_code=404)
        content = files("fastapi_swagger.resources").joinpath(name).read_bytes()
        return _cached(Response(content, media_type=_FILES[name]))

    for path, endpoint in (
        (PAGE, page),
        (f"{PAGE}/start.js", start),
        (f"{PAGE}/{{name}}", file),
    ):
        app.add_api_route(path, endpoint, include_in_schema=False, response_model=None)


def _cached(response: Response, policy: str | None = None) -> Response:
    response.headers["Cache-Control"] = "no-cache"
    if policy is not None:
        response.headers["Content-Security-Policy"] = policy
    return response
