"""Options of a cache, checked."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.errors import ConfigurationError
from holdfast.option_checks import check_number, check_positive, check_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheOptions:
    """How a cache works. Times are in seconds.

    *prefix* is the namespace: what every name in a shared store starts with. *load_timeout*: how
    long callers wait for a load of the same key, and how long the load lock of a process that died
    stays. *negative_ttl*: how long a loaded None is
    kept, 0 for as long as any value. *early*: how readily a value is loaded again before it ends, 0
    for never. *timeout*: how long a store may be silent;
    a large value is given a second for each MiB besides. *fallback*: how long a value is kept in
    this process while the store is away, 0 for not at all. *journal*: how many invalidations are
    remembered meanwhile, before one that empties the namespace stands for them. *max_entries* and
    *max_bytes* are the limits of a cache in memory. *ca* is a file with the certificates that a
    server's is checked against, empty for the system's.

    *near* over 0, at most 1: reads are answered from near copies, which are valid for as long after
    the last answer from the store; every write in the namespace, by any process, then takes as much
    longer. *near_entries*, *near_bytes*, and *near_largest* for one value, are the copies' limits.
    """

    prefix: str = "holdfast"
    load_timeout: float = 30.0
    negative_ttl: float = 0.0
    early: float = 1.0
    timeout: float = 1.0
    fallback: float = 5.0
    journal: int = 10_000
    max_entries: int = 100_000
    max_bytes: int = 256 * 1024 * 1024
    ca: str = ""
    near: float = 0.0
    near_entries: int = 10_000
    near_bytes: int = 64 * 1024 * 1024
    near_largest: int = 64 * 1024

    def __post_init__(self) -> None:
        if not self.prefix or len(self.prefix) > 100 or not self.prefix.isprintable():
            raise ConfigurationError(
                f"prefix: expected 1 to 100 printable characters, got {self.prefix!r}"
            )
        check_positive(self, "load_timeout", "timeout", most=86_400)
        check_number(self, "negative_ttl", "early", "fallback", most=86_400)
        check_number(self, "near", most=1)
        check_whole(self, "journal", "max_entries", "max_bytes")
        check_whole(self, "near_entries", "near_bytes", "near_largest")
