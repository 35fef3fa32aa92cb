"""Ports: chosen once for a checkout, apart from other checkouts', and remembered."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from tools.services.failure import StateError
from tools.services.paths import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

FIRST = 20_000
SLOT = 50
SLOTS = 240  # the last one ends below 32768, where Linux begins to hand out ports to clients


def base(folder: Path) -> int:
    """The first port of the checkout whose servers live in *folder*; the same every time."""
    return FIRST + int(fingerprint(folder), 16) % SLOTS * SLOT


def is_free(port: int) -> bool:
    """Whether a server may listen on *port* of the loopback now."""
    with socket.socket() as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # closed clients linger
        try:
            candidate.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def allocate(
    names: Iterable[str],
    *,
    remembered: Mapping[str, int],
    start: int,
    usable: Callable[[int], bool] = is_free,
) -> dict[str, int]:
    """Return *remembered* with a port for each of *names* that had none.

    New ports are the lowest usable ones from *start* on, and never one remembered for another.
    """
    chosen = dict(remembered)
    end = FIRST + SLOTS * SLOT
    candidates = iter([*range(start, end), *range(FIRST, start)])
    for name in names:
        if name in chosen:
            continue
        taken = set(chosen.values())
        port = next((port for port in candidates if port not in taken and usable(port)), None)
        if port is None:
            raise StateError(f"no free port for {name} between {FIRST} and {end}")
        chosen[name] = port
    return chosen
