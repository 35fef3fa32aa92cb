"""What caches did, in the text format that Prometheus reads (exposition format 0.0.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.cache.health import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from holdfast.cache.health import Measured

_COUNTERS = {
    "hits": "reads that found a value",
    "misses": "reads that found none",
    "loads": "loads that ran",
    "failed_loads": "loads that raised",
    "load_seconds": "seconds that loads took",
    "void_fills": "loads that an invalidation overtook",
    "unreadable": "values of another type than was asked for",
    "near_hits": "lookups answered from copies in the process",
    "outages": "times that the store went away",
    "pending_answers": "writes and invalidations that returned before the store heard",
}
_GAUGES: dict[str, tuple[str, Callable[[Measured], float]]] = {
    "up": ("1 while the store is used", lambda cache: cache.health().state is State.UP),
    "pending": ("names that wait for the store", lambda cache: cache.health().pending),
}


def exposition(caches: Mapping[str, Measured]) -> str:
    """Return the metrics of *caches*, each labelled with its name."""
    return "".join(f"{line}\n" for line in _lines(caches))


def _lines(caches: Mapping[str, Measured]) -> Iterator[str]:
    for counter, text in _COUNTERS.items():
        name = f"holdfast_cache_{counter}_total"
        yield from (f"# HELP {name} {text}", f"# TYPE {name} counter")
        for label, cache in caches.items():
            yield f"{name}{{cache={_quoted(label)}}} {getattr(cache.statistics, counter)}"
    for gauge, (text, value) in _GAUGES.items():
        name = f"holdfast_cache_{gauge}"
        yield from (f"# HELP {name} {text}", f"# TYPE {name} gauge")
        for label, cache in caches.items():
            yield f"{name}{{cache={_quoted(label)}}} {float(value(cache)):g}"


def _quoted(label: str) -> str:
    escaped = label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
