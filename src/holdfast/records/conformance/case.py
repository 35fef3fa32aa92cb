"""Cases: what proves a rule, and which rules it proves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import ModuleType

    from holdfast.records.conformance.lab import Lab
    from holdfast.records.driver import StoreCapability


@dataclass(frozen=True, slots=True)
class Case:
    """A behaviour that a store must show, and the *rules* of docs/semantics.md that it proves."""

    name: str
    rules: tuple[str, ...]
    prove: Callable[[Lab], Awaitable[None]]
    needs: frozenset[StoreCapability]
    tasks_only: bool
    """It is about tasks of an event loop, and means nothing to a store that blocks."""


def case(
    *rules: str, needs: tuple[StoreCapability, ...] = (), tasks_only: bool = False
) -> Callable[[Callable[[Lab], Awaitable[None]]], Case]:
    """Make the decorated function a case that proves *rules*."""
    if not rules:
        raise ValueError("a case cites at least one rule")

    def decorate(prove: Callable[[Lab], Awaitable[None]]) -> Case:
        return Case(prove.__name__, rules, prove, frozenset(needs), tasks_only)

    return decorate


def cases_of(*modules: ModuleType) -> tuple[Case, ...]:
    """Return the cases of *modules*. Raises ValueError when two have one name."""
    found: dict[str, Case] = {}
    for module in modules:
        for value in vars(module).values():
            if isinstance(value, Case) and found.setdefault(value.name, value) is not value:
                raise ValueError(f"two cases are named {value.name}")
    return tuple(found.values())
