"""Gates of a promotion: what a version's metrics must be, also beside the current version's."""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.errors import InvalidQueryError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?"
_FORM = re.compile(
    rf"\s*(?P<metric>[A-Za-z0-9_][\w./@-]*)\s*(?P<operator>>=|<=|==|>|<)\s*"
    rf"(?P<bound>current|{_NUMBER})\s*"
)
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "==": operator.eq,
}


@dataclass(frozen=True, slots=True)
class MetricGate:
    """A condition on one *metric*; a *bound* that is None is the current version's value."""

    metric: str
    operator: str
    bound: float | None

    def refusal(
        self, candidate: Mapping[str, object], current: Mapping[str, object] | None
    ) -> str | None:
        """Return why *candidate* does not pass, None when it does.

        Beside *current* it passes when there is no current version; when that has no such metric
        there is nothing to compare with, and it does not.
        """
        value = candidate.get(self.metric)
        if not isinstance(value, (int, float)):
            return f"{self}: the version has no metric {self.metric}"
        bound: object = self.bound
        if self.bound is None:
            if current is None:
                return None
            bound = current.get(self.metric)
            if not isinstance(bound, (int, float)):
                return f"{self}: the current version has no metric {self.metric}"
        assert isinstance(bound, (int, float))
        if COMPARISONS[self.operator](value, bound):
            return None
        return f"{self}: it is {value:g}" + ("" if self.bound is not None else f", not {bound:g}")

    def __str__(self) -> str:
        bound = "current" if self.bound is None else f"{self.bound:g}"
        return f"{self.metric} {self.operator} {bound}"


def parse_gate(text: str) -> MetricGate:
    """Return the gate that *text* says, as `mAP >= 0.9` or `mAP > current`.

    Raises InvalidQueryError.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise InvalidQueryError(
            f"a gate {text!r:.120}: expected a metric, one of > >= < <= ==, and a number or "
            "`current`, as in `mAP >= 0.9` or `mAP > current`"
        )
    bound = None if found["bound"] == "current" else float(found["bound"])
    return MetricGate(found["metric"], found["operator"], bound)
