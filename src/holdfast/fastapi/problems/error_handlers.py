"""The handlers that turn every error of a request into a problem document."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, cast

from fastapi import FastAPI
from fastapi.exception_handlers import (
    http_exception_handler,
    request_validation_exception_handler,
)
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from starlette._utils import get_route_path
from starlette.exceptions import HTTPException
from starlette.routing import Mount

from holdfast.errors import HoldfastError
from holdfast.fastapi.exchange import request_id_of
from holdfast.fastapi.problems.error_table import problem_of
from holdfast.fastapi.problems.known_names import known_names
from holdfast.fastapi.problems.problem import ProblemError, fault, faults, phrase, problem_response
from holdfast.mistakes import did_you_mean

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_log = logging.getLogger("holdfast.fastapi")
_LONGEST_NAME = 100  # characters of an unknown name that are repeated and compared
_NO_OBJECT = "expected a JSON object; a body is sent with Content-Type: application/json"
"""In place of pydantic's words, which are about dictionaries; curl sends a form unless told."""


def install_error_handlers(app: FastAPI) -> None:
    """Let *app* answer every error by a problem document.

    A handler that the application has for an error, or sets later, stays in force for it.
    Applications that are mounted in it and have no Holdfast of their own answer so too.
    """
    mounted = [route.app for route in app.routes if isinstance(route, Mount)]
    for each in mounted:
        if isinstance(each, FastAPI) and not hasattr(each.state, "holdfast"):
            install_error_handlers(each)
    present = app.exception_handlers
    if present.get(HTTPException) in (None, http_exception_handler):
        present[HTTPException] = _answer_http_error
    if present.get(RequestValidationError) in (None, request_validation_exception_handler):
        present[RequestValidationError] = _answer_invalid_request
    present.setdefault(HoldfastError, _answer_error)
    if 500 not in present:
        present.setdefault(Exception, _answer_bug)


async def _answer_error(request: Request, error: Exception) -> Response:
    problem = problem_of(cast("HoldfastError", error))
    if problem.status_code >= 500:
        _note(request, error, told=problem.status_code)
    return problem_response(request, problem)


async def _answer_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if not isinstance(error, ProblemError):
        error = _as_problem(error)
    if error.status_code == 405:
        error.headers = {**(error.headers or {}), "Allow": ", ".join(_allowed(request))}
    return problem_response(request, error)


def _allowed(request: Request) -> list[str]:
    """Return the methods that the request's path has, in all of its routes together."""
    path = get_route_path(request.scope)
    found: set[str] = set()
    for route in iter_route_contexts(request.app.routes):
        pattern = getattr(route, "path_regex", None)
        if pattern is not None and pattern.match(path):
            found |= set(route.methods or ())
    return sorted(found)


def _as_problem(error: HTTPException) -> ProblemError:
    detail: object = error.detail
    members = {"errors": detail} if isinstance(detail, (dict, list)) else None
    said = isinstance(detail, str) and detail != phrase(error.status_code)
    return ProblemError(
        error.status_code,
        str(detail) if said else None,
        members=members,
        headers=error.headers,
    )


async def _answer_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return problem_response(request, _invalid_request(request, error.errors()))


async def _answer_bug(request: Request, error: Exception) -> Response:
    _note(request, error, told=500)
    return problem_response(request, ProblemError(500, kind="internal", title="The service failed"))


def _note(request: Request, error: Exception, *, told: int) -> None:
    _log.error(
        "request %s: %s %r answered with %d for %s",
        request_id_of(request),
        request.scope.get("method", "websocket"),
        request.scope.get("path", ""),
        told,
        type(error).__name__,
        exc_info=error,
    )


def _invalid_request(request: Request, found: Any) -> ProblemError:
    """Return the problem of *request* with the faults that validation *found*."""
    if any(each.get("type") == "json_invalid" for each in found):
        return ProblemError(
            400,
            f"the body is not JSON: {found[0].get('ctx', {}).get('error', '')}",
            kind="malformed-json",
            title="Malformed JSON",
        )
    return ProblemError(
        422,
        kind="invalid-request",
        title="The request is not valid",
        members=faults(_fault(request, each) for each in found),
    )


def _fault(request: Request, found: Any) -> dict[str, object]:
    where, *path = found["loc"]
    match found["type"], path:
        case "model_attributes_type", _:
            said = _NO_OBJECT
        case "extra_forbidden", [name]:
            asked = str(name)[:_LONGEST_NAME]
            said = f"there is no {asked!r}{did_you_mean(asked, known_names(request, where))}"
        case _:
            said = str(found["msg"])
    return fault(str(where), path, said, str(found["type"]))
