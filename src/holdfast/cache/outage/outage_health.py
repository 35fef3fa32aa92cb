"""What a probe's answer and the journal together say about a cache's store."""

from __future__ import annotations

from holdfast.health import Health, HealthState


def described(health: Health, *, pending: int, all_keys: bool, away: str | None) -> Health:
    """Return *health* with what is known besides.

    *pending* invalidations wait for the store, one of them for *all_keys*; *away* says since when
    it is away and why, None while it is used.
    """
    wait = "invalidation waits" if pending == 1 else "invalidations wait"
    waits = f"{pending} {wait} for it" if pending else ""
    if all_keys:
        waits += ", one of which stands for all keys"
    if health.state is HealthState.UP and pending:
        return Health(HealthState.DEGRADED, health.latency, waits)
    if health.state is HealthState.DOWN and away is not None:
        return Health(health.state, health.latency, f"away since {away}; {waits}".rstrip("; "))
    return health
