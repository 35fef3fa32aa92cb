"""The suite that every backend of records passes, for pytest (`pip install holdfast[conformance]`).

A backend's author writes a `StoreHarness` and a test class that inherits `StoreConformance` and
has a fixture ``harness`` that returns it. Every case then runs on the awaited and on the blocking
store, and a random one compares the backend with a naive model. `docs/write-a-backend.md` tells
how; `docs/semantics.md` holds the rules that the cases cite.
"""

from holdfast.records.conformance.case import Case
from holdfast.records.conformance.harness import KeepingHarness, StoreHarness
from holdfast.records.conformance.suite import CASES, StoreConformance, run_case

__all__ = [
    "CASES",
    "Case",
    "KeepingHarness",
    "StoreConformance",
    "StoreHarness",
    "run_case",
]
