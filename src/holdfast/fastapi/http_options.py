"""What tunes how an application speaks HTTP."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from holdfast.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTPOptions:
    """What tunes an application on Holdfast.

    A request's body is at most *max_body* bytes, unless its route has a limit of its own (see
    `body_limit`), and JSON in it is nested at most *max_json_depth* deep. *secret* signs the
    cursors of lists, so that nobody can make one; all processes of a service need the same.
    Without it a cursor carries a checksum: a changed one is noticed, a forged one is not.
    *create_schema* makes missing tables at the start, which a store in memory always does.
    *request_time* is how many seconds a request has until its answer begins, 0 for as many as it
    takes: then it is cancelled, its transaction undone, and answered with 503; a write outside of a
    transaction may have happened by then. A commit that has begun is waited for. An upload that a
    route receives has bounds of its own instead, and a plain `def` route is let end.
    *health* adds the routes `/livez` and `/readyz`.
    """

    max_body: int = 1024 * 1024
    max_json_depth: int = 64
    secret: str = field(default="", repr=False)
    create_schema: bool = False
    request_time: float = 0.0
    health: bool = True

    def __post_init__(self) -> None:
        for name, value in (("max_body", self.max_body), ("max_json_depth", self.max_json_depth)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigurationError(f"{name}={value!r}: expected a whole number from 1 on")
        if not 0 <= self.request_time < math.inf:
            raise ConfigurationError(f"request_time={self.request_time!r}: expected 0 or more")
