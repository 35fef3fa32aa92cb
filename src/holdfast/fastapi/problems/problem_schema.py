"""Problem documents in an application's OpenAPI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from holdfast.fastapi.problems.problem import PROBLEM_JSON

if TYPE_CHECKING:
    from fastapi import FastAPI

_REFERENCE = {"$ref": "#/components/schemas/Problem"}
_CONTENT: dict[str, Any] = {PROBLEM_JSON: {"schema": _REFERENCE}}
_FAULT = {
    "type": "object",
    "required": ["in", "pointer", "detail", "code"],
    "properties": {
        "in": {"type": "string", "description": "body, query, path, header or cookie"},
        "pointer": {"type": "string", "description": "where inside, a JSON pointer (RFC 6901)"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
    },
}
PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "A problem document (RFC 9457).",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {"type": "array", "items": _FAULT},
    },
    "additionalProperties": True,
}


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that answers *statuses* by problem documents."""
    return {
        status: {"description": _SAID.get(status, "Problem"), "content": _CONTENT}
        for status in statuses
    }


_SAID = {
    400: "The request can't be read",
    404: "Not found",
    409: "The stored state refuses this",
    412: "Somebody else wrote first",
    413: "The body is too large",
    422: "The request is not valid",
    428: "The request has to say which version it is meant for",
}


def describe_problems(app: FastAPI) -> None:
    """Let the OpenAPI of *app* say that every operation answers its errors by problem documents."""
    original = app.openapi

    def openapi() -> dict[str, Any]:
        schema = original()
        components = schema.setdefault("components", {}).setdefault("schemas", {})
        if "Problem" in components and components["Problem"] is PROBLEM_SCHEMA:
            return schema
        components["Problem"] = PROBLEM_SCHEMA
        for path in schema.get("paths", {}).values():
            for operation in path.values():
                _describe(operation)
        for name in ("HTTPValidationError", "ValidationError"):
            components.pop(name, None)
        return schema

    app.openapi = openapi  # type: ignore[method-assign]


def _describe(operation: object) -> None:
    if not isinstance(operation, dict) or "responses" not in operation:
        return
    responses = cast("dict[str, Any]", operation["responses"])
    if "422" in responses:
        content = responses["422"].get("content", {})
        if "HTTPValidationError" in str(content.get("application/json", "")):
            responses["422"] = {"description": _SAID[422], "content": _CONTENT}
    responses.setdefault("default", {"description": "Problem", "content": _CONTENT})
