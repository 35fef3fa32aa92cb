"""On whose behalf the running code acts: actor, reason and request, for everything that records."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Acting:
    """Who acts, why, and for which request; None where nobody said."""

    actor: str | None = None
    reason: str | None = None
    request: str | None = None


_NOBODY = Acting()
_acting: ContextVar[Acting] = ContextVar("holdfast_acting", default=_NOBODY)


def acting() -> Acting:
    """Return on whose behalf the running code acts."""
    return _acting.get()


@contextmanager
def acting_as(
    actor: str | None = None, *, reason: str | None = None, request: str | None = None
) -> Iterator[Acting]:
    """Let the block act as *actor*, for *reason* and *request*; what is None stays as around it.

    Tasks and threads that are started inside with its context act so too, after its end as well.
    """
    around = _acting.get()
    chosen = Acting(
        around.actor if actor is None else actor,
        around.reason if reason is None else reason,
        around.request if request is None else request,
    )
    token = _acting.set(chosen)
    try:
        yield chosen
    finally:
        _acting.reset(token)


def become(actor: str) -> None:
    """Let the rest of the running context act as *actor*, until a block around it ends.

    For a place that learns who asks, and is no block around what it does for them, as a dependency
    of a route is. Elsewhere use `acting_as`.
    """
    around = _acting.get()
    _acting.set(Acting(actor, around.reason, around.request))
