"""Measuring sides against one another: interleaved rounds, ratios within a round, Markdown tables.

A machine that does other things meanwhile slows all sides of a round alike, so that a ratio taken
within a round holds where a time does not. Every figure is a median over the rounds.
"""

from __future__ import annotations

import gc
import os
import platform
import resource
import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


@dataclass
class Taken:
    """Seconds an operation, by round: wall time, and CPU time of the whole process."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Work:
    """What one side does in one round: *prepare* is not timed, *run* takes what it returned."""

    prepare: Callable[[], Awaitable[object]]
    run: Callable[[object], Awaitable[None]]
    operations: int


async def interleave(works: dict[str, Work], rounds: int) -> dict[str, Taken]:
    """Run each side's work once a round, in an order that turns, after one round unmeasured."""
    taken = {name: Taken() for name in works}
    names = list(works)
    for number in range(-1, rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            work = works[name]
            prepared = await work.prepare()
            gc.collect()
            gc.disable()  # a collection of one side's garbage must not fall on another
            wall, cpu = time.perf_counter(), time.process_time()
            await work.run(prepared)
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            gc.enable()
            if number >= 0:
                taken[name].wall.append(wall / work.operations)
                taken[name].cpu.append(cpu / work.operations)
    return taken


async def cost(call: Callable[[], Awaitable[object]], times: int) -> tuple[float, float]:
    """Return what one of *times* calls costs: CPU us of this process, and the least wall us."""
    walls, cpu = [], time.process_time()
    for _ in range(times):
        began = time.perf_counter()
        await call()
        walls.append(time.perf_counter() - began)
    return (time.process_time() - cpu) / times * 1e6, min(walls) * 1e6


def peak_memory() -> float:
    """Return the MiB that this process had at the most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def median(of: list[float]) -> float:
    return statistics.median(of)


def ratio(above: list[float], below: list[float]) -> float:
    """Return the median over rounds of above / below."""
    return statistics.median(one / other for one, other in zip(above, below, strict=True))


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine() -> str:
    """Return what the figures depend on: cores, processor, system, Python."""
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), {platform.system()} "
        f"{platform.release().split('-')[0]}, Python {platform.python_version()}"
    )
