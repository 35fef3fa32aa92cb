"""What tunes how an application speaks HTTP."""

from __future__ import annotations

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
    *health* adds the routes `/livez` and `/readyz`.
    """

    max_body: int = 1024 * 1024
    max_json_depth: int = 64
    secret: str = field(default="", repr=False)
    create_schema: bool = False
    health: bool = True

    def __post_init__(self) -> None:
        for name, value in (("max_body", self.max_body), ("max_json_depth", self.max_json_depth)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigurationError(f"{name}={value!r}: expected a whole number from 1 on")
