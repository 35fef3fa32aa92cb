"""Slots: which node of a Redis Cluster a name lives on, and what a node says of its cluster.

The cluster specification of Redis: a name's slot is the CRC16 (XMODEM) of what stands between the
first { and the next }, of the whole name when nothing does, modulo 16384.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

SLOTS = 16_384
Ranges = tuple[tuple[int, int], ...]


def slot_of(name: str) -> int:
    """Return the slot of *name*."""
    opening = name.find("{")
    if opening >= 0:
        closing = name.find("}", opening + 1)
        if closing > opening + 1:
            name = name[opening + 1 : closing]
    return binascii.crc_hqx(name.encode(), 0) % SLOTS


@dataclass(frozen=True, slots=True)
class ClusterLayout:
    """A cluster as one of its nodes sees it.

    *primaries* are addresses with the slots that each owns, those that own none included. *own* is
    what the node says of its own slots, with those that are moving to or from it.
    """

    primaries: Mapping[str, Ranges]
    own: tuple[str, ...]

    @property
    def moving(self) -> bool:
        """Whether a slot is on its way to or from the node."""
        return any(slot.startswith("[") for slot in self.own)

    def owners(self) -> list[str]:
        """Return the owner of each slot. Raises UnavailableError when one has none."""
        owners = [""] * SLOTS
        for address, ranges in self.primaries.items():
            for first, last in ranges:
                owners[first : last + 1] = [address] * (last + 1 - first)
        if missing := owners.count(""):
            raise UnavailableError(f"redis cluster: {missing} slots are served by no node")
        return owners


def parse_cluster_nodes(nodes: str, host: str, *, by_name: bool) -> ClusterLayout:
    """Return what a node at *host* answers to CLUSTER NODES.

    *by_name* takes the names that nodes announce, where they do, over their addresses. A primary
    that its cluster holds for failed serves nothing. Raises UnavailableError for a node without
    cluster.
    """
    primaries: dict[str, Ranges] = {}
    own: tuple[str, ...] = ()
    for line in nodes.splitlines():
        words = line.split()
        if len(words) < 8:
            continue
        flags = words[2].split(",")
        if "myself" in flags:
            own = tuple(words[8:])
        if "master" not in flags or not {"fail", "handshake", "noaddr"}.isdisjoint(flags):
            continue
        where, *names = words[1].split(",")
        address, _, port = where.partition("@")[0].rpartition(":")
        if by_name and names and names[0] and "=" not in names[0]:
            address = names[0]
        owned = [slot.partition("-") for slot in words[8:] if not slot.startswith("[")]
        primaries[f"{address or host}:{port}"] = tuple(
            (int(first), int(last or first)) for first, _, last in owned
        )
    if not primaries:
        raise UnavailableError(f"redis {host}: it knows of no primary in its cluster")
    return ClusterLayout(primaries, own)
