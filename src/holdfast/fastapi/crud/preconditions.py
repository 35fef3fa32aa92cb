"""What a request says of the state it is meant for, and of the answer it wants."""

from typing import Annotated, TypeAlias

from fastapi import Depends, Header
from starlette.requests import Request

from holdfast.fastapi.entity_tag import tags_in, version_in
from holdfast.fastapi.problems.problem import ProblemError

_PATTERN = r'^(\*|"[1-9][0-9]{0,18}(-[0-9a-f]+)?")$'
_Given = Annotated[
    str | None,
    Header(
        alias="If-Match",
        description="The ETag of the state that the request is meant for",
        json_schema_extra={"pattern": _PATTERN},
    ),
]


async def if_match(request: Request, given: _Given = None) -> int | None:
    """Return the version that If-Match names, None without the header and for `*`.

    Raises ProblemError: 412 for a tag that is no version's, 400 for what is no tag or several.
    """
    if given is None:
        return None
    raw = [value for name, value in request.scope["headers"] if name == b"if-match"]
    try:
        (tag,) = tags_in(raw)
    except ValueError:
        raise ProblemError(
            400,
            'If-Match names one strong entity tag, such as "3", or *',
            kind="invalid-precondition",
            title="The precondition can't be read",
        ) from None
    if tag == b"*":
        return None
    version = version_in(tag)
    if version is None or version >= 2**63:
        raise ProblemError(
            412,
            "no state has had the entity tag in If-Match",
            kind="precondition-failed",
            title="The condition does not hold",
        )
    return version


async def required_match(match: Annotated[int | None, Depends(if_match)]) -> int:
    """Return the version that If-Match names. Raises ProblemError: 428 when it names none."""
    if match is None:
        raise ProblemError(
            428,
            "say by If-Match which state the request is meant for: the ETag that it was read with",
            kind="precondition-required",
            title="If-Match is required",
        )
    return match


PreferHeader: TypeAlias = Annotated[
    str | None, Header(description="`return=minimal`: an answer without body")
]
"""The header `Prefer`, for routes that look at it themselves: a dependency less to solve."""


def is_minimal(prefer: str | None) -> bool:
    """Return whether *prefer*, a header, asks for an answer without a body (RFC 7240)."""
    if prefer is None:
        return False
    parts = prefer.replace(",", ";").split(";")
    return any(part.strip().lower() == "return=minimal" for part in parts)


async def prefers_minimal(prefer: PreferHeader = None) -> bool:
    """Return whether the client asks for an answer without a body (RFC 7240)."""
    return is_minimal(prefer)


IfMatch: TypeAlias = Annotated[int | None, Depends(if_match)]
"""The version that the request is meant for, for `patch(..., version=match)`; None for any."""

RequiredMatch: TypeAlias = Annotated[int, Depends(required_match)]
"""The version that the request is meant for; one that says none is answered with 428."""

Minimal: TypeAlias = Annotated[bool, Depends(prefers_minimal)]
"""Whether the request says `Prefer: return=minimal`."""
