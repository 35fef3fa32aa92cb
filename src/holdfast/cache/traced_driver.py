"""A cache driver whose calls are in spans; made only where OpenTelemetry has a provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from holdfast.tracing import database_spans

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from holdfast.cache.driver import CacheDriver
    from holdfast.tracing import Spans

_CALLS = frozenset(
    {
        "get_many", "set_many", "swap_many", "delete_many", "increment", "expire", "ttl", "take",
    }
)  # fmt: skip


def traced(driver: CacheDriver) -> CacheDriver:
    """Return *driver*, with a span around each call where there is a provider of spans."""
    spans = database_spans(driver.name)
    return driver if spans is None else cast("CacheDriver", _TracedDriver(driver, spans))


class _TracedDriver:
    """Passes all on to *driver*; its calls are put into *spans*, without any name in them."""

    def __init__(self, driver: CacheDriver, spans: Spans) -> None:
        self._driver = driver
        self._spans = spans

    def __getattr__(self, name: str) -> object:
        found = getattr(self._driver, name)
        if name in _CALLS:
            found = self._in_span(name, found)
            setattr(self, name, found)
        return found

    def _in_span(
        self, name: str, call: Callable[..., Awaitable[object]]
    ) -> Callable[..., Awaitable[object]]:
        async def in_span(*args: object, **options: object) -> object:
            with self._spans.around(name, ""):
                return await call(*args, **options)

        return in_span
