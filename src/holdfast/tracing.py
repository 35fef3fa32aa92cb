"""Spans of OpenTelemetry around what Holdfast does, where the program has a provider of them.

Without one nothing is imported and nothing is made. A span names the kind of operation and where
it went, never a value, a key or a URL; of an error it has the class.
"""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opentelemetry.context import Context
    from opentelemetry.trace import Span, SpanContext, Tracer

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_SYSTEMS = {"dynamodb": "aws.dynamodb"}
"""What the semantic conventions call a database where they have a name of their own for it."""
TRACEPARENT_LENGTH = 55
"""The characters of a `traceparent` (W3C Trace Context, version 00)."""

SpanKind = Literal["CLIENT", "PRODUCER", "CONSUMER"]


@dataclass(frozen=True, slots=True)
class Spans:
    """Makes the spans of one store, bucket or cache.

    *names* are the attributes that have the operation and what it works on, by the semantic
    conventions; *attributes* are those of every span.
    """

    tracer: Tracer
    attributes: Mapping[str, str]
    names: tuple[str, str]

    @contextmanager
    def around(self, operation: str, on: str) -> Iterator[None]:
        """Put the block into a span of *operation*, *on* a table or '' for none."""
        attributes = {**self.attributes, self.names[0]: operation}
        if on:
            attributes[self.names[1]] = on
        name = f"{operation} {on}" if on else operation
        with span_of(self.tracer, name, "CLIENT", attributes):
            yield


def tracer() -> Tracer | None:
    """Return what makes Holdfast's spans; None where no provider of OpenTelemetry was set."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None  # nobody can have set one
    provider = trace.get_tracer_provider()
    if isinstance(provider, (trace.ProxyTracerProvider, trace.NoOpTracerProvider)):
        return None
    found: Tracer = provider.get_tracer("holdfast")
    return found


def database_spans(system: str) -> Spans | None:
    """Return what makes the spans of a database, of records or a cache; None without a provider."""
    found = tracer()
    names = ("db.operation.name", "db.collection.name")
    attributes = {"db.system.name": _SYSTEMS.get(system, system)}
    return None if found is None else Spans(found, attributes, names)


def object_spans(backend: str) -> Spans | None:
    """Return what makes the spans of a bucket; None without a provider."""
    found = tracer()
    names = ("holdfast.object.operation", "holdfast.object.bucket")
    return None if found is None else Spans(found, {"holdfast.object.backend": backend}, names)


@contextmanager
def span_of(
    tracer: Tracer,
    name: str,
    kind: SpanKind,
    attributes: Mapping[str, str | int],
    *,
    parent: Context | None = None,
) -> Iterator[Span]:
    """Put the block into a span, below *parent* where that is given.

    Of what the block raises the span has the class: a message may hold values.
    """
    from opentelemetry.trace import SpanKind as Kinds  # noqa: PLC0415 - only where it is used

    with tracer.start_as_current_span(
        name,
        context=parent,
        kind=Kinds[kind],
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield span
        except BaseException as error:
            note_error(span, error)
            raise


def note_error(span: Span, error: BaseException) -> None:
    """Let *span* tell that its work ended in an *error* of this class."""
    from opentelemetry.trace import StatusCode  # noqa: PLC0415 - only where it is used

    span.set_attribute("error.type", type(error).__qualname__)
    span.set_status(StatusCode.ERROR)


def running_span() -> SpanContext | None:
    """Return the ids of OpenTelemetry's running span, None where there is none."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    found: SpanContext = trace.get_current_span().get_span_context()
    return found if found.is_valid else None


def traceparent() -> str | None:
    """Return the running span as a `traceparent`, by which work elsewhere can go on from it.

    None where there is no span.
    """
    found = running_span()
    if found is None:
        return None
    return f"00-{found.trace_id:032x}-{found.span_id:016x}-{found.trace_flags:02x}"


def context_from(parent: str | None) -> Context | None:
    """Return the context in which the span of a `traceparent` runs; None for what is none.

    To be called where there is a tracer.
    """
    from opentelemetry import trace  # noqa: PLC0415 - only where it is used

    found = _TRACEPARENT.fullmatch(parent or "")
    if found is None:
        return None
    of_it = trace.SpanContext(
        int(found[1], 16), int(found[2], 16), is_remote=True,
        trace_flags=trace.TraceFlags(int(found[3], 16)),
    )  # fmt: skip
    return trace.set_span_in_context(trace.NonRecordingSpan(of_it))
