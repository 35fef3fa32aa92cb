"""Health: whether a backend can be used now, as every pillar tells it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping


class HealthState(StrEnum):
    """UP: it can be used. DEGRADED: with less than it promises. DOWN: it can't be used now."""

    UP = "up"
    DEGRADED = "degraded"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Health:
    """How a backend answered one probe.

    *latency* is how many seconds the probe took, also when it failed. *detail* says why the state
    is not UP, in words for people, and is empty when it is. *parts* are the parts of something
    composed, by name.
    """

    state: HealthState
    latency: float
    detail: str = ""
    parts: Mapping[str, Health] = field(default_factory=dict)


def worst_state(parts: Mapping[str, Health]) -> HealthState:
    """Return the state of what is composed of *parts*, by name: the worst of theirs, UP of none.

    A part called ``cache`` that is down only degrades the whole: all that is read through a cache
    is read without it.
    """
    states = (
        HealthState.DEGRADED if name == "cache" and part.state is HealthState.DOWN else part.state
        for name, part in parts.items()
    )
    return max(states, key=_SEVERITY.index, default=HealthState.UP)


_SEVERITY = (HealthState.UP, HealthState.DEGRADED, HealthState.DOWN)


async def probed(
    probe: Callable[[], Awaitable[object]], *, clock: Callable[[], float] = time.perf_counter
) -> Health:
    """Return the health that *probe* shows: UP when it returns, DOWN when it raises HoldfastError.

    Any other exception is a bug and escapes.
    """
    began = clock()
    try:
        await probe()
    except HoldfastError as error:
        return Health(HealthState.DOWN, clock() - began, str(error))
    return Health(HealthState.UP, clock() - began)
