"""Checks of options, and of the numbers and times among them: each is refused by its name."""

from __future__ import annotations

import math
from datetime import timedelta

from holdfast.errors import ConfigurationError


def check_kind(given: object, kind: type, name: str = "options") -> None:
    """Raise ConfigurationError unless *given*, the argument *name*, is a *kind*.

    It may hold a secret, so its type alone is told.
    """
    if not isinstance(given, kind):
        raise ConfigurationError(f"{name}= takes {kind.__name__}(...), not {type(given).__name__}")


def check_whole(options: object, *names: str, least: int = 1, most: int | None = None) -> None:
    """Raise ConfigurationError for one of *names* that is no whole number of *least* to *most*."""
    for name in names:
        value = getattr(options, name)
        whole = isinstance(value, int) and not isinstance(value, bool)
        if whole and value >= least and (most is None or value <= most):
            continue
        bounds = f"{least} or more" if most is None else f"{least} to {most}"
        raise ConfigurationError(f"{name}={value!r}: expected a whole number, {bounds}")


def check_number(options: object, *names: str, least: float = 0, most: float = math.inf) -> None:
    """Raise ConfigurationError for one of *names* that is no number of *least* to *most*."""
    for name in names:
        value: object = getattr(options, name)
        if not isinstance(value, int | float) or not least <= value <= most:
            bounds = f"{least} or more" if most == math.inf else f"{least} to {most}"
            raise ConfigurationError(f"{name}={value!r}: expected a number, {bounds}")


def check_positive(options: object, *names: str, most: float = math.inf) -> None:
    """Raise ConfigurationError for one of *names* that is not above 0, finite, *most* at most."""
    for name in names:
        value: object = getattr(options, name)
        if not isinstance(value, int | float) or not (0 < value <= most and math.isfinite(value)):
            bounds = "" if most == math.inf else f", {most} at most"
            raise ConfigurationError(f"{name}={value!r}: expected a number above 0{bounds}")


def check_span(options: object, *names: str, least: timedelta | None = None) -> None:
    """Raise ConfigurationError for one of *names* that is no time of *least*, or above 0."""
    for name in names:
        value: object = getattr(options, name)
        if isinstance(value, timedelta) and (
            value > timedelta(0) if least is None else value >= least
        ):
            continue
        bounds = "above 0" if least is None else f"of {least} or more"
        raise ConfigurationError(f"{name}={value!r}: expected a timedelta {bounds}")
