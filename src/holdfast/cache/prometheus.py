"""What caches did, in the text format that Prometheus reads (exposition format 0.0.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from holdfast.stats import Stats

_COUNTERS = {
    "hits": "reads that found a value",
    "misses": "reads that found none",
    "loads": "loads that ran",
    "failed_loads": "loads that raised",
    "load_seconds": "seconds that loads took",
    "void_loads": "loads that an invalidation overtook",
    "unreadable": "values of another type than was asked for",
    "near_hits": "lookups answered from copies in the process",
    "outages": "times that the store went away",
    "pending_answers": "writes and invalidations that returned before the store heard",
}
_GAUGES = {
    "up": "1 while the store is used",
    "pending": "names that wait for the store",
}


class MeasuredCache(Protocol):
    """A cache, async or blocking, as a monitor sees it."""

    def stats(self) -> Stats:
        """Return its figures; see `Cache.stats`."""
        ...


def exposition(caches: Mapping[str, MeasuredCache]) -> str:
    """Return the metrics of *caches*, each labelled with its name, for Prometheus. No I/O."""
    return "".join(f"{line}\n" for line in _lines({name: caches[name].stats() for name in caches}))


def _lines(stats: Mapping[str, Stats]) -> Iterator[str]:
    for counter, text in _COUNTERS.items():
        name = f"holdfast_cache_{counter}_total"
        yield from (f"# HELP {name} {text}", f"# TYPE {name} counter")
        for label, each in stats.items():
            yield f"{name}{{cache={_quoted(label)}}} {each.counters[counter]}"
    for gauge, text in _GAUGES.items():
        name = f"holdfast_cache_{gauge}"
        yield from (f"# HELP {name} {text}", f"# TYPE {name} gauge")
        for label, each in stats.items():
            yield f"{name}{{cache={_quoted(label)}}} {each.gauges[gauge]:g}"


def _quoted(label: str) -> str:
    escaped = label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
