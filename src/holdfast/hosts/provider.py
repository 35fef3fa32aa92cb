"""The contract of providers: what starts machines, ends them, and tells which there are."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from holdfast.hosts.host_entities import Template


class InstanceState(StrEnum):
    """Where an instance stands, as its provider sees it."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    ENDING = "ending"
    ENDED = "ended"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance of a provider's: *token* is what it was launched by, *instance_id* its name."""

    token: UUID
    instance_id: str
    state: InstanceState
    address: str | None = None


class Provider(Protocol):
    """Starts and ends machines of one type, each for a token that the caller made.

    It keeps the token with what it started, so that a caller that died, or whose answer was lost,
    can ask again and pay once. What it shows are the instances of one owner, such as one pool on
    one host, who is part of *name*.
    """

    @property
    def type(self) -> str:
        """The type that templates name as their `provider_type`."""
        ...

    @property
    def name(self) -> str:
        """Which one of its type this is, forever: machines say whose they are by it."""
        ...

    async def launch(self, token: UUID, template: Template) -> Instance:
        """Start an instance for *token*, or return the one that it has already.

        At most one is started for a token, however often and from wherever it is asked. Raises
        UnavailableError where asking again later may help, which leaves open whether one was
        started; another HoldfastError where none was started and none will be.
        """
        ...

    async def end(self, token: UUID, *, at_once: bool = False) -> None:
        """Have the instance of *token* end, and let none be started for it any more if it can.

        It may take a while: `instances` tells. *at_once* leaves it no time to finish. Nothing
        happens where there is none. Raises UnavailableError.
        """
        ...

    async def instances(self) -> Sequence[Instance]:
        """Return all instances that have not ended, and those that lately did if it knows.

        Raises UnavailableError.
        """
        ...
