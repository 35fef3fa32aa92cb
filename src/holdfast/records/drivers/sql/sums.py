"""Sums and means of exact numbers: a server gives text, the sum, a blank, and the count."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, cast

from holdfast.records.evaluate import mean
from holdfast.records.value import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.records.drivers.sql.dialect import Codec
    from holdfast.records.field_spec import FieldSpec
    from holdfast.records.query import Aggregate


def figure_decoder(figure: Aggregate, decoder: Callable[[FieldSpec], Codec]) -> Codec:
    """Return what turns a server's figure into a row value or sum; None where they are the same."""
    if figure.operand is None or figure.function == "count":
        return None
    spec = figure.operand.spec
    if figure.function in ("min", "max") or spec.type.kind is Kind.FLOAT:
        return decoder(spec)
    is_mean = figure.function == "avg"

    def read(text: object) -> object:
        total_text, count = cast("str", text).split()
        total: object
        match spec.type.kind:
            case Kind.DECIMAL:
                total = Decimal(total_text)
            case Kind.TIMEDELTA:
                total = int(total_text) * timedelta(microseconds=1)
            case _:
                total = int(total_text)
        return mean(total, int(count)) if is_mean else total

    return read
