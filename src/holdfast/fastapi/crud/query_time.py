"""A time in a query: ISO 8601 with its zone, as its OpenAPI says."""

from __future__ import annotations

import re
from typing import Annotated, TypeAlias

from pydantic import AwareDatetime, BeforeValidator

_NUMBER = re.compile(r"[+-]?[0-9]*\.?[0-9]+")


def _checked(given: object) -> object:
    """Return *given*, unless it is a number, which pydantic would take for seconds since 1970."""
    if not isinstance(given, str) or _NUMBER.fullmatch(given):
        raise ValueError("expected a time such as 2026-01-31T12:00:00Z")
    return given


QueryTime: TypeAlias = Annotated[AwareDatetime, BeforeValidator(_checked)]
"""The type of a parameter that is a time: aware, or the request is answered with 422."""
