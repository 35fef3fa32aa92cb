"""Time-ordered identifiers: UUID version 7 (RFC 9562, section 5.7)."""

from __future__ import annotations

import os
import threading
import time
from uuid import UUID, SafeUUID

from holdfast.forks import after_fork

_COUNTER_BITS = 18
_COUNTER_LIMIT = 1 << _COUNTER_BITS
_DRAW = 80  # random bits an identifier takes: 17 for where the counter starts, 56 for its tail
_DRAWS = 256  # identifiers for which random bits are fetched at once

_lock = threading.Lock()
_random: list[int] = []
_milliseconds = 0
_counter = 0


def uuid7() -> UUID:
    """Return a new UUIDv7: 48 bits of Unix milliseconds, an 18-bit counter, 56 random bits.

    Within a process each is greater than the one before (method 1 of section 6.2: the counter
    starts at a random point in the lower half of its range at each new millisecond; when it runs
    over, or the clock goes back, the last millisecond is kept or advanced). Safe in threads.
    """
    global _milliseconds, _counter  # noqa: PLW0603 - the generator's state is the process's
    with _lock:
        if not _random:
            _draw()
        random = _random.pop()
        now = time.time_ns() // 1_000_000
        if now > _milliseconds:
            _milliseconds = now
            _counter = random >> 56 & (_COUNTER_LIMIT // 2 - 1)
        else:
            _counter += 1
            if _counter == _COUNTER_LIMIT:
                _milliseconds += 1
                _counter = 0
        milliseconds, counter = _milliseconds, _counter
    head = milliseconds << 80 | 0x7 << 76 | counter >> 6 << 64
    return uuid_from_int(head | 0x2 << 62 | (counter & 0x3F) << 56 | random & (1 << 56) - 1)


def _draw() -> None:
    size = _DRAW // 8
    drawn = os.urandom(size * _DRAWS)
    _random.extend(
        int.from_bytes(drawn[at : at + size], "big") for at in range(0, len(drawn), size)
    )


# A forked child must not hand out what its parent does.
after_fork(_random.clear)


_new, _UNKNOWN = UUID.__new__, SafeUUID.unknown
set_int = UUID.__dict__["int"].__set__
"""Sets the number of a UUID; the slots' own setters cost half of `object.__setattr__`."""
set_safety = UUID.__dict__["is_safe"].__set__
"""Sets what is known of how safely a UUID was made."""


def uuid_from_int(value: int) -> UUID:
    """Return UUID(int=value) without its checks, which cost more than all the rest."""
    made = _new(UUID)
    set_int(made, value)
    set_safety(made, _UNKNOWN)
    return made
