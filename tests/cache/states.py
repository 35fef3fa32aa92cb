"""How a cache stands, without I/O: what tests wait for and assert on."""


def counter(cache, name):
    """One of the cache's counters."""
    return cache.stats().counters[name]


def is_up(cache):
    """Whether the cache's store is used."""
    return cache.stats().gauges["up"] == 1


def pending(cache):
    """How many invalidations wait for the store."""
    return cache.stats().gauges["pending"]


def overflowed(cache):
    """Whether one of them stands for all keys."""
    return cache.stats().gauges["overflowed"] == 1


def is_settled(cache):
    """Whether the store is used and nothing waits for it."""
    return is_up(cache) and not pending(cache)
