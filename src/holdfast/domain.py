"""A domain: one folder's entities, service, job handlers, routes, commands and health in a value.

The platform assembles the domains that are switched on; a user's own plugs in as the built-in ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from holdfast.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from fastapi import APIRouter
    from typer import Typer

    from holdfast.cache import Cache
    from holdfast.health import Health
    from holdfast.jobs import Schedule
    from holdfast.objects import Bucket
    from holdfast.records import Store, WriteHook

    JobHandler: TypeAlias = Callable[..., object]

T = TypeVar("T")

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True)
class RoleBucket:
    """The bucket that a role uses, and the *prefix* that its keys have in there.

    A role with a bucket of its own has no prefix.
    """

    bucket: Bucket
    prefix: str = ""

    def key(self, name: str) -> str:
        """Return the key in the bucket of what the role calls *name*."""
        return f"{self.prefix}{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainLimits:
    """What callers may send and cost; see the settings of the same names below `limits`.

    Sizes are in bytes, times in seconds. *project_bytes* 0 is no limit.
    """

    upload: int = 64 << 30
    project_bytes: int = 0
    upload_age: float = 86_400.0
    decoder_memory: int = 2 << 30
    decoder_cpu: float = 600.0
    decoder_silence: float = 300.0


@dataclass(frozen=True, slots=True)
class DomainParts:
    """What a domain is made of when the platform opens: the pillars, and the services before it.

    *buckets* are by role: `video`, `models`, `logs`. *folder* is where temporary files belong,
    and is not made yet. *services* are those of the domains that it requires, by domain. *sections*
    are the settings that are a domain's alone, by the domain's name and theirs.
    """

    store: Store
    cache: Cache[object]
    buckets: Mapping[str, RoleBucket]
    folder: Path
    services: Mapping[str, object] = field(default_factory=dict)
    limits: DomainLimits = DomainLimits()
    sections: Mapping[str, Mapping[str, object]] = field(default_factory=dict, repr=False)

    def section(self, name: str) -> Mapping[str, object]:
        """Return the settings that are the domain *name*'s alone; none where nobody set any."""
        return self.sections.get(name, {})

    def service(self, kind: type[T]) -> T:
        """Return the open service that is a *kind*. Raises ConfigurationError when none is."""
        for service in self.services.values():
            if isinstance(service, kind):
                return service
        names = ", ".join(self.services) or "none"
        raise ConfigurationError(
            f"no open domain brings the service {kind.__name__}; open are: {names}. Name the one "
            "that does in the setting domains, and in `requires` of a domain that uses it"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """What one domain brings; all but the *name* is optional.

    *requires* are the names of domains that are opened before it and closed after it. *entities*
    live in the platform's store; those among them that are *audited* are recorded where the domain
    `audit` is on. In the console those that are *private* are shown to administrators alone, and
    rows of those that are *editable* may be added, changed and deleted by hand, with the entity's
    own checks; the others are written by the domain's service. *hooks* is given the audited
    classes of all domains, and returns write hooks for the store. *service* returns what opens the
    domain's service, to be entered by `async with`, and closes it:
    `contextlib.nullcontext(X(parts.store))` when there is nothing to close. *handlers* returns
    what a worker can do, by task, and *schedules* what of it workers do again and again. *routes*
    returns a router of FastAPI, *commands* a Typer, added to the command line by the domain's
    name. *health* probes what the domain depends on beyond the pillars, which are probed in any
    case. *upkeep* removes what was left behind; a server awaits it at its start and each hour,
    `holdfast upkeep` at once, and it may run several times at once.
    *each_minute* is for what must not wait for an hour: a server awaits it at its start and each
    minute, in each of its processes.
    """

    name: str
    requires: tuple[str, ...] = ()
    entities: tuple[type, ...] = ()
    audited: tuple[type, ...] = ()
    private: tuple[type, ...] = ()
    editable: tuple[type, ...] = ()
    hooks: Callable[[tuple[type, ...]], Sequence[WriteHook]] | None = None
    service: Callable[[DomainParts], AbstractAsyncContextManager[object]] | None = None
    handlers: Callable[[DomainParts], Mapping[str, JobHandler]] | None = None
    schedules: Callable[[DomainParts], Sequence[Schedule]] | None = None
    routes: Callable[[DomainParts], APIRouter] | None = None
    commands: Callable[[], Typer] | None = None
    health: Callable[[DomainParts], Awaitable[Health]] | None = None
    upkeep: Callable[[DomainParts], Awaitable[None]] | None = None
    each_minute: Callable[[DomainParts], Awaitable[None]] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise ConfigurationError(
                f"a domain's name {self.name!r}: expected small letters, digits, _ and -, at most "
                "63, the first of them a letter"
            )
        for name in ("requires", "entities", "audited", "private", "editable"):
            if not isinstance(getattr(self, name), tuple):
                raise ConfigurationError(
                    f"the domain {self.name}: {name}: expected a tuple, "
                    f"got {type(getattr(self, name)).__name__}"
                )
