"""Problem documents (RFC 9457): what every answer to a request that failed is made of."""

from __future__ import annotations

import json
from http import HTTPStatus
from itertools import islice
from typing import TYPE_CHECKING
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.responses import Response

from holdfast.fastapi.exchange import REQUEST_ID, request_id_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from starlette.requests import HTTPConnection

PROBLEM_JSON = "application/problem+json"
_MOST_ERRORS = 100


class ProblemError(HTTPException):
    """Answers the request with a problem document, and undoes its transaction.

    *kind* names the kind of problem, as in `quota-exceeded`, and becomes its type URI; without
    one the status says all. *detail* is for people. *members* are what a program may want to know.
    """

    def __init__(
        self,
        status: int,
        detail: str | None = None,
        *,
        kind: str = "",
        title: str = "",
        members: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail or "", headers)
        self.kind = kind
        self.title = title
        self.members = dict(members or {})


def type_uri(kind: str) -> str:
    """Return the type URI of a *kind* of problem; `about:blank` where the status says all."""
    return f"urn:holdfast:problem:{kind}" if kind else "about:blank"


def problem_response(connection: HTTPConnection, error: ProblemError) -> Response:
    """Return the answer that says *error*, with the request's id in body and header."""
    status = error.status_code
    headers = dict(error.headers or {})
    request_id = request_id_of(connection)
    if request_id:
        headers[REQUEST_ID] = request_id
    if status in (204, 304):
        return Response(status_code=status, headers=headers)
    members: dict[str, object] = {
        "type": type_uri(error.kind),
        "title": error.title or phrase(status),
        "status": status,
    }
    if error.detail:
        members["detail"] = error.detail
    if request_id:
        members["request_id"] = request_id
    members |= {name: plain(value) for name, value in error.members.items()}
    # In ASCII, for what a client sent may be text that UTF-8 can't say.
    body = json.dumps(members, allow_nan=False).encode("ascii")
    return Response(body, status, headers, media_type=PROBLEM_JSON)


def faults(errors: Iterable[Mapping[str, object]]) -> dict[str, object]:
    """Return the member that names faults, at most a hundred, each with where it is and why."""
    return {"errors": [dict(each) for each in islice(errors, _MOST_ERRORS)]}


def fault(where: str, path: Sequence[object], detail: str, code: str) -> dict[str, object]:
    """Return one fault: *where* is body, query, path, header or cookie, *path* the way inside."""
    return {"in": where, "pointer": pointer(path), "detail": detail, "code": code}


def pointer(path: Sequence[object]) -> str:
    """Return *path* as a JSON pointer (RFC 6901)."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in path)


def plain(value: object) -> object:
    """Return *value* as JSON has it; what JSON does not know is said in words."""
    match value:
        case None | bool() | int() | str():
            return value
        case UUID():
            return str(value)
        case dict():
            return {str(name): plain(each) for name, each in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(each) for each in value]
        case _:
            return str(value)


def phrase(status: int) -> str:
    """Return what HTTP calls *status*, which is the title where the status says all."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
