"""The cores whose tests are tried: which modules are changed, and which tests have to notice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Core:
    """Modules below src/holdfast, and the quickest tests that are about them, as pytest names them.

    *keywords* is what pytest's `-k` gets: it keeps to the backends that need no server.
    """

    modules: tuple[str, ...]
    tests: tuple[str, ...]
    keywords: str = ""


_ON_MEMORY = "tests/records/test_conformance.py::TestMemory"
_EMBEDDED = "not (postgresql or mariadb or mysql or dynamodb)"

CORES = {
    "proofs": Core(("audit/merkle_tree",), ("tests/audit/test_merkle_tree.py",)),
    "log": Core(
        ("audit/verification", "audit/inclusion", "audit/key_chain", "audit/entry_leaf"),
        ("tests/audit/test_verification.py", "tests/audit/test_key_rotation.py"),
        _EMBEDDED,
    ),
    "evaluate": Core(
        ("records/evaluate",),
        (_ON_MEMORY,),
        "awaited and not random",
    ),
    "cursors": Core(
        ("records/cursor",), ("tests/records/test_cursors.py", _ON_MEMORY), "page or cursor"
    ),
    "statements": Core(
        ("records/drivers/sql/conditions",),
        ("tests/records/test_conformance.py::TestSQLite",),
        "awaited and not random",
    ),
    "floors": Core(("jobs/claim_floors",), ("tests/jobs/test_claim_floors.py",), _EMBEDDED),
    "claims": Core(
        ("jobs/claim", "jobs/claim_batch"),
        ("tests/jobs/test_claim.py", "tests/jobs/test_limits.py"),
        "memory",
    ),
    "coherence": Core(
        ("cache/loader", "cache/tag_validation", "cache/envelope", "cache/token_bucket"),
        ("tests/cache/test_conformance.py",),
        "memory or Memory",
    ),
    "gates": Core(("models/metric_gate",), ("tests/models/test_metric_gate.py",)),
    "commits": Core(
        ("models/registration", "models/alias_history"), ("tests/models/test_registry.py",)
    ),
    "states": Core(("hosts/transitions",), ("tests/hosts/test_transitions.py",), _EMBEDDED),
}
"""By the name that ONLY= takes."""
