"""What tunes how an application speaks HTTP."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from holdfast.errors import ConfigurationError
from holdfast.option_checks import check_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTPOptions:
    """What tunes an application on Holdfast.

    A request's body is at most *max_body* bytes, unless its route has a limit of its own (see
    `body_limit`), and JSON in it is nested at most *max_json_depth* deep. *secret* signs the
    cursors of lists, so that nobody can make one; all processes of a service need the same.
    Without it a cursor carries a checksum: a changed one is noticed, a forged one is not. Cursors
    that one of *former_secrets* signed are taken too. To change the secret, let every process have
    the new one among these, then make it *secret* and the old one a former one, then drop that.
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
    former_secrets: tuple[str, ...] = field(default=(), repr=False)
    create_schema: bool = False
    request_time: float = 0.0
    health: bool = True

    def __post_init__(self) -> None:
        check_whole(self, "max_body", "max_json_depth")
        former: object = self.former_secrets  # what it is, whatever it was said to be
        if not isinstance(former, tuple) or not all(isinstance(each, str) for each in former):
            raise ConfigurationError("former_secrets: expected a tuple of texts")
        if former and not self.secret:
            raise ConfigurationError("former_secrets need a secret, which signs in their place")
        if not 0 <= self.request_time < math.inf:
            raise ConfigurationError(f"request_time={self.request_time!r}: expected 0 or more")

    @property
    def secrets(self) -> tuple[str, ...]:
        """The secrets of cursors: the one that signs, then the former ones; none without one."""
        return (self.secret, *self.former_secrets) if self.secret else ()
