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
_ON_SQLITE = "tests/records/test_conformance.py::TestSQLite"
_EMBEDDED = "not (postgresql or mariadb or mysql or dynamodb)"
_CASES = "awaited and not random and not cancel"

_CLAIMS = tuple(
    f"tests/jobs/test_{name}.py"
    for name in ("claim", "claim_many", "claim_ends", "changes", "looking_on", "job_history")
)

CORES = {
    "proofs": Core(("audit/merkle_tree",), ("tests/audit/test_merkle_tree.py",)),
    "log": Core(
        ("audit/verification", "audit/inclusion", "audit/key_chain", "audit/entry_leaf"),
        tuple(
            f"tests/audit/test_{name}.py" for name in ("entry_leaf", "verification", "key_rotation")
        ),
        _EMBEDDED,
    ),
    "evaluate": Core(
        ("records/rows/evaluate",),
        (_ON_MEMORY,),
        _CASES,
    ),
    "cursors": Core(
        ("records/cursor",), ("tests/records/test_cursors.py", _ON_MEMORY), "page or cursor"
    ),
    "statements": Core(
        ("records/drivers/sql/statements/conditions",),
        (
            _ON_SQLITE,
            *(
                f"tests/records/test_{name}.py"
                for name in ("alike_queries", "marked_composite_keys")
            ),
        ),
        f"({_CASES} and (page or words or rank or all_fields)) or ((alike or marked) and sqlite)",
    ),
    "floors": Core(("jobs/claim_floors",), ("tests/jobs/test_claim_floors.py",), _EMBEDDED),
    "claims": Core(
        ("jobs/claim", "jobs/claim_batch"),
        (*_CLAIMS, "tests/jobs/test_limits.py"),
        "memory",
    ),
    "leases": Core(
        ("jobs/job_claims", "jobs/job_completion", "jobs/ready_jobs", "jobs/job_ends"),
        (
            *_CLAIMS,
            *(f"tests/jobs/test_{name}.py" for name in ("claim_floors", "limits", "job_keys")),
            "tests/jobs/test_task_statistics.py",
        ),
        f"{_EMBEDDED} and not sqlite",
    ),
    "transactions": Core(
        (
            "records/transactions/transaction",
            "records/transactions/scope",
            "records/transactions/after_commit",
            "records/transactions/own_transaction",
        ),
        (
            _ON_MEMORY,
            "tests/records/sql/test_contexts.py",
            "tests/records/test_ends_of_parts.py",
            "tests/records/test_store.py",
            "tests/cache/test_after_commit.py",
        ),
        "memory and not (blocking or random) and (contexts or transaction or savepoint or part or"
        " block or generator or isolation or event_loop or callback or commit or write_skew or"
        " links or retr or clash)",
    ),
    "versions": Core(
        ("records/repository", "records/entities/checked_row"),
        (
            _ON_MEMORY,
            *(f"tests/records/test_{name}.py" for name in ("write_hooks", "entities", "arguments")),
        ),
        f"({_CASES} and not large and (version or stale or patch or update or upsert or delete or"
        " add or batch or take or purge or written or first_along or goes_with or left_out or"
        " numbered or gives or given or value or bounds or check or living or not_there)) or"
        " ((write_hooks or test_arguments) and memory) or test_entities",
    ),
    "locks": Core(
        ("cache/cache_lock", "cache/coordination"),
        ("tests/cache/test_coordination.py",),
        "memory or who_waits",
    ),
    "coherence": Core(
        ("cache/loader", "cache/tag_validation", "cache/envelope", "cache/token_bucket"),
        (
            "tests/cache/test_conformance.py::TestMemory",
            *(
                f"tests/cache/test_{name}.py"
                for name in ("crowds", "misuse", "slow_loads", "refreshed_values")
            ),
            "tests/cache/test_coordination.py",
        ),
        "memory or Memory or slow or refreshed or a_flight or loaded_none or tokens or costly",
    ),
    "gates": Core(("models/metric_gate",), ("tests/models/test_metric_gate.py",)),
    "commits": Core(
        ("models/registration", "models/alias_history"), ("tests/models/test_registry.py",)
    ),
    "states": Core(("hosts/transitions",), ("tests/hosts/test_transitions.py",), _EMBEDDED),
}
"""By the name that ONLY= takes."""
