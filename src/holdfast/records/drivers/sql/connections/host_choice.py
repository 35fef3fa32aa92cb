"""Which of several servers a connection goes to: the first reached that is of the right kind."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, TypeVar

from holdfast.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from holdfast.records.drivers.sql.connections.server_address import ServerAddress
    from holdfast.records.options import SessionTarget

C = TypeVar("C")


def suits(target: SessionTarget, *, standby: bool, read_only: bool) -> bool:
    """Return whether a server is what *target* asks for.

    *standby*: it follows another; *read_only*: its transactions can't write, unless they say so.
    """
    return {
        "any": True,
        "primary": not standby,
        "standby": standby,
        "prefer-standby": standby,
        "read-write": not read_only,
        "read-only": read_only,
    }[target]


def in_turn(addresses: tuple[ServerAddress, ...], *, spread: bool) -> Sequence[ServerAddress]:
    """Return *addresses* as they are to be tried: in their order, or *spread* at random."""
    return random.sample(addresses, len(addresses)) if spread else addresses


async def connect_to_first(
    addresses: Sequence[ServerAddress],
    target: SessionTarget,
    connect: Callable[[ServerAddress], Awaitable[C]],
    role: Callable[[C], Awaitable[tuple[bool, bool]]],
    close: Callable[[C], Awaitable[object]],
) -> C:
    """Return a connection to the first of *addresses* that can be reached and is a *target*.

    *role* tells of a connection whether its server is a standby, and read-only. The targets mean
    what libpq's `target_session_attrs` do. Raises UnavailableError that says of each why not; what
    else an attempt raises, such as a password refused, ends the search.
    """
    if len(addresses) == 1 and target == "any":
        return await connect(addresses[0])
    reasons: list[str] = []
    for wanted in (target, "any") if target == "prefer-standby" else (target,):
        reasons.clear()
        for address in addresses:
            try:
                connection = await connect(address)
            except UnavailableError as error:
                reasons.append(str(error))
                continue
            if wanted == "any":
                return connection
            try:
                standby, read_only = await role(connection)
            except BaseException:
                await close(connection)
                raise
            if suits(wanted, standby=standby, read_only=read_only):
                return connection
            await close(connection)
            reasons.append(f"{address} is not what target_session_attrs={target} asks for")
    raise UnavailableError("; ".join(reasons))
