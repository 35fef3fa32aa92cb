"""What the running code belongs to, for logs: the id of its request, its job and its trace."""

from __future__ import annotations

import logging
from contextvars import ContextVar

from holdfast.tracing import running_span

current_request_id: ContextVar[str] = ContextVar("holdfast_request_id", default="")
"""The id of the HTTP request that the running code serves, '' outside of requests."""
current_job_id: ContextVar[str] = ContextVar("holdfast_job_id", default="")
"""The id of the job that the running code does, '' outside of jobs."""


def correlation_ids() -> dict[str, str]:
    """Return the ids that there are: of `request_id`, `job_id`, `trace_id` and `span_id`.

    The last two are those of OpenTelemetry's running span, in hexadecimal.
    """
    found = {"request_id": current_request_id.get(), "job_id": current_job_id.get(), **_trace_ids()}
    return {name: value for name, value in found.items() if value}


class CorrelationFilter(logging.Filter):
    """Gives each record of the standard logger these ids as attributes, `-` for one there is not.

    Add it to handlers: a logger's own filters do not see what comes from loggers below it.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Set the attributes, and let the record pass."""
        found = correlation_ids()
        for name in ("request_id", "job_id", "trace_id", "span_id"):
            setattr(record, name, found.get(name, "-"))
        return True


def _trace_ids() -> dict[str, str]:
    span = running_span()
    if span is None:
        return {}
    return {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"}
