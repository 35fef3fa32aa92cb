"""The pages of errors: what went wrong, what to do about it, and the id by which the log has it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, cast

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from holdfast.access.gate import caller_of
from holdfast.console.console_site import site_of
from holdfast.console.page import PageHead, page
from holdfast.errors import HoldfastError, UnauthenticatedError
from holdfast.fastapi.exchange import request_id_of
from holdfast.fastapi.problems.error_table import problem_of
from holdfast.fastapi.problems.problem import ProblemError, phrase, problem_response

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request

    from holdfast.console.console_site import ConsoleSection

_log = logging.getLogger("holdfast.console")
_ADVICE = {
    400: "The address or the form has something in it that this page does not understand.",
    403: "Ask an administrator for a key with a higher role, or go back.",
    404: "It may have been removed, or the address may have a slip in it.",
    405: "The address takes what a form sends. Go back to the page that has the form.",
    409: "Look at what is there now, and decide again.",
    412: "Somebody else changed it while you looked. Load it again to see what is there now.",
    413: "Send less at once.",
    429: "Wait a little, then load the page again.",
    500: "It is in the server's log under the id below.",
    501: "The backend that is in use can't do this.",
    502: "It is in the server's log under the id below.",
    503: "Load the page again in a moment. The overview says which part is away.",
}


_NOT_ASKED = frozenset({429, *range(500, 600)})  # answers after which nobody is asked for


def install_error_pages(app: FastAPI) -> None:
    """Let *app*, a console, answer every error by a page."""
    app.add_exception_handler(HoldfastError, _answer_error)
    app.add_exception_handler(HTTPException, _answer_http_error)
    app.add_exception_handler(RequestValidationError, _answer_invalid_request)
    app.add_exception_handler(Exception, _answer_bug)


async def _answer_error(request: Request, error: Exception) -> Response:
    if isinstance(error, UnauthenticatedError):
        return _to_login(request)
    problem = problem_of(cast("HoldfastError", error))
    if problem.status_code >= 500:
        _note(request, error, told=problem.status_code)
    return await error_page(request, problem)


async def _answer_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if not isinstance(error, ProblemError):
        said = None if error.detail == phrase(error.status_code) else str(error.detail)
        error = ProblemError(error.status_code, said, headers=error.headers)
    return await error_page(request, error)


async def _answer_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    if any(each["loc"][0] == "path" for each in error.errors()):
        return await error_page(request, ProblemError(404))  # no page has such an address
    told = "; ".join(
        f"{'.'.join(str(step) for step in each['loc'][1:])}: {each['msg']}"
        for each in error.errors()[:10]
    )
    return await error_page(request, ProblemError(400, told))


async def _answer_bug(request: Request, error: Exception) -> Response:
    _note(request, error, told=500)
    return await error_page(request, ProblemError(500, title="The service failed"))


async def error_page(request: Request, problem: ProblemError) -> Response:
    """Return the page of *problem*; for a part of a page, the notice that takes its place.

    For a visitor who is logged in the navigation is on it. A script that asks for JSON gets the
    problem document.
    """
    if request.headers.get("accept") == "application/json":
        return problem_response(request, problem)
    status = problem.status_code
    title = problem.title or phrase(status).capitalize()
    context = {
        "status": status,
        "detail": problem.detail,
        "advice": _ADVICE.get(status, ""),
        "request_id": request_id_of(request),
    }
    is_part = request.headers.get("hx-request") == "true"
    context["section"] = None if is_part else await _section_around(request, status)
    template = "error_part.html" if is_part else "error.html"
    response = page(request, template, PageHead(title=title), context, status=status)
    for name, value in (problem.headers or {}).items():
        response.headers[name] = value
    if is_part:
        response.headers["HX-Retarget"] = "#notices"
        response.headers["HX-Reswap"] = "innerHTML"
    return response


async def _section_around(request: Request, status: int) -> ConsoleSection | None:
    """Return the section that the address lies in, of those that the visitor may see.

    No route has asked who it is where none has such an address, so that is asked now, unless it may
    be what failed. A visitor who is not known gets a page that shows nothing of the console.
    """
    if status in _NOT_ASKED and not hasattr(request.state, "caller"):
        return None
    try:
        caller = await caller_of(request)
    except HoldfastError:
        return None
    site = site_of(request)
    name = wanted_path(request).partition("?")[0].partition("/")[0]
    found = (each for each in site.sections_of(caller) if name and each.name == name)
    return next(found, None)


def _to_login(request: Request) -> Response:
    """Return the way to the login, and from there back to where the visitor wanted to go."""
    site = site_of(request)
    target = site.url("login", {"next": wanted_path(request)})
    if request.headers.get("hx-request") == "true":
        return Response(status_code=401, headers={"HX-Redirect": target})
    if request.method not in ("GET", "HEAD"):
        target = site.url("login")
    accepted = request.headers.get("accept", "*/*")
    if accepted != "*/*" and "text/html" not in accepted:
        return Response(status_code=401)  # a script asks, or a stream of events
    return RedirectResponse(target, 303)


def wanted_path(request: Request) -> str:
    """Return the page of *request* below the console, with its query."""
    site = site_of(request)
    below = request.url.path.removeprefix(f"{site.options.path}/")
    return f"{below}?{request.url.query}" if request.url.query else below


def _note(request: Request, error: Exception, *, told: int) -> None:
    _log.error(
        "request %s: %s %r answered with %d for %s",
        request_id_of(request),
        request.method,
        request.url.path,
        told,
        type(error).__name__,
        exc_info=error,
    )
